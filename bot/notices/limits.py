"""The messages of notices about limits, and about round trips of the smallest size."""

from __future__ import annotations

from typing import assert_never

from bot.notices.lookups import Lookups
from bot.views.lines import brief
from bot.views.markup import LONG, bold, clock_time, esc, join, short
from bot.views.screen import Screen, button
from bot.views.verbs import Verb
from bot.views.words import price
from core.domain.money import rupees, signed_rupees
from core.domain.notices.limits import (
    DailyLossBlind,
    DailyLossReached,
    LimitNotice,
    RoundTripFailed,
    RoundTripPassed,
)

__all__ = ["limit_notice"]


async def limit_notice(notice: LimitNotice, lookups: Lookups) -> Screen:
    """Return the message of a notice about limits."""
    match notice:
        case DailyLossReached():
            return await _daily_loss(notice, lookups)
        case DailyLossBlind():
            return await _blind(notice, lookups)
        case RoundTripPassed():
            return await _passed(notice, lookups)
        case RoundTripFailed():
            return await _failed(notice, lookups)
        case _:
            assert_never(notice)


async def _daily_loss(notice: DailyLossReached, lookups: Lookups) -> Screen:
    is_all = not notice.broker_id
    whose = "all accounts" if is_all else await lookups.label(notice.broker_id)
    stopped = [await lookups.label(one) for one in notice.stopped]
    text = join(
        f"🛑 {bold(f'Daily loss reached · {whose}')}",
        f"Today {bold(signed_rupees(notice.result))} after charges, the limit is "
        f"{rupees(notice.limit, paise=False)}.",
        f"Set to exit only: {esc(', '.join(stopped))}." if is_all and stopped else None,
        await _goes_on(notice, lookups)
        if stopped
        else "Nothing was being entered anyway: the mode stays as it is.",
        f"You can set Normal from {clock_time(notice.rearm_at)} on, if the loss is within the "
        "limit then or you have raised the limit.",
    )
    return Screen(text, ((button("Limits", Verb.LIMITS), button("Modes", Verb.MODES)),))


async def _goes_on(notice: DailyLossReached, lookups: Lookups) -> str:
    """Return what goes on where only exits may go now: not where nothing is sent at all."""
    unsent = {one: why for one in notice.stopped if (why := await lookups.unsent(one))}
    if not unsent:
        return "Nothing new is entered. Stops and exits go on."
    names = [f"{await lookups.label(one)} ({why})" for one, why in unsent.items()]
    where = esc(short(", ".join(names), LONG))
    if len(unsent) == len(notice.stopped):
        return f"Nothing is sent there now, no stop and no exit: {where}."
    return f"Nothing new is entered. Stops and exits go on, but not on {where}."


async def _blind(notice: DailyLossBlind, lookups: Lookups) -> Screen:
    label = await lookups.label(notice.broker_id)
    if not notice.why:
        return Screen(
            join(
                f"✅ {bold(f'Daily loss is judged again · {label}')}",
                "The day's result is known again.",
            )
        )
    last = "No result of today is known"
    if notice.result is not None:
        last = f"The last result of today, {signed_rupees(notice.result)}, counts until then"
    return Screen(
        join(
            f"⚠️ {bold(f'Daily loss cannot be judged · {label}')}",
            f"The day's result is not known: {esc(short(brief(notice.why), LONG))}.",
            f"{last}. A loss since then stops nothing; look in the broker's app.",
        ),
        ((button("Limits", Verb.LIMITS), button("Positions", Verb.POSITIONS, notice.broker_id)),),
    )


async def _passed(notice: RoundTripPassed, lookups: Lookups) -> Screen:
    label, kept = await lookups.label(notice.broker_id), await lookups.kept_out(notice.broker_id)
    return Screen(
        join(
            f"✅ {bold(f'Round trip passed · {label}')}",
            f"Bought {notice.quantity} {esc(brief(notice.instrument))} at {price(notice.bought)}, "
            f"sold at {price(notice.sold)}.",
            f"The account is proved, but nothing is entered yet: {esc(kept)}."
            if kept
            else "Strategies may enter on this account now, within its limits.",
        ),
        ((button("Limits", Verb.LIMITS),),),
    )


async def _failed(notice: RoundTripFailed, lookups: Lookups) -> Screen:
    label = await lookups.label(notice.broker_id)
    return Screen(
        join(
            f"⚠️ {bold(f'Round trip failed · {label}')}",
            f"{esc(brief(notice.instrument))} was not bought: "
            f"{esc(short(brief(notice.reason), LONG))}.",
            "Nothing is held of it. Put that right, then tap Smallest round trip in /limits again; "
            "until one has passed, nothing is entered on this account.",
        ),
        ((button("Limits", Verb.LIMITS),),),
    )
