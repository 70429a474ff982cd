"""Minute candles into longer bars, aligned to the session's open.

A bar is given out only when it has closed; a stretch without any candle gives no bar, so that gaps
of the data stay gaps. The last bar of a session may be shorter: it closes with the session.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta

from core.domain.broker import Candle
from core.domain.sessions import SessionWindow

__all__ = ["aggregate", "bar_close"]


def bar_close(candle: Candle, minutes: int) -> datetime:
    """Return the instant at which a bar of that length closes."""
    return candle.start + timedelta(minutes=minutes)


def aggregate(
    candles: Iterable[Candle], minutes: int, window: SessionWindow, *, as_of: datetime
) -> list[Candle]:
    """Return the bars of ``minutes`` that had closed by ``as_of``, oldest first.

    Args:
        candles: Minute candles, oldest first; those outside the session are left out.
        minutes: Length of a bar.
        window: The session whose open the bars are aligned to.
        as_of: Nothing that closes after this instant is given out.
    """
    step = timedelta(minutes=minutes)
    groups: dict[int, list[Candle]] = {}
    for candle in candles:
        if window.contains(candle.start):
            groups.setdefault((candle.start - window.open_at) // step, []).append(candle)
    bars = []
    for index, group in sorted(groups.items()):
        start = window.open_at + index * step
        if min(start + step, window.close_at) <= as_of:
            bars.append(_merged(start, group))
    return bars


def _merged(start: datetime, group: Sequence[Candle]) -> Candle:
    return Candle(
        start=start,
        open=group[0].open,
        high=max(candle.high for candle in group),
        low=min(candle.low for candle in group),
        close=group[-1].close,
        volume=sum(candle.volume for candle in group),
    )
