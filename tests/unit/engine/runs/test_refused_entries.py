"""Entries that a broker refuses: too large ones go in slices, blocked ones are not tried again."""

from __future__ import annotations

from datetime import timedelta
from itertools import count
from typing import Any

import pytest

from core.adapters.zerodha import ZERODHA
from core.domain.order import OrderState
from core.domain.outcome import Ambiguous, Cause, Refusal, Refused
from core.domain.target import Direction
from core.errors import StoreUnavailable
from tests.fakes.held import Freezes
from tests.fakes.run_bench import TEN, RunBench

pytestmark = pytest.mark.row("R3")

BLOCKED = "RMS:Blocked for nse_cm MIS Remarks: MIS PRODUCT TYPE BLOCKED block type: ALL"


async def a_bench(quantity: int, *, freeze: int | None = None) -> RunBench:
    bench = RunBench()
    bench.engine.brokers[ZERODHA].exchange_facts = None if freeze is None else Freezes(freeze)
    return await bench.opened(quantity)


async def enter(bench: RunBench, turns: int = 8) -> None:
    bench.strategy.want(Direction.LONG)
    await bench.run()
    await bench.turns(turns)


async def test_a_blocked_product_is_tried_once_a_day():
    """Five fresh signals: one order, and four notes with the broker's words (case c20)."""
    bench = await a_bench(2)
    bench.broker.answers = [Refused(Refusal.REJECTED, BLOCKED, cause=Cause.PRODUCT)] * 5
    for number in range(5):
        bench.strategy.want(Direction.LONG, TEN + timedelta(minutes=number))
        await bench.run()
        await bench.turns()
        await bench.engine.clock.advance(60)
    assert bench.sent() == [("BUY", 2)]
    assert BLOCKED in await bench.note()


async def test_an_entry_above_the_freeze_goes_in_slices():
    """The slices are rows of the run's commit, none too large, and together what is wanted."""
    bench = await a_bench(250, freeze=100)
    bench.strategy.want(Direction.LONG)
    await bench.run()
    rows = await bench.engine.orders()
    assert sorted(one.request.quantity for one in rows) == [50, 100, 100]
    assert {one.state for one in rows} == {OrderState.INITIALIZED}
    assert len({one.client_order_id for one in rows}) == 3
    bench.broker.largest = 100
    await bench.turns()
    assert bench.sent() == [("BUY", 100), ("BUY", 100), ("BUY", 50)]
    assert await bench.held() == 250


async def test_slices_work_beside_one_another_and_another_run_does_not():
    """While slices of an entry rest, the others are sent; the next run's entry waits."""
    bench = await a_bench(250, freeze=100)
    bench.broker.is_slow = True
    await enter(bench)
    assert bench.sent() == [("BUY", 100), ("BUY", 100), ("BUY", 50)]
    bench.strategy.want(Direction.LONG, TEN + timedelta(minutes=1))
    await bench.engine.clock.advance(20)
    await bench.run()
    await bench.turns()
    assert len(bench.sent()) == 3


@pytest.mark.parametrize("says", [True, False])
async def test_an_entry_refused_for_the_freeze_is_sent_in_slices(says: bool):
    """A freeze that the master does not know is learnt: by its number, or by halves."""
    bench = await a_bench(250)
    bench.broker.largest, bench.broker.says_largest = 100, says
    await enter(bench)
    taken = [units for _, units in bench.sent() if units <= 100]
    assert await bench.held() == sum(taken) == 250
    assert len(bench.sent()) - len(taken) == (1 if says else 3)


async def test_slices_go_on_after_a_restart(monkeypatch: pytest.MonkeyPatch):
    """A process that ends between two slices leaves the others to the next one, none twice."""
    bench = await a_bench(250, freeze=100)
    bench.strategy.want(Direction.LONG)
    await bench.run()
    gateway = bench.engine.wiring.gateway
    submit, calls = gateway.submit, count(1)

    async def ends(*given: Any) -> Any:
        if next(calls) == 2:
            raise StoreUnavailable("the process ends here")
        return await submit(*given)

    with monkeypatch.context() as patch:
        patch.setattr(gateway, "submit", ends)
        await bench.turns(1)
    assert bench.sent() == [("BUY", 100)]
    bench.worker = bench.engine.wiring.new_worker(bench.account.broker_id)
    await bench.turns()
    assert bench.sent() == [("BUY", 100), ("BUY", 100), ("BUY", 50)]


async def test_nothing_goes_beside_a_slice_of_unknown_fate():
    """A slice whose answer never came is a question; the others are dropped, not sent beside it."""
    bench = await a_bench(250, freeze=100)
    bench.broker.answers = [Ambiguous("no answer")]
    await enter(bench)
    assert bench.sent() == [("BUY", 100)]
    states = [one.state for one in await bench.engine.orders()]
    assert sorted(states) == [OrderState.DENIED, OrderState.DENIED, OrderState.UNRESOLVED]
