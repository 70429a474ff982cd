"""The messages of notices about what protects a position."""

from __future__ import annotations

from typing import assert_never

from bot.notices.lookups import Lookups
from bot.views.markup import LONG, bold, esc, join, short
from bot.views.screen import Keyboard, Screen, button
from bot.views.verbs import Verb
from bot.views.words import price
from core.domain.notices.protection import ExitDenied, ProtectionNotice, StopRestored

__all__ = ["protection_notice"]


async def protection_notice(notice: ProtectionNotice, lookups: Lookups) -> Screen:
    """Return the message of a notice about what protects a position."""
    label = await lookups.label(notice.broker_id)
    match notice:
        case ExitDenied():
            return _denied(notice, label)
        case StopRestored():
            return _restored(notice, label)
        case _:
            assert_never(notice)


def _to_positions(broker_id: str) -> Keyboard:
    return ((button("Positions", Verb.POSITIONS, broker_id),),)


def _denied(notice: ExitDenied, label: str) -> Screen:
    guard = (
        "Its stop keeps resting at the broker."
        if notice.has_stop
        else "No stop rests at the broker for it."
    )
    return Screen(
        join(
            f"⚠️ {bold(f'Exit not sent · {label}')}",
            f"{esc(notice.instrument)}: {esc(short(notice.reason, LONG))}. {guard} I keep trying.",
        ),
        _to_positions(notice.broker_id),
    )


def _restored(notice: StopRestored, label: str) -> Screen:
    return Screen(
        join(
            f"⚠️ {bold(f'Exit came to nothing · {label}')}",
            f"{esc(notice.instrument)}: {esc(short(notice.reason, LONG))}. I am putting its stop "
            f"back at {price(notice.trigger_price)}, and try the exit again.",
        ),
        _to_positions(notice.broker_id),
    )
