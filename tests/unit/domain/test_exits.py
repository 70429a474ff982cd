"""How much of what is held may still be closed: nothing grows and nothing turns (C3)."""

from __future__ import annotations

import pytest

from core.domain.exits import left_to_exit
from core.domain.order import OrderState, Purpose, Side
from tests.fakes.orders import order_in

pytestmark = [pytest.mark.row("C3"), pytest.mark.invariant("I6")]


@pytest.mark.parametrize(
    ("held", "side", "left"),
    [
        (10, Side.SELL, 10),
        (10, Side.BUY, 0),
        (-10, Side.BUY, 10),
        (-10, Side.SELL, 0),
        (0, Side.SELL, 0),
        (0, Side.BUY, 0),
    ],
)
def test_only_the_other_side_closes(held: int, side: Side, left: int) -> None:
    """An order of the side that is held would grow it, and from flat every order opens."""
    assert left_to_exit(held, side, []) == left


@pytest.mark.parametrize(("works", "left"), [(4, 6), (10, 0), (14, 0)])
def test_what_works_on_that_side_is_used_up(works: int, left: int) -> None:
    """Of a sale that rests its units are left out; what buys meanwhile adds none."""
    sale = order_in(OrderState.ACCEPTED, quantity=works, purpose=Purpose.EXIT, side=Side.SELL)
    purchase = order_in(OrderState.ACCEPTED, quantity=5, side=Side.BUY)
    assert left_to_exit(10, Side.SELL, [sale, purchase]) == left
