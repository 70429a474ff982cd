"""An account's lane: its worker's lock, held from the plan of a run until its entries are sent."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine, Sequence
from functools import partial
from typing import Any

from core.domain.goal import Goal
from core.domain.instrument import Instrument
from core.domain.order import Order
from core.engine.orders.entries import Entries
from core.engine.orders.gateway import Ticket
from core.engine.orders.run_exits import RunExits
from core.errors import StoreError
from core.ports.broker import BrokerClient, PreparesOrders
from core.ports.store import StoreView

__all__ = ["AccountLane", "Work", "try_lock"]

_log = logging.getLogger(__name__)
Work = Callable[[], Coroutine[Any, Any, None]]


def try_lock(lock: asyncio.Lock) -> bool:
    """Take a lock if it is free and nobody waits for it."""
    taking = lock.acquire()
    try:
        taking.send(None)  # free, it is taken at once
    except StopIteration:
        return True
    taking.close()  # it would have waited
    return False


class AccountLane:
    """The lane of one account (``core.engine.orders.lanes.Lane``).

    Args:
        entries: Of the account's executor.
        exits: Of the account's executor.
        client: What it sends through.
        start: Starts a task beside the worker's turns; returns None when the worker is ending.
        is_valid: Whether the client is still the worker's, and its day was read.
        heard: Returns how many order updates have come.
        ended: Called once, when the lane is given back.
    """

    def __init__(
        self,
        entries: Entries,
        exits: RunExits,
        client: BrokerClient,
        *,
        start: Callable[[Work], asyncio.Task[None] | None],
        is_valid: Callable[[BrokerClient], bool],
        heard: Callable[[], int],
        ended: Callable[[], None],
    ) -> None:
        self._entries = entries
        self._exits = exits
        self._client = client
        self._start = start
        self._is_valid = is_valid
        self._heard = heard
        self._ended = ended

    def can_take(self, order: Order, known: Instrument | None) -> bool:
        """Whether an entry could leave now."""
        return self._entries.can_leave(order, known)

    async def exit_for(
        self, view: StoreView, goal: Goal, known: Instrument | None
    ) -> Ticket | None:
        """Return the exit that a goal asks for, if it could leave now."""
        return await self._exits.ticket(view, goal, known, heard=self._heard())

    def prepare(self, orders: Sequence[Order]) -> None:
        """Have what is sent for orders ready that are about to be committed."""
        client = self._client
        if isinstance(client, PreparesOrders) and self._is_valid(client):
            for order in orders:
                client.prepare(order.request)

    def leave(self) -> None:
        """Send nothing."""
        self._ended()

    def send(self, orders: Sequence[Order]) -> None:
        """Send what was born SUBMITTED and has committed."""
        task = None
        if orders and self._is_valid(self._client):
            task = self._start(partial(self._send_all, orders))
        if task is None:
            # Nothing to send; or the login or the worker has just ended: they are looked up.
            self._entries.forget(orders)
            self._ended()
        else:
            task.add_done_callback(partial(self._done, orders))

    def _done(self, orders: Sequence[Order], _task: asyncio.Task[None]) -> None:
        """Give the lane back, also after a task that was cancelled before its first step."""
        self._entries.forget(orders)
        self._ended()

    async def _send_all(self, orders: Sequence[Order]) -> None:
        if len(orders) == 1:  # nearly always: no task of its own
            await self._send(orders[0])
            return
        sending = map(self._send, orders)
        for result in await asyncio.gather(*sending, return_exceptions=True):
            if isinstance(result, BaseException):
                raise result

    async def _send(self, order: Order) -> None:
        try:
            await self._entries.send_born(self._client, order)
        except StoreError as error:
            # What came of the order is not written down: it is looked up as after a crash.
            _log.warning("an answer could not be written down: %s", error)
