"""A stream of prices in a test's hand."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from decimal import Decimal

from core.domain.instrument import InstrumentId
from core.domain.ticks import PriceTick
from core.ports.clock import Clock
from core.ports.updates import UpdatesState, UpdatesStatus

__all__ = ["ScriptedPrices"]


class ScriptedPrices:
    """A ``PriceStream`` that lives once it is run.

    Attributes:
        wanted: What was asked for last.
        runs: How often it was run.
    """

    capacity = 3000

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self.status = UpdatesStatus(UpdatesState.DOWN, clock.now(), "connecting")
        self.wanted: frozenset[InstrumentId] = frozenset()
        self.runs = 0
        self.refuses = False
        self._hear: Callable[[Sequence[PriceTick]], None] | None = None

    def want(self, instruments: frozenset[InstrumentId]) -> None:
        self.wanted = instruments

    async def run(self, hear: Callable[[Sequence[PriceTick]], None]) -> None:
        self.runs += 1
        self._hear = hear
        if self.refuses:
            self._become(UpdatesState.REFUSED, "the broker answered 403 to the handshake")
            return
        self._become(UpdatesState.LIVE)
        try:
            await asyncio.Event().wait()
        finally:
            self.status = UpdatesStatus(UpdatesState.DOWN, self._clock.now(), "closed")

    def _become(self, state: UpdatesState, why: str = "") -> None:
        self.status = UpdatesStatus(state, self._clock.now(), why)
        self.beat()

    def beat(self) -> None:
        """Give a sign of life."""
        assert self._hear is not None, "nobody listens"
        self._hear(())

    def fall(self, why: str = "the connection was closed (1006)") -> None:
        """Go down."""
        self._become(UpdatesState.DOWN, why)

    def rise(self) -> None:
        """Live again."""
        self._become(UpdatesState.LIVE)

    def tick(
        self,
        instrument: InstrumentId,
        last: str,
        volume: int | None = None,
        *,
        late_s: float = 0.0,
        traded_at: datetime | None = None,
    ) -> None:
        """Tell of a trade of now, or of so many seconds ago."""
        assert self._hear is not None, "nobody listens"
        now = self._clock.market_now()
        at = (now - timedelta(seconds=late_s)).replace(microsecond=0)
        self._hear([PriceTick(instrument, Decimal(last), now, at, traded_at or at, volume)])
