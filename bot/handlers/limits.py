"""Limits, /limits: look, choose a number or type one, take one away (rows R1, F8)."""

from __future__ import annotations

from bot.conversation.visit import Visit
from bot.views.callbacks import Tap, resolve
from bot.views.limits import (
    KINDS,
    changes_screen,
    limit_changed,
    limit_page,
    limit_question,
    limits_screen,
    loss_choices,
    removal_question,
    trip_begun,
    trip_choices,
    trip_question,
)
from bot.views.paging import page_number
from bot.views.verbs import Verb
from core.domain.instrument import InstrumentId
from core.domain.limits import NAMES, LimitKind, parse_limit, shown
from core.engine.control.limits import LimitChanged
from core.errors import UserError

__all__ = [
    "answer_limit",
    "ask",
    "ask_loss",
    "ask_removal",
    "ask_round_trip",
    "changes",
    "overview",
    "page",
    "remove",
    "round_trip",
    "set_limit",
]

_PROMPT = "limit"
_NONE = frozenset(
    {"none", "no limit", "no", "off", "unlimited", "remove", "remove it", "no limits"}
)


async def overview(visit: Visit) -> None:
    """Show the limits of all scopes."""
    await visit.show(
        limits_screen(
            await visit.services.control.limits.overview(), page_number(visit.tap.argument(0))
        )
    )


async def page(visit: Visit) -> None:
    """Show the limits of one scope."""
    await visit.end_question(_PROMPT)
    view = await visit.services.control.limits.view(visit.tap.argument(0))
    await visit.show(await visit.services.logins.begun(limit_page(view), view.account))


async def changes(visit: Visit) -> None:
    """Show the newest changes of one scope."""
    service, scope = visit.services.control.limits, visit.tap.argument(0)
    await visit.show(changes_screen(await service.view(scope), await service.changes(scope)))


async def ask(visit: Visit) -> None:
    """Ask for a number: buttons for usual ones, and a question that a typed one answers."""
    scope, kind = visit.tap.argument(0), _kind(visit.tap.argument(1))
    view = await visit.services.control.limits.view(scope)
    nonce = await visit.issue(Verb.SET_LIMIT, {"scope": scope, "kind": kind.value})
    prompt = await visit.services.prompts.open(
        visit.chat_id,
        visit.user_id,
        _PROMPT,
        "value",
        {"scope": scope, "kind": kind.value},
        update_id=visit.update_id,
    )
    await visit.services.prompts.shown_in(
        prompt, await visit.show(limit_question(view, kind, nonce))
    )


async def ask_loss(visit: Visit, amount: str) -> None:
    """Ask whose limit of the day's loss shall be an amount that was typed."""
    kind = LimitKind.DAILY_LOSS
    value = parse_limit(kind, amount)
    found, every = [], await visit.services.control.limits.overview()
    has_live = any(one.account and not one.account.broker.is_paper for one in every)
    for view in every:
        if view.account is None and not has_live:
            continue  # it does not count paper accounts
        nonce = await visit.issue(Verb.SET_LIMIT, {"scope": view.scope, "kind": kind.value})
        found.append((view, nonce))
    await visit.send(loss_choices(found, value))


async def set_limit(visit: Visit) -> None:
    """Set the number of the tapped button."""
    await visit.end_question(_PROMPT)
    control, args = visit.services.control, visit.args
    change = await control.limits.set(
        visit.command, args["scope"], LimitKind(args["kind"]), visit.tap.argument(1)
    )
    await _show(visit, change)


async def answer_limit(visit: Visit, scope: str, kind: str) -> None:
    """Set the number that was typed; for a word that means none, ask as its button does."""
    control = visit.services.control
    if visit.text.casefold().strip(" .!") in _NONE:
        if (await control.limits.view(scope)).limits.of(LimitKind(kind)) is None:
            raise UserError("There is no such limit now. Send a number to set one, or /cancel.")
        code = next(one for one, known in KINDS.items() if known is LimitKind(kind))
        visit.tap = Tap(None, (scope, code))
        await ask_removal(visit)
        return
    await _show(visit, await control.limits.set(visit.command, scope, LimitKind(kind), visit.text))


async def ask_removal(visit: Visit) -> None:
    """Say what taking a limit away does, and ask."""
    await visit.end_question(_PROMPT)
    scope, kind = visit.tap.argument(0), _kind(visit.tap.argument(1))
    view = await visit.services.control.limits.view(scope)
    text, back = removal_question(view, kind)
    seen = shown(kind, view.limits.of(kind))
    args = {"scope": scope, "kind": kind.value, "seen": seen}
    label = f"Yes, no limit of {NAMES[kind]}"
    await visit.confirm(text, Verb.REMOVE_LIMIT, args, {"": label}, back=back)


async def remove(visit: Visit) -> None:
    """Take a limit away."""
    control, args = visit.services.control, visit.args
    change = await control.limits.remove(
        visit.command, args["scope"], LimitKind(args["kind"]), args["seen"]
    )
    await _show(visit, change)


async def ask_round_trip(visit: Visit) -> None:
    """Ask with which instrument, then whether."""
    scope, wanted = visit.tap.argument(0), visit.tap.argument(1)
    control = visit.services.control
    choices = await control.round_trips.choices(scope)
    if not wanted:
        await visit.show(trip_choices(await control.limits.view(scope), choices))
        return
    name = resolve(wanted, map(str, choices), "instrument")
    text, back = trip_question(await control.round_trips.offer(scope, InstrumentId.parse(name)))
    args = {"broker_id": scope, "instrument": name}
    await visit.confirm(
        text, Verb.ROUND_TRIP, args, {"": "Yes, buy and sell it"}, back=back, is_red=False
    )


async def round_trip(visit: Visit) -> None:
    """Begin a round trip."""
    args, trips = visit.args, visit.services.control.round_trips
    instrument = InstrumentId.parse(args["instrument"])
    await visit.show(trip_begun(await trips.begin(visit.command, args["broker_id"], instrument)))


async def _show(visit: Visit, change: LimitChanged) -> None:
    view = await visit.services.control.limits.view(change.scope)
    await visit.show(limit_changed(view, change))


def _kind(code: str) -> LimitKind:
    if code not in KINDS:
        raise UserError("I do not know that limit. Open /limits again.")
    return KINDS[code]
