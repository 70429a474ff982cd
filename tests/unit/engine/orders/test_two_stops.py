"""Several stops of one ledger: each makes way and comes back, whatever became of the others (R6)."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import pytest

from core.domain.mode import TradingMode
from core.domain.notices.protection import ExitDenied, StopRestored
from core.domain.order import OrderRequest, OrderType, Purpose
from core.domain.outcome import Refusal, Refused, WriteOutcome
from core.engine.orders.ledgers import put_ledger
from tests.fakes.desk import Desk, a_desk

pytestmark = pytest.mark.row("R6")
STOP = Decimal("800.00")


@pytest.fixture
async def desk() -> Desk:
    """An account with 10 SBIN and a stop that rests."""
    desk = await a_desk()
    await desk.holds(10, STOP)
    return desk


async def fills_5_more(desk: Desk) -> None:
    """Let the entry fill for 15 in all, as if it had gone on."""
    (ledger,) = await desk.engine.ledgers()
    await desk.engine.store.delete("ledgers", {"_id": ledger.key})
    await desk.engine.hold(replace(ledger, quantity=5))
    await put_ledger(desk.engine.store, replace(ledger, quantity=15))
    for key, position in desk.at.position_list.items():
        desk.at.position_list[key] = replace(position, quantity=15, day_buy_quantity=15)
    await desk.wants(15, STOP)
    await desk.turns(6)


def resting(desk: Desk) -> list[int]:
    return sorted(one.quantity for one in desk.at.resting())


def refusing(kind: OrderType, reason: str = "RMS: blocked"):
    def answer(order: OrderRequest) -> WriteOutcome | None:
        return Refused(Refusal.REJECTED, reason) if order.order_type is kind else None

    return answer


@pytest.mark.matrix("B09")
async def test_stop_comes_back_when_the_next_may_not_make_way(desk: Desk) -> None:
    """The positions are gone after the first of two cancels: the first is put back beside the second."""
    await fills_5_more(desk)
    assert resting(desk) == [5, 10]
    await desk.engine.control.modes.set(
        desk.engine.command(), TradingMode.EXIT_ONLY, desk.broker_id
    )
    cancel = desk.at.cancel

    async def cancel_and_lose(broker_order_id: str) -> WriteOutcome:
        desk.at.position_list.clear()
        return await cancel(broker_order_id)

    desk.at.cancel = cancel_and_lose  # type: ignore[method-assign]
    await desk.wants(0, run_id="orb|flat")
    await desk.turns(30, apart_s=1)
    assert await desk.states(Purpose.STOP) == ["CANCELED", "ACCEPTED", "ACCEPTED"]
    assert resting(desk) == [5, 10]
    assert len(await desk.engine.notices(StopRestored)) == 1
    (notice,) = await desk.engine.notices(ExitDenied)
    assert isinstance(notice, ExitDenied) and notice.has_stop


async def test_denied_exit_does_not_claim_a_stop_that_covers_a_part(desk: Desk) -> None:
    """A stop rests for 10 of 15, the other was refused: the notice does not say that it keeps resting."""
    desk.at.answer = refusing(OrderType.SL_M)
    await fills_5_more(desk)
    assert resting(desk) == [10]
    await desk.engine.control.modes.set(
        desk.engine.command(), TradingMode.EXIT_ONLY, desk.broker_id
    )
    desk.at.position_list.clear()
    await desk.wants(0, run_id="orb|flat")
    await desk.turns(10, apart_s=2)
    (notice,) = await desk.engine.notices(ExitDenied)
    assert isinstance(notice, ExitDenied) and not notice.has_stop


async def test_stop_comes_back_although_another_was_refused_before(desk: Desk) -> None:
    """The exit is refused: the 10 that made way rest again, the 5 that were refused are not asked for."""
    desk.at.answer = refusing(OrderType.SL_M, "insufficient funds")
    await fills_5_more(desk)
    assert resting(desk) == [10]
    desk.at.answer = refusing(OrderType.MARKET)
    await desk.wants(0, run_id="orb|flat")
    await desk.turns(12, apart_s=1)
    assert resting(desk) == [10]
    assert (await desk.states(Purpose.STOP))[:2] == ["CANCELED", "REJECTED"]
    await desk.turns(40, apart_s=5)
    stops = [one.request.quantity for one in await desk.orders(Purpose.STOP)]
    assert resting(desk) == [10] and set(stops[2:]) == {10}


@pytest.mark.row("R7")
async def test_every_stop_trails(desk: Desk) -> None:
    """A price off the tick grid: each is moved to the tick, once."""
    await fills_5_more(desk)
    await desk.wants(15, Decimal("805.03"))
    await desk.turns(10)
    assert [one.trigger_price for one in desk.at.resting()] == [Decimal("805.00")] * 2
    assert resting(desk) == [5, 10]


@pytest.mark.row("R7")
async def test_stop_that_is_not_moved_holds_back_no_other(desk: Desk) -> None:
    """The broker refuses to change the first: it stays, the second is moved."""
    await fills_5_more(desk)
    modify, first = desk.at.modify, desk.at.resting()[0].broker_order_id

    async def but_the_first(broker_order_id: str, order: OrderRequest) -> WriteOutcome:
        if broker_order_id == first:
            return Refused(Refusal.REJECTED, "this order cannot be changed")
        return await modify(broker_order_id, order)

    desk.at.modify = but_the_first  # type: ignore[method-assign]
    await desk.wants(15, Decimal("805.03"))
    await desk.turns(10)
    assert [one.trigger_price for one in desk.at.resting()] == [STOP, Decimal("805.00")]
