"""What follows from how the stops of a ledger ended, by values (R7)."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

import pytest

from core.domain.goal import Goal
from core.domain.instrument import Product
from core.domain.order import Order, OrderState, OrderType, Purpose, Side
from core.domain.steps import Cancel, PlaceStop, ResizeStop, Step, StopGone, StopPassed, Wait
from core.domain.stops import protect
from tests.fakes.orders import ACCOUNT, SBIN, SENT_AT, order_in

pytestmark = pytest.mark.row("R7")
S = OrderState
STOP = Decimal(800)
GOAL = Goal("key", "orb", ACCOUNT, SBIN, Product.MIS, 15, STOP, "orb|run")


def taken(
    quantity: int,
    *,
    made: int,
    ended: int,
    state: OrderState = S.CANCELED,
    reason: str = "Order cancelled by the exchange",
) -> Order:
    """Return a stop that the broker ended, so many seconds after the start."""
    return order_in(
        state,
        quantity=quantity,
        purpose=Purpose.STOP,
        side=Side.SELL,
        order_type=OrderType.SL_M,
        trigger_price=STOP,
        broker_order_id="b",
        reason=reason,
        created_at=SENT_AT + timedelta(seconds=made),
        settled_at=SENT_AT + timedelta(seconds=ended),
    )


def after(*stops: Order) -> Step:
    now = SENT_AT + timedelta(minutes=10)
    return protect(GOAL, 15, stops, wait=None, now=now, chase_s=15)


def test_slices_that_the_broker_cancels_together_are_put_back() -> None:
    """Both are gone at once, or one a moment after the other: that is the first time."""
    assert isinstance(after(taken(10, made=0, ended=60), taken(5, made=1, ended=60)), PlaceStop)
    assert isinstance(after(taken(10, made=0, ended=61), taken(5, made=1, ended=60)), PlaceStop)


def test_what_was_put_back_and_goes_again_stays_away() -> None:
    """The second time is watched here."""
    step = after(
        taken(10, made=0, ended=60), taken(5, made=1, ended=60), taken(15, made=60, ended=90)
    )
    assert isinstance(step, StopGone) and not step.by_person


@pytest.mark.parametrize(
    "reason",
    [
        "RMS: rule cancelled the order",
        "cancelled by Admin",
        "System cancel: session ended",
        "Auto cancelled",
        "autosquareoff",
        "the broker has cancelled it",
        "Exchange cancelled",
        "risk limits",
    ],
)
def test_who_cancelled_is_told_by_the_brokers_words(reason: str) -> None:
    """A broker that names itself, in any of its words, is no person: the stop is put back."""
    assert isinstance(after(taken(15, made=0, ended=60, reason=reason)), PlaceStop)


@pytest.mark.parametrize("reason", ["", "Cancelled by user", "ORDER CANCELLED BY CLIENT"])
def test_whoever_is_not_named_is_a_person(reason: str) -> None:
    """Nothing is put back against one: it is asked about."""
    step = after(taken(15, made=0, ended=60, reason=reason))
    assert isinstance(step, StopGone) and step.by_person


def test_stop_that_expired_was_ended_by_no_person() -> None:
    """The exchange ends it without a word, as a person does: its state says which it was."""
    assert isinstance(after(taken(15, made=0, ended=60, state=S.EXPIRED, reason="")), PlaceStop)
    step = after(
        taken(15, made=0, ended=60, state=S.EXPIRED, reason=""),
        taken(15, made=60, ended=90, state=S.EXPIRED, reason=""),
    )
    assert isinstance(step, StopGone) and not step.by_person


def resting(*sizes: int) -> list[Order]:
    """Return stops that rest, one after another, for so many units each."""
    return [
        order_in(
            S.ACCEPTED,
            client_order_id=f"S{number}",
            quantity=size,
            purpose=Purpose.STOP,
            side=Side.SELL,
            order_type=OrderType.SL_M,
            trigger_price=STOP,
            broker_order_id=f"b{number}",
            created_at=SENT_AT + timedelta(seconds=number),
        )
        for number, size in enumerate(sizes)
    ]


@pytest.mark.row("D9", "R6")
@pytest.mark.invariant("I6")
@pytest.mark.parametrize(
    ("sizes", "step"),
    [
        ((), ("place", 15)),
        ((15,), None),
        ((14,), ("place", 1)),
        ((10, 5), None),
        ((10, 4), ("place", 1)),
        ((16,), ("resize", "S0", 15)),
        ((10, 6), ("resize", "S1", 5)),
        ((15, 1), ("cancel", "S1")),
        ((14, 2), ("resize", "S1", 1)),
        ((1, 15), ("resize", "S1", 14)),
        ((10, 5, 4), ("cancel", "S2")),
    ],
)
def test_stops_cover_what_is_held_to_the_unit(
    sizes: tuple[int, ...], step: tuple[object, ...] | None
) -> None:
    """One unit too many opens a position when it is hit, one too few leaves it unprotected."""
    match after(*resting(*sizes)):
        case PlaceStop(Side.SELL, units, trigger):
            assert (("place", units), trigger) == (step, STOP)
        case ResizeStop(order, units, trigger):
            assert (("resize", order.client_order_id, units), trigger) == (step, STOP)
        case Cancel(order):
            assert ("cancel", order.client_order_id) == step
        case other:
            assert (other, step) == (Wait(), None)


@pytest.mark.row("D9")
def test_stop_that_the_strategy_takes_back_is_cancelled() -> None:
    """Resting on, it would close at a price that nobody wants any more."""
    (stop,) = resting(15)
    step = protect(replace(GOAL, stop_price=None), 15, [stop], wait=None, now=SENT_AT, chase_s=15)
    assert isinstance(step, Cancel) and step.order is stop


@pytest.mark.parametrize("state", [S.PENDING_CANCEL, S.PENDING_UPDATE])
def test_stop_whose_change_is_on_the_way_is_asked_for_nothing_more(state: OrderState) -> None:
    """Nor is another placed beside it: one request at a time, else no outcome is known."""
    stops = [replace(one, state=state) for one in resting(10)]
    moved = replace(GOAL, stop_price=STOP - 10)
    step = protect(moved, 15, stops, wait=None, now=SENT_AT, chase_s=15)
    assert isinstance(step, Wait)


def test_stop_moves_although_what_is_missing_beside_it_waits() -> None:
    """A broker that took no second stop is asked for it later; the first follows the strategy."""
    moved, wait = replace(GOAL, stop_price=STOP - 10), Wait(SENT_AT + timedelta(minutes=1))
    step = protect(moved, 15, resting(10), wait=wait, now=SENT_AT, chase_s=15)
    assert isinstance(step, ResizeStop)
    assert (step.quantity, step.trigger_price) == (10, STOP - 10)


def step_for(goal: Goal, held: int, *stops: Order, limit: int | None = None) -> Step:
    now = SENT_AT + timedelta(minutes=10)
    return protect(goal, held, stops, wait=None, now=now, chase_s=15, limit=limit)


@pytest.mark.row("R3")
def test_no_stop_is_larger_than_one_order_may_be() -> None:
    """What is above the freeze quantity is covered by several, one a turn."""
    step = step_for(GOAL, 25, limit=10)
    assert isinstance(step, PlaceStop) and step.quantity == 10
    step = step_for(GOAL, 25, *resting(10, 10), limit=10)
    assert isinstance(step, PlaceStop) and step.quantity == 5


@pytest.mark.row("D9")
def test_stop_that_may_not_rest_is_not_placed() -> None:
    """The broker refused it, or a person took it away."""
    assert isinstance(step_for(replace(GOAL, can_rest=False), 15), Wait)


def test_what_is_missing_follows_the_price_that_a_person_has_set() -> None:
    """Beside a stop that was moved in the broker's app, and that one is not moved back."""
    (stop,) = resting(10)
    request = replace(stop.request, trigger_price=STOP - 7)
    theirs = replace(stop, request=request, is_changed_outside=True)
    step = step_for(GOAL, 15, theirs)
    assert isinstance(step, PlaceStop)
    assert (step.quantity, step.trigger_price) == (5, STOP - 7)
    assert isinstance(step_for(GOAL, 10, theirs), Wait)


def test_stop_that_the_broker_does_not_move_holds_back_no_other() -> None:
    """It rests where it is; the other one goes to the price that is wanted."""
    first, second = resting(10, 5)
    moved = replace(GOAL, stop_price=STOP - 10)
    refused = {"S0": replace(first.request, trigger_price=STOP - 10)}
    step = protect(moved, 15, [first, second], wait=None, now=SENT_AT, chase_s=15, refused=refused)
    assert isinstance(step, ResizeStop) and step.order is second


def test_stop_that_has_triggered_is_given_time_to_fill() -> None:
    """Then it is chased as an exit is."""
    (stop,) = resting(15)
    hit = replace(stop, triggered_at=SENT_AT)
    for seconds, kind in ((14, Wait), (15, StopPassed)):
        now = SENT_AT + timedelta(seconds=seconds)
        assert isinstance(protect(GOAL, 15, [hit], wait=None, now=now, chase_s=15), kind)
