"""News of an order in any order, any number of times: one final state, and never a step back."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.domain.instrument import InstrumentId, Product
from core.domain.order import (
    CLOSED_STATES,
    LIVE_STATES,
    Order,
    OrderRequest,
    OrderState,
    OrderType,
    Purpose,
    Side,
    is_alarmed,
    may_become,
)
from core.engine.orders.folding import OrderEvent, folded
from core.errors import OrderAnomaly

S = OrderState
NOW = datetime(2026, 11, 20, 4, 30, tzinfo=UTC)
SBIN = InstrumentId("NSE", "SBIN")


def sent(quantity: int, state: OrderState = S.SUBMITTED) -> Order:
    """Return an order that has just been sent."""
    request = OrderRequest("S" * 20, SBIN, Side.BUY, quantity, OrderType.MARKET, Product.MIS)
    return Order(request, "zerodha_a", "orb", "run", Purpose.ENTRY, state, "2026-11-20", NOW)


@st.composite
def histories(draw: st.DrawFn) -> tuple[int, list[OrderEvent]]:
    """A quantity, and what a broker shows of an order one after the other."""
    quantity = draw(st.integers(1, 6))
    steps = sorted(draw(st.sets(st.integers(1, quantity), max_size=3)))
    events = [OrderEvent(S.ACCEPTED, broker_order_id="b1")]
    cost = Decimal(0)
    for before, filled in pairwise([0, *steps]):
        cost += (filled - before) * draw(st.sampled_from([Decimal(900), Decimal("901.5")]))
        if filled < quantity:
            events.append(OrderEvent(S.PARTIALLY_FILLED, "b1", filled, cost / filled))
    filled = steps[-1] if steps else 0
    price = cost / filled if filled else None
    if filled == quantity:
        events.append(OrderEvent(S.FILLED, "b1", filled, price))
    else:
        ends = [S.CANCELED, S.EXPIRED] + ([] if filled else [S.REJECTED])
        events.append(OrderEvent(draw(st.sampled_from(ends)), "b1", filled, price))
    return quantity, events


def after_all(order: Order, events: list[OrderEvent]) -> tuple[Order, list[Order]]:
    """Fold events into an order; return it and every state it went through."""
    seen = [order]
    for event in events:
        order = folded(order, event) or order
        seen.append(order)
    return order, seen


def facts(order: Order) -> tuple[object, ...]:
    """Return what must not depend on the order of the news."""
    return order.state, order.filled_quantity, order.average_price, order.broker_order_id


@pytest.mark.matrix("W01", "W02", "B02", "B04")
@pytest.mark.invariant("I5")
@settings(max_examples=300, deadline=None)
@given(data=st.data(), history=histories(), answer=st.sampled_from([None, "ack", "ambiguous"]))
def test_news_in_any_order_ends_the_same(
    data: st.DataObject, history: tuple[int, list[OrderEvent]], answer: str | None
) -> None:
    """Permuted, repeated, with the answer to the order at any place: the same final facts."""
    quantity, events = history
    straight, _ = after_all(sent(quantity), events)
    news = data.draw(st.permutations(events * data.draw(st.integers(1, 3))))
    if answer is not None:
        late = OrderEvent(S.ACCEPTED, "b1") if answer == "ack" else OrderEvent(S.UNRESOLVED)
        news = list(news)
        news.insert(data.draw(st.integers(0, len(news))), late)
    order, seen = after_all(sent(quantity), list(news))
    assert facts(order) == facts(straight)
    for before, after in pairwise(seen):
        assert after.filled_quantity >= before.filled_quantity
        assert before.state is after.state or may_become(before.state, after.state)
        assert after.version - before.version in {0, 1}


@pytest.mark.matrix("W01")
@pytest.mark.invariant("I5")
@settings(max_examples=200, deadline=None)
@given(history=histories())
def test_same_news_twice_is_one_step(history: tuple[int, list[OrderEvent]]) -> None:
    """After a whole day's news each of its events tells nothing new."""
    order, _ = after_all(sent(history[0]), history[1])
    assert [folded(order, event) for event in history[1]] == [None] * len(history[1])


@pytest.mark.matrix("B03", "N03")
@pytest.mark.invariant("I5")
@pytest.mark.parametrize("dead", [S.CANCELED, S.EXPIRED, S.REJECTED, S.NOT_PLACED])
def test_dead_order_that_fills_is_counted_and_alarmed(dead: OrderState) -> None:
    """A fill after the end is taken, and the step is one that alarms."""
    after = folded(sent(3, dead), OrderEvent(S.FILLED, "b1", 3, Decimal(900)))
    assert after is not None
    assert (after.state, after.filled_quantity) == (S.FILLED, 3)
    assert is_alarmed(dead, after.state)


@pytest.mark.invariant("I5")
@pytest.mark.parametrize("state", [S.INITIALIZED, S.DENIED, S.HELD])
def test_what_was_never_sent_cannot_fill(state: OrderState) -> None:
    """The table refuses what cannot be; it is an anomaly, not a fill."""
    with pytest.raises(OrderAnomaly):
        folded(sent(1, state), OrderEvent(S.FILLED, "b1", 1, Decimal(900)))


@pytest.mark.invariant("I5")
def test_unknown_never_comes_back() -> None:
    """From no known state does an order become unknown again, and FILLED and DENIED are for good."""
    for state in LIVE_STATES | CLOSED_STATES:
        assert not may_become(state, S.UNRESOLVED)
        assert not may_become(state, S.SUBMITTED)
    assert not any(may_become(end, state) for end in (S.FILLED, S.DENIED) for state in S)


@pytest.mark.invariant("I5")
def test_pending_cancel_is_not_resolved_by_a_stale_view() -> None:
    """While a cancel is on its way, a view of the order at work says nothing; a final one does."""
    order = sent(3, S.PENDING_CANCEL)
    assert folded(order, OrderEvent(S.ACCEPTED, None, 0)) is None
    resumed = folded(order, OrderEvent(S.ACCEPTED, None, 0, is_resumed=True))
    assert resumed is not None and resumed.state is S.ACCEPTED
    ended = folded(order, OrderEvent(S.CANCELED, "b1", 1, Decimal(900)))
    assert ended is not None and (ended.state, ended.filled_quantity) == (S.CANCELED, 1)


@pytest.mark.matrix("B02")
@pytest.mark.invariant("I5")
@pytest.mark.parametrize("end", [S.CANCELED, S.EXPIRED])
def test_end_that_forgets_fills_takes_none_back(end: OrderState) -> None:
    """A broker's final word that counts fewer fills than were seen does not undo them."""
    partly = folded(sent(3), OrderEvent(S.PARTIALLY_FILLED, "b1", 2, Decimal(900)))
    assert partly is not None
    ended = folded(partly, OrderEvent(end, "b1", 0))
    assert ended is not None
    assert (ended.state, ended.filled_quantity, ended.average_price) == (end, 2, Decimal(900))
