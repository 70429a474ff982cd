"""The messages of notices about exits."""

from __future__ import annotations

from typing import assert_never

from bot.notices.lookups import Lookups
from bot.views.lines import brief, strategy_words
from bot.views.markup import LONG, bold, day_time, esc, join, short
from bot.views.screen import Keyboard, Screen, button
from bot.views.verbs import Verb
from core.domain.notices.exits import ExitNotice, ExitStuck, ExitThrough, ExitWaits, LedgersLeft

__all__ = ["exit_notice"]


async def exit_notice(notice: ExitNotice, lookups: Lookups) -> Screen:
    """Return the message of a notice about an exit."""
    label = await lookups.label(notice.broker_id)
    match notice:
        case ExitWaits():
            return _waits(notice, label)
        case ExitStuck():
            return _stuck(notice, label, await _stands(notice, lookups))
        case ExitThrough():
            return Screen(
                f"✅ {bold(f'Exit through · {label}')}\n{esc(brief(notice.position))} is closed."
            )
        case LedgersLeft():
            return _left(notice, label)
        case _:
            assert_never(notice)


def _waits(notice: ExitWaits, label: str) -> Screen:
    what = "stop" if notice.is_stop else "exit"
    when = f"at the open, {day_time(notice.opens_at)}" if notice.opens_at else "at the next open"
    return Screen(
        f"🕒 {bold(f'Waits for the open · {label}')}\nThe {what} {esc(brief(notice.order))} is "
        f"sent {when}: the exchange does not trade it now, so nothing protects the position until "
        "then."
    )


async def _stands(notice: ExitStuck, lookups: Lookups) -> str:
    """Return what is at risk, in rupees."""
    _, _, rest = notice.order.partition(" ")
    _, _, place = rest.partition(" ")
    instrument, _, product = place.rpartition(" ")
    return await lookups.open_words(notice.broker_id, instrument, product)


def _stuck(notice: ExitStuck, label: str, stands: str) -> Screen:
    owner = f" ({esc(strategy_words(notice.strategy))})" if notice.strategy else ""
    return Screen(
        join(
            f"🚨 {bold(f'Exit not through · {label}')}",
            f"{esc(brief(notice.order))}{owner}: {esc(short(brief(notice.reason), LONG))}.{stands}",
            "I go on trying, and tell you when it is through. If it is urgent, close it in the "
            "broker's app.",
        ),
        _look(notice.broker_id),
    )


def _left(notice: LedgersLeft, label: str) -> Screen:
    whose = strategy_words(notice.strategy)
    why = notice.reason or "it is not in this program any more"
    return Screen(
        join(
            f"⚠️ {bold(f'Left over · {label}')}",
            [f"• {esc(brief(one))}" for one in notice.positions],
            f"{esc(whose[:1].upper() + whose[1:])} does not look after these ("
            f"{esc(short(why, LONG))}). Close them, or bring the strategy back.",
        ),
        _look(notice.broker_id),
    )


def _look(broker_id: str) -> Keyboard:
    return ((button("Positions", Verb.POSITIONS, broker_id),),)
