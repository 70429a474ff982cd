"""Who waits for a newer read shares it, and is never served by one that began before."""

from __future__ import annotations

import asyncio

import pytest

from core.engine.workers.shared_read import SharedRead


async def test_who_asks_while_a_read_runs_shares_the_next():
    """Four ask: the first is served by its own read, the three that came after it by one more."""
    gates = [asyncio.Event(), asyncio.Event(), asyncio.Event()]
    begun: list[int] = []

    async def read() -> None:
        begun.append(len(begun))
        await gates[begun[-1]].wait()

    shared = SharedRead(read)
    async with asyncio.timeout(150), asyncio.TaskGroup() as group:
        first, *others = [group.create_task(shared()) for _ in range(4)]
        while not begun:
            await asyncio.sleep(0)
        gates[0].set()
        while len(begun) < 2:
            await asyncio.sleep(0)
        assert first.done()
        assert not any(task.done() for task in others)
        gates[1].set()
    assert begun == [0, 1]


async def test_a_failed_read_serves_nobody():
    """Who asked gets the error; the next read is a new one."""
    answers: list[Exception | None] = [RuntimeError("away"), None]
    begun = 0

    async def read() -> None:
        nonlocal begun
        begun += 1
        error = answers.pop(0)
        if error is not None:
            raise error

    shared = SharedRead(read)
    with pytest.raises(RuntimeError):
        await shared()
    await shared()
    assert begun == 2
