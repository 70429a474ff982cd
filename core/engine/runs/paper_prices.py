"""The prices that paper accounts trade at: those of the data account (row F6).

This is all that paper accounts can reach of other accounts: a question for prices.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime

from core.domain.broker import Candle, Quote
from core.domain.broker_profile import BrokerProfile
from core.domain.instrument import InstrumentId
from core.engine.runs.market_data import MarketData, NoData
from core.errors import BrokerReadError, ReadFault

__all__ = ["PaperPrices"]

_DEADLINE_S = 3.0


class PaperPrices:
    """A ``PaperPriceSource`` over the data account and its fallbacks."""

    def __init__(self, data: Callable[[], MarketData]) -> None:
        self._data = data

    async def quotes(self, instruments: Sequence[InstrumentId]) -> Mapping[InstrumentId, Quote]:
        """Return last prices."""
        try:
            return await self._data().quotes(instruments, deadline_s=_DEADLINE_S)
        except NoData as error:
            raise BrokerReadError(ReadFault.UNREACHABLE, str(error)) from error

    async def candles(
        self, instrument: InstrumentId, *, start: datetime, end: datetime, minutes: int
    ) -> Sequence[Candle]:
        """Return closed bars."""
        try:
            found = await self._data().candles([instrument], start=start, end=end, minutes=minutes)
        except NoData as error:
            raise BrokerReadError(ReadFault.UNREACHABLE, str(error)) from error
        return found.get(instrument, ())

    async def has_market(self) -> bool:
        """Whether any account is connected that could give prices, logged in or not."""
        return not await self._data().is_practice()

    async def broker(self) -> BrokerProfile | None:
        """Return the broker of the account that is asked first; None while nobody gives data."""
        sources = [one for one in await self._data().sources() if not one.broker.is_paper]
        return sources[0].broker if sources else None
