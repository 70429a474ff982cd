"""A card shows orders as they go out: what waits for another stands below it (E1)."""

from __future__ import annotations

from datetime import timedelta

import pytest

from core.domain.order import OrderState, Purpose
from core.domain.target import Direction
from core.ports.store import Change
from tests.fakes.run_bench import TEN, RunBench


@pytest.mark.row("E1")
@pytest.mark.parametrize("state", [OrderState.INITIALIZED, OrderState.HELD])
async def test_the_entry_of_a_reversal_stands_below_its_exit(state: OrderState) -> None:
    """It was written down before the exit was sent, and waits until that is through."""
    bench = await RunBench().opened()
    bench.strategy.want(Direction.LONG)
    await bench.run()
    await bench.turns()
    slot = TEN + timedelta(minutes=5)
    await bench.engine.clock.advance_to(slot)
    bench.bars("815.00", until=slot)
    bench.strategy.want(Direction.SHORT, slot)
    await bench.run(slot)
    await bench.turns()
    store = bench.engine.store
    (row,) = [one for one in await store.find("runs", {}) if one["slot_at"] == slot]
    run_id = row["_id"]
    both = await store.find("orders", {"run_id": run_id})
    assert len(both) == 2
    (entry,) = [one for one in both if one["purpose"] == Purpose.ENTRY.value]
    before = min(one["created_at"] for one in both) - timedelta(seconds=1)
    waits = Change(set={"state": state.value, "submitted_at": None, "created_at": before})
    await store.update("orders", {"_id": entry["_id"]}, waits)
    (line,) = (await bench.engine.control.views.run(run_id)).lines
    assert [one.purpose for one in line.orders] == [Purpose.EXIT, Purpose.ENTRY]
