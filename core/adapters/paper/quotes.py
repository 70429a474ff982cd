"""The data account's prices, asked for once for all paper accounts."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping

from core.adapters.paper.practice import PaperMarket
from core.domain.broker import Quote
from core.domain.instrument import InstrumentId
from core.errors import BrokerReadError, ReadFault
from core.ports.clock import Clock

__all__ = ["Quotes"]

_DEADLINE_S = 4.0


class Quotes:
    """Asks for quotes, one request at a time; a young answer serves everybody.

    Fifty paper accounts that enter at one slot must not cost the data account fifty requests.
    """

    def __init__(self, clock: Clock, source: PaperMarket) -> None:
        self._clock = clock
        self._source = source
        self._are_practice = False
        self._known: dict[InstrumentId, tuple[float, Quote]] = {}
        self._lock = asyncio.Lock()

    async def of(self, names: Iterable[InstrumentId], age_s: float) -> Mapping[InstrumentId, Quote]:
        """Return quotes that were asked for at most ``age_s`` ago; raises ``BrokerReadError``."""
        wanted = sorted(set(names))
        async with self._lock:
            are_practice = await self._source.is_practice()
            if are_practice is not self._are_practice:
                self._known.clear()
                self._are_practice = are_practice
            missing = [one for one in wanted if not self._is_young(one, age_s)]
            if missing:
                await self._ask(missing)
        return self.at_hand(wanted)

    def at_hand(self, names: Iterable[InstrumentId]) -> Mapping[InstrumentId, Quote]:
        """Return what is known of these, of whatever age."""
        return {one: self._known[one][1] for one in names if one in self._known}

    def _is_young(self, name: InstrumentId, age_s: float) -> bool:
        known = self._known.get(name)
        return known is not None and 0 <= self._clock.monotonic() - known[0] <= age_s

    async def _ask(self, names: list[InstrumentId]) -> None:
        asked_at = self._clock.monotonic()
        try:
            async with asyncio.timeout(_DEADLINE_S):
                found = await self._source.quotes(names)
        except TimeoutError:
            raise BrokerReadError(ReadFault.TIMEOUT, "no prices in time") from None
        for name in names:
            self._known.pop(name, None)
        self._known.update((name, (asked_at, quote)) for name, quote in found.items())
