"""Minute bars from ticks, the way a broker's history counts them: pure.

A price belongs to the minute in which it was traded, [start, start + 1 min), whenever it came: the
last trade of a minute is often told with the first of the next. Where the source has no times (the
shorter modes of a stream) that is the minute in which it came. A minute without a trade has no bar.
The volume of a minute is how far the day's volume rose from its last value before the minute to its
last value in it. A new extreme of the day that no tick showed itself is an extreme of the minute in
which the day's high or low moved.

With times, the bars are a function of the set of ticks: any split, order or repetition of them
gives the same bars. Whether a minute was heard whole is another matter (``core.domain.coverage``).
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal

from core.domain.broker import Candle
from core.domain.ticks import PriceTick

__all__ = ["MINUTE", "MinuteBars", "fold_bars", "minute_bars", "minute_of"]

MINUTE = timedelta(minutes=1)
_LOOK_BACK = 5
"""Minutes: a source says the volume with each tick of an instrument, or never."""

_Key = tuple[datetime, int, datetime]


def minute_of(moment: datetime) -> datetime:
    """Return the start of a moment's minute."""
    return moment.replace(second=0, microsecond=0)


@dataclass(slots=True)
class _Minute:
    """What the ticks of one minute say."""

    first: _Key
    last: _Key
    open: Decimal
    high: Decimal
    low: Decimal
    close: Decimal
    volume: int | None = None
    day_high: Decimal | None = None
    day_low: Decimal | None = None


class MinuteBars:
    """One instrument's bars of one day, as ticks come."""

    def __init__(self) -> None:
        self._minutes: dict[datetime, _Minute] = {}
        self._starts: list[datetime] = []
        self._last: PriceTick | None = None
        self.revision = 0
        """Counts the ticks that came for a minute before the newest: bars may be read of it."""

    @property
    def last(self) -> PriceTick | None:
        """The tick that was heard last; None before the first."""
        return self._last

    def add(self, tick: PriceTick) -> None:
        """Take a tick; a price of zero or below is none."""
        before = self._last
        if tick.last <= 0:
            return
        self._last = tick
        if not _is_print(tick, before):
            return
        start = minute_of(tick.moment)
        key = (tick.moment, tick.volume or 0, tick.heard_at)
        minute = self._minutes.get(start)
        if minute is None:
            last = tick.last
            minute = self._minutes[start] = _Minute(key, key, last, last, last, last)
            insort(self._starts, start)
        elif key < minute.first:
            minute.first, minute.open = key, tick.last
        elif key >= minute.last:
            minute.last, minute.close = key, tick.last
        minute.high, minute.low = max(minute.high, tick.last), min(minute.low, tick.last)
        if tick.volume is not None:
            minute.volume = max(minute.volume or 0, tick.volume)
        if tick.day_high and tick.day_low:
            minute.day_high = max(minute.day_high or tick.day_high, tick.day_high)
            minute.day_low = min(minute.day_low or tick.day_low, tick.day_low)
        if start < self._starts[-1]:
            self.revision += 1

    def bars(self, since: datetime, until: datetime) -> list[Candle]:
        """Return the bars that start in [since, until), oldest first."""
        at = bisect_left(self._starts, since)
        end = bisect_left(self._starts, until)
        return [
            _candle(start, self._minutes[start], self._before(number))
            for number, start in enumerate(self._starts[at:end], at)
        ]

    def _before(self, number: int) -> _Minute | None:
        """Return the newest minute before one, of the same day, that says the day's values."""
        day = self._starts[number].date()
        for start in reversed(self._starts[max(0, number - _LOOK_BACK) : number]):
            if start.date() != day:
                return None  # the day's volume and extremes began anew
            if self._minutes[start].volume is not None:
                return self._minutes[start]
        return None


def minute_bars(ticks: Iterable[PriceTick]) -> list[Candle]:
    """Return the bars of one instrument's ticks, oldest first."""
    bars, known = MinuteBars(), list(ticks)
    for tick in known:
        bars.add(tick)
    moments = [tick.moment for tick in known]
    return bars.bars(minute_of(min(moments)), max(moments) + MINUTE) if moments else []


def _is_print(tick: PriceTick, before: PriceTick | None) -> bool:
    """Whether a tick tells a trade: without a time that has to be inferred."""
    if tick.volume == 0 and tick.traded_at is None:
        return False
    if tick.has_time or before is None:
        return True
    if tick.volume is not None and before.volume is not None:
        return tick.volume > before.volume
    return tick.last != before.last


def _candle(start: datetime, minute: _Minute, before: _Minute | None) -> Candle:
    high, low, volume = minute.high, minute.low, minute.volume or 0
    if before is not None:
        volume = max(0, volume - (before.volume or 0))
        if minute.day_high and before.day_high and minute.day_high > before.day_high:
            high = max(high, minute.day_high)
        if minute.day_low and before.day_low and minute.day_low < before.day_low:
            low = min(low, minute.day_low)
    return Candle(start, minute.open, high, low, minute.close, volume)


def fold_bars(
    minutes: Sequence[Candle], *, anchor: datetime, length: int, until: datetime
) -> list[Candle]:
    """Return bars of ``length`` minutes, counted from ``anchor``, which closed by ``until``.

    Minutes are one day's, oldest first; those before the anchor are left out, gaps stay gaps.
    """
    step = timedelta(minutes=length)
    found: list[Candle] = []
    for bar in minutes:
        if bar.start < anchor:
            continue
        start = anchor + (bar.start - anchor) // step * step
        if start + step > until:
            break
        if found and found[-1].start == start:
            before = found[-1]
            found[-1] = Candle(
                start,
                before.open,
                max(before.high, bar.high),
                min(before.low, bar.low),
                bar.close,
                before.volume + bar.volume,
            )
        else:
            found.append(Candle(start, bar.open, bar.high, bar.low, bar.close, bar.volume))
    return found
