"""Protection is never worse after an act than before it: a stop goes when its exit may go (R6)."""

from __future__ import annotations

from collections import Counter
from decimal import Decimal

import pytest

from core.domain.broker import BrokerStatus
from core.domain.mode import TradingMode
from core.domain.notices.exits import ExitStuck
from core.domain.notices.orders import OrderRejected
from core.domain.notices.protection import ExitDenied, StopRestored, Unprotected
from core.domain.order import OrderRequest, OrderState, OrderType, Purpose
from core.domain.outcome import Acked, NotSent, Refusal, Refused, WriteOutcome
from core.engine.orders.goals import UserClose
from tests.fakes.desk import Desk, a_desk

pytestmark = pytest.mark.row("R6")
STOP = Decimal("800.00")


@pytest.fixture
async def desk() -> Desk:
    """An account with 10 SBIN and a stop that rests."""
    desk = await a_desk()
    await desk.holds(10, STOP)
    assert [one.quantity for one in desk.at.resting()] == [10]
    return desk


def refusing_exits(order: OrderRequest) -> WriteOutcome | None:
    """Refuse what is sent at the market."""
    if order.order_type is OrderType.MARKET:
        return Refused(Refusal.REJECTED, "RMS: blocked for this product")
    return None


async def mode(desk: Desk, wanted: TradingMode) -> None:
    """Set the account's mode as a user does."""
    await desk.engine.control.modes.set(desk.engine.command(), wanted, desk.broker_id)


@pytest.mark.matrix("B09")
async def test_stop_stays_while_its_exit_would_be_denied(desk: Desk) -> None:
    """EXIT_ONLY and positions that contradict the fills: the stop rests on, one notice says why."""
    await mode(desk, TradingMode.EXIT_ONLY)
    shown = dict(desk.at.position_list)
    desk.at.position_list.clear()
    await desk.wants(0, run_id="orb|flat")
    await desk.turns(12, apart_s=2)
    assert [one.quantity for one in desk.at.resting()] == [10]
    assert await desk.orders(Purpose.EXIT) == []
    (notice,) = await desk.engine.notices(ExitDenied)
    assert isinstance(notice, ExitDenied) and notice.has_stop
    assert "contradict" in notice.reason
    desk.at.position_list.update(shown)
    await desk.turns(10)
    await desk.clock.advance(6)
    await desk.turns(10)
    assert (await desk.units(), desk.at.resting()) == (0, [])


async def test_stop_goes_back_when_the_exit_is_refused(desk: Desk) -> None:
    """Between two tries of an exit that the broker refuses the stop rests, and this is said once."""
    desk.at.answer = refusing_exits
    await desk.wants(0, run_id="orb|flat")
    for _ in range(40):
        await desk.turns(1)
        held, rests = await desk.units(), [one.quantity for one in desk.at.resting()]
        assert held == 10 and rests in ([10], [])
    exits = await desk.orders(Purpose.EXIT)
    assert {one.state.value for one in exits} == {"REJECTED"}
    assert [one.quantity for one in desk.at.resting()] == [10]
    assert [one.trigger_price for one in desk.at.resting()] == [STOP]
    (notice,) = await desk.engine.notices(StopRestored)
    assert isinstance(notice, StopRestored) and "RMS" in notice.reason
    # Refused again in the same words: that it is not through is what is told from then on.
    assert len(exits) > 1 and len(await desk.engine.notices(OrderRejected)) == 1
    desk.at.answer = lambda _order: None
    await desk.clock.advance(60)
    await desk.turns(10)
    assert (await desk.units(), desk.at.resting()) == (0, [])


@pytest.mark.matrix("B09")
async def test_stop_goes_back_when_the_exit_is_denied_after_it_went(desk: Desk) -> None:
    """The positions are gone just after the stop's cancel: unknown, so the stop is put back."""
    await mode(desk, TradingMode.EXIT_ONLY)
    cancel = desk.at.cancel

    async def cancel_and_lose(broker_order_id: str) -> WriteOutcome:
        desk.at.position_list.clear()
        return await cancel(broker_order_id)

    desk.at.cancel = cancel_and_lose  # type: ignore[method-assign]
    await desk.wants(0, run_id="orb|flat")
    await desk.turns(6)
    assert await desk.orders(Purpose.EXIT) == []
    assert [one.quantity for one in desk.at.resting()] == [10]
    assert len(await desk.engine.notices(StopRestored)) == 1


async def test_stop_that_was_refused_meanwhile_is_not_asked_for_again(desk: Desk) -> None:
    """A broker that takes neither the exit nor the stop gets no series of stops."""
    desk.at.answer = lambda _order: Refused(Refusal.REJECTED, "the account is blocked")
    await desk.wants(0, run_id="orb|flat")
    await desk.turns(60, apart_s=1)
    assert await desk.states(Purpose.STOP) == ["CANCELED", "REJECTED"]
    assert len(await desk.orders(Purpose.EXIT)) < 8
    assert await desk.engine.notices(StopRestored) == []


@pytest.mark.row("R3")
@pytest.mark.matrix("B12")
@pytest.mark.parametrize(
    ("message", "why"),
    [
        ("cancelled by the exchange", "cancelled by the exchange"),
        ("", "it was cancelled at the broker, not by me"),
    ],
)
async def test_exit_that_is_cancelled_at_once_is_no_storm(
    desk: Desk, message: str, why: str
) -> None:
    """It goes again after pauses that grow, the stop rests between, and both are said once."""
    place = desk.at.place

    async def taken_away(order: OrderRequest) -> WriteOutcome:
        if order.order_type is not OrderType.MARKET:
            return await place(order)
        number = desk.at.show(order).broker_order_id
        desk.at.put(number, status=BrokerStatus.CANCELED, message=message)
        return Acked(number)

    desk.at.place = taken_away  # type: ignore[method-assign]
    await desk.wants(0, run_id="orb|flat")
    await desk.turns(120, apart_s=1)
    exits = await desk.orders(Purpose.EXIT)
    assert 5 <= len(exits) <= 8
    assert {one.state for one in exits} == {OrderState.CANCELED}
    assert [(one.order_type, one.quantity) for one in desk.at.resting()] == [(OrderType.SL_M, 10)]
    (back,) = await desk.engine.notices(StopRestored)
    assert isinstance(back, StopRestored) and back.reason == why
    (stuck,) = await desk.engine.notices(ExitStuck)
    assert isinstance(stuck, ExitStuck) and why in stuck.reason
    desk.at.place = place  # type: ignore[method-assign]
    await desk.clock.advance(60)
    await desk.turns(5, apart_s=1)
    assert (await desk.units(), desk.at.resting()) == (0, [])


@pytest.mark.row("R3")
@pytest.mark.parametrize(
    "outcome",
    [
        NotSent("no connection"),
        Refused(Refusal.PERMISSION, "this address is not registered"),
        Refused(Refusal.THROTTLED, "slow down"),
    ],
    ids=["not sent", "no permission", "throttled"],
)
async def test_what_takes_neither_exit_nor_stop_gets_no_storm_of_either(
    desk: Desk, outcome: WriteOutcome
) -> None:
    """Both are tried after pauses that grow; when orders are taken again the exit goes."""
    answer, tried = desk.at.answer, desk.at.placed
    desk.at.answer = lambda _order: outcome
    await desk.wants(0, run_id="orb|flat")
    tried.clear()
    await desk.turns(120, apart_s=2.5)
    kinds = Counter(one.order_type for one in tried)
    assert kinds.keys() == {OrderType.MARKET, OrderType.SL_M}
    assert all(6 <= times <= 12 for times in kinds.values())
    desk.at.answer = answer
    await desk.turns(28, apart_s=2.5)
    assert (await desk.units(), desk.at.resting()) == (0, [])


async def test_stop_is_said_to_be_back_only_when_it_is(desk: Desk) -> None:
    """PAUSED comes between its cancel and its return: it may not go back, and nothing says so."""
    cancel = desk.at.cancel

    async def cancel_and_pause(broker_order_id: str) -> WriteOutcome:
        outcome = await cancel(broker_order_id)
        await mode(desk, TradingMode.PAUSED)
        return outcome

    desk.at.cancel = cancel_and_pause  # type: ignore[method-assign]
    await desk.wants(0, run_id="orb|flat")
    await desk.turns(20, apart_s=1)
    assert desk.at.resting() == []
    assert await desk.engine.notices(StopRestored) == []
    assert len(await desk.engine.notices(Unprotected)) == 1


@pytest.mark.row("C2", "E4")
@pytest.mark.matrix("N09", "B12")
async def test_close_in_pause_with_a_stop_is_followed_to_its_end(desk: Desk) -> None:
    """PAUSED, a 429, then an exit that rests: the stop makes way, and the position is closed."""
    await mode(desk, TradingMode.PAUSED)
    refusals = [Refused(Refusal.THROTTLED, "slow down", retry_after_s=0.5)]
    desk.at.answer = lambda order: (
        refusals.pop() if refusals and order.order_type is OrderType.MARKET else None
    )
    desk.at.rests = True
    await desk.wants(0, run_id="manual|1", close=UserClose(despite_pause=True))
    await desk.turns(20, apart_s=0.5)
    assert [one.order_type for one in desk.at.resting()] == [OrderType.MARKET]
    desk.at.rests = False
    await desk.turns(20)
    await desk.clock.advance(15)
    await desk.turns(10)
    assert (await desk.units(), desk.at.resting()) == (0, [])
    assert await desk.states(Purpose.EXIT) == ["DENIED", "CANCELED", "FILLED"]
