"""Slices of what is above the freeze quantity."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.domain.instrument import Instrument, InstrumentId, Product, Segment
from core.domain.order import Order, OrderRequest, OrderState, OrderType, Purpose, Side
from core.domain.outcome import Cause
from core.domain.slicing import cut, largest_order, slices

pytestmark = pytest.mark.row("R3")

NIFTY = InstrumentId("NFO", "NIFTY26NOVFUT")


def contract(freeze: int | None, lot: int = 65) -> Instrument:
    tick = Decimal("0.05")
    return Instrument(NIFTY, "x", "1", lot, tick, Segment.DERIVATIVES, freeze_quantity=freeze)


def refused(units: int, largest: int | None, cause: Cause = Cause.FREEZE) -> Order:
    request = OrderRequest("id", NIFTY, Side.SELL, units, OrderType.MARKET, Product.MIS)
    at = datetime(2026, 11, 23, 5, tzinfo=UTC)
    order = Order(
        request, "zerodha_a", "trend", "run", Purpose.EXIT, OrderState.REJECTED, "2026-11-23", at
    )
    return replace(order, cause=cause, largest=largest)


@given(units=st.integers(0, 10**6), limit=st.none() | st.integers(1, 10**5))
def test_slices_are_all_of_it_and_none_too_large(units: int, limit: int | None):
    """Together they are what is wanted, none is above the limit, and none is empty."""
    found = slices(units, limit)
    assert sum(found) == units
    assert all(0 < one <= (limit or units) for one in found)
    assert len(found) == (0 if units == 0 else 1 if limit is None else -(-units // limit))


@pytest.mark.parametrize(
    ("freeze", "lot", "expected"),
    [(1755, 65, 1755), (1756, 65, 1755), (1800, 65, 1755), (None, 65, None), (40, 65, 65)],
)
def test_the_master_says_the_limit_in_whole_lots(
    freeze: int | None, lot: int, expected: int | None
):
    """An unknown freeze is unknown, not one and not endless."""
    assert largest_order(contract(freeze, lot), []) == expected
    assert largest_order(None, []) is None


@pytest.mark.parametrize(
    ("units", "largest", "expected"),
    [
        (120, 100, 100),
        (120, None, 60),
        (60, None, 30),
        (100, 100, 99),  # the named number is the one that is refused
        (120, 500, 119),  # what was refused is not tried again, whatever the words say
        (1, None, 1),
    ],
)
def test_a_refusal_teaches_the_limit(units: int, largest: int | None, expected: int):
    """The number in the words, else half; less than what was refused."""
    assert largest_order(None, [refused(units, largest)]) == expected


def test_the_lowest_of_what_is_known_counts():
    """A freeze that was lowered since the master was read holds; other refusals teach nothing."""
    learnt = [refused(1755, 1000), refused(975, None)]
    assert largest_order(contract(1755), learnt) == 455
    assert largest_order(contract(1755), [refused(1755, 100, Cause.MARGIN)]) == 1755


def test_halving_ends():
    """Without any number the limit falls by halves until an order is taken, and never to nothing."""
    seen: list[Order] = []
    sizes = [1040]
    while sizes[-1] > 65:
        seen.append(refused(sizes[-1], None))
        limit = largest_order(contract(None), seen)
        assert limit is not None
        sizes.append(limit)
    assert sizes == [1040, 520, 260, 130, 65]


def test_each_slice_is_an_order_of_its_own():
    """Its own id, size and attempt; all else is the intent's, and the ids are the same each time."""
    intent = refused(1755, None)
    made = cut(intent, (1000, 755))
    assert [(one.request.quantity, one.attempt) for one in made] == [(1000, 1), (755, 2)]
    assert [one.client_order_id for one in cut(intent, (1000, 755))] == [
        one.client_order_id for one in made
    ]
    (third,) = cut(intent, (500,), first=3)
    assert third.attempt == 3
    assert len({one.client_order_id for one in (*made, third)}) == 3
    for one in made:
        request = replace(one.request, client_order_id="id", quantity=1755)
        assert replace(one, request=request, attempt=intent.attempt) == intent
