"""Which stop is put back after the exit that it made way for came to nothing, by values (R6)."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal

import pytest

from core.domain.order import Order, OrderState, OrderType, Purpose, Side
from core.domain.outcome import Cause
from core.domain.stops import MAKES_WAY, restored_stop
from tests.fakes.orders import SENT_AT, order_in

pytestmark = pytest.mark.row("R6")
S = OrderState


def a_stop(
    quantity: int, state: OrderState, *, made: int, ended: int | None = None, **changes: object
) -> Order:
    """Return a stop that was made and ended so many seconds after the start."""
    terms = {
        "purpose": Purpose.STOP,
        "side": Side.SELL,
        "order_type": OrderType.SL_M,
        "trigger_price": Decimal(800),
        "broker_order_id": "b",
        "created_at": SENT_AT + timedelta(seconds=made),
        "settled_at": None if ended is None else SENT_AT + timedelta(seconds=ended),
    }
    return order_in(state, quantity=quantity, **{**terms, **changes})


def made_way(quantity: int = 10, *, made: int = 0, ended: int = 100, **changes: object) -> Order:
    return a_stop(quantity, S.CANCELED, made=made, ended=ended, cancel_reason=MAKES_WAY, **changes)


def an_entry(made: int, filled: int) -> Order:
    at = SENT_AT + timedelta(seconds=made)
    return order_in(S.CANCELED, quantity=5, filled_quantity=filled, created_at=at)


def size(held: int, *orders: Order, limit: int | None = None) -> int:
    """Return the units of the stop that is put back, 0 for none."""
    step = restored_stop(held, orders, limit)
    return step.quantity if step else 0


@pytest.mark.parametrize(
    ("orders", "units"),
    [
        ((made_way(),), 15),
        ((made_way(), a_stop(5, S.ACCEPTED, made=1)), 10),
        ((made_way(), a_stop(5, S.PENDING_CANCEL, made=1)), 10),
        ((made_way(), a_stop(5, S.UNRESOLVED, made=1)), 0),
        ((made_way(), a_stop(5, S.REJECTED, made=1, ended=1)), 10),
        ((made_way(), a_stop(15, S.REJECTED, made=100, ended=100)), 0),
        ((made_way(), a_stop(5, S.CANCELED, made=1, ended=50)), 15),
        ((made_way(), a_stop(5, S.CANCELED, made=101, ended=150)), 0),
        ((made_way(), a_stop(5, S.EXPIRED, made=101, ended=150)), 0),
        (
            (
                made_way(),
                a_stop(5, S.CANCELED, made=101, ended=150, cancel_reason="cancelled by the user"),
            ),
            0,
        ),
        ((made_way(), an_entry(made=0, filled=5)), 15),
        ((made_way(), an_entry(made=101, filled=0)), 15),
        ((made_way(), an_entry(made=101, filled=5)), 0),
        ((made_way(side=Side.BUY),), 0),
        ((a_stop(10, S.CANCELED, made=0, ended=100),), 0),
    ],
)
def test_what_made_way_is_put_back(orders: tuple[Order, ...], units: int) -> None:
    """For what none covers, unless one was refused or taken away since, or another entry filled."""
    assert size(15, *orders) == units


def test_refused_units_are_not_asked_for_with_each_exit() -> None:
    """The 5 were refused once; the 10 that made way twice come back twice."""
    orders = [
        made_way(made=0, ended=100),
        a_stop(5, S.REJECTED, made=1, ended=1),
        made_way(made=101, ended=200),
    ]
    assert size(15, *orders) == 10
    assert size(15, *orders, a_stop(10, S.ACCEPTED, made=201)) == 0


def test_what_was_closed_since_is_not_counted_as_without_its_stop() -> None:
    """The 20 of the morning made way and were closed: of the afternoon's 15 the stop had 10."""
    morning = [
        made_way(20, made=0, ended=10),
        order_in(
            S.FILLED,
            purpose=Purpose.EXIT,
            quantity=20,
            filled_quantity=20,
            created_at=SENT_AT + timedelta(seconds=11),
            settled_at=SENT_AT + timedelta(seconds=12),
        ),
    ]
    afternoon = [
        a_stop(10, S.CANCELED, made=50, ended=100, cancel_reason=MAKES_WAY),
        a_stop(5, S.REJECTED, made=51, ended=51),
    ]
    assert size(15, *morning, *afternoon) == 10


def test_last_that_made_way_gives_the_price() -> None:
    """Not the newest that was created: the older one may have made way later."""
    older = made_way(made=0, ended=200, trigger_price=Decimal(790))
    step = restored_stop(15, [older, made_way(5, made=1, ended=100)], None)
    assert step is not None and step.trigger_price == Decimal(790)


def test_stop_above_the_freeze_quantity_comes_back_in_slices() -> None:
    """That one was refused for its size is answered by smaller ones."""
    refused = a_stop(250, S.REJECTED, made=101, ended=101, cause=Cause.FREEZE)
    assert size(250, made_way(250), refused, limit=100) == 100
    assert size(250, made_way(250), refused, limit=None) == 0
