"""Opposite ledgers that are both to be closed are crossed, and nothing else is."""

from __future__ import annotations

from decimal import Decimal

import pytest

from core.domain.crossing import crossed, surplus
from core.domain.instrument import Product
from core.domain.ledger import Ledger
from tests.fakes.orders import ACCOUNT, SBIN

pytestmark = pytest.mark.row("D3", "C3")
PRICE = Decimal(980)


@pytest.mark.parametrize(
    ("wanted", "held", "found"),
    [(0, 10, 10), (0, -4, -4), (10, 10, 0), (4, 10, 6), (-4, 10, 10), (20, 10, 0), (0, 0, 0)],
)
def test_surplus_is_what_is_held_beyond_the_goal(wanted: int, held: int, found: int) -> None:
    """A goal on the other side keeps nothing."""
    assert surplus(wanted, held) == found


@pytest.mark.parametrize(
    ("held", "wanted", "after", "units"),
    [
        ((10, -4), (0, 0), (6, 0), 4),
        ((10, -10), (0, 0), (0, 0), 10),
        ((10, -4), (0, -4), None, 0),
        ((10, -4), (8, 0), (8, -2), 2),
        ((10, 4), (0, 0), None, 0),
        ((10, -4), (0, None), None, 0),
        ((3, 3, -5), (0, 0, 0), (0, 1, 0), 5),
    ],
)
def test_both_sides_lose_the_same_units(
    held: tuple[int, ...],
    wanted: tuple[int | None, ...],
    after: tuple[int, ...] | None,
    units: int,
) -> None:
    """The sum of the ledgers stays what it was: the broker holds no other net."""
    ledgers = [
        Ledger(name, ACCOUNT, SBIN, Product.MIS, quantity, Decimal(970))
        for name, quantity in zip("abc", held, strict=False)
    ]
    goals = {one.key: goal for one, goal in zip(ledgers, wanted, strict=True) if goal is not None}
    changed, found = crossed(ledgers, goals, PRICE, "2026-06-01")
    now = {one.key: one for one in ledgers} | {one.key: one for one in changed}
    assert found == units
    assert tuple(one.quantity for one in now.values()) == (after or held)
    assert sum(one.realised for one in now.values()) == 0
