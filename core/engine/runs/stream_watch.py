"""Whether a stream of prices that is open is also alive and in time: judged each half second.

A heartbeat says that the connection lives, not that prices come. An instrument that is silent while
its market is open may just not trade: one quote tells, and what moved without a tick is lost. Where
nothing at all comes any more, all of them are. What comes, but late by the exchange's own times, is
no price of now either.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime, timedelta

from core.domain.broker import Quote
from core.domain.instrument import InstrumentId
from core.domain.ticks import PriceTick
from core.engine.runs.live_prices import LivePrices
from core.ports.clock import Clock, clock_offset

__all__ = ["StreamWatch"]

_SILENT_S = 2.0
"""Nothing came for so long: a liquid instrument has several ticks a second."""
_CHECK_EACH_S = 5.0
"""How often one that does not trade is asked about."""
_CHECK_ALL_S = (1.0, 2.0, 4.0)
"""How often, where nothing comes at all: less often while quotes say that nothing trades."""
_TICK_COMES_S = 1.0
"""How much later than in a quote a trade may be told."""
_BLIND_S = 4.0
"""For how long nothing may come while quotes cannot be had either."""
_LATE_S = 3.0
_IN_TIME_S = 2.0
_LAGS_OVER_S = 3.0
_LAGS_AT_LEAST_S = 1.0
_STAMPED = timedelta(seconds=1)
"""How exactly ticks tell their time."""


class StreamWatch:
    """Judges one stream by what it tells, and by quotes.

    Attributes:
        stopped: Why nothing of it can be relied on although it is open, '' when it can.
    """

    def __init__(
        self, clock: Clock, live: LivePrices, is_open: Callable[[InstrumentId], bool]
    ) -> None:
        self._clock = clock
        self._live = live
        self._is_open = is_open
        self._lags: deque[tuple[float, float]] = deque()
        self._is_late = False
        self._stands = ""
        self._tick_at = clock.monotonic()
        self._checked_at: dict[InstrumentId, float] = {}
        self._all_checked_at = float("-inf")
        self._quiet = 0
        self._judged_at = float("-inf")
        self._asked: Mapping[InstrumentId, PriceTick | None] = {}
        self._suspects: dict[InstrumentId, PriceTick | None] = {}

    @property
    def stopped(self) -> str:
        """Why nothing of the stream can be relied on, '' when it can."""
        if self._stands:
            return self._stands
        return f"its prices come {self._lag():.0f} s late" if self._is_late else ""

    @property
    def stands(self) -> bool:
        """Whether it is open and tells nothing, where a new connection may help."""
        return bool(self._stands)

    def begin(self, *, is_new: bool = False) -> None:
        """Begin anew with a connection that has just been opened.

        What was wrong with the one before is so until a tick shows the contrary, unless the stream
        itself is new.
        """
        self._lags.clear()
        self._live.ends.begin()
        self._tick_at = self._clock.monotonic()
        self._suspects.clear()
        if is_new:
            self._is_late, self._stands = False, ""

    def hear(self, ticks: Sequence[PriceTick]) -> None:
        """Take the ticks of a frame."""
        if not ticks:
            return
        now = self._tick_at = self._clock.monotonic()
        self._stands = ""
        times = [tick.at for tick in ticks if tick.at is not None]
        if not times:
            return
        by_ours = self._since(max(times))
        self._live.ends.hear(now, self._since(min(times) + _STAMPED), by_ours)
        self._lags.append((now, by_ours))
        while now - self._lags[0][0] > _LAGS_OVER_S:
            self._lags.popleft()
        # Who waits for the end of a bar waits by this clock: how far it is wrong is in the ticks.
        self._live.lag_s = max(0.0, min(lag for _, lag in self._lags))
        least = self._lag()
        span = now - self._lags[0][0]
        if self._is_late:
            self._is_late = least > _IN_TIME_S
        else:
            self._is_late = least > _LATE_S and span >= _LAGS_AT_LEAST_S

    def _since(self, market: datetime) -> float:
        """Return for how long a time of the market's is over by this clock, real seconds."""
        return (self._clock.now() - self._clock.real_at(market)) / timedelta(seconds=1)

    def _lag(self) -> float:
        """Return how late its prices come at the least, whatever this clock is wrong by."""
        least = min((lag for _, lag in self._lags), default=0.0)
        return least + clock_offset(self._clock) / timedelta(seconds=1)

    def doubtful(self, wanted: Iterable[InstrumentId]) -> list[InstrumentId]:
        """Return what a quote should be asked of now; ``judge`` takes the answer."""
        now = self._clock.monotonic()
        trading = [one for one in wanted if self._is_open(one)]
        silent = [one for one in trading if now - self._live.of(one).confirmed_at >= _SILENT_S]
        is_all = bool(trading) and now - self._tick_at >= _SILENT_S
        if not is_all:
            self._quiet = 0
        if is_all and now - self._all_checked_at >= _CHECK_ALL_S[self._quiet]:
            self._all_checked_at = now
            self._quiet = min(self._quiet + 1, len(_CHECK_ALL_S) - 1)
            asked = silent
        else:
            asked = [
                one
                for one in silent
                if now - self._checked_at.get(one, float("-inf")) >= _CHECK_EACH_S
            ]
        self._checked_at.update(dict.fromkeys(asked, now))
        self._asked = {one: self._live.of(one).tick for one in asked}
        return asked

    def judge(self, quotes: Mapping[InstrumentId, Quote]) -> None:
        """Take the quotes of what was doubtful: what has moved is suspect until a tick comes."""
        self._judged_at = self._clock.monotonic()
        for one, tick in self._asked.items():
            quote = quotes.get(one)
            if quote is not None and self._live.of(one).is_behind(quote):
                self._suspects[one] = tick
            else:
                self._suspects.pop(one, None)

    def could_not_ask(self) -> None:
        """Note that no quote could be had: a stream that tells nothing is then not believed."""
        if self._clock.monotonic() - self._tick_at >= _BLIND_S:
            self._stands = "it tells nothing, and no quote can be had"

    def settle(self) -> list[InstrumentId]:
        """Return what is lost by now: a quote moved, and no tick has come since."""
        if self._clock.monotonic() - self._judged_at < _TICK_COMES_S:
            return []
        lost = [one for one, tick in self._suspects.items() if self._live.of(one).tick is tick]
        self._suspects.clear()
        if lost and self._clock.monotonic() - self._tick_at >= _SILENT_S:
            self._stands = "it is open, but its prices stand still"
        return lost
