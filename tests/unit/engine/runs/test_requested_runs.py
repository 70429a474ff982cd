"""What a filed run may still do when its turn has come, and what becomes of one that fails (D5, D6)."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import cast

import pytest

from core.engine.runs.plan import RunRequest
from core.engine.runs.requests import RunRequests, forget_requests
from core.engine.runs.runner import Runner
from core.errors import UserError
from tests.fakes.bot_world import soon
from tests.fakes.clock import ManualClock
from tests.fakes.memory_store import MemoryStore

pytestmark = pytest.mark.row("D5", "D6")


class Noting:
    """Notes what it was asked to run, and fails where a test says so."""

    def __init__(self) -> None:
        self.ran: list[RunRequest] = []

    async def run(self, request: RunRequest) -> str:
        """Run nothing."""
        self.ran.append(request)
        if request.strategy == "failing":
            raise UserError("it cannot")
        return "ran"


async def worked_off(queue: RunRequests, last: str) -> list[RunRequest]:
    """Work the queue off until this run has ended."""
    runner = Noting()
    task = asyncio.create_task(queue.work(cast("Runner", runner)))
    try:
        await soon(lambda: queue.result(last))
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
    return runner.ran


@pytest.mark.parametrize(("waited_s", "may_enter"), [(0, True), (60, True), (61, False)])
async def test_a_run_that_waited_a_minute_enters_nothing(waited_s: int, *, may_enter: bool) -> None:
    """Its user asked for the prices of that moment; for whom it is stays."""
    store, clock = MemoryStore(), ManualClock()
    queue = RunRequests(store, clock)
    slot = clock.market_now() - timedelta(minutes=5)
    await queue.file(store, RunRequest("one", "s", slot, only="zerodha_mine01"))
    await clock.advance(waited_s)
    (ran,) = await worked_off(queue, "one")
    assert (ran.may_enter, ran.only, ran.slot_at) == (may_enter, "zerodha_mine01", slot)


async def test_a_run_that_fails_says_so_and_stops_no_other() -> None:
    """Who asked for it reads why; what is filed behind it is run."""
    store, clock = MemoryStore(), ManualClock()
    queue = RunRequests(store, clock)
    for run_id, name in (("first", "failing"), ("second", "s")):
        await queue.file(store, RunRequest(run_id, name, clock.market_now()))
        await clock.advance(1)
    assert len(await worked_off(queue, "second")) == 2
    assert await queue.result("first") == "failed: it cannot"


async def test_only_what_was_carried_out_is_forgotten() -> None:
    """A run that waits is kept, however old it is."""
    store, clock = MemoryStore(), ManualClock()
    queue = RunRequests(store, clock)
    await queue.file(store, RunRequest("done", "s", clock.market_now()))
    await worked_off(queue, "done")
    await queue.file(store, RunRequest("waits", "s", clock.market_now()))
    since, until = clock.now() - timedelta(days=1), clock.now() + timedelta(days=1)
    assert await forget_requests(store, since, until) == 1
    assert [row["_id"] for row in await store.find("run_requests", {})] == ["waits"]
