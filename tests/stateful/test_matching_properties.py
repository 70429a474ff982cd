"""Whose order is it: by tag, by id, never by a guess (B07, B13, N15)."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.domain.broker import BrokerOrder, BrokerStatus
from core.domain.identifiers import client_order_id
from core.domain.instrument import InstrumentId, Product
from core.domain.matching import look_alikes, match_orders
from core.domain.order import Order, OrderRequest, OrderState, OrderType, Purpose, Side

NOW = datetime(2026, 11, 20, 4, 30, tzinfo=UTC)
NAMES = [InstrumentId("NSE", "SBIN"), InstrumentId("NSE", "INFY")]


def ours(number: int, broker_order_id: str | None = None, name: int = 0) -> Order:
    """Return an order of ours."""
    cid = client_order_id("zerodha_a", "orb", f"slot{number}", "leg", 1)
    request = OrderRequest(cid, NAMES[name], Side.BUY, 1, OrderType.MARKET, Product.MIS)
    order = Order(
        request, "zerodha_a", "orb", "run", Purpose.ENTRY, OrderState.SUBMITTED, "2026-11-20", NOW
    )
    return replace(order, broker_order_id=broker_order_id)


def theirs(number: int, tag: str | None, name: int = 0) -> BrokerOrder:
    """Return a row of the broker's orders."""
    return BrokerOrder(
        f"b{number}",
        NAMES[name],
        Side.BUY,
        Product.MIS,
        OrderType.MARKET,
        1,
        1,
        Decimal(900),
        BrokerStatus.COMPLETE,
        tag=tag,
        placed_at=NOW,
    )


@pytest.mark.matrix("B13", "N15")
@pytest.mark.invariant("I1", "I2")
@given(
    fates=st.lists(st.sampled_from(["tag", "id", "both", "absent"]), min_size=1, max_size=6),
    foreign=st.integers(0, 3),
    data=st.data(),
)
def test_each_order_is_paired_once_or_missing(
    fates: list[str], foreign: int, data: st.DataObject
) -> None:
    """Pairs, missing and foreign together are exactly what there is, each once."""
    mine, there = [], []
    for n, fate in enumerate(fates):
        order = ours(n, f"b{n}" if fate in {"id", "both"} else None)
        mine.append(order)
        if fate != "absent":
            there.append(theirs(n, order.client_order_id if fate in {"tag", "both"} else None))
    there += [theirs(100 + n, "byhand") for n in range(foreign)]
    found = match_orders(mine, data.draw(st.permutations(there)))
    paired = {order.client_order_id: seen.broker_order_id for order, seen in found.pairs}
    wanted = {o.client_order_id: f"b{n}" for n, o in enumerate(mine) if fates[n] != "absent"}
    assert paired == wanted
    assert {o.client_order_id for o in found.missing} == {
        o.client_order_id for o in mine if o.client_order_id not in wanted
    }
    assert len(found.foreign) == foreign
    assert found.swapped == ()


@pytest.mark.matrix("N15")
@pytest.mark.invariant("I1")
def test_answers_that_were_swapped_are_set_right_by_tag() -> None:
    """Two orders got one another's broker id: the tags tell whose is whose."""
    one, two = ours(1, "b2"), ours(2, "b1")
    found = match_orders(
        [one, two], [theirs(1, one.client_order_id), theirs(2, two.client_order_id)]
    )
    paired = {order.client_order_id: seen.broker_order_id for order, seen in found.pairs}
    assert paired == {one.client_order_id: "b1", two.client_order_id: "b2"}


@pytest.mark.matrix("N15")
@pytest.mark.invariant("I1")
def test_answer_that_names_another_order_is_not_believed() -> None:
    """The id that we were given belongs to an order of another instrument: not ours."""
    found = match_orders([ours(1, "b7")], [theirs(7, None, name=1)])
    assert found.pairs == ()
    assert len(found.swapped) == 1


@pytest.mark.matrix("N15")
@pytest.mark.invariant("I1")
def test_order_that_carries_anothers_tag_is_not_taken_by_its_id() -> None:
    """Alike in all else, and ours is not listed: its fills would count for two orders."""
    one, two = ours(1, "b2"), ours(2, "b2")
    found = match_orders([one, two], [theirs(2, two.client_order_id)])
    assert [order.client_order_id for order, _ in found.pairs] == [two.client_order_id]
    assert found.swapped == (one,)


@pytest.mark.matrix("B07")
@pytest.mark.row("R4")
@given(
    tag=st.sampled_from([None, "byhand", "other"]),
    name=st.integers(0, 1),
    quantity=st.integers(1, 2),
    late_s=st.integers(-120, 120),
)
def test_only_a_true_look_alike_is_proposed(
    tag: str | None, name: int, quantity: int, late_s: int
) -> None:
    """Instrument, side, size and product agree, the time fits, and no tag of ours is on it."""
    order = ours(1)
    placed_at = NOW + timedelta(seconds=late_s)
    seen = replace(theirs(9, tag, name), quantity=quantity, placed_at=placed_at)
    fits = name == 0 and quantity == 1 and late_s >= -30
    tag_of_another = replace(seen, tag=ours(2).client_order_id)
    assert look_alikes(order, [seen], NOW) == ([seen] if fits else [])
    assert look_alikes(order, [tag_of_another], NOW) == []


def test_nearest_look_alike_comes_first() -> None:
    """Of several, the one that was placed nearest to our submission is proposed."""
    rows = [
        replace(theirs(n, None), placed_at=NOW + timedelta(seconds=late))
        for n, late in enumerate((90, 2, -10))
    ]
    assert [seen.broker_order_id for seen in look_alikes(ours(1), rows, NOW)] == ["b1", "b2", "b0"]
