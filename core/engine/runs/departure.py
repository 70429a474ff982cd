"""A run's orders that leave with its commit: made ready while it is under way, sent after it."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Iterator, Mapping

from core.domain.order import Order
from core.engine.orders.lanes import Lane

__all__ = ["Departure"]

_ON_ITS_WAY_S = 0.002
"""After this the commit has been written to the store's server, and is waited for."""
_AT_ONCE = 25
"""Accounts whose requests are built without a pause: a hundred would stop the loop for long."""


class Departure:
    """The lanes of a run, from its plan until each has sent or been given back.

    Args:
        lanes: By account; one of ``go`` and ``cancel`` ends them all.
    """

    def __init__(self, lanes: Mapping[str, Lane]) -> None:
        self._lanes = lanes
        self._next: asyncio.Handle | None = None

    def is_near(self, orders: Iterable[Order]) -> None:
        """Build the requests of orders that are about to be committed, once that is waited for.

        Between the commit and the first byte nothing should be left to do; while the store commits
        there is nothing to do. Nothing is sent here.
        """
        waiting = iter(_by_account(orders).items())
        self._next = asyncio.get_running_loop().call_later(_ON_ITS_WAY_S, self._prepare, waiting)

    def _prepare(self, waiting: Iterator[tuple[str, list[Order]]]) -> None:
        for _ in range(_AT_ONCE):
            broker_id, some = next(waiting, ("", []))
            if not broker_id:
                return
            self._lanes[broker_id].prepare(some)
        self._next = asyncio.get_running_loop().call_soon(self._prepare, waiting)

    def put_off(self) -> None:
        """Prepare nothing more: the plan is made again, or what is left is built as it is sent."""
        if self._next is not None:
            self._next.cancel()
            self._next = None

    def go(self, orders: Iterable[Order]) -> None:
        """Send what has committed, each account's by its lane."""
        self.put_off()
        leaving = _by_account(orders)
        for broker_id, lane in self._lanes.items():
            lane.send(leaving.get(broker_id, []))

    def cancel(self) -> None:
        """Give the lanes back; nothing is sent."""
        self.put_off()
        for lane in self._lanes.values():
            lane.leave()


def _by_account(orders: Iterable[Order]) -> dict[str, list[Order]]:
    found: dict[str, list[Order]] = {}
    for order in orders:
        found.setdefault(order.broker_id, []).append(order)
    return found
