"""An exit that works for more units than are to be closed (I6)."""

from __future__ import annotations

import pytest

from core.domain.converge import next_step
from core.domain.goal import Goal
from core.domain.instrument import Product
from core.domain.order import Order, OrderState, Purpose, Side
from core.domain.steps import Cancel, Step
from tests.fakes.orders import ACCOUNT, SBIN, SENT_AT, order_in

GOAL = Goal("key", "orb", ACCOUNT, SBIN, Product.MIS, 0, None, "orb|run")


def exit_of(quantity: int) -> Order:
    return order_in(
        OrderState.ACCEPTED,
        quantity=quantity,
        purpose=Purpose.EXIT,
        side=Side.SELL,
        broker_order_id=f"b{quantity}",
    )


def after(held: int, *orders: Order) -> Step:
    return next_step(GOAL, held, orders, now=SENT_AT, chase_s=15, rest_s=60)


@pytest.mark.invariant("I6")
def test_it_is_cancelled_before_it_turns_the_position() -> None:
    """One that came back, or units that went by hand meanwhile; what is not too large works on."""
    assert not isinstance(after(15, exit_of(15)), Cancel)
    step = after(10, exit_of(15))
    assert isinstance(step, Cancel) and step.order.request.quantity == 15
    both = after(15, exit_of(10), exit_of(6))
    assert isinstance(both, Cancel) and both.order.request.quantity == 6
    assert isinstance(after(0, exit_of(5)), Cancel)
