"""Hints of a stream wake the worker, together and within a rate; the stream follows the login."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from core.engine.workers.hint_budget import HintBudget
from core.engine.workers.updates_follower import UpdatesFollower
from tests.fakes.clock import ManualClock
from tests.fakes.scripted_broker import ScriptedAccount
from tests.fakes.scripted_stream import ScriptedStream


class Waked:
    """A follower that runs, and how often it woke its worker."""

    def __init__(self) -> None:
        self.clock = ManualClock()
        self.times = 0
        self.follower = UpdatesFollower("zerodha_aaaaaaaaaa", self.clock, self._wake)

    def _wake(self) -> None:
        self.times += 1

    async def follows(self, *, runs: int = 1) -> tuple[ScriptedAccount, ScriptedStream]:
        """Show it a new client, and wait until its stream runs."""
        client, stream = ScriptedAccount(), ScriptedStream()
        client.stream = stream
        self.follower.follow(client)
        await self.clock.advance(0)
        assert stream.runs == runs
        return client, stream


@asynccontextmanager
async def following() -> AsyncIterator[Waked]:
    """Run a follower until the block ends."""
    waked = Waked()
    task = asyncio.create_task(waked.follower.run())
    try:
        yield waked
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


async def test_frames_of_one_moment_are_one_read() -> None:
    """However many frames come within some milliseconds, the worker is woken once, and soon."""
    async with following() as waked:
        _, stream = await waked.follows()
        stream.say(50)
        await waked.clock.advance(0.005)
        stream.say(50)
        assert waked.times == 0
        await waked.clock.advance(0.006)
        assert (waked.times, waked.follower.hints) == (1, 100)
        await waked.clock.advance(60)
        assert waked.times == 1


async def test_flood_costs_a_read_a_second_and_its_end_is_read() -> None:
    """A frame every 20 ms for 20 s wakes some 24 times, and once more after the last frame."""
    async with following() as waked:
        _, stream = await waked.follows()
        for _ in range(1000):
            stream.say()
            await waked.clock.advance(0.02)
        assert 20 <= waked.times <= 25
        before = waked.times
        await waked.clock.advance(2)
        assert waked.times == before + 1


async def test_stream_follows_the_login() -> None:
    """A new login's stream takes the place of the old one's; without a login there is none."""
    async with following() as waked:
        first, old = await waked.follows()
        waked.follower.follow(first)
        await waked.clock.advance(0)
        assert (old.runs, old.ended) == (1, 0)
        _, new = await waked.follows()
        assert (old.ended, new.ended, waked.follower.is_live) == (1, 0, True)
        waked.follower.follow(None)
        await waked.clock.advance(0)
        assert (new.ended, waked.follower.is_live, waked.follower.status) == (1, False, None)


async def test_broker_without_updates_is_polled() -> None:
    """Nothing runs, and nothing is live."""
    async with following() as waked:
        waked.follower.follow(ScriptedAccount())
        await waked.clock.advance(3600)
        assert (waked.times, waked.follower.is_live, waked.clock.sleepers) == (0, False, 0)


async def test_fault_in_a_stream_takes_nobody_along(caplog: pytest.LogCaptureFixture) -> None:
    """It is logged whole, the follower goes on, and the stream is tried again after a while."""
    async with following() as waked:
        client, stream = ScriptedAccount(), ScriptedStream()
        client.stream, stream.trouble = stream, RuntimeError("a fault")
        waked.follower.follow(client)
        await waked.clock.advance(0)
        assert stream.runs == 1 and "a fault" in caplog.text
        stream.trouble = None
        await waked.clock.advance(301)
        assert (stream.runs, stream.ended) == (2, 1)
        stream.say()
        await waked.clock.advance(1)
        assert waked.times == 1


async def test_budget_allows_some_at_once_then_one_a_second() -> None:
    """Four at once; the next waits for its second; what is unused comes back, up to four."""
    clock = ManualClock()
    budget = HintBudget(clock)
    for _ in range(4):
        await budget.take()
    fifth = asyncio.create_task(budget.take())
    await clock.advance(0.9)
    assert not fifth.done()
    await clock.advance(0.2)
    assert fifth.done()
    await clock.advance(100)
    for _ in range(4):
        await budget.take()
    assert clock.sleepers == 0
