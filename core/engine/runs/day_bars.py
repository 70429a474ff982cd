"""Today's minutes of each instrument, once for all strategies: what was heard, and history (D10).

History is asked for what was before the stream, and for its gaps: once an instrument, in minutes,
from which bars of every length are made; bars of earlier days once for each length. An answer is of
the whole day, so what it says of minutes that were over for a while replaces what was heard: the
broker's history is the judge of finished bars. What an entry was decided on stays with it
(``pinned_bars``).

A minute is taken from, in this order: history that is settled, the stream when all of the minute
was heard, newer history, polled quotes. Where none has it, it is a gap.
"""

from __future__ import annotations

import asyncio
import logging
from bisect import bisect_left
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import Final

from core.domain.broker import Candle
from core.domain.instrument import InstrumentId
from core.domain.minute_bars import MINUTE, fold_bars, minute_of
from core.domain.sessions import SessionWindow
from core.engine.runs.live_prices import LivePrices
from core.engine.runs.market_data import MarketData, NoData
from core.errors import StoreError
from core.ports.clock import Clock

__all__ = ["DayBars", "Wanted"]

_log = logging.getLogger(__name__)

_SETTLES: Final = timedelta(seconds=15)
"""A bar of history that closed so long before it was asked for is not in the making any more."""
_REVISED_FOR: Final = 3 * MINUTE
"""A late tick may still change a minute that ended within this."""
_AT_ONCE: Final = 4
_LONGEST_S: Final = 20.0
_DAY_MINUTES: Final = 1440
_RETRY_S: Final = 30.0
_OPENING: Final = 3 * MINUTE
"""A provider puts its opening bar right some minutes later: the day's start is read after that."""
_AHEAD_AT_ONCE: Final = 3
_AHEAD_S: Final = 1.0
_POLLED_FOR_S: Final = 300.0
"""How long minutes that were polled stand before history is asked of them."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """What bars are wanted.

    Attributes:
        minutes: The length of a bar.
        start: The open of the oldest session that is wanted.
        window: Today's session.
        until: Up to when bars have closed.
    """

    minutes: int
    start: datetime
    window: SessionWindow
    until: datetime

    @property
    def is_daily(self) -> bool:
        """Whether a bar is as long as a day, so that none of today has closed."""
        return self.minutes >= _DAY_MINUTES

    @property
    def ends(self) -> datetime:
        """Up to when there may be minutes."""
        return min(self.until, self.window.close_at)


@dataclass(slots=True)
class _Day:
    """What is known of one instrument on one day.

    Attributes:
        read_at: When its history was asked for last, by the clock that never steps back.
        settled: Up to when that history is believed, present or not.
        history: The minutes that it gave, the newest of which is ``reaches``.
        past: Bars of earlier days, by their length, and from when on.
        frozen: Minutes that no tick changes any more, up to ``frozen_until``.
        folded: Bars of these by their length.
        whole_until: Up to when there is no gap.
    """

    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    read_at: float = float("-inf")
    failed_at: float = float("-inf")
    settled: datetime | None = None
    history: dict[datetime, Candle] = field(default_factory=dict)
    reaches: datetime | None = None
    past: dict[int, tuple[datetime, Sequence[Candle]]] = field(default_factory=dict)
    frozen: list[Candle] = field(default_factory=list)
    frozen_until: datetime | None = None
    folded: dict[int, list[Candle]] = field(default_factory=dict)
    revision: int = 0
    whole_until: datetime | None = None

    def thaw(self) -> None:
        """Have the day's bars made anew."""
        self.frozen, self.frozen_until, self.folded = [], None, {}


class DayBars:
    """Keeps the day of each instrument that somebody asked for."""

    def __init__(self, clock: Clock, market_data: MarketData, live: LivePrices) -> None:
        self._clock = clock
        self._market_data = market_data
        self._live = live
        self._days: dict[InstrumentId, _Day] = {}
        self._date: date | None = None
        self._expected: dict[str, tuple[tuple[InstrumentId, ...], Wanted]] = {}
        self.requests = 0

    def _day(self, name: InstrumentId, window: SessionWindow) -> _Day:
        if window.day != self._date:
            self._date, self._days = window.day, {}
        return self._days.setdefault(name, _Day())

    # What is missing

    def gap(self, name: InstrumentId, wanted: Wanted) -> datetime | None:
        """Return the first minute that nobody knows, None when all are known."""
        if wanted.is_daily:
            return None
        day = self._day(name, wanted.window)
        start = max(filter(None, (wanted.window.open_at, day.settled, day.whole_until)))
        while start < wanted.ends:
            if start not in day.history and self._heard(name, start)[1] is False:
                return start
            start += MINUTE
        # What is over for a while and was whole stays so; what is newer is looked at again.
        day.whole_until = min(start, max(wanted.ends - _REVISED_FOR, wanted.window.open_at))
        return None

    def _heard(self, name: InstrumentId, start: datetime) -> tuple[Candle | None, bool]:
        found = self._live.minute(name, start)
        return found if found[1] else self._live.polled_minute(name, start)

    def lacks_past(self, name: InstrumentId, wanted: Wanted) -> bool:
        """Whether bars of earlier days are wanted and were not read yet."""
        known = self._day(name, wanted.window).past.get(wanted.minutes)
        needs = wanted.start < wanted.window.open_at or wanted.is_daily
        return needs and (known is None or known[0] > wanted.start)

    # Asking

    async def fill(
        self,
        names: Iterable[InstrumentId],
        wanted: Wanted,
        *,
        since: float,
        settles: bool = False,
    ) -> Mapping[InstrumentId, str]:
        """Ask for what is missing of some instruments; return why it could not be had, of those.

        Args:
            names: The instruments.
            wanted: The bars.
            since: What was read after this (monotonic) is not asked for again.
            settles: Ask also where all was heard or polled, and history is to have its say.
        """
        failed: dict[InstrumentId, str] = {}
        left = asyncio.Semaphore(_AT_ONCE)
        trouble = ""
        away: StoreError | None = None

        async def one(name: InstrumentId) -> None:
            nonlocal trouble, away
            async with left:
                # Where no source answers, the next instrument would not be answered either.
                failed[name] = trouble
                if not trouble:
                    try:
                        await self._fill(name, wanted, since, settles=settles)
                        del failed[name]
                    except NoData as error:
                        trouble = failed[name] = str(error)
                    except StoreError as error:
                        trouble, away = str(error), error

        try:
            async with asyncio.timeout(_LONGEST_S), asyncio.TaskGroup() as group:
                for name in names:
                    failed[name] = f"its history could not be had within {_LONGEST_S:.0f} s"
                    group.create_task(one(name))
        except TimeoutError:
            _log.warning("the histories of %d instruments were not had in time", len(failed))
        if away is not None:
            raise away
        return failed

    async def _fill(
        self, name: InstrumentId, wanted: Wanted, since: float, *, settles: bool
    ) -> None:
        day = self._day(name, wanted.window)
        async with day.lock:
            if self.lacks_past(name, wanted):
                await self._read_past(name, day, wanted)
            is_unsettled = settles and self._is_unsettled(name, day, wanted)
            is_missing = is_unsettled or self.gap(name, wanted) is not None
            if day.read_at <= since and is_missing:
                await self._read_today(name, day, wanted)

    def _is_unsettled(self, name: InstrumentId, day: _Day, wanted: Wanted) -> bool:
        """Whether history is to have its say, of the opening bar or of polled minutes."""
        if self._clock.market_now() < wanted.window.open_at + _OPENING:
            return False
        if self._live.is_live(name):
            return day.settled is None
        is_old = self._clock.monotonic() - day.read_at >= _POLLED_FOR_S
        return is_old and self._live.is_polled(name)

    async def _read_past(self, name: InstrumentId, day: _Day, wanted: Wanted) -> None:
        end = wanted.window.open_at
        self.requests += 1
        found = await self._market_data.candles(
            [name], start=wanted.start, end=end, minutes=wanted.minutes
        )
        step = timedelta(minutes=wanted.minutes)
        bars = [bar for bar in found.get(name, ()) if bar.start + step <= end]
        day.past[wanted.minutes] = (wanted.start, bars)

    async def _read_today(self, name: InstrumentId, day: _Day, wanted: Wanted) -> None:
        opens, end = wanted.window.open_at, wanted.until
        asked_at, asked = self._clock.market_now(), self._clock.monotonic()
        self.requests += 1
        found = await self._market_data.candles([name], start=opens, end=end, minutes=1)
        day.history = {bar.start: bar for bar in found.get(name, ()) if bar.start + MINUTE <= end}
        day.reaches = max(day.history, default=None)
        day.settled = max(opens, min(minute_of(asked_at - _SETTLES), minute_of(end)))
        day.read_at = asked
        day.thaw()

    # Reading

    def newest(self, names: Iterable[InstrumentId], wanted: Wanted) -> datetime | None:
        """Return up to when minutes of some instruments are known; None where none is."""
        found = [self.known_until(name, wanted) for name in names]
        return max(filter(None, found), default=None)

    def known_until(self, name: InstrumentId, wanted: Wanted) -> datetime | None:
        """Return when the newest minute ended that is known of an instrument; None for none."""
        day, last = self._day(name, wanted.window), wanted.ends - MINUTE
        if last in day.history or self._heard(name, last)[1]:
            return wanted.ends
        return max(day.history) + MINUTE if day.history else None

    def bars(self, name: InstrumentId, wanted: Wanted, until: datetime) -> tuple[Candle, ...]:
        """Return an instrument's bars that closed by a time, oldest first, earlier days too."""
        day = self._day(name, wanted.window)
        _, past = day.past.get(wanted.minutes, (None, ()))
        earlier = (bar for bar in past if bar.start >= wanted.start)
        if wanted.is_daily:
            return tuple(earlier)
        return (*earlier, *self._today(name, day, wanted, until))

    def _today(
        self, name: InstrumentId, day: _Day, wanted: Wanted, until: datetime
    ) -> list[Candle]:
        opens, step = wanted.window.open_at, timedelta(minutes=wanted.minutes)
        if day.revision != self._live.revision(name):
            day.revision = self._live.revision(name)
            day.thaw()
        minutes = self._minutes(name, day, opens, min(until, wanted.ends))
        known = day.folded.setdefault(wanted.minutes, [])
        begin = known[-1].start + step if known else opens
        at = bisect_left(minutes, begin, key=lambda bar: bar.start)
        fresh = fold_bars(minutes[at:], anchor=opens, length=wanted.minutes, until=until)
        frozen = day.frozen_until or opens
        closed = [bar for bar in fresh if bar.start + step <= frozen]
        known += closed
        return [*(bar for bar in known if bar.start + step <= until), *fresh[len(closed) :]]

    def _minutes(
        self, name: InstrumentId, day: _Day, opens: datetime, until: datetime
    ) -> list[Candle]:
        """Return the minutes of [opens, until): the frozen ones, and the others made anew."""
        start = day.frozen_until or opens
        freeze = until - _REVISED_FOR
        fresh: list[Candle] = []
        while start < until:
            bar = self._minute(name, day, start)
            start += MINUTE
            if bar is not None:
                fresh.append(bar)
            if start <= freeze:
                day.frozen += fresh
                day.frozen_until, fresh = start, []
        return [*(bar for bar in day.frozen if bar.start < until), *fresh]

    def _minute(self, name: InstrumentId, day: _Day, start: datetime) -> Candle | None:
        is_settled = day.settled is not None and start + MINUTE <= day.settled
        # History that ends before it has not come to this minute, however old it is.
        if is_settled and day.reaches is not None and start <= day.reaches:
            return day.history.get(start)
        bar, is_whole = self._live.minute(name, start)
        if is_whole:
            return bar
        return day.history.get(start) or self._live.polled_minute(name, start)[0]

    # Ahead of the slots

    def expect(self, who: str, names: tuple[InstrumentId, ...], wanted: Wanted) -> None:
        """Have what these will need at hand before they ask."""
        self._expected[who] = (names, wanted)

    def dismiss(self, who: str) -> None:
        """Expect nothing of somebody any more."""
        self._expected.pop(who, None)

    async def run(self) -> None:
        """Have at hand what is expected, until cancelled."""
        while True:
            try:
                await self.tick()
            except StoreError as error:
                _log.warning("bars: the store is away: %s", error)
            await self._clock.sleep(_AHEAD_S)

    async def tick(self) -> None:
        """Ask for some of what is expected and missing, where no slot waits for it."""
        now, asked = self._clock.market_now(), 0
        for names, expected in list(self._expected.values()):
            window = expected.window
            if not window.open_at - 10 * MINUTE <= now < window.close_at:
                continue
            until = minute_of(now - _SETTLES)
            wanted = Wanted(expected.minutes, expected.start, window, until)
            for name in names:
                if asked >= _AHEAD_AT_ONCE:
                    return
                if self._is_due(name, wanted):
                    asked += 1
                    since = self._clock.monotonic()
                    for failed in await self.fill([name], wanted, since=since, settles=True):
                        self._day(failed, window).failed_at = since

    def _is_due(self, name: InstrumentId, wanted: Wanted) -> bool:
        day = self._day(name, wanted.window)
        if self._clock.monotonic() - day.failed_at < _RETRY_S:
            return False
        if self.lacks_past(name, wanted):
            return True
        if self._is_unsettled(name, day, wanted):
            return True
        # Without a stream each slot asks anyhow.
        return self._live.is_live(name) and self.gap(name, wanted) is not None
