"""Requests of orders that are about to leave, built while their commit is on its way.

Between the moment in which a run's orders go to the store and the one in which they are committed
nothing is to be done. What is built then is not built between the commit and the first byte.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable

from core.adapters.broker_http import Wire, wire_of
from core.adapters.sdk_requests import Outgoing, capture
from core.adapters.throttle import Bucket
from core.domain.order import OrderRequest

__all__ = ["PreparedOrders"]

_MOST = 32
"""Orders of one account; the oldest are of runs that did not commit."""


class PreparedOrders:
    """What one login's client will send for orders, by everything that is asked of each.

    A request carries the login's token, so it must not outlive its client.
    """

    def __init__(self) -> None:
        self._wires: OrderedDict[OrderRequest, Wire] = OrderedDict()

    def put(self, order: OrderRequest, call: Callable[[], object]) -> None:
        """Keep what an SDK's call builds for an order; one that builds nothing is not kept."""
        try:
            self._wires[order] = wire_of(capture(call), Bucket.ORDERS)
        except ValueError:
            return  # ``place`` comes to the same end, and says so
        while len(self._wires) > _MOST:
            self._wires.popitem(last=False)

    def take(self, order: OrderRequest, call: Callable[[], object]) -> Wire | Outgoing:
        """Return the request of an order, once: kept before, or built now.

        Raises:
            ValueError: The SDK builds none.
        """
        return self._wires.pop(order, None) or capture(call)
