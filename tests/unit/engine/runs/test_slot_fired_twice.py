"""A slot that fires twice, by whatever fault, is run once (case S03)."""

from __future__ import annotations

import asyncio

import pytest

from core.domain.target import Direction
from core.engine.runs.plan import RunRequest
from tests.fakes.run_bench import TEN, RunBench

pytestmark = [pytest.mark.matrix("S03"), pytest.mark.invariant("I1"), pytest.mark.row("D2")]


@pytest.mark.parametrize("is_later", [False, True], ids=["at once", "after its orders"])
async def test_slot_that_fires_twice_enters_once(*, is_later: bool) -> None:
    """The second is told that it ran; it sends nothing, whatever the strategy wants by then."""
    bench = await RunBench().opened()
    bench.strategy.want(Direction.LONG)
    request = RunRequest("obedient|10:00", bench.strategy.name, TEN)
    run = bench.engine.wiring.runner.run
    if is_later:
        ends = [await run(request)]
        await bench.turns()
        bench.strategy.want(Direction.SHORT)
        ends.append(await run(request))
    else:
        ends = list(await asyncio.gather(run(request), run(request)))
    await bench.turns()
    assert sorted(ends) == ["1 entry order(s) on 1 account(s)", "this run was done already"]
    assert bench.sent() == [("BUY", 10)]
    assert len(await bench.engine.orders()) == 1
    assert (await bench.held(), await bench.goal()) == (10, 10)
