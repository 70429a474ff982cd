"""The message that a strategy has no market data says when they are there again (D10)."""

from __future__ import annotations

import asyncio

import pytest

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
    bars, said, is_away = bench.broker.bars.pop(SBIN), [], True

    async def says(_view: object, _outbox: object, key: str, *_: object, **__: object) -> None:
        if is_away:
            raise StoreUnavailable("the store is away")
        said.append(key)

    monkeypatch.setattr(runner, "end_alarm", says)
    async with asyncio.TaskGroup() as group:
        task = group.create_task(bench.run())
        while not task.done():  # it waits for them
            await bench.engine.clock.advance(1)
    assert "no market data" in task.result()
    bench.broker.bars[SBIN] = bars
    bench.strategy.want(Direction.LONG)
    assert await bench.run() == "1 entry order(s) on 1 account(s)"
    assert said == []
    is_away = False
    await bench.run()
    await bench.run()
    assert said == [f"trouble:data:{bench.strategy.name}"]
