"""Which fills of other people's orders close what strategies hold, by values (row R8)."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from core.domain.instrument import InstrumentId, Product
from core.domain.ledger import Ledger
from core.domain.order import EXTERNAL, MANUAL, Order, OrderState, Purpose, Side
from core.domain.truth import closed_by_hand, collided, ended_by_hand, voided
from tests.fakes.orders import ACCOUNT, DAY, SBIN, SENT_AT, order_in

pytestmark = pytest.mark.row("R8")
MIS = (SBIN, Product.MIS)
TCS = InstrumentId("NSE", "TCS")
SELL, BUY = Side.SELL, Side.BUY


def after(seconds: float) -> datetime:
    """Return a moment, from that at which the read began."""
    return SENT_AT + timedelta(seconds=seconds)


def sale(units: int = 5, at: float = 1, price: int | None = 970, **changes: object) -> Order:
    """Return another person's sale that was seen to end at a moment."""
    given = {
        "strategy": EXTERNAL,
        "purpose": Purpose.EXTERNAL,
        "side": SELL,
        "quantity": units,
        "filled_quantity": units,
        "average_price": Decimal(price or 0),
        "created_at": after(-60),
        "settled_at": after(at),
    }
    return order_in(OrderState.FILLED, **{**given, **changes})


def exit_of_ours(at: float = 1, **changes: Any) -> Order:
    """Return a stop of a strategy that was seen to fill at a moment."""
    return sale(at=at, **{"strategy": "orb", "purpose": Purpose.STOP, **changes})


def held(units: int = 5) -> Ledger:
    """Return what a strategy holds."""
    return Ledger("orb", ACCOUNT, SBIN, Product.MIS, units, day=DAY)


@pytest.mark.parametrize(
    "order",
    [
        sale(side=BUY),
        sale(strategy="mac", purpose=Purpose.STOP),
        sale(filled_quantity=0),
    ],
    ids=["the other side", "a strategy's", "not filled"],
)
def test_only_what_others_sold_reduces_a_ledger(order: Order) -> None:
    """What else is missing is a dispute: the ledger stands."""
    assert closed_by_hand([held()], 0, [order]) == ([], Decimal(0))


@pytest.mark.parametrize(("units", "side"), [(5, SELL), (1, SELL), (-5, BUY), (-1, BUY)])
def test_a_close_of_the_users_own_counts_as_a_hand(units: int, side: Side) -> None:
    """A position that was closed from the chat, outside the ledgers, closed these units too."""
    (left,), price = closed_by_hand([held(units)], 0, [sale(side=side, strategy=MANUAL)])
    assert (left.quantity, price) == (0, Decimal(970))


def test_the_price_is_that_of_the_newest_units() -> None:
    """Earlier sales closed what was outside; they are ordered by their end, not their beginning."""
    early = sale(5, at=1, price=900, created_at=after(-1))
    late = sale(4, at=2, price=960, created_at=after(-90))
    for orders in ([early, late], [late, early]):
        assert closed_by_hand([held(9)], 6, orders)[1] == Decimal(960)
        assert closed_by_hand([held(9)], 3, orders)[1] == Decimal(940)  # four of 960, two of 900
    resting = sale(4, price=950, settled_at=None)
    assert closed_by_hand([held(9)], 6, [early, resting])[1] == Decimal(900)
    fills = replace(resting, filled_at=after(2))  # it rested for long, and fills now
    assert closed_by_hand([held(9)], 6, [early, fills])[1] == Decimal(950)


def test_a_price_that_is_not_known_is_not_made_up() -> None:
    """One unknown price among the units that were sold leaves the average unknown."""
    known, unknown = sale(3, at=2), sale(3, at=1, price=None)
    assert closed_by_hand([held(6)], 0, [known, unknown])[1] == 0
    assert closed_by_hand([held(6)], 3, [known, unknown])[1] == Decimal(970)


@pytest.mark.parametrize(
    ("order", "is_it"),
    [
        (sale(), True),
        (sale(at=0), True),
        (replace(sale(), state=OrderState.CANCELED), True),
        (sale(at=-1), False),
        (sale(settled_at=None), False),
        (sale(settled_at=None, created_at=after(1)), True),
        (sale(filled_quantity=0), False),
        (sale(strategy="orb"), False),
        (sale(strategy=MANUAL), False),
        (sale(instrument=TCS), False),
        (sale(product=Product.CNC), False),
    ],
)
def test_the_order_that_ended_a_position(order: Order, *, is_it: bool) -> None:
    """A foreign order of that very position that was seen to end, with a fill, in this read."""
    found = ended_by_hand([order], MIS, since=after(0))
    assert found == (order if is_it else None)


def test_one_order_alone_explains_a_sale() -> None:
    """Two, one that still works, and a read of unknown beginning explain nothing."""
    one, other = sale(), sale(client_order_id="other")
    assert ended_by_hand([one, other], MIS, since=after(0)) is None
    assert ended_by_hand([], MIS, since=after(0)) is None
    assert ended_by_hand([one], MIS, since=None) is None
    works = order_in(
        OrderState.PARTIALLY_FILLED,
        strategy=EXTERNAL,
        quantity=5,
        filled_quantity=2,
        created_at=after(1),
    )
    assert ended_by_hand([works], MIS, since=after(0)) is None
    assert ended_by_hand([one, works], MIS, since=after(0)) == one


@pytest.mark.parametrize(
    ("foreign", "ours", "is_collision"),
    [
        (sale(), exit_of_ours(), True),
        (sale(), exit_of_ours(purpose=Purpose.EXIT), True),
        (sale(at=0), exit_of_ours(at=0), True),
        (sale(at=-1), exit_of_ours(), False),
        (sale(), exit_of_ours(at=-1), False),
        (sale(), exit_of_ours(settled_at=None), False),
        (sale(), exit_of_ours(settled_at=None, created_at=after(1)), True),
        (sale(), exit_of_ours(settled_at=None, filled_at=after(1)), True),
        (sale(settled_at=None, filled_at=after(1)), exit_of_ours(), True),
        (sale(), exit_of_ours(filled_at=after(-1)), False),
        (sale(filled_at=after(-1)), exit_of_ours(), False),
        (sale(filled_quantity=0), exit_of_ours(), False),
        (sale(), exit_of_ours(filled_quantity=0), False),
        (sale(side=BUY), exit_of_ours(), False),
        (sale(instrument=TCS), exit_of_ours(), False),
        (sale(), exit_of_ours(product=Product.NRML), False),
        (sale(), exit_of_ours(purpose=Purpose.ENTRY), False),
        (sale(), exit_of_ours(strategy=MANUAL), False),
        (sale(), sale(), False),
        (exit_of_ours(), exit_of_ours(), False),
    ],
)
def test_what_a_hand_and_an_exit_of_ours_closed_twice(
    foreign: Order, ours: Order, *, is_collision: bool
) -> None:
    """Both were seen to fill in one read, on one side of one position: what they made is nobody's."""
    found = collided([foreign, ours], since=after(0))
    assert found == ([(MIS, SELL)] if is_collision else [])


def test_collisions_are_named_in_their_order() -> None:
    """One for each position, whatever came of the others."""
    orders = [make(instrument=name) for name in (TCS, SBIN) for make in (sale, exit_of_ours)]
    assert collided(orders, since=after(0)) == [(MIS, SELL), ((TCS, Product.MIS), SELL)]


def test_an_order_that_filled_nothing_dates_no_ledger() -> None:
    """A ledger of an unknown day is of today only by a fill; an empty one has nothing to void."""
    old = Ledger("orb", ACCOUNT, SBIN, Product.MIS, 5)
    working = order_in(OrderState.ACCEPTED)
    assert [one.quantity for one in voided([old], DAY, [working])] == [0]
    assert voided([replace(old, quantity=0, day="2021-05-11")], DAY, []) == []
    today = order_in(OrderState.FILLED, filled_quantity=1)
    assert voided([replace(old, day="2021-05-11")], DAY, [today]) == [
        replace(old, quantity=0, day="2021-05-11")
    ]
