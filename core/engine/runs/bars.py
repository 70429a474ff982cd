"""Reading the bars of a run: closed ones only, each session from its open, no older than allowed.

Where prices are pushed, a bar has closed when a tick of a later time was heard, or when its last
ticks would have come: what comes later corrects it for the next run. Elsewhere a run waits a little
for the history to have it; a longer gap is an outage (product.md D10).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date, datetime, timedelta
from itertools import chain

from core.domain.broker import Candle
from core.domain.instrument import InstrumentId, Segment
from core.domain.price_check import STALE_BARS
from core.domain.sessions import SessionWindow
from core.domain.target import DataNeed
from core.engine.runs.day_bars import DayBars, Wanted
from core.engine.runs.live_prices import LivePrices
from core.engine.runs.market_data import NoData
from core.engine.runs.price_feed import PriceFeed
from core.engine.runs.symbols import Symbols
from core.ports.calendar import Calendar
from core.ports.clock import Clock

__all__ = ["BarReader", "Bars"]

_BAR_WAIT_S = 5.0
_BAR_LOOK_S = 0.5
_TICKS_COME_S = 0.1
"""How long the last ticks of a bar may take, beside what the stream is late by at the least, while
it has not shown how long they do."""
_LATER_YET_S = 0.05
"""How much later they may come than after any other second of the last minute."""
_LONGEST_LAG_S = 0.9
_POLL_COMES_S = 3.5
_TICK_LOOK_S = 0.01
_LONGEST_LOOKBACK = timedelta(days=366)

Bars = dict[InstrumentId, Sequence[Candle]]


class BarReader:
    """Reads what a strategy's ``DataNeed`` asks for."""

    def __init__(
        self,
        clock: Clock,
        calendar: Calendar,
        symbols: Symbols,
        days: DayBars,
        live: LivePrices,
        feed: PriceFeed,
    ) -> None:
        self._clock = clock
        self._calendar = calendar
        self._symbols = symbols
        self._days = days
        self._live = live
        self._feed = feed
        self._needs: dict[str, tuple[tuple[InstrumentId, ...], DataNeed, SessionWindow]] = {}
        self._expected: dict[str, tuple[InstrumentId, ...]] = {}

    def expect(
        self,
        who: str,
        instruments: Sequence[InstrumentId],
        need: DataNeed,
        window: SessionWindow,
    ) -> None:
        """Have the prices of these pushed, and their bars at hand."""
        key = (tuple(instruments), need, window)
        if self._needs.get(who) == key:
            return
        self._needs[who] = key
        start = self._lookback_start(need, window)
        wanted = Wanted(need.bar_minutes, start, window, window.open_at)
        self._days.expect(who, tuple(instruments), wanted)
        self._want(who, tuple(instruments))

    def is_pushed(self, who: str) -> bool:
        """Whether prices of what somebody expects are pushed."""
        return any(self._live.is_live(name) for name in self._expected.get(who, ()))

    def dismiss(self, who: str) -> None:
        """Expect no run of somebody."""
        self._needs.pop(who, None)
        self._days.dismiss(who)
        self._want(who, ())

    def _want(self, who: str, instruments: tuple[InstrumentId, ...]) -> None:
        if self._expected.get(who, ()) != instruments:
            self._expected[who] = instruments
            self._feed.want("runs", chain(*self._expected.values()), has_bars=True)

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
        """Read closed bars; wait a little for the one that has just closed.

        Of an instrument whose bars could not be had there are none.

        Raises:
            NoData: No source answered, or the newest bar of all is too old.
        """
        step = timedelta(minutes=need.bar_minutes)
        # A run that a user asks for comes between two bars: the last one closed before it.
        closed_at = slot_at - (slot_at - window.open_at) % step
        start = self._lookback_start(need, window)
        wanted = Wanted(need.bar_minutes, start, window, closed_at)
        await self._await_close(instruments, closed_at)
        asked, failed = await self._fill(instruments, wanted, slot_at)
        bars: Bars = dict.fromkeys(instruments, ())
        known = self._days.newest(instruments, wanted) if asked else None
        for name in instruments:
            if name not in failed:
                # What no instrument's newest minute reaches has not been published yet.
                until = min(closed_at, known or window.open_at) if name in asked else closed_at
                bars[name] = self._days.bars(name, wanted, until)
        newest = max((rows[-1].start for rows in bars.values() if rows), default=None)
        # A few late bars are tolerated; a longer gap is an outage, and a decision on old prices
        # would enter at a signal that is over (D10).
        if newest is None:
            raise NoData(next(iter(failed.values()), "") or await self._why_none(instruments))
        if slot_at - (newest + step) > STALE_BARS * step:
            raise NoData(f"prices are old: the newest bar is of {newest:%d %b %H:%M}")
        return bars

    async def _why_none(self, instruments: Sequence[InstrumentId]) -> str:
        return await self._symbols.why_no_bars(instruments)

    async def _await_close(self, instruments: Sequence[InstrumentId], at: datetime) -> None:
        """Wait until a tick says that the bar is over, or its last ticks would have come by now.

        A tick that is later than that corrects the bar for the runs after this one. What is polled
        waits for the first poll after the close.
        """
        ends = self._clock.real_at(at)
        for patience_s, is_awaited in (
            (self._ticks_come_s(), self._awaits_tick),
            (_POLL_COMES_S, self._awaits_poll),
        ):
            until = ends + timedelta(seconds=patience_s)
            waiting = [name for name in instruments if is_awaited(name, at)]
            while waiting and (left := (until - self._clock.now()) / timedelta(seconds=1)) > 0:
                await self._clock.sleep(min(left, _TICK_LOOK_S))
                waiting = [name for name in waiting if is_awaited(name, at)]

    def _ticks_come_s(self) -> float:
        """Return how long after a bar's end its last ticks may come."""
        assumed_s = _TICKS_COME_S + min(self._live.lag_s, _LONGEST_LAG_S)
        shown_s = self._live.ends.longest_s(self._clock.monotonic())
        # What is stamped late for another reason, a packet that is told again, only looks late.
        return assumed_s if shown_s is None else min(assumed_s, shown_s + _LATER_YET_S)

    def _awaits_tick(self, name: InstrumentId, at: datetime) -> bool:
        return self._live.is_live(name) and not self._live.has_closed(name, at)

    def _awaits_poll(self, name: InstrumentId, at: datetime) -> bool:
        live = self._live
        return not live.is_live(name) and live.is_polled(name) and not live.was_polled(name, at)

    async def _fill(
        self, instruments: Sequence[InstrumentId], wanted: Wanted, slot_at: datetime
    ) -> tuple[set[InstrumentId], Mapping[InstrumentId, str]]:
        """Ask for what is missing; return what history was needed of, and what it failed for."""
        began = self._clock.monotonic()
        asked = {name for name in instruments if self._days.gap(name, wanted) is not None}
        missing = [n for n in instruments if n in asked or self._days.lacks_past(n, wanted)]
        if not missing:
            return asked, {}
        failed = await self._days.fill(missing, wanted, since=began)
        until = began + _BAR_WAIT_S
        # One instrument with the newest bar is enough: another may not have traded in it.
        while (
            asked - failed.keys()
            and (self._days.newest(instruments, wanted) or wanted.start) < wanted.ends
            and slot_at > wanted.window.open_at
            and self._clock.monotonic() < until
        ):
            await self._clock.sleep(_BAR_LOOK_S)
            now = self._clock.monotonic()
            again = await self._days.fill(sorted(asked), wanted, since=now - _BAR_LOOK_S / 2)
            failed = {
                name: why for name, why in failed.items() if name in again or name not in asked
            }
        return asked, failed

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
