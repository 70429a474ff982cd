"""Reading the bars of a run: closed ones only, each session from its open, no older than allowed.

A run waits a little for the bar that has just closed; a longer gap is an outage (product.md D10).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date, datetime, timedelta

from core.domain.broker import Candle
from core.domain.instrument import InstrumentId, Segment
from core.domain.price_check import STALE_BARS
from core.domain.sessions import SessionWindow
from core.domain.target import DataNeed
from core.engine.runs.market_data import MarketData, NoData
from core.engine.runs.symbols import Symbols
from core.ports.calendar import Calendar
from core.ports.clock import Clock

__all__ = ["BarReader", "Bars"]

_BAR_WAIT_S = 5.0
_BAR_LOOK_S = 0.5
_LONGEST_LOOKBACK = timedelta(days=366)

Bars = dict[InstrumentId, Sequence[Candle]]


class BarReader:
    """Reads what a strategy's ``DataNeed`` asks for."""

    def __init__(
        self, clock: Clock, calendar: Calendar, market_data: MarketData, symbols: Symbols
    ) -> None:
        self._clock = clock
        self._calendar = calendar
        self._market_data = market_data
        self._symbols = symbols

    def session_of(self, day: date) -> SessionWindow | None:
        """Return the cash session of a day; of a weekday that is not known, the assumed one (K04).

        In an assumed session nothing is entered; what is held is looked after as on any day.
        """
        try:
            return self._calendar.exit_session(day, Segment.CASH, has_derivatives=True)
        except LookupError:
            return None

    async def read(
        self,
        instruments: Sequence[InstrumentId],
        need: DataNeed,
        window: SessionWindow,
        slot_at: datetime,
    ) -> Bars:
        """Read closed bars; wait a little for the one that has just closed to be published.

        Raises:
            NoData: No source answered, or the newest bar of all is too old.
        """
        start = self._lookback_start(need, window)
        step = timedelta(minutes=need.bar_minutes)
        # A run that a user asks for comes between two bars: the last one closed before it.
        closed_at = slot_at - (slot_at - window.open_at) % step
        until = self._clock.monotonic() + _BAR_WAIT_S
        while True:
            raw: Mapping[InstrumentId, Sequence[Candle]] = await self._market_data.candles(
                instruments, start=start, end=slot_at, minutes=need.bar_minutes
            )
            bars: Bars = {
                name: tuple(bar for bar in raw.get(name, ()) if bar.start + step <= slot_at)
                for name in instruments
            }
            newest = max((rows[-1].start for rows in bars.values() if rows), default=None)
            # One instrument with the newest bar is enough: another may not have traded in it.
            complete = newest is not None and newest + step >= min(closed_at, window.close_at)
            if complete or self._clock.monotonic() >= until or slot_at <= window.open_at:
                break
            await self._clock.sleep(_BAR_LOOK_S)
        # A few late bars are tolerated; a longer gap is an outage, and a decision on old prices
        # would enter at a signal that is over (D10).
        if newest is None:
            raise NoData(await self._symbols.why_no_bars(instruments))
        if slot_at - (newest + step) > STALE_BARS * step:
            raise NoData(f"prices are stale: the newest bar is of {newest:%d %b %H:%M}")
        return bars

    def _lookback_start(self, need: DataNeed, window: SessionWindow) -> datetime:
        """Return the open of the session that reaches back far enough for the lookback bars."""
        bars_left, start, day = need.lookback_bars, window.open_at, window.day
        oldest = day - _LONGEST_LOOKBACK
        while bars_left > 0:
            day -= timedelta(days=1)
            if day < oldest:
                break
            earlier = self.session_of(day)
            if earlier is not None:
                minutes = (earlier.close_at - earlier.open_at).total_seconds() / 60
                bars_left -= int(minutes // need.bar_minutes)
                start = earlier.open_at
        return start
