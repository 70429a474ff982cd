"""The messages of notices about guards on the day's result."""

from __future__ import annotations

from typing import assert_never

from bot.notices.lookups import Lookups
from bot.views.lines import brief
from bot.views.markup import LONG, bold, esc, join, short
from bot.views.screen import Screen, button
from bot.views.verbs import Verb
from bot.views.width import fitted
from bot.views.words import plural
from core.domain.money import rupees, signed_rupees
from core.domain.notices.result_guards import (
    GuardBlind,
    GuardFired,
    GuardNotice,
    GuardPricesOld,
)
from core.domain.result_guard import GuardScope, Reached, ScopeKind

__all__ = ["guard_notice"]

_OLD_S = 5


async def guard_notice(notice: GuardNotice, lookups: Lookups, *, is_over: bool = False) -> Screen:
    """Return the message of a notice about a guard; ``is_over`` once all that it closes is."""
    match notice:
        case GuardFired():
            return await _fired(notice, lookups, is_over=is_over)
        case GuardBlind():
            return await _blind(notice, lookups)
        case GuardPricesOld():
            return _prices(notice)
        case _:
            assert_never(notice)


async def _name(key: str, lookups: Lookups) -> str:
    """Return what a guard covers: ``all accounts``, an account, a strategy on an account."""
    try:
        scope = GuardScope.parse(key)
    except ValueError:
        return key
    if scope.kind is ScopeKind.ALL:
        return "all accounts"
    label = await lookups.label(scope.broker_id)
    if scope.kind is ScopeKind.ACCOUNT:
        return label
    return f"{lookups.strategy_title(scope.strategy)} · {label}"


async def _fired(notice: GuardFired, lookups: Lookups, *, is_over: bool) -> Screen:
    name = await _name(notice.scope, lookups)
    result = bold(signed_rupees(notice.after))
    lines = [f"{_reached(notice)}:", fitted(result, "after charges")]
    if notice.floor_from is not None:
        lines.append(f"The highest today was {signed_rupees(notice.floor_from)}.")
    before = f"Before charges {signed_rupees(notice.before)}"
    lines.append(fitted(before, f"charges {rupees(notice.charges)}"))
    # Over, it is not counted: an entry that was not filled is among what there was to close.
    done = "The closing is over" if is_over else f"Closing {plural(notice.closing, 'position')}"
    done = done if notice.closing else "Nothing is left to close"
    lines.append(f"{done}. Nothing is entered there until the next trading day.")
    if notice.price_age_s > _OLD_S:
        lines.append(f"⚠️ Judged by prices of {notice.price_age_s} s ago.")
    for broker_id in () if is_over else notice.paused:
        label = esc(await lookups.label(broker_id))
        lines.append(f"⏸ {label} is paused: nothing is closed there before you end the pause.")
    for broker_id in () if is_over else notice.logged_out:
        label = esc(await lookups.label(broker_id))
        lines.append(f"🔑 {label} needs a login: nothing is closed there before it.")
    if notice.left:
        names = esc(short(brief(", ".join(notice.left)), LONG))
        lines.append(f"⚠️ Not closed: {names}. I send nothing there; close it at the broker.")
    head = f"🛑 {bold(f'Your guard has fired · {name}')}"
    rows = ((button("Positions", Verb.POSITIONS), button("Guards", Verb.GUARDS)),)
    return Screen(join(head, lines), rows)


def _reached(notice: GuardFired) -> str:
    limit = signed_rupees(notice.limit, paise=False)
    match notice.reached:
        case Reached.STOP:
            return f"The day's result has reached the stop of {limit}"
        case Reached.TARGET:
            return f"The day's result has reached the target of {limit}"
        case Reached.FLOOR:
            return f"The day's result has reached the floor of {limit}"
        case _:
            assert_never(notice.reached)


async def _blind(notice: GuardBlind, lookups: Lookups) -> Screen:
    name = await _name(notice.scope, lookups)
    if not notice.why:
        return Screen(
            join(
                f"✅ {bold(f'Guard sees again · {name}')}",
                "The day's result is known again, and the guard judges it.",
            )
        )
    label = esc(await lookups.label(notice.broker_id))
    return Screen(
        join(
            f"⚠️ {bold(f'Guard cannot judge · {name}')}",
            f"{label}: {esc(short(brief(notice.why), LONG))}. While the result is not known the "
            "guard closes nothing; look in the broker's app.",
        ),
        ((button("Positions", Verb.POSITIONS, notice.broker_id),),),
    )


def _prices(notice: GuardPricesOld) -> Screen:
    if notice.is_over:
        return Screen(f"✅ {bold('Prices are fresh again')}\nGuards are judged by them.")
    return Screen(
        join(
            f"⚠️ {bold('Prices are old')}",
            f"The oldest is {notice.age_s} s old. Guards are judged by the last prices; look "
            "whether the data account in /settings answers.",
        )
    )
