"""What follows from how the stops of a ledger ended, by values (R7)."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal

import pytest

from core.domain.goal import Goal
from core.domain.instrument import Product
from core.domain.order import Order, OrderState, OrderType, Purpose, Side
from core.domain.steps import PlaceStop, Step, StopGone
from core.domain.stops import protect
from tests.fakes.orders import ACCOUNT, SBIN, SENT_AT, order_in

pytestmark = pytest.mark.row("R7")
S = OrderState
STOP = Decimal(800)
GOAL = Goal("key", "orb", ACCOUNT, SBIN, Product.MIS, 15, STOP, "orb|run")


def taken(quantity: int, *, made: int, ended: int) -> Order:
    """Return a stop that the broker ended, so many seconds after the start."""
    return order_in(
        S.CANCELED,
        quantity=quantity,
        purpose=Purpose.STOP,
        side=Side.SELL,
        order_type=OrderType.SL_M,
        trigger_price=STOP,
        broker_order_id="b",
        reason="Order cancelled by the exchange",
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
