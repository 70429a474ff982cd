"""A wait of the driver for its pool ends with its task, and leaves the pool's lock free."""

from __future__ import annotations

import asyncio
import sys
from typing import Any

import pymongo.lock
import pytest

from core.adapters.mongo._waits import mend_waits
from core.adapters.mongo.store import MongoStore
from core.errors import ConfigurationError

pytestmark = [pytest.mark.invariant("I13"), pytest.mark.matrix("C13")]

STEPS = 12
"""More turns of the loop than a wait takes to end."""


async def turns(count: int) -> None:
    """Let everything go on that can, so many times."""
    for _ in range(count):
        await asyncio.sleep(0)


class Pool:
    """The driver's own lock and condition, and a task that waits on them as its pool does."""

    def __init__(self) -> None:
        self.lock = pymongo.lock._async_create_lock()
        self.condition = pymongo.lock._async_create_condition(self.lock)

    async def wait(self, seconds: float | None) -> bool:
        async with self.condition:
            return await pymongo.lock._async_cond_wait(self.condition, seconds)

    async def forever(self, seconds: float | None) -> None:
        """Wait, then do something that only a cancellation ends."""
        await self.wait(seconds)
        await asyncio.Event().wait()

    def waits_for_lock(self) -> bool:
        """Whether anybody wants the lock while it is held."""
        waiters: Any = self.lock._waiters
        return bool(waiters)


@pytest.fixture
def pool(monkeypatch: pytest.MonkeyPatch) -> Pool:
    """The driver's own parts, as Python has them and then as the store mends them."""
    monkeypatch.setattr(pymongo.lock, "wait_for", asyncio.wait_for)
    mend_waits()
    return Pool()


@pytest.mark.parametrize("after", range(STEPS))
async def test_cancellation_at_the_time_out_leaves_the_lock_alone(pool: Pool, after: int) -> None:
    """A waiter whose time is up, cancelled before it has the lock again, takes and frees no other's."""
    waiter = asyncio.create_task(pool.wait(0.001))
    await turns(1)
    await pool.lock.acquire()
    while not pool.waits_for_lock():
        await asyncio.sleep(0)
    waiter.cancel()
    await turns(after)
    assert pool.lock.locked()
    assert not waiter.done()
    pool.lock.release()
    await turns(STEPS)
    assert waiter.cancelled()
    assert not pool.lock.locked()


@pytest.mark.parametrize("after", range(STEPS))
async def test_cancellation_beside_a_notice_is_not_lost(pool: Pool, after: int) -> None:
    """However near the notice that it waits for, a task that is asked to end ends."""
    waiter = asyncio.create_task(pool.forever(30.0))
    await turns(STEPS)
    async with pool.condition:
        pool.condition.notify()
    await turns(after)
    waiter.cancel()
    await turns(STEPS)
    assert waiter.cancelled()
    assert not pool.lock.locked()


async def test_wait_ends_as_the_driver_expects(pool: Pool) -> None:
    """True when notified, False when its time is up, and for ever without one."""
    assert not await pool.wait(0.001)
    for seconds in (30.0, None):
        waiter = asyncio.create_task(pool.wait(seconds))
        await turns(STEPS)
        async with pool.condition:
            pool.condition.notify()
        assert await waiter


async def test_store_mends_the_waits_of_its_driver(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever connects has the mended wait, before anything can wait."""
    monkeypatch.setattr(pymongo.lock, "wait_for", asyncio.wait_for)
    with pytest.raises(ConfigurationError):
        await MongoStore.connect("mongodb://", "any")
    assert vars(pymongo.lock)["wait_for"] is not asyncio.wait_for or sys.version_info >= (3, 12)
