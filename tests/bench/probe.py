"""When the orders of one slot passed each port, seen at the classes that every controller uses."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextvars import ContextVar
from typing import Any

from core.adapters.broker_connections import Connection
from core.adapters.zerodha.client import ZerodhaClient
from core.domain.order import Order, OrderRequest, OrderState
from core.engine.orders.journal import Journal

__all__ = ["Probe"]

_SECOND_S = 0.998


class Probe:
    """Notes moments by the machine's monotonic clock.

    Per order (by ``client_order_id``): ``submitting`` when a commit of its own began (an order that
    was committed with its run has none), ``placing`` when the client was called, ``placed`` when it
    returned, ``recorded`` when the journal's commit of the answer was over, ``filled`` the same of
    the fill. Of the slot: when its run began to commit, and was committed, and how many orders of
    one account left within a second, at the most. (They come to the door later when it is busy,
    and then closer together.)
    """

    def __init__(self) -> None:
        self._orders: dict[str, dict[str, float]] = {}
        self._commits: list[tuple[float, float]] = []
        self._expected = 0
        self._filled = 0
        self._ignored: frozenset[str] = frozenset()
        self._answers: list[float] = []
        self._changed = asyncio.Event()
        self._left: defaultdict[int, list[float]] = defaultdict(list)
        self._placing: ContextVar[int] = ContextVar("placing")

    def begin(self, expected: int, ignored: frozenset[str]) -> None:
        """Forget what was, and wait for so many orders."""
        self._orders, self._commits, self._answers = {}, [], []
        self._left.clear()
        self._expected, self._ignored, self._filled = expected, ignored, 0
        self._changed.set()

    def found(self) -> dict[str, Any]:
        """Return what was noted since."""
        fastest = max(map(_most_in_a_second, self._left.values()), default=0)
        return {"orders": self._orders, "commits": self._commits, "fastest": fastest}

    async def all_answered(self, within_s: float) -> bool:
        """Wait until every expected order is answered and its answer recorded."""
        return await self._reached(lambda: len(self._answers), within_s)

    async def all_filled(self, within_s: float) -> bool:
        """Wait until every expected order is filled in the journal."""
        return await self._reached(lambda: self._filled, within_s)

    async def _reached(self, count: Any, within_s: float) -> bool:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(within_s):
                while count() < self._expected:
                    self._changed.clear()
                    await self._changed.wait()
        return bool(count() >= self._expected)

    def _note(self, order_id: str, what: str) -> None:
        self._orders.setdefault(order_id, {}).setdefault(what, time.perf_counter())

    def _recorded(self, order: Order) -> None:
        if order.client_order_id not in self._orders or order.broker_id in self._ignored:
            return  # no order of this slot, or of an account that nothing is waited for
        noted = self._orders[order.client_order_id]
        if order.state is OrderState.FILLED and "filled" not in noted:
            self._filled += 1
            self._note(order.client_order_id, "filled")
        if "recorded" not in noted and "placed" in noted:
            self._note(order.client_order_id, "recorded")
            self._answers.append(time.perf_counter())
        self._changed.set()

    @contextlib.contextmanager
    def installed(self, store: Any) -> Iterator[Probe]:
        """Look from now until the block ends."""
        place, apply, transaction = ZerodhaClient.place, Journal.apply, store.transaction
        begin = Connection.begin

        async def seen_place(client: ZerodhaClient, order: OrderRequest) -> Any:
            self._note(order.client_order_id, "placing")
            placing = self._placing.set(id(client))
            try:
                outcome = await place(client, order)
            finally:
                self._placing.reset(placing)
            self._note(order.client_order_id, "placed")
            return outcome

        def seen_begin(connection: Connection, at: float) -> None:
            begin(connection, at)
            if (client := self._placing.get(0)) != 0:
                self._left[client].append(time.perf_counter())

        async def seen_apply(journal: Journal, *arguments: Any, **named: Any) -> Order:
            after = await apply(journal, *arguments, **named)
            self._recorded(after)
            return after

        async def seen_transaction(of: Any, *arguments: Any, nonce: str, **named: Any) -> Any:
            began = time.perf_counter()
            result = await transaction(of, *arguments, nonce=nonce, **named)
            if nonce.startswith("run:"):
                self._commits.append((began, time.perf_counter()))
            elif nonce.startswith("submit:"):
                order_id = nonce.removeprefix("submit:").partition("#")[0]
                self._orders.setdefault(order_id, {}).setdefault("submitting", began)
            return result

        ZerodhaClient.place = seen_place  # type: ignore[method-assign, assignment]
        Connection.begin = seen_begin  # type: ignore[method-assign, assignment]
        Journal.apply = seen_apply  # type: ignore[method-assign, assignment]
        store.transaction = seen_transaction
        try:
            yield self
        finally:
            ZerodhaClient.place = place  # type: ignore[method-assign]
            Connection.begin = begin  # type: ignore[method-assign]
            Journal.apply = apply  # type: ignore[method-assign]
            store.transaction = transaction


def _most_in_a_second(left: Sequence[float]) -> int:
    """Return how many of an account's orders left within the busiest second.

    The throttle's clock was read a few steps before; that much may be missing of the second.
    """
    first = most = 0
    for last, at in enumerate(left):
        while at - left[first] >= _SECOND_S:
            first += 1
        most = max(most, last + 1 - first)
    return most
