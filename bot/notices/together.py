"""Several notices in one message: their texts below one another, their buttons once each. Pure."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

from telegram import InlineKeyboardButton

from bot.views.callbacks import parse
from bot.views.markup import bold, units
from bot.views.screen import Screen, button, grid
from bot.views.verbs import Verb

__all__ = ["parts_of"]

_ROOM = 3600
"""The units of a message; a sign or a mark that is added later still fits."""
_BUTTONS = 24
_GENERAL = {Verb.POSITIONS, Verb.ORDERS}
"""Views of one account that a button without one shows of all."""


def parts_of(screens: Sequence[Screen]) -> list[tuple[Screen, int]]:
    """Return as few messages as hold the screens, in their order, with how many each holds."""
    found: list[tuple[Screen, int]] = []
    taken: list[Screen] = []
    for screen in screens:
        longer = [*taken, screen]
        text = sum(units(one.text) + 2 for one in longer)
        buttons = sum(len(row) for one in longer for row in one.rows)
        if taken and (text > _ROOM or buttons > _BUTTONS):
            found.append((_joined(taken), len(taken)))
            longer = [screen]
        taken = longer
    return [*found, (_joined(taken), len(taken))] if taken else found


def _joined(screens: Sequence[Screen]) -> Screen:
    if len(screens) == 1:
        return screens[0]
    unlike = _unlike(screens)
    rows: dict[str, InlineKeyboardButton] = {}
    texts = []
    for number, screen in enumerate(screens, 1):
        texts.append(f"{bold(f'{number}.')} {screen.text}" if unlike else screen.text)
        for one in (_general(one) for row in screen.rows for one in row):
            shown = _numbered(one, number) if one.text in unlike else one
            rows.setdefault(_does(shown), shown)
    # What acts on one thing comes first; views of everything are below.
    ordered = sorted(rows.values(), key=lambda one: not one.text[:1].isdigit())
    return Screen("\n\n".join(texts), grid(ordered, 2))


def _unlike(screens: Sequence[Screen]) -> set[str]:
    """Return the labels of buttons that do different things: they need their notice's number."""
    does = defaultdict(set)
    for screen in screens:
        for one in (_general(one) for row in screen.rows for one in row):
            does[one.text].add(_does(one))
    return {label for label, things in does.items() if len(things) > 1}


def _does(one: InlineKeyboardButton) -> str:
    return str(one.callback_data or one.url or one.copy_text)


def _general(one: InlineKeyboardButton) -> InlineKeyboardButton:
    tap = parse(str(one.callback_data)) if one.callback_data else None
    if tap is None or tap.verb not in _GENERAL:
        return one
    return button(one.text, tap.verb)


def _numbered(one: InlineKeyboardButton, number: int) -> InlineKeyboardButton:
    return InlineKeyboardButton(
        f"{number}. {one.text}",
        url=one.url,
        callback_data=one.callback_data,
        copy_text=one.copy_text,
        style=one.style,
    )
