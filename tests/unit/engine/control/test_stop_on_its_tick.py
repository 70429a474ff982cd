"""A run's card tells the stop as it is placed at the exchange, not as a strategy works it out."""

from __future__ import annotations

from decimal import Decimal

import pytest

from core.domain.order import Purpose
from core.domain.target import Direction
from tests.fakes.run_bench import RunBench


@pytest.mark.row("E1")
@pytest.mark.parametrize(
    ("direction", "wanted", "placed"),
    [
        (Direction.LONG, "801.77", "801.75"),
        (Direction.SHORT, "820.77", "820.80"),
        (Direction.LONG, "801.75", "801.75"),
    ],
    ids=["long", "short", "on the grid"],
)
async def test_the_card_and_the_order_have_one_price(
    direction: Direction, wanted: str, placed: str
) -> None:
    """SBIN trades in steps of five paise: what is shown is what rests, away from the price."""
    bench = await RunBench().opened()
    bench.strategy.want(direction, stop=Decimal(wanted))
    await bench.run()
    await bench.turns(6)
    view = await bench.engine.control.views.last_run(bench.strategy.name)
    assert view is not None
    assert [one.stop_price for one in view.targets] == [Decimal(placed)]
    stops = [one for line in view.lines for one in line.orders if one.purpose is Purpose.STOP]
    assert [one.trigger_price for one in stops] == [Decimal(placed)]
