"""Whether a price stands at its circuit limit: an exit that rests there keeps its place (R3)."""

from __future__ import annotations

import logging
from datetime import datetime, timedelta

from core.domain.order import Order
from core.domain.price_check import is_at_limit
from core.errors import BrokerReadError
from core.ports.broker import BrokerClient
from core.ports.clock import Clock

__all__ = ["CircuitLimits"]

_log = logging.getLogger(__name__)
_ASK_AGAIN = timedelta(seconds=15)


class CircuitLimits:
    """Asks for the price of an exit that rests, not more often than it would be chased."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._seen: dict[str, tuple[datetime, bool]] = {}

    async def keeps(self, client: BrokerClient, order: Order) -> bool:
        """Return whether an exit that rests is to keep its place in the queue.

        A price that cannot be read keeps nothing: the exit is chased as ever.
        """
        key, now = order.client_order_id, self._clock.now()
        asked_at, answer = self._seen.get(key, (None, False))
        if asked_at is not None and now - asked_at < _ASK_AGAIN:
            return answer
        answer = await self._ask(client, order)
        self._seen[key] = (now, answer)
        return answer

    def is_kept(self, order: Order) -> bool:
        """Return whether the last answer was that this exit keeps its place."""
        return self._seen.get(order.client_order_id, (None, False))[1]

    async def _ask(self, client: BrokerClient, order: Order) -> bool:
        name = order.request.instrument
        try:
            quotes = await client.quotes([name])
        except BrokerReadError as error:
            _log.info("%s: no quote for an exit that rests: %s", name, error)
            return False
        return name in quotes and is_at_limit(order.request.side, quotes[name])
