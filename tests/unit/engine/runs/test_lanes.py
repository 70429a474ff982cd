"""An entry leaves with the commit of its run, where nothing stands in the way (decision 24)."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from core.domain.order import OrderState, Purpose
from core.domain.outcome import Acked
from core.domain.target import Direction
from core.engine.runs.plan import RunRequest
from core.errors import StoreUnavailable
from tests.fakes.counted_store import CountedStore
from tests.fakes.memory_engine import MemoryEngine, market_clock
from tests.fakes.run_bench import TEN, RunBench

pytestmark = [pytest.mark.invariant("I1"), pytest.mark.invariant("I3")]
_PASSES = 2000


class Laned(RunBench):
    """An account whose worker runs, over a store that counts."""

    def __init__(self) -> None:
        super().__init__()
        self.store = CountedStore()
        registry = {self.strategy.name: self.strategy}
        self.engine = MemoryEngine(market_clock(TEN), registry, self.store)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[Laned]:
        """Let the worker run, as the pool does."""
        await self.opened()
        await self.engine.become_writer()
        pool = self.engine.wiring.pool
        pool._workers[self.account.broker_id] = self.worker
        task = asyncio.create_task(self.worker.run())
        await self.until(lambda: self.worker.snapshot.funds is not None)
        for _ in range(_PASSES):  # whatever it has to note of its first read is noted
            await asyncio.sleep(0)
        try:
            yield self
        finally:
            task.cancel()
            await asyncio.wait([task])

    async def until(self, is_so: object) -> None:
        """Let everybody go on until something is so."""
        for _ in range(_PASSES):
            if is_so():  # type: ignore[operator]
                return
            await asyncio.sleep(0)
        raise AssertionError("it did not come to pass")


async def test_entry_leaves_after_one_commit() -> None:
    """Born SUBMITTED in the run's commit, behind the gate, and sent once."""
    async with Laned().running() as bench:
        bench.strategy.want(Direction.LONG)
        states: list[str] = []
        place = bench.broker.place

        async def seen(order: object) -> object:
            rows = await bench.store.find("orders", {})
            states.extend(row["state"] for row in rows)
            commits.append(bench.store.commands["commit"])
            return await place(order)  # type: ignore[arg-type]

        commits: list[int] = []
        bench.broker.place = seen  # type: ignore[assignment, method-assign]
        bench.store.commands.clear()
        gate = await bench.store.get("account_gates", bench.account.broker_id)
        await bench.run()
        await bench.until(lambda: bench.sent() == [("BUY", 10)])
        assert (states, commits) == (["SUBMITTED"], [1])
        after = await bench.store.get("account_gates", bench.account.broker_id)
        assert gate is not None
        assert after is not None
        assert after["seq"] == gate["seq"] + 1
        await bench.until(lambda: not bench.engine.wiring.gateway.in_flight)
        await bench.until(lambda: not bench.worker.lock.locked())
    assert bench.sent() == [("BUY", 10)]


async def test_account_that_is_busy_enters_by_its_worker() -> None:
    """Whose lock is taken has no lane: its entry is an intent, and goes in its turn."""
    async with Laned().running() as bench:
        bench.strategy.want(Direction.LONG)
        async with bench.worker.lock:
            await bench.run()
            (order,) = await bench.engine.orders()
            assert (order.state, bench.sent()) == (OrderState.INITIALIZED, [])
        await bench.until(lambda: bench.sent() == [("BUY", 10)])


async def test_order_in_the_instrument_goes_before() -> None:
    """What is held or works there is the worker's to deal with first: a reversal is no plain entry."""
    async with Laned().running() as bench:
        bench.broker.answers.append(Acked("1"))
        bench.strategy.want(Direction.LONG)
        await bench.run()
        await bench.until(lambda: bench.sent() == [("BUY", 10)])
        await bench.until(lambda: not bench.worker.lock.locked())
        bench.strategy.want(Direction.SHORT)
        await bench.run()
        orders = await bench.engine.orders()
        newest = [one for one in orders if one.purpose is Purpose.ENTRY][-1]
        assert newest.submitted_at is None or newest.request.side.value == "BUY"


async def test_run_that_is_not_known_to_be_committed_sends_nothing() -> None:
    """Its lane is given back, and what it may have left is looked up as after a crash."""
    async with Laned().running() as bench:
        bench.strategy.want(Direction.LONG)
        bench.store.database.lost_answers = 1
        request = RunRequest("lost", bench.strategy.name, bench.engine.clock.market_now())
        with pytest.raises(StoreUnavailable):
            await bench.engine.wiring.runner.run(request)
        assert bench.sent() == []
        assert not bench.engine.wiring.gateway.in_flight
        assert not bench.worker.lock.locked()
        (row,) = await bench.store.find("orders", {})
        assert row["state"] == "SUBMITTED"


async def test_second_strategy_of_the_slot_waits_for_the_first() -> None:
    """What is on its way at this moment is not of unknown fate: the other entry is not dropped."""
    async with Laned().running() as bench:
        go, place = asyncio.Event(), bench.broker.place

        async def slow(order: object) -> object:
            await go.wait()
            return await place(order)  # type: ignore[arg-type]

        bench.broker.place = slow  # type: ignore[assignment, method-assign]
        bench.strategy.want(Direction.LONG)
        await bench.run()
        (first,) = await bench.engine.orders()
        assert first.state is OrderState.SUBMITTED
        on_its_way = bench.engine.wiring.gateway.before_sending([first])
        assert [one.state for one in on_its_way] == [OrderState.INITIALIZED]
        go.set()
        await bench.until(lambda: not bench.engine.wiring.gateway.in_flight)
        assert bench.engine.wiring.gateway.before_sending([first]) == [first]
