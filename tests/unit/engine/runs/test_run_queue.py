"""Filed runs: worked off once, for whom they are, and taken back before anybody began."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import cast

import pytest

from core.engine.runs.plan import RunRequest
from core.engine.runs.requests import REQUESTS, RunRequests
from core.engine.runs.runner import Runner
from core.ports.store import Change
from tests.fakes.bot_world import soon
from tests.fakes.clock import ManualClock
from tests.fakes.memory_store import MemoryStore

pytestmark = [pytest.mark.dates, pytest.mark.row("D5", "D6")]

CLOCK = ManualClock()
SLOT = CLOCK.market_now()


class NotingRunner:
    """Notes what it was asked to run."""

    def __init__(self) -> None:
        self.ran: list[str] = []

    async def run(self, request: RunRequest) -> str:
        self.ran.append(request.run_id)
        return f"ran {request.run_id}"


@asynccontextmanager
async def working(queue: RunRequests, only: str | None = None) -> AsyncIterator[NotingRunner]:
    runner = NotingRunner()
    task = asyncio.create_task(queue.work(cast("Runner", runner), only))
    try:
        yield runner
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def test_withdrawn_run_is_never_run(memory_store: MemoryStore) -> None:
    """Whoever gives up waiting takes the run back; one that is done cannot be."""
    queue = RunRequests(memory_store, CLOCK)
    await queue.file(memory_store, RunRequest("gone", "s", SLOT))
    await queue.file(memory_store, RunRequest("stays", "s", SLOT))
    assert await queue.withdraw("gone")

    async with working(queue) as runner:
        await soon(lambda: queue.result("stays"))

    assert runner.ran == ["stays"]
    assert await queue.result("stays") == "ran stays"
    assert not await queue.withdraw("stays")
    assert not await queue.withdraw("gone")


async def test_run_that_is_withdrawn_while_another_runs_is_not_run(
    memory_store: MemoryStore,
) -> None:
    """Both were read together: whether it still waits is looked at when its turn has come."""
    queue = RunRequests(memory_store, CLOCK)
    ran: list[str] = []

    class Slow(NotingRunner):
        async def run(self, request: RunRequest) -> str:
            ran.append(request.run_id)
            if request.run_id == "first":
                assert await queue.withdraw("second")
            return "ran"

    for name in ("first", "second", "third"):
        await queue.file(memory_store, RunRequest(name, "s", SLOT))
    task = asyncio.create_task(queue.work(cast("Runner", Slow())))
    try:
        await soon(lambda: queue.result("third"))
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
    assert ran == ["first", "third"]


async def test_begun_run_cannot_be_withdrawn_and_is_taken_up(memory_store: MemoryStore) -> None:
    """A crash left it running: the next controller runs it, whose unique id makes that harmless."""
    queue = RunRequests(memory_store, CLOCK)
    await queue.file(memory_store, RunRequest("begun", "s", SLOT))
    await memory_store.update(REQUESTS, {"_id": "begun"}, Change(set={"state": "running"}))
    assert not await queue.withdraw("begun")

    async with working(queue) as runner:
        await soon(lambda: queue.result("begun"))

    assert runner.ran == ["begun"]


async def test_holder_of_one_account_leaves_the_others(memory_store: MemoryStore) -> None:
    """``saarthi live`` holds the lease for one account: what is for another stays filed."""
    queue = RunRequests(memory_store, CLOCK)
    await queue.file(memory_store, RunRequest("other", "s", SLOT, only="fyers_other1"))
    await queue.file(memory_store, RunRequest("mine", "s", SLOT, only="zerodha_mine01"))

    async with working(queue, "zerodha_mine01") as runner:
        await soon(lambda: queue.result("mine"))

    assert runner.ran == ["mine"]
    assert await queue.result("other") is None


async def test_run_that_was_asked_for_on_another_day_is_not_run(memory_store: MemoryStore) -> None:
    """A crash may lie between: what was asked for yesterday is not entered today."""
    queue = RunRequests(memory_store, CLOCK)
    await queue.file(memory_store, RunRequest("late", "s", SLOT - timedelta(days=1)))

    async with working(queue) as runner:
        result = await soon(lambda: queue.result("late"))

    assert runner.ran == []
    assert result == "too late: it was asked for on another day, nothing was run"
