"""Limits as the chat shows them: the overview, one scope, and the question for a number (R1)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal

from telegram import InlineKeyboardButton

from bot.views.markup import bold, esc, italic, join
from bot.views.screen import Keyboard, Screen, button, grid
from bot.views.verbs import Verb
from core.domain.limits import MONEY, NAMES, NEEDED_LIVE, USUAL, LimitKind, parse_limit, shown
from core.domain.money import rupees, signed_rupees
from core.engine.control.limits import LimitChanged, LimitsView

__all__ = [
    "KINDS",
    "limit_changed",
    "limit_page",
    "limit_question",
    "limits_screen",
    "removal_question",
    "scope_name",
]

KINDS: Mapping[str, LimitKind] = {
    "l": LimitKind.DAILY_LOSS,
    "v": LimitKind.ORDER_VALUE,
    "p": LimitKind.POSITION_VALUE,
    "o": LimitKind.OPEN_POSITIONS,
    "m": LimitKind.ORDERS_MINUTE,
    "d": LimitKind.ORDERS_DAY,
}
"""The arguments of buttons; a letter is never changed."""
_CODE = {kind: code for code, kind in KINDS.items()}
_EFFECT = {
    LimitKind.DAILY_LOSS: (
        "Taken and open, after charges. When it is reached, the account goes to exit only, and "
        "only you set it back."
    ),
    LimitKind.ORDER_VALUE: "Units times price of one entry; its slices count together.",
    LimitKind.POSITION_VALUE: (
        "What is held of one instrument, what is being entered, and the new entry, together."
    ),
    LimitKind.OPEN_POSITIONS: "Instruments held or being entered, by hand too.",
    LimitKind.ORDERS_MINUTE: "Orders that I send; exits and stops count, and are never denied.",
    LimitKind.ORDERS_DAY: "Orders that I send; exits and stops count, and are never denied.",
}


def scope_name(view: LimitsView) -> str:
    """Return whose limits they are."""
    return view.account.label if view.account else "All accounts together"


def limits_screen(views: Sequence[LimitsView]) -> Screen:
    """Return the limits of every scope with what is used of them, and a button for each scope."""
    blocks: list[str] = []
    for view in views:
        lines = [_line(view, kind) for kind in LimitKind if view.limits.of(kind) is not None]
        blocks.extend(["", bold(scope_name(view)), *_standing(view), *(lines or ["No limits."])])
    names = [
        (view, view.account.display_name if view.account else "All accounts") for view in views
    ]
    rows = grid([button(name, Verb.LIMIT, view.scope) for view, name in names], 2)
    return Screen(
        join(bold("Limits"), "They deny entries. Exits and stops always go out.", blocks), rows
    )


def limit_page(view: LimitsView) -> Screen:
    """Return one scope's limits, a button for each."""
    buttons = [
        button(NAMES[kind].capitalize(), Verb.ASK_LIMIT, view.scope, _CODE[kind])
        for kind in LimitKind
    ]
    text = join(
        bold(f"Limits · {scope_name(view)}"),
        _standing(view),
        [_line(view, kind) for kind in LimitKind],
        "",
        "Counted over every account together."
        if view.account is None
        else "The limits of all accounts together hold beside these.",
    )
    return Screen(text, (*grid(buttons, 2), (button("« Limits", Verb.LIMITS),)))


def _standing(view: LimitsView) -> list[str]:
    """Return what keeps entries back as a whole, a line each."""
    lines = []
    if view.tripped is not None:
        lines.append(
            f"🛑 Daily loss reached: {signed_rupees(view.tripped.result)}. Exit only until you set "
            "Normal."
        )
    if view.unproved:
        lines.append(f"🔒 Nothing is entered: {esc(view.unproved)}.")
    return lines


def _line(view: LimitsView, kind: LimitKind) -> str:
    """Return ``Orders a day: 12 of 100``."""
    name, limit = NAMES[kind].capitalize(), view.limits.of(kind)
    used = _used(view, kind)
    if limit is None:
        return f"{name}: {italic('no limit')}{f' ({used} now)' if used else ''}"
    text = shown(kind, limit)
    return f"{name}: {bold(f'{used} of {text}' if used else text)}"


def _used(view: LimitsView, kind: LimitKind) -> str:
    if kind is LimitKind.DAILY_LOSS:
        if view.result is None:
            return ""
        return rupees(max(Decimal(0), -view.result), paise=False)
    return str(view.used[kind]) if kind in view.used else ""


def limit_question(view: LimitsView, kind: LimitKind, nonce: str) -> Screen:
    """Return the question for one number: buttons for usual values, or a typed one."""
    example = "2,50,000" if kind in MONEY else "25"
    text = join(
        bold(f"{NAMES[kind].capitalize()} · {scope_name(view)}"),
        _EFFECT[kind],
        f"Now: {bold(shown(kind, view.limits.of(kind)))}.",
        f"Tap a value, or send a number like <code>{example}</code>.",
    )
    usual = [
        button(shown(kind, parse_limit(kind, str(value))), Verb.SET_LIMIT, nonce, value)
        for value in USUAL[kind]
    ]
    rows: list[tuple[InlineKeyboardButton, ...]] = [*grid(usual, 3)]
    if view.limits.of(kind) is not None:
        rows.append((button("No limit", Verb.ASK_NO_LIMIT, view.scope, _CODE[kind]),))
    rows.append((button("« Back", Verb.LIMIT, view.scope),))
    return Screen(text, tuple(rows))


def removal_question(view: LimitsView, kind: LimitKind) -> tuple[str, Keyboard]:
    """Return what taking a limit away does, and the way back."""
    needs = view.needs_proof and kind in NEEDED_LIVE
    text = join(
        bold(f"No limit of {NAMES[kind]} for {scope_name(view)}?"),
        f"Now: {shown(kind, view.limits.of(kind))}.",
        "Nothing is entered on this account until it is set again."
        if needs
        else _without(view, kind),
    )
    return text, ((button("« Leave it", Verb.LIMIT, view.scope),),)


def _without(view: LimitsView, kind: LimitKind) -> str:
    if kind is LimitKind.DAILY_LOSS:
        whose = "any account" if view.account is None else "this account"
        return f"A loss of any size no longer turns {whose} to exit only."
    beside = "" if view.account is None else " unless the limit of all accounts denies them"
    return f"Entries of any {NAMES[kind]} go out then{beside}."


def limit_changed(view: LimitsView, change: LimitChanged) -> Screen:
    """Return the scope's page under a line that says what was changed."""
    old, new = shown(change.kind, change.old), shown(change.kind, change.new)
    note = f"✅ {NAMES[change.kind].capitalize()}: {bold(new)} (was {esc(old)})."
    return limit_page(view).with_note(note)
