"""What a strategy would trade in rupees: asked before it is enabled, said when a size is set."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from decimal import Decimal
from itertools import islice

from bot.views.callbacks import handle
from bot.views.lines import symbol_of
from bot.views.markup import bold, day_time, esc, join
from bot.views.paging import fitting
from bot.views.paper import MADE_UP
from bot.views.rows import ListRow, laid_out
from bot.views.screen import SUCCESS, Screen, button
from bot.views.verbs import Verb
from bot.views.width import INDENT, fitted
from bot.views.words import plural
from core.domain.money import as_shown, rupees
from core.domain.size_views import SizeLine, SizeView
from core.domain.views import StrategyView

__all__ = ["enable_question", "seen", "size_lines"]

_ACCOUNTS = 8
_INSTRUMENTS = 5


def enable_question(
    strategy: StrategyView,
    sizes: Sequence[SizeView],
    *,
    are_made_up: bool = False,
    now: datetime | None = None,
) -> Screen:
    """Return what a strategy would trade on each account, and the button that enables it."""
    key = handle(strategy.name)
    slot = strategy.next_slot
    next_run = "not known: the calendar ends" if slot is None else day_time(slot, now)
    texts = _texts(sizes)
    shown = fitting(texts, _ACCOUNTS)
    more = len(sizes) - shown
    text = join(
        bold(f"Enable {strategy.title}?"),
        f"Next run: {next_run}. At each signal it would enter, at last prices:",
        MADE_UP if are_made_up else None,
        texts[:shown],
        f"… and {plural(more, 'more account')}." if more else None,
        None if sizes else "It is off on every account: nothing is traded.",
        "Each account's mode and limits apply.",
    )
    return Screen(
        text,
        (
            (button("Yes, enable it", Verb.ENABLE_STRATEGY, key, seen(strategy), style=SUCCESS),),
            (button("« Leave it", Verb.STRATEGY, key),),
        ),
    )


def seen(strategy: StrategyView) -> str:
    """Return the argument of the button that enables what a question has shown, and nothing else.

    It stands for what a user has set, not for units: these move with each price.
    """
    on = [replace(one, kept_out="") for one in strategy.assignments if one.is_on]
    values = [(parameter.name, value) for parameter, value in strategy.parameters]
    return handle(repr((on, values)))


def size_lines(sizes: Sequence[SizeView]) -> list[str]:
    """Return what is traded on each account, with a warning where it is beyond the funds."""
    return [line for text in _texts(sizes) for line in text.split("\n")]


def _texts(sizes: Sequence[SizeView]) -> list[str]:
    """Return the lines of each account; what is traded is laid out alike on all of them."""
    rows = [_row(line) for one in sizes for line in one.lines[:_INSTRUMENTS]]
    traded = iter(laid_out(rows, indent=INDENT))
    found = []
    for one in sizes:
        more = len(one.lines) - _INSTRUMENTS
        text = join(
            bold(one.account_label),
            f"{INDENT}⏸ {esc(one.kept_out)}" if one.kept_out else None,
            list(islice(traded, min(len(one.lines), _INSTRUMENTS))),
            f"{INDENT}… and {more} more" if more > 0 else None,
            _together(one),
        )
        found.append(text)
    return found


def _row(one: SizeLine) -> ListRow:
    if not one.units:
        value = "not one lot"
    elif one.value is None:
        value = "price not known"
    else:
        value = rupees(one.value, paise=False)
    return ListRow(f"{one.units} {esc(symbol_of(one.instrument))}", (value,))


def _together(one: SizeView) -> list[str]:
    values = [each.value for each in one.lines if each.units]
    known = [as_shown(value, paise=False) for value in values if value is not None]
    funds = "funds not known" if one.funds is None else f"{rupees(one.funds, paise=False)} free"
    total = bold(rupees(sum(known, Decimal(0)), paise=False))
    is_whole = len(known) == len(values)
    together = f"together {total}" if len(known) > 1 or (known and not is_whole) else ""
    if together and not is_whole:
        together += " and more"
    found = [fitted(together, funds, indent=INDENT)]
    if one.is_beyond:
        found.append(
            f"{INDENT}⚠️ far beyond its funds, with any margin: the broker will refuse it. Set a "
            "smaller size."
        )
    return found
