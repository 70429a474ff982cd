"""Entries that waited for a login and are too old after it: dropped, and listed (row B10)."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextlib import suppress
from itertools import count
from typing import Any

import pytest

from core.adapters.zerodha import ZERODHA
from core.domain.notices.orders import EntriesDropped
from core.domain.order import OrderState
from core.domain.target import Direction
from core.errors import StoreUnavailable
from core.ports.store import BulkView
from tests.fakes.held import Freezes
from tests.fakes.memory_store import MemoryStore
from tests.fakes.run_bench import RunBench


class _Away:
    """A store that is away from one of the commits of a turn on, counted from when it begins."""

    def __init__(self, store: MemoryStore, number: int) -> None:
        self._store = store
        self._number = number
        self._commit = store.transaction
        self.seen = 0
        store.transaction = self._transaction  # type: ignore[method-assign]

    async def _transaction(self, body: Callable[[BulkView], Awaitable[Any]], *, nonce: str) -> Any:
        self.seen += 1
        if self.seen > self._number:
            raise StoreUnavailable("the store is away")
        return await self._commit(body, nonce=nonce)

    def is_back(self) -> None:
        """End it."""
        self._store.transaction = self._commit  # type: ignore[method-assign]


async def dropped(*, away_at: int) -> tuple[bool, set[str], set[str]]:
    """Drop two parked entries with a store that goes away in the turn that does so.

    Returns whether it went away before the turn was over, the entries, and those that are listed.
    """
    bench = RunBench()
    bench.engine.brokers[ZERODHA].exchange_facts = Freezes(100)
    await bench.opened(150)
    bench.strategy.want(Direction.LONG)
    await bench.run()
    await bench.worker.executor.park()
    entries = await bench.engine.orders()
    assert [one.state for one in entries] == [OrderState.HELD] * 2
    store = _Away(bench.engine.store, away_at)
    with suppress(StoreUnavailable):
        await bench.worker.executor.advance(bench.broker, {})
    store.is_back()
    # The next controller, and a turn more than it needs.
    bench.worker = bench.engine.wiring.new_worker(bench.account.broker_id)
    await bench.turns(3)
    ended = await bench.engine.orders()
    assert [one.state for one in ended] == [OrderState.DENIED] * 2
    told = {one.reason for one in ended}
    assert told == {"login needed before it was sent; its signal is old now"}
    assert bench.sent() == []
    notices = await bench.engine.notices(EntriesDropped)
    listed = [key for one in notices if isinstance(one, EntriesDropped) for key in one.orders]
    return store.seen > away_at, {one.client_order_id for one in entries}, set(listed)


@pytest.mark.row("B10")
@pytest.mark.invariant("I8")
async def test_what_is_dropped_is_listed_whenever_the_store_goes_away() -> None:
    """At each commit of the turn that drops them: none goes without a word."""
    for number in count():
        was_cut_off, entries, listed = await dropped(away_at=number)
        assert listed == entries, f"away from commit {number} on"
        if not was_cut_off:
            break
