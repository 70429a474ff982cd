"""A stop that rests is not taken for protection: each that does not protect has its answer (R7)."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal

import pytest

from core.domain.broker import BrokerStatus
from core.domain.instrument import Product
from core.domain.notices.accounts import SoftwareStop
from core.domain.notices.orders import OrderRejected
from core.domain.notices.protection import StopCancelled, StopChanged, StopHit, Unprotected
from core.domain.order import OrderRequest, OrderType, Purpose
from core.domain.outcome import Ambiguous, Cause, Refusal, Refused, WriteOutcome
from core.domain.sessions import IST
from core.engine.orders.goals import retarget_goal
from tests.fakes.clock import ManualClock
from tests.fakes.desk import Desk, a_desk

pytestmark = pytest.mark.row("R7")
STOP = Decimal("800.00")
THROUGH = (
    "Trigger price for stoploss sell orders should be lower than the last traded price (790.00)."
)


@pytest.fixture
async def desk() -> Desk:
    """An account with 10 SBIN and a stop that rests."""
    desk = await a_desk()
    await desk.holds(10, STOP)
    assert [one.quantity for one in desk.at.resting()] == [10]
    return desk


def resting(desk: Desk) -> list[tuple[int, Decimal | None]]:
    return [(one.quantity, one.trigger_price) for one in desk.at.resting()]


def the_stop(desk: Desk) -> str:
    """Return the id of the only order that rests."""
    (stop,) = desk.at.resting()
    return stop.broker_order_id


async def move_stop(desk: Desk, price: Decimal) -> None:
    """Let a later run of the strategy move its stop."""
    goal = await desk.goal()
    moved = await retarget_goal(
        desk.engine.store, desk.key, stop_price=price, day=goal.day, at=desk.clock.now()
    )
    assert moved


def refusing_stops(reason: str):
    def answer(order: OrderRequest) -> WriteOutcome | None:
        if order.order_type is OrderType.SL_M:
            return Refused(Refusal.REJECTED, reason)
        return None

    return answer


async def test_stop_that_triggered_and_rests_is_chased(desk: Desk) -> None:
    """Seen OPEN at the broker it is an exit in progress: after chase_s it is closed at the market."""
    desk.at.put(the_stop(desk), is_triggered=True)
    await desk.turns(2)
    await desk.clock.advance(12)
    await desk.turns(2)
    assert len(desk.at.resting()) == 1 and await desk.orders(Purpose.EXIT) == []
    await desk.clock.advance(4)
    await desk.turns(6)
    assert (await desk.units(), desk.at.resting()) == (0, [])
    assert await desk.states(Purpose.EXIT) == ["FILLED"]
    (notice,) = await desk.engine.notices(StopHit)
    assert isinstance(notice, StopHit) and notice.quantity == 10


async def test_stop_that_filled_in_part_is_chased_for_the_rest(desk: Desk) -> None:
    """A fill proves that it triggered, at a broker that does not say so."""
    desk.at.put(the_stop(desk), filled_quantity=4, average_price=Decimal(799))
    await desk.turns(2)
    assert await desk.units() == 6
    await desk.clock.advance(16)
    await desk.turns(6)
    assert (await desk.units(), desk.at.resting()) == (0, [])
    assert [one.filled_quantity for one in await desk.orders(Purpose.EXIT)] == [6]


async def test_stop_refused_because_the_price_is_through_it_becomes_an_exit() -> None:
    """The same stop is not asked for again: what it should protect is closed at once."""
    desk = await a_desk()
    desk.at.answer = refusing_stops(THROUGH)
    await desk.holds(10, STOP)
    await desk.turns(3)
    assert await desk.units() == 0
    assert (await desk.states(Purpose.STOP), await desk.states(Purpose.EXIT)) == (
        ["REJECTED"],
        ["FILLED"],
    )


async def test_stop_that_is_moved_past_the_price_becomes_an_exit(desk: Desk) -> None:
    """The broker refuses the change, because the price is through the new trigger."""

    async def refuse(_id: str, _order: OrderRequest) -> WriteOutcome:
        return Refused(Refusal.REJECTED, THROUGH)

    desk.at.modify = refuse  # type: ignore[assignment,method-assign]
    await move_stop(desk, Decimal(812))
    await desk.turns(6)
    assert (await desk.units(), desk.at.resting()) == (0, [])


@pytest.mark.row("D9")
@pytest.mark.parametrize(
    ("message", "said"),
    [
        ("Order cannot be changed as it is already complete.", 0),
        ("Order has already been traded", 0),
        ("Maximum allowed order modifications exceeded.", 1),
    ],
)
async def test_stop_that_filled_while_it_was_moved_is_no_software_stop(
    desk: Desk, message: str, said: int
) -> None:
    """The next read shows how it ended; what rests on unmoved is said to be watched here."""
    number = the_stop(desk)

    async def refuse(_id: str, _order: OrderRequest) -> WriteOutcome:
        if not said:
            desk.at.fill(number)
        return Refused(Refusal.REJECTED, message)

    desk.at.modify = refuse  # type: ignore[assignment,method-assign]
    await move_stop(desk, Decimal(805))
    await desk.turns(6)
    assert len(await desk.engine.notices(SoftwareStop)) == said
    assert await desk.units() == (10 if said else 0)
    assert await desk.orders(Purpose.EXIT) == []


@pytest.mark.row("D9")
async def test_stop_refused_for_another_reason_is_not_asked_for_again() -> None:
    """It is said once; a stop at another price is asked for once more."""
    desk = await a_desk()
    desk.at.answer = refusing_stops("SL-M is not allowed for this instrument")
    await desk.holds(10, STOP)
    await desk.turns(20, apart_s=3)
    assert await desk.states(Purpose.STOP) == ["REJECTED"]
    assert len(await desk.engine.notices(SoftwareStop)) == 1
    await move_stop(desk, STOP)
    await desk.turns(3)
    assert await desk.states(Purpose.STOP) == ["REJECTED"]
    await move_stop(desk, Decimal(802))
    await desk.clock.advance(3)
    await desk.turns(5)
    assert await desk.states(Purpose.STOP) == ["REJECTED", "REJECTED"]


@pytest.mark.row("D9")
async def test_stop_that_waits_for_the_market_is_refused_many_times_and_told_once() -> None:
    """The broker says that the market is closed: it is tried again, and goes when it opens."""
    desk = await a_desk()
    closed = Refused(Refusal.REJECTED, "the market is closed", cause=Cause.CLOSED)
    desk.at.answer = lambda order: closed if order.order_type is OrderType.SL_M else None
    await desk.holds(10, STOP)
    await desk.turns(40, apart_s=3)
    assert 4 <= (await desk.states(Purpose.STOP)).count("REJECTED") <= 10
    assert len(await desk.engine.notices(OrderRejected)) == 1
    assert len(await desk.engine.notices(Unprotected)) == 1
    desk.at.answer = lambda _order: None
    await desk.turns(25, apart_s=3)
    assert resting(desk) == [(10, STOP)]


@pytest.mark.matrix("B08")
async def test_stop_that_a_person_cancels_is_asked_about_once(desk: Desk) -> None:
    """It is not fought over, not by a later slot either; the button puts it back."""
    desk.at.put(the_stop(desk), status=BrokerStatus.CANCELED)
    await desk.turns(20, apart_s=3)
    await move_stop(desk, Decimal(801))
    await desk.turns(5)
    assert desk.at.resting() == [] and len(await desk.orders(Purpose.STOP)) == 1
    (notice,) = await desk.engine.notices(StopCancelled)
    assert isinstance(notice, StopCancelled) and notice.reason == ""
    (key,) = await desk.engine.control.stops.absent(desk.broker_id)
    await desk.engine.control.stops.put_back(desk.engine.command(), desk.broker_id, key)
    await desk.turns(3)
    assert resting(desk) == [(10, Decimal(801))]


async def test_stop_cancelled_in_the_chat_does_not_come_back(desk: Desk) -> None:
    """A later slot that moves the stop of the goal places none."""
    (stop,) = await desk.orders(Purpose.STOP)
    await desk.engine.control.orders.cancel(
        desk.engine.command(), desk.broker_id, stop.client_order_id
    )
    await move_stop(desk, Decimal(803))
    await desk.turns(10, apart_s=3)
    assert desk.at.resting() == []
    assert await desk.engine.notices(StopCancelled) == []


async def test_stop_that_the_broker_cancels_is_put_back_once(desk: Desk) -> None:
    """The second time it is watched in software, and said."""
    message = "Order cancelled by the exchange"
    for _ in range(3):
        for one in desk.at.resting():
            desk.at.put(one.broker_order_id, status=BrokerStatus.CANCELED, message=message)
        await desk.turns(8, apart_s=1)
    assert await desk.states(Purpose.STOP) == ["CANCELED", "CANCELED"]
    (notice,) = await desk.engine.notices(StopCancelled)
    assert isinstance(notice, StopCancelled) and "exchange" in notice.reason


async def test_trigger_that_a_person_moves_is_kept(desk: Desk) -> None:
    """Theirs is kept for the day, whatever the strategy's stop does, and said once."""
    await desk.clock.advance(6)
    desk.at.put(the_stop(desk), trigger_price=Decimal(790))
    await desk.turns(3)
    await move_stop(desk, Decimal(805))
    await desk.turns(10, apart_s=3)
    assert resting(desk) == [(10, Decimal(790))]
    (notice,) = await desk.engine.notices(StopChanged)
    assert isinstance(notice, StopChanged)
    assert (notice.old_trigger, notice.new_trigger) == (STOP, Decimal(790))


async def test_units_that_a_person_takes_from_a_stop_are_covered_beside_it(desk: Desk) -> None:
    """A second stop stands for the rest; the first is not touched."""
    await desk.clock.advance(6)
    first = the_stop(desk)
    desk.at.put(first, quantity=6)
    await desk.turns(4)
    assert sorted(resting(desk)) == [(4, STOP), (6, STOP)]
    assert desk.at.order_list[first].status is BrokerStatus.WORKING


async def test_stop_that_is_moved_keeps_the_old_until_the_new_is_taken(desk: Desk) -> None:
    """At a broker that takes no change the old one rests on; it is never cancelled to be moved."""
    desk.at.changes = False
    await move_stop(desk, Decimal(806))
    for _ in range(10):
        await desk.turns(1, apart_s=2)
        assert resting(desk) == [(10, STOP)]
    assert len(await desk.engine.notices(SoftwareStop)) == 1
    desk.at.changes = True
    await move_stop(desk, Decimal(807))
    await desk.turns(3)
    assert resting(desk) == [(10, Decimal(807))]


async def test_read_that_lags_behind_a_move_is_no_deed_of_a_person(desk: Desk) -> None:
    """The old trigger in a late read changes nothing and is not said to be somebody's."""
    await move_stop(desk, Decimal(806))
    await desk.turns(2)
    desk.at.put(the_stop(desk), trigger_price=STOP)
    await desk.turns(10, apart_s=3)
    (stop,) = await desk.orders(Purpose.STOP)
    assert stop.request.trigger_price == Decimal(806)
    assert await desk.engine.notices(StopChanged) == []


@pytest.mark.parametrize("lags", [False, True])
@pytest.mark.parametrize("then", ["taken", "refused", "wanted back"])
async def test_own_change_without_an_answer_is_no_deed_of_a_person(
    desk: Desk, then: str, *, lags: bool
) -> None:
    """It took effect: whatever is asked next, the stop stays ours and follows the strategy (R7)."""
    modify, asked = desk.at.modify, 0

    async def loses_the_first_answer(broker_order_id: str, order: OrderRequest) -> WriteOutcome:
        nonlocal asked
        asked += 1
        if asked == 1:
            await modify(broker_order_id, order)
            if lags:
                desk.at.put(broker_order_id, trigger_price=STOP)
            return Ambiguous("no answer")
        if then == "refused" and order.trigger_price == Decimal(805):
            return Refused(Refusal.REJECTED, "order has not been changed")
        return await modify(broker_order_id, order)

    desk.at.modify = loses_the_first_answer  # type: ignore[method-assign]
    await move_stop(desk, Decimal(805))
    await desk.turns(2)
    if then == "wanted back":
        await move_stop(desk, STOP)
    if lags:  # the broker shows the old trigger for ten seconds
        await desk.turns(10, apart_s=1)
        desk.at.put(the_stop(desk), trigger_price=Decimal(805))
    await desk.turns(20, apart_s=1)
    assert await desk.engine.notices(StopChanged) == []
    await move_stop(desk, Decimal(810))
    await desk.turns(20, apart_s=1)
    (stop,) = await desk.orders(Purpose.STOP)
    assert resting(desk) == [(10, Decimal(810))]
    assert not stop.is_changed_outside
    assert await desk.engine.notices(StopChanged) == []


@pytest.mark.row("D9")
async def test_entry_that_goes_on_filling_gets_a_second_stop(desk: Desk) -> None:
    """What is too small is not cancelled: the rest is covered beside it."""
    (ledger,) = await desk.engine.ledgers()
    grown = replace(ledger, quantity=15)
    await desk.engine.store.delete("ledgers", {"_id": ledger.key})
    await desk.engine.hold(grown)
    await desk.wants(15, STOP)
    for key, position in desk.at.position_list.items():
        desk.at.position_list[key] = replace(position, quantity=15)
    for _ in range(4):
        await desk.turns(1)
        assert (10, STOP) in resting(desk)
    assert sorted(resting(desk)) == [(5, STOP), (10, STOP)]


@pytest.mark.row("R8")
async def test_stop_shrinks_with_what_is_held(desk: Desk) -> None:
    """Less is held: the stop is made smaller, in the turn that learns it."""
    (ledger,) = await desk.engine.ledgers()
    await desk.engine.store.delete("ledgers", {"_id": ledger.key})
    await desk.engine.hold(replace(ledger, quantity=4))
    await desk.wants(4, STOP)
    await desk.turns(1)
    assert resting(desk) == [(4, STOP)]


@pytest.mark.row("D9", "R3")
@pytest.mark.parametrize("reason", ["", "SL-M is not allowed for this instrument"])
async def test_stop_of_a_carried_position_goes_out_at_the_open(reason: str) -> None:
    """After a holiday: at midnight nothing is sent, at 09:15 the stop is, even if another day's was refused."""
    market = datetime(2026, 11, 23, 15, 0, tzinfo=IST)
    desk = await a_desk(ManualClock(market.astimezone(UTC)))
    desk.product = Product.NRML
    if reason:
        desk.at.answer = refusing_stops(reason)
    await desk.holds(10, STOP)
    for one in desk.at.resting():
        desk.at.put(one.broker_order_id, status=BrokerStatus.CANCELED)
    desk.at.answer = lambda _order: None
    await desk.clock.advance_to(market.replace(hour=15, minute=31))
    placed = len(desk.at.placed)
    await desk.turns(5, apart_s=60)
    await desk.clock.advance_to(datetime(2026, 11, 25, 0, 1, tzinfo=IST))
    desk.at.order_list.clear()
    await desk.engine.log_in(await desk.engine.wiring.accounts.get(desk.broker_id))
    await desk.turns(5, apart_s=60)
    assert len(desk.at.placed) == placed
    await desk.clock.advance_to(datetime(2026, 11, 25, 9, 15, tzinfo=IST))
    await desk.turns(5)
    assert resting(desk) == [(10, STOP)]
    assert await desk.engine.notices(StopCancelled) == []


@pytest.mark.row("D9")
async def test_stop_that_ends_in_the_last_minute_was_ended_by_the_exchange() -> None:
    """Its clock may be ahead: nobody is asked about it, and the next day's stop goes out."""
    market = datetime(2026, 11, 23, 15, 0, tzinfo=IST)
    desk = await a_desk(ManualClock(market.astimezone(UTC)))
    desk.product = Product.NRML
    await desk.holds(10, STOP)
    await desk.clock.advance_to(market.replace(hour=15, minute=29, second=20))
    for one in desk.at.resting():
        desk.at.put(one.broker_order_id, status=BrokerStatus.CANCELED)
    await desk.turns(20, apart_s=3)
    assert await desk.states(Purpose.STOP) == ["CANCELED"]
    assert await desk.engine.notices(StopCancelled) == []
    await desk.clock.advance_to(datetime(2026, 11, 25, 9, 15, tzinfo=IST))
    desk.at.order_list.clear()
    await desk.engine.log_in(await desk.engine.wiring.accounts.get(desk.broker_id))
    await desk.turns(5)
    assert resting(desk) == [(10, STOP)]
