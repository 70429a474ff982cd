"""Whether a price stands at its circuit limit (R3).

Nothing is entered there, and an exit that rests there keeps its place. Kite's quotes name the
limits; Fyers names them for one instrument a request (facts/fyers.md 7), so there they are asked
for where a price may stand at one, and only then.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from dataclasses import replace

from core.domain.broker import Quote
from core.domain.instrument import InstrumentId
from core.domain.order import Order, Side
from core.domain.price_check import is_at_limit, lacks_limit
from core.errors import BrokerReadError
from core.ports.broker import BrokerClient, NamesBands
from core.ports.clock import Clock

__all__ = ["CircuitLimits", "with_limits"]

_log = logging.getLogger(__name__)
_ASK_AGAIN_S = 15.0
_PATIENCE_S = 2.0
"""An entry whose limit is not known by then is sent, as one whose limit nobody names."""


async def with_limits(
    client: BrokerClient, sides: Mapping[InstrumentId, Side], quotes: Mapping[InstrumentId, Quote]
) -> Mapping[InstrumentId, Quote]:
    """Return quotes with the circuit limits that are to be had, for orders on these sides.

    Args:
        client: Is asked, once each and beside one another, where its broker names them apart.
        sides: The sides, by instrument.
        quotes: Of these, as far as they are known.
    """
    if not isinstance(client, NamesBands):
        return quotes
    wanted = [name for name, side in sides.items() if name in quotes]
    wanted = [name for name in wanted if lacks_limit(sides[name], quotes[name])]
    found = await asyncio.gather(*(_limited(client, quotes[name]) for name in wanted))
    return {**quotes, **dict(zip(wanted, found, strict=True))}


async def _limited(client: NamesBands, quote: Quote) -> Quote:
    try:
        async with asyncio.timeout(_PATIENCE_S):
            band = await client.price_band(quote.instrument)
    except (BrokerReadError, TimeoutError) as error:
        _log.info("%s: no circuit limits: %s", quote.instrument, str(error) or "no answer in time")
        return quote
    return replace(quote, lower_circuit=band.lower, upper_circuit=band.upper)


class CircuitLimits:
    """Asks for the price of an exit that rests, not more often than it would be chased."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._seen: dict[str, tuple[float, bool]] = {}

    async def keeps(self, client: BrokerClient, order: Order) -> bool:
        """Return whether an exit that rests is to keep its place in the queue.

        A price that cannot be read keeps nothing: the exit is chased as ever.
        """
        key, now = order.client_order_id, self._clock.monotonic()
        asked_at, answer = self._seen.get(key, (None, False))
        if asked_at is not None and now - asked_at < _ASK_AGAIN_S:
            return answer
        answer = await self._ask(client, order)
        self._seen[key] = (now, answer)
        return answer

    def is_kept(self, order: Order) -> bool:
        """Return whether the last answer was that this exit keeps its place."""
        return self._seen.get(order.client_order_id, (None, False))[1]

    async def _ask(self, client: BrokerClient, order: Order) -> bool:
        name, side = order.request.instrument, order.request.side
        try:
            quotes = await with_limits(client, {name: side}, await client.quotes([name]))
        except BrokerReadError as error:
            _log.info("%s: no quote for an exit that rests: %s", name, error)
            return False
        return name in quotes and is_at_limit(side, quotes[name])
