"""A worker that waits for what never comes is found; one that works or waits for its turn is not."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from datetime import datetime

import pytest

from core.adapters.zerodha import ZERODHA
from core.domain.account import Account
from core.domain.broker import BrokerOrder
from core.engine.workers.liveness import LONGEST_TURN_S, Liveness
from tests.fakes.clock import ManualClock
from tests.fakes.memory_engine import MemoryEngine
from tests.fakes.scripted_broker import ScriptedAccount

pytestmark = pytest.mark.invariant("I13")


class Hanging(ScriptedAccount):
    """An account whose broker can leave a question unanswered, with no deadline above it."""

    def __init__(self) -> None:
        super().__init__()
        self.answers_now = asyncio.Event()
        self.answers_now.set()
        self.waiting = 0

    async def orders(self) -> Sequence[BrokerOrder]:
        self.waiting += 1
        await self.answers_now.wait()
        self.waiting -= 1
        return await super().orders()


async def until(is_so: Callable[[], object]) -> None:
    """Let everybody go on until something is so."""
    async with asyncio.timeout(150):
        while not is_so():
            await asyncio.sleep(0.001)


@asynccontextmanager
async def at_work() -> AsyncIterator[tuple[MemoryEngine, Account]]:
    """Run the pool over one account, until its worker has taken a turn."""
    clock = ManualClock()
    engine = await MemoryEngine(clock).owned()
    engine.brokers[ZERODHA].accounts.default_factory = Hanging
    account = await engine.connect()
    await engine.become_writer()
    pool = engine.wiring.pool
    task = asyncio.create_task(pool.run())
    try:
        await until(lambda: (one := pool.get(account.broker_id)) and one.snapshot.funds)
        yield engine, account
    finally:
        task.cancel()
        await asyncio.wait([task])


async def test_turn_that_never_ends_is_found() -> None:
    """Within the limit nothing is said; above it the account is named, until the turn has ended."""
    async with at_work() as (engine, account):
        clock, pool = engine.clock, engine.wiring.pool
        life = Liveness(clock, pool.turns, lambda: pool.looked_at, clock.now)
        broker, worker = engine.at_broker(account), pool.get(account.broker_id)
        assert isinstance(broker, Hanging) and worker is not None
        assert (life.trouble(), life.accounts) == ("", 1)

        broker.answers_now.clear()
        worker.wake()
        await until(lambda: broker.waiting)
        await clock.advance(LONGEST_TURN_S)
        pool.accounts_changed()
        await until(lambda: pool.looked_at == clock.monotonic())
        assert life.trouble() == ""
        await clock.advance(1)
        assert life.trouble() == f"account {account.broker_id} has been in one turn for 301 s"

        broker.answers_now.set()
        await until(lambda: worker.turn_since is None)
        assert life.trouble() == ""


async def test_pool_and_scheduler_that_stand_still_are_found() -> None:
    """Each has to look for work now and then, from the start on."""
    clock = ManualClock()
    looked: list[float | None] = [None]
    ticked: list[datetime | None] = [None]
    life = Liveness(clock, dict, lambda: looked[0], lambda: ticked[0])
    await clock.advance(LONGEST_TURN_S)
    assert life.trouble() == ""
    await clock.advance(1)
    assert life.trouble() == "no accounts were looked for in 301 s"
    looked[0] = clock.monotonic()
    assert life.trouble() == "nobody looked whether a strategy is due in 301 s"
    ticked[0] = clock.now()
    assert life.trouble() == ""
