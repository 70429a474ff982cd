"""The message that a strategy has no market data says when they are there again (D10)."""

from __future__ import annotations

import asyncio

import pytest

from core.domain.notices.protection import AlarmOver
from core.domain.notices.runs import DataMissing
from core.domain.target import Direction
from core.engine.runs import runner
from core.errors import StoreUnavailable
from tests.fakes.brokers import SBIN
from tests.fakes.run_bench import RunBench

pytestmark = pytest.mark.row("D10")


async def test_run_is_no_failure_because_its_data_could_not_be_told_of(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Its orders are committed by then; the next run says it, and the one after says nothing."""
    bench = await RunBench().opened()
    bars = bench.broker.bars.pop(SBIN)

    async def away(*_: object) -> None:
        raise StoreUnavailable("the store is away")

    async with asyncio.TaskGroup() as group:
        task = group.create_task(bench.run())
        while not task.done():  # it waits for them
            await bench.engine.clock.advance(1)
    assert "no market data" in task.result()
    bench.broker.bars[SBIN] = bars
    bench.strategy.want(Direction.LONG)
    with monkeypatch.context() as patched:
        patched.setattr(runner, "end_trouble", away)
        assert await bench.run() == "1 entry order(s) on 1 account(s)"
    assert await bench.engine.notices(AlarmOver) == []
    await bench.run()
    await bench.run()
    (over,) = await bench.engine.notices(AlarmOver)
    assert isinstance(over, AlarmOver)
    assert (over.alarm, over.subject) == (DataMissing.kind, bench.strategy.name)
