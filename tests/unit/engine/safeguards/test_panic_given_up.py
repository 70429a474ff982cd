"""What a strategy still holds when a panic is given up: its stop, as it was, and a word at its end."""

from __future__ import annotations

from decimal import Decimal

import pytest

from core.domain.broker import BrokerStatus
from core.domain.goal import NoRest
from core.domain.instrument import Product
from core.domain.notices.protection import StopHit
from core.domain.notices.results import ClosedBy, PositionClosed
from core.domain.order import OrderRequest, OrderType
from core.domain.outcome import Refusal, Refused, WriteOutcome
from core.domain.stop_rule import StopRule
from core.engine.orders.goals import leave_without_stop, put_goal
from core.engine.orders.restored_goals import end_closes
from tests.fakes.brokers import SBIN
from tests.fakes.desk import STRATEGY
from tests.fakes.pursuing import Pursuing, pursuing

pytestmark = [pytest.mark.row("R2"), pytest.mark.row("R6")]

TRIGGER = Decimal(800)


def takes_no_stops(order: OrderRequest) -> WriteOutcome | None:
    """Refuse stops, as brokers do for some contracts."""
    if order.order_type is OrderType.MARKET:
        return None
    return Refused(Refusal.REJECTED, "SL-M orders are blocked for this contract")


async def given_up(one: Pursuing) -> None:
    """Begin a panic whose exit rests, look twice, and end it."""
    one.at.rests = True
    await one.begins()
    await one.looks(2)
    await one.desk.engine.control.panic.stop(one.desk.engine.command(), one.panic.panic_id)
    one.at.rests = False
    await one.desk.turns(4)


async def test_a_stop_that_is_watched_here_is_watched_again() -> None:
    """The broker takes none of it: nothing rested that could have made way for the exit."""
    one = await pursuing()
    one.at.answer = takes_no_stops
    await one.desk.holds(10, TRIGGER)
    before = await one.desk.goal()
    assert (before.stop_price, before.no_rest) == (TRIGGER, NoRest.REFUSED)
    await given_up(one)
    after = await one.desk.goal()
    assert (after.quantity, after.stop_price) == (10, TRIGGER)
    assert (after.can_rest, after.no_rest) == (False, NoRest.REFUSED)
    assert await one.desk.units() == 10 and one.at.resting() == []


async def test_a_stop_that_was_not_out_yet_goes_out() -> None:
    """Carried over night: the panic begins before the day's stop is at the broker."""
    one = await pursuing()
    await one.desk.holds(10)
    await one.desk.wants(10, TRIGGER)
    await one.begins()
    await one.pursuit.step()
    await one.desk.engine.control.panic.stop(one.desk.engine.command(), one.panic.panic_id)
    await one.desk.turns(3)
    assert [order.trigger_price for order in one.at.resting()] == [TRIGGER]


async def test_a_stop_goes_on_following_its_position() -> None:
    """The rule of the strategy's target moves it between the runs, as before."""
    one = await pursuing()
    await one.desk.holds(10, TRIGGER)
    rule = StopRule(trail_by=Decimal(1))
    await put_goal(
        one.desk.engine.store,
        strategy=STRATEGY,
        broker_id=one.desk.broker_id,
        instrument=SBIN,
        product=Product.MIS,
        quantity=10,
        stop_price=TRIGGER,
        run_id="orb|run",
        day=(await one.desk.goal()).day,
        at=one.desk.clock.now(),
        stop_rule=rule,
    )
    await given_up(one)
    assert (await one.desk.goal()).stop_rule == rule


@pytest.mark.row("R7")
@pytest.mark.parametrize(
    "why", [NoRest.CANCELLED_HERE, NoRest.CANCELLED_OUTSIDE, NoRest.REBASED], ids=str
)
async def test_a_stop_that_was_taken_away_is_not_fought_over(why: NoRest) -> None:
    """A person's word, and a price of another scale, hold beyond the panic."""
    one = await pursuing()
    one.at.answer = takes_no_stops
    await one.desk.holds(10, TRIGGER)
    await leave_without_stop(one.desk.engine.store, one.desk.key, why, "a split")
    one.at.answer = lambda _order: None
    await given_up(one)
    after = await one.desk.goal()
    assert (after.stop_price, after.can_rest, after.no_rest) == (TRIGGER, False, why)
    assert after.no_rest_reason == "a split"
    assert one.at.resting() == []


async def test_a_second_decision_of_the_panic_forgets_no_stop() -> None:
    """What it closes is closed by the goal of another look: the stop of before is still known."""
    one = await pursuing()
    one.at.answer = takes_no_stops
    await one.desk.holds(10, TRIGGER)
    one.at.rests = True
    await one.begins()
    await one.looks()
    await one.desk.wants(0, run_id="orb|out")  # the strategy itself
    await one.looks()
    (row,) = await one.desk.engine.store.find("goals", {})
    assert row["run_id"].startswith("panic|")
    assert row["before"]["stop_price"] == TRIGGER


async def test_a_close_of_a_close_keeps_the_stop() -> None:
    """A user's own close stood when the panic took it over; given up, the stop is that of before."""
    one = await pursuing()
    one.at.answer = takes_no_stops
    await one.desk.holds(10, TRIGGER)
    one.at.rests = True
    await one.begins()
    await one.looks()
    await one.desk.engine.control.panic.stop(one.desk.engine.command(), one.panic.panic_id)
    await one.begins()
    await one.looks()
    await one.desk.engine.control.panic.stop(one.desk.engine.command(), one.panic.panic_id)
    assert (await one.desk.goal()).stop_price == TRIGGER


@pytest.mark.row("H5")
async def test_the_stop_that_is_back_is_told_when_it_fills() -> None:
    """The panic is over: its one message says nothing of it, so a message of its own does."""
    one = await pursuing()
    await one.desk.holds(10, TRIGGER)
    await given_up(one)
    (stop,) = one.at.resting()
    assert (stop.order_type, stop.trigger_price) == (OrderType.SL_M, TRIGGER)
    one.at.fill(stop.broker_order_id, TRIGGER)
    await one.desk.turns(2)
    assert await one.desk.units() == 0
    (told,) = await one.desk.engine.notices(PositionClosed)
    assert isinstance(told, PositionClosed)
    assert told.closed_by is ClosedBy.STOP
    view = await one.desk.engine.control.panic.view(one.panic.panic_id)
    assert view.parts[one.desk.broker_id].closed == 0, "no work of the panic"


async def test_no_exit_of_a_panic_is_told_by_itself() -> None:
    """Its one message counts them down, and says what they brought."""
    one = await pursuing()
    await one.desk.holds(10, TRIGGER)
    await one.begins()
    await one.looks(4)
    assert await one.desk.units() == 0
    assert await one.desk.engine.notices(PositionClosed, StopHit) == []


@pytest.mark.row("R7")
async def test_a_stop_that_a_person_has_moved_is_back_where_they_had_put_it() -> None:
    """It rested at 790 by their hand; the strategy's own price is another."""
    one = await pursuing()
    await one.desk.holds(10, TRIGGER)
    (stop,) = one.at.resting()
    one.at.put(stop.broker_order_id, trigger_price=Decimal(790))
    await one.desk.turns(3, apart_s=10)
    await given_up(one)
    assert [order.trigger_price for order in one.at.resting()] == [Decimal(790)]


async def test_the_stop_of_a_reversal_is_not_that_of_what_is_still_held() -> None:
    """The strategy had turned: above the price, the stop of the short would sell at once."""
    one = await pursuing()
    one.at.answer = takes_no_stops
    await one.desk.holds(10, TRIGGER)
    await one.desk.wants(-10, Decimal(850))
    one.at.rests = True
    await given_up(one)
    after = await one.desk.goal()
    assert (after.quantity, after.stop_price) == (10, None)
    assert await one.desk.units() == 10


async def test_a_stop_of_an_earlier_position_is_not_put_back() -> None:
    """It made way for another close of the day: this position had a price of its own."""
    one = await pursuing()
    await one.desk.holds(10, Decimal(780))
    await given_up(one)
    assert (await one.desk.goal()).stop_price == Decimal(780)
    for order in one.at.resting():
        one.at.put(order.broker_order_id, status=BrokerStatus.CANCELED)
    one.at.answer = takes_no_stops
    await one.desk.wants(10, TRIGGER, run_id="orb|later")
    await one.desk.turns(3)
    await given_up(one)
    assert (await one.desk.goal()).stop_price == TRIGGER


@pytest.mark.matrix("D04")
@pytest.mark.parametrize("why", [NoRest.REFUSED, NoRest.REBASED], ids=str)
async def test_a_restored_store_keeps_a_stop_that_did_not_rest(why: NoRest) -> None:
    """The backup is of the middle of a close: what is held goes on under the stop of before."""
    one = await pursuing()
    one.at.answer = takes_no_stops
    await one.desk.holds(10, TRIGGER)
    await leave_without_stop(one.desk.engine.store, one.desk.key, why, "so said")
    one.at.rests = True
    await one.begins()
    await one.looks(2)
    await end_closes(one.desk.engine.store, at=one.desk.clock.now())
    after = await one.desk.goal()
    assert (after.quantity, after.stop_price, after.run_id) == (10, TRIGGER, "held")
    assert (after.can_rest, after.no_rest, after.no_rest_reason) == (False, why, "so said")
