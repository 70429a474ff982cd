"""The tape: every print of an instrument, in order of time, as a broker's tick stream tells it.

Prints come each second of market time and at the last instant of each minute, which is where a bar
ends; a bar of history is made of exactly these (``print_times``). A recorded bar has four: its open
at its start, then its extremes and its close at its end, for that is when a recording knows them. A
gap of a recording, a halt and the time outside the session have none.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from functools import partial

from sandbox.clock import IST
from sandbox.instruments import Instrument
from sandbox.market import Market
from sandbox.prices import LAST_INSTANT, MINUTE, Bar, print_times
from sandbox.sessions import is_trading_day, segment_session

__all__ = ["Print", "Tape"]

_LONGEST_WALK = timedelta(minutes=10)
"""After a longer step of the clock the tape goes on from there: a stream tells nothing later."""


@dataclass(frozen=True)
class Print:
    """One print, with the day as it stands by it.

    Attributes:
        at: Market time, IST aware; None before the day's first.
        quantity: What was traded by it.
        volume: What was traded today, this included; 0 of an index.
        close: The previous day's.
    """

    at: datetime | None
    price: float
    quantity: int
    volume: int
    average: float
    open: float
    high: float
    low: float
    close: float


class Tape:
    """One instrument's prints, read once and in order."""

    def __init__(self, market: Market, instrument: Instrument, now: datetime) -> None:
        self._market = market
        self._instrument = instrument
        self._day: date | None = None
        self._open = self._high = self._low = self._close = 0.0
        self._value = 0.0
        self._volume = 0
        self._last: Print | None = None
        self._at = now
        self._begin(now)

    @property
    def last(self) -> Print:
        """The newest print, which a stream tells again who has just subscribed."""
        if self._last is not None:
            return self._last
        price = self._market.last_price(self._instrument, self._at)
        return Print(None, price, 0, 0, 0.0, 0.0, 0.0, 0.0, self._close)

    def is_of(self, now: datetime) -> bool:
        """Whether it has not been read beyond a time, as it has when the clock was reset."""
        return self._at <= now

    def read(self, now: datetime) -> list[Print]:
        """Return the prints since the last look."""
        if now - self._at > _LONGEST_WALK or now.astimezone(IST).date() != self._day:
            self._begin(now)
            return []
        if now < self._next():
            return []
        found = list(self._walk(now))
        self._at = now
        return found

    def _next(self) -> datetime:
        """Return the first moment after the last look at which anything is printed."""
        second = self._at.replace(microsecond=0) + timedelta(seconds=1)
        last = second - LAST_INSTANT
        return last if second.second == 0 and self._at < last else second

    def _begin(self, now: datetime) -> None:
        """Stand at a moment, with what has been traded today."""
        day = now.astimezone(IST).date()
        self._day, self._at = day, now
        self._open = self._high = self._low = self._value = 0.0
        self._volume, self._last = 0, None
        self._close = self._market.previous_close(self._instrument, now)
        if not is_trading_day(day):
            return
        opened, _ = segment_session(self._instrument.hours, day)
        self._at = opened - LAST_INSTANT
        for _ in self._walk(now, is_quick=True):
            pass
        self._at = now

    def _walk(self, now: datetime, *, is_quick: bool = False) -> Iterator[Print]:
        """Yield the prints after ``_at`` up to ``now``; a quick walk takes whole bars at once."""
        day = now.astimezone(IST).date()
        if not is_trading_day(day):
            return
        opened, closed = segment_session(self._instrument.hours, day)
        minute = max(opened, self._at.replace(second=0, microsecond=0))
        while minute <= now and minute < closed:
            ends = minute + MINUTE
            bar = self._market.bar(self._instrument, minute)
            if bar is not None and not self._market.is_halted(self._instrument):
                if is_quick and ends <= now:
                    self._take_whole(bar)
                else:
                    yield from self._bar(bar, now)
            minute = ends

    def _take_whole(self, bar: Bar) -> None:
        end = bar.start + MINUTE - LAST_INSTANT
        for price in (bar.open, bar.high, bar.low):
            self._print(bar.start, price, 0)
        self._print(end, bar.close, bar.volume)

    def _bar(self, bar: Bar, now: datetime) -> Iterator[Print]:
        traded = 0
        for at, price, volume in self._points(bar):
            if self._at < at <= now:
                yield self._print(at, price(), volume - traded)
            traded = volume

    def _points(self, bar: Bar) -> Iterator[tuple[datetime, Callable[[], float], int]]:
        """Yield time, price (worked out when it is asked for) and the bar's volume by then."""
        if self._market.is_sampled(self._instrument, bar.start + MINUTE):
            for at in print_times(bar.start, bar.start + MINUTE):
                seconds = max(1, (at - bar.start).seconds)
                is_last = at.microsecond > 0
                volume = bar.volume if is_last else int(bar.volume * seconds / MINUTE.seconds)
                yield at, partial(self._market.last_price, self._instrument, at), volume
            return
        yield bar.start, lambda: bar.open, bar.volume // MINUTE.seconds
        end = bar.start + MINUTE - LAST_INSTANT
        path = [bar.low, bar.high] if bar.close >= bar.open else [bar.high, bar.low]
        for price, left in zip([*path, bar.close], (2, 1, 0), strict=True):
            volume = max(bar.volume // MINUTE.seconds, bar.volume - left)
            yield end, partial(float, price), volume

    def _print(self, at: datetime, price: float, quantity: int) -> Print:
        self._open = self._open or price
        self._high = max(self._high, price)
        self._low = min(self._low or price, price)
        self._volume += quantity
        self._value += quantity * price
        average = round(self._value / self._volume, 2) if self._volume else 0.0
        day = (self._open, self._high, self._low, self._close)
        self._last = Print(at, price, quantity, self._volume, average, *day)
        return self._last
