"""The messages of notices about what is held."""

from __future__ import annotations

from typing import assert_never

from bot.notices.lookups import Lookups
from bot.views.markup import bold, esc, join
from bot.views.screen import Screen, button
from bot.views.verbs import Verb
from bot.views.words import price
from core.domain.notices.positions import (
    ClosedByHand,
    IntradayLedgerVoid,
    PositionConverted,
    PositionDisputed,
    PositionNotice,
)

__all__ = ["position_notice"]


async def position_notice(notice: PositionNotice, lookups: Lookups) -> Screen:
    """Return the message of a notice about what is held."""
    label = await lookups.label(notice.broker_id)
    match notice:
        case ClosedByHand():
            return _closed(notice, label)
        case PositionDisputed():
            return _disputed(notice, label)
        case PositionConverted():
            return _converted(notice, label)
        case IntradayLedgerVoid():
            return _void(notice, label)
        case _:
            assert_never(notice)


def _closed(notice: ClosedByHand, label: str) -> Screen:
    at = f" at {price(notice.price)}" if notice.price else ""
    return Screen(
        join(
            f"✋ {bold(f'Closed by hand · {label}')}",
            f"{notice.units} {esc(notice.instrument)} ({esc(notice.product)}) of "
            f"{esc(', '.join(notice.strategies))} were closed{at} by an order that I did not send. "
            f"The strategies hold {notice.left} of it now; their stops follow.",
        ),
        ((button("Orders", Verb.ORDERS, notice.broker_id),),),
    )


def _disputed(notice: PositionDisputed, label: str) -> Screen:
    what = f"{esc(notice.instrument)} ({esc(notice.product)})"
    if notice.is_over:
        return Screen(
            f"✅ {bold(f'Known again · {label}')}\nPositions and fills of {what} agree again: "
            f"{notice.by_fills} held."
        )
    return Screen(
        join(
            f"❓ {bold(f'What is held is not known · {label}')}",
            f"By today's fills {notice.by_fills} {what} are held, but the broker's positions show "
            f"{notice.by_positions}. I keep the strategies' records and stops as they are, and ask "
            "again; look in the broker's app.",
        ),
        ((button("Positions", Verb.POSITIONS, notice.broker_id),),),
    )


def _converted(notice: PositionConverted, label: str) -> Screen:
    whose = f" of {esc(', '.join(notice.strategies))}" if notice.strategies else ""
    what = f"{notice.units} {esc(notice.instrument)}{whose}"
    return Screen(
        f"🔁 {bold(f'Converted by hand · {label}')}\n{what} "
        f"went from {esc(notice.product)} to {esc(notice.into)}. They are outside Saarthi now: no "
        "strategy sells them, and no stop of mine protects them."
    )


def _void(notice: IntradayLedgerVoid, label: str) -> Screen:
    return Screen(
        join(
            f"🌅 {bold(f'Intraday positions ended with their day · {label}')}",
            [f"• {esc(one)}" for one in notice.ledgers],
            "They were still in the records this morning. I sell nothing for them; look in the "
            "broker's app what became of them.",
        ),
        ((button("Positions", Verb.POSITIONS, notice.broker_id),),),
    )
