"""A later run keeps a goal as it stands, with what became of its stop (rows D3, R7)."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import pytest

from core.domain.broker import BrokerStatus
from core.domain.order import OrderType
from core.domain.target import Direction
from tests.fakes.run_bench import RunBench

pytestmark = pytest.mark.row("D3", "R7")


def stops(bench: RunBench) -> list[Decimal | None]:
    """Return the triggers of all stops that were sent."""
    return [one.trigger_price for one in bench.broker.placed if one.order_type is OrderType.SL_M]


async def test_a_later_run_asks_for_no_stop_that_a_person_took_away() -> None:
    """The strategy repeats its goal at each slot: that is no reason to fight over the stop."""
    bench = await RunBench().opened()
    bench.strategy.want(Direction.LONG, stop=Decimal("800.00"))
    await bench.run()
    await bench.turns()
    assert stops(bench) == [Decimal("800.00")]
    listed = bench.broker.order_list
    (shown,) = [one for one in listed.values() if one.trigger_price is not None]
    listed[shown.broker_order_id] = replace(shown, status=BrokerStatus.CANCELED)
    await bench.turns()
    (before,) = await bench.engine.store.find("goals", {})
    for _ in range(2):
        await bench.engine.clock.advance(300)
        bench.bars("815.00", until=bench.engine.clock.market_now())
        await bench.run()
        await bench.turns()
    (after,) = await bench.engine.store.find("goals", {})
    assert stops(bench) == [Decimal("800.00")]
    assert (after["run_id"], after["can_rest"]) == (before["run_id"], False)
    assert await bench.held() == 10
