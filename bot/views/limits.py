"""Limits as the chat shows them: the overview, one scope, and the question for a number (R1)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal

from telegram import InlineKeyboardButton

from bot.views.callbacks import handle
from bot.views.markup import bold, day_time, esc, italic, join
from bot.views.paging import page_row, paged
from bot.views.screen import Keyboard, Screen, button, grid
from bot.views.verbs import Verb
from bot.views.width import fitted
from core.domain.instrument import InstrumentId
from core.domain.limits import MONEY, NAMES, NEEDED_LIVE, USUAL, LimitKind, parse_limit, shown
from core.domain.money import rupees, signed_rupees
from core.engine.control.limits import LimitChanged, LimitsView
from core.engine.orders.limits import LimitChange
from core.engine.safeguards.round_trips import TripOffer

__all__ = [
    "KINDS",
    "changes_screen",
    "limit_changed",
    "limit_page",
    "limit_question",
    "limits_screen",
    "loss_choices",
    "removal_question",
    "scope_name",
    "trip_begun",
    "trip_choices",
    "trip_question",
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
_SHORT = {
    LimitKind.DAILY_LOSS: "loss",
    LimitKind.ORDER_VALUE: "order",
    LimitKind.POSITION_VALUE: "position",
    LimitKind.OPEN_POSITIONS: "open",
    LimitKind.ORDERS_MINUTE: "this minute",
    LimitKind.ORDERS_DAY: "orders",
}
_ON_PAGE = 21
_SCOPES = 12
_ROOM = 3700
_EFFECT = {
    LimitKind.DAILY_LOSS: (
        "Booked and open, after charges. When it is reached, the account goes to exit only, and "
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


_EFFECT_ON_ALL = {
    LimitKind.DAILY_LOSS: (
        "The accounts' results together, after charges. When it is reached, every account goes to "
        "exit only, and only you set them back."
    ),
    LimitKind.ORDER_VALUE: "Units times price of one signal's entries, over all accounts.",
}


def scope_name(view: LimitsView) -> str:
    """Return whose limits they are."""
    return view.account.label if view.account else "All accounts together"


def limits_screen(views: Sequence[LimitsView], page: int = 0) -> Screen:
    """Return the limits of every scope with what is used of them, and a button for each scope.

    A line a scope: twenty accounts fit one message.
    """
    blocks: list[str] = []
    shown, at, pages = paged(views, page, _ON_PAGE, texts=list(map(_overview, views)), room=_ROOM)
    for view in shown:
        blocks.extend(["", _overview(view)])
    names = [(view, view.account.short_label if view.account else "All accounts") for view in shown]
    rows = grid([button(name, Verb.LIMIT, view.scope) for view, name in names], 2)
    return Screen(
        join(bold("Limits"), "They deny entries. Exits and stops always go out.", blocks),
        (*rows, *page_row(at, pages, Verb.LIMITS)),
    )


def _overview(view: LimitsView) -> str:
    """Return a scope and its limits, a line each."""
    parts = [_part(view, kind) for kind in LimitKind if view.limits.of(kind) is not None]
    flag = " 🛑 daily loss reached" if view.tripped else " 🔒 not entered yet"
    is_flagged = view.tripped is not None or view.unproved
    line = fitted(*parts) or "No limits."
    return f"{bold(scope_name(view))}{flag if is_flagged else ''}\n{line}"


def _beside(view: LimitsView) -> str:
    """Return how the limits of all accounts together and these go together."""
    if view.account is None:
        paper = "; paper accounts do not count" if view.leaves_out_paper else ""
        return f"Counted over every account together{paper}."
    if view.account.broker.is_paper:
        return "The limits of all accounts together do not count paper accounts."
    return "The limits of all accounts together apply as well."


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
        _beside(view),
    )
    trip = (
        [(button("Smallest round trip", Verb.ASK_ROUND_TRIP, view.scope),)] if view.unproved else []
    )
    last = (button("Changes", Verb.LIMIT_CHANGES, view.scope), button("« Limits", Verb.LIMITS))
    return Screen(text, (*grid(buttons, 2), *trip, last))


def changes_screen(view: LimitsView, changes: Sequence[LimitChange]) -> Screen:
    """Return who changed what of one scope's limits, the newest first."""
    lines = [
        fitted(f"{day_time(one.at)} {what}", how, esc(one.by))
        for one in changes
        for what, how in (_change(one),)
    ]
    text = join(bold(f"Changes · {scope_name(view)}"), lines or "None yet.")
    return Screen(text, ((button("« Back", Verb.LIMIT, view.scope),),))


def _change(change: LimitChange) -> tuple[str, str]:
    """Return ``order value`` and ``no limit → ₹1,00,000``, or what else is in the record."""
    kinds = {kind.value: kind for kind in LimitKind}
    kind = kinds.get(change.what)
    if kind is None:
        return esc(" ".join(filter(None, (change.what, change.old, change.new)))), ""
    old, new = (shown(kind, Decimal(text) if text else None) for text in (change.old, change.new))
    return NAMES[kind], f"{esc(old)} → {bold(new)}"


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


def _part(view: LimitsView, kind: LimitKind) -> str:
    """Return ``orders 12 of 100``."""
    used, text = _used(view, kind), shown(kind, view.limits.of(kind))
    return f"{_SHORT[kind]} {f'{used} of {text}' if used else text}"


def _used(view: LimitsView, kind: LimitKind) -> str:
    if kind is LimitKind.DAILY_LOSS:
        if view.result is None:
            return ""
        # With paise: a loss just under its limit must not be shown as the limit.
        loss = max(Decimal(0), -view.result)
        return rupees(loss, paise=bool(loss % 1))
    return str(view.used[kind]) if kind in view.used else ""


def limit_question(view: LimitsView, kind: LimitKind, nonce: str) -> Screen:
    """Return the question for one number: buttons for usual values, or a typed one."""
    example = "2,50,000" if kind in MONEY else "25"
    text = join(
        bold(f"{NAMES[kind].capitalize()} · {scope_name(view)}"),
        _EFFECT[kind] if view.account else _EFFECT_ON_ALL.get(kind, _EFFECT[kind]),
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


def loss_choices(found: Sequence[tuple[LimitsView, str]], value: Decimal | int) -> Screen:
    """Return the question whose limit of the day's loss shall be a value; a nonce a scope."""
    kind = LimitKind.DAILY_LOSS
    some = found[:_SCOPES]
    lines = [
        f"{esc(scope_name(view))}: now {esc(shown(kind, view.limits.of(kind)))}" for view, _ in some
    ]
    buttons = [
        button(
            view.account.short_label if view.account else "All together",
            Verb.SET_LIMIT,
            nonce,
            str(int(value)),
        )
        for view, nonce in some
    ]
    text = join(
        bold(f"Set the daily loss to {shown(kind, value)} for whom?"),
        lines or "There is no account yet. /add connects one.",
        "",
        "When it is reached, only exits go out until you set Normal. /guard is what "
        "closes everything.",
    )
    return Screen(text, (*grid(buttons, 2), (button("« Limits", Verb.LIMITS),)))


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
    if kind in MONEY:
        return f"Entries of any {NAMES[kind]} go out then{beside}."
    return f"Entries go out whatever the number of {NAMES[kind]}{beside}."


def trip_choices(view: LimitsView, instruments: Sequence[InstrumentId]) -> Screen:
    """Return the question with which instrument a round trip is made."""
    text = join(
        bold(f"Smallest round trip · {scope_name(view)}"),
        "It buys the smallest size at the market and sells it again, to prove that orders of this "
        "account go out, fill and are followed.",
        "Choose a liquid instrument with a low price."
        if instruments
        else "No strategy names an instrument of this broker; set one under /strategies first.",
    )
    buttons = [
        button(str(one), Verb.ASK_ROUND_TRIP, view.scope, handle(str(one))) for one in instruments
    ]
    return Screen(text, (*grid(buttons, 2), (button("« Back", Verb.LIMIT, view.scope),)))


def trip_question(offer: TripOffer) -> tuple[str, Keyboard]:
    """Return what a round trip will do, and the way back."""
    costs = "Its charges are not known; it costs them"
    if offer.charges is not None:
        costs = f"It costs about {rupees(offer.charges)} in charges"
    text = join(
        bold(f"Smallest round trip on {offer.account.label}?"),
        f"Buys {offer.units} {esc(offer.instrument)} (MIS) at the market, about "
        f"{rupees(offer.price * offer.units)}, and sells it again at once.",
        f"{costs}, and what the price moves meanwhile.",
    )
    return text, ((button("« Leave it", Verb.LIMIT, offer.account.broker_id),),)


def trip_begun(offer: TripOffer) -> Screen:
    """Return that a round trip has begun."""
    text = join(
        f"✅ {bold(f'Round trip begun · {offer.account.label}')}",
        f"{offer.units} {esc(offer.instrument)} is bought and sold again. Its card shows the "
        "orders; a message says whether it has passed.",
    )
    return Screen(text, ((button("« Limits", Verb.LIMIT, offer.account.broker_id),),))


def limit_changed(view: LimitsView, change: LimitChanged) -> Screen:
    """Return the scope's page under a line that says what was changed."""
    old, new = shown(change.kind, change.old), shown(change.kind, change.new)
    note = f"✅ {NAMES[change.kind].capitalize()}: {bold(new)} (was {esc(old)})."
    return limit_page(view).with_note(note)
