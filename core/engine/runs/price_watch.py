"""One look at prices for everybody who needs them (rows D9, R5, decision 0016).

Every few seconds the judges look at the prices of what they need: stops, and what is held where a
result is watched. What the stream of prices tells of is there already; of the others one batched
request asks the data account. A request that fails leaves the last prices: each judge decides what
an old one is worth. The client cuts a batch to its broker's size and keeps its rate (facts/kite.md
10, facts/fyers.md 10).
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from core.domain.instrument import InstrumentId
from core.engine.orders.prices import Prices
from core.engine.runs.live_prices import LivePrices
from core.engine.runs.market_data import MarketData, NoData
from core.engine.runs.price_feed import PriceFeed
from core.errors import StoreError
from core.ports.clock import Clock

__all__ = ["Need", "PriceJudge", "PriceWatch"]

_log = logging.getLogger(__name__)
_ANSWER_S = 4.0
"""How long one source may take: behind one that hangs the prices would grow old."""
_ANSWER_S_EACH = 0.01
"""And so much longer for each instrument: a large batch is several requests."""
_EARLY_S = 0.25


@dataclass(frozen=True, slots=True)
class Need:
    """What a judge looks at.

    Attributes:
        instruments: What it needs prices of; none where it judges what is closed.
        every_s: How often, real seconds.
    """

    instruments: frozenset[InstrumentId]
    every_s: float


class PriceJudge(Protocol):
    """Judges what it watches after each look at the prices."""

    async def need(self) -> Need | None:
        """Return what it needs now; None when it has nothing to judge."""
        ...

    async def judge(self) -> None:
        """Judge by the last prices; asked only after a ``need``."""
        ...


class PriceWatch:
    """Asks for prices, then its judges, one after another."""

    def __init__(
        self,
        clock: Clock,
        market_data: MarketData,
        prices: Prices,
        judges: Sequence[PriceJudge],
        *,
        live: LivePrices,
        feed: PriceFeed,
    ) -> None:
        self._clock = clock
        self._market_data = market_data
        self._prices = prices
        self._judges = judges
        self._live = live
        self._feed = feed
        self._asked_at: float | None = None

    async def tick(self) -> None:
        """Ask for the prices that are due, and let everybody judge who needs them."""
        found = [(judge, await self._need(judge)) for judge in self._judges]
        needs = [(judge, need) for judge, need in found if need is not None]
        every = frozenset[InstrumentId]().union(*(need.instruments for _, need in needs))
        self._feed.want("prices", every)
        if not needs or not self._is_due(min(need.every_s for _, need in needs)):
            return
        self._asked_at = self._clock.monotonic()
        await self._ask(frozenset(one for one in every if not self._live.is_fresh(one)))
        failed: Exception | None = None
        for judge, _ in needs:
            try:
                await judge.judge()
            except StoreError as error:
                _log.warning("%s could not judge: %s", type(judge).__name__, error)
            except Exception as error:  # noqa: BLE001 - raised below, after the other judges
                _log.warning("%s could not judge: %s", type(judge).__name__, error)
                failed = failed or error
        if failed is not None:
            raise failed

    async def _need(self, judge: PriceJudge) -> Need | None:
        try:
            return await judge.need()
        except StoreError as error:
            _log.warning("%s: the store is away: %s", type(judge).__name__, error)
            return None

    def _is_due(self, every_s: float) -> bool:
        asked_at = self._asked_at
        # A little early: the ticks that lead here do not come to the millisecond.
        return asked_at is None or self._clock.monotonic() - asked_at >= every_s - _EARLY_S

    async def _ask(self, instruments: frozenset[InstrumentId]) -> None:
        if not instruments:
            return
        began = self._clock.now()
        asked = sorted(instruments, key=str)
        try:
            deadline_s = _ANSWER_S + len(asked) * _ANSWER_S_EACH
            quotes = await self._market_data.quotes(asked, deadline_s=deadline_s)
        except (NoData, StoreError) as error:
            # The prices grow old, and whoever judges by them says so.
            _log.warning("no prices: %s", error)
            return
        self._live.take(quotes, asked_at=self._clock.market_at(began))
