"""When bars close, and bars as text.

A day of bars is some thousand numbers. As text, a line a bar, it is written and read in a
millisecond; as a document of the store or a pickle, number by number, in five to ten.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta
from decimal import Decimal

from core.domain.broker import Candle
from core.domain.sessions import IST

__all__ = ["bar_close", "bars_in", "text_of_bars"]


def bar_close(candle: Candle, minutes: int) -> datetime:
    """Return the instant at which a bar of that length closes."""
    return candle.start + timedelta(minutes=minutes)


def text_of_bars(bars: Iterable[Candle]) -> str:
    """Return bars as text: a line each, IST, open, high, low, close, volume."""
    return "\n".join(
        f"{_local(bar.start)} {bar.open} {bar.high} {bar.low} {bar.close} {bar.volume}"
        for bar in bars
    )


def _local(moment: datetime) -> str:
    local = moment if moment.tzinfo is IST else moment.astimezone(IST)
    return local.replace(tzinfo=None).isoformat()


def bars_in(text: str) -> tuple[Candle, ...]:
    """Return the bars of ``text_of_bars``, equal to the last digit."""
    found = []
    for line in text.splitlines():
        start, first, high, low, close, volume = line.split(" ")
        moment = datetime.fromisoformat(start).replace(tzinfo=IST)
        prices = Decimal(first), Decimal(high), Decimal(low), Decimal(close)
        found.append(Candle(moment, *prices, int(volume)))
    return tuple(found)
