"""Folding news into an order, case by case (tests/stateful has its properties)."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import pytest

from core.domain.order import CLOSED_STATES, Order, OrderState, Purpose
from core.domain.outcome import Refusal
from core.engine.orders.documents import order_of, order_row
from core.engine.orders.folding import OrderEvent, folded
from core.errors import OrderAnomaly
from tests.fakes.orders import order_in

S = OrderState
pytestmark = pytest.mark.invariant("I5")


@pytest.mark.parametrize(
    ("state", "event", "expected"),
    [
        (S.SUBMITTED, OrderEvent(S.ACCEPTED, "b1"), S.ACCEPTED),
        (S.SUBMITTED, OrderEvent(S.ACCEPTED, "b1", 1), S.PARTIALLY_FILLED),
        (S.SUBMITTED, OrderEvent(S.UNRESOLVED), S.UNRESOLVED),
        (S.UNRESOLVED, OrderEvent(S.NOT_PLACED), S.NOT_PLACED),
        (S.ACCEPTED, OrderEvent(S.PARTIALLY_FILLED, "b1", 2), S.PARTIALLY_FILLED),
        (S.PENDING_CANCEL, OrderEvent(S.PARTIALLY_FILLED, "b1", 1), S.PARTIALLY_FILLED),
        (S.PENDING_UPDATE, OrderEvent(S.ACCEPTED, "b1", is_resumed=True), S.ACCEPTED),
        (S.PENDING_CANCEL, OrderEvent(S.CANCELED, "b1"), S.CANCELED),
        (S.NOT_PLACED, OrderEvent(S.ACCEPTED, "b1"), S.ACCEPTED),
        (S.NOT_PLACED, OrderEvent(S.CANCELED, "b1"), S.CANCELED),
        (S.CANCELED, OrderEvent(S.FILLED, "b1", 3, Decimal(900)), S.FILLED),
    ],
)
def test_news_moves_an_order_on(state: OrderState, event: OrderEvent, expected: OrderState) -> None:
    """Each step that the state table allows, told for the first time."""
    after = folded(order_in(state, quantity=3, version=4), event)
    assert after is not None
    assert (after.state, after.version) == (expected, 5)


@pytest.mark.parametrize(
    ("state", "event"),
    [
        (S.ACCEPTED, OrderEvent(S.ACCEPTED, "b1")),
        (S.ACCEPTED, OrderEvent(S.UNRESOLVED)),
        (S.FILLED, OrderEvent(S.UNRESOLVED)),
        (S.PENDING_CANCEL, OrderEvent(S.ACCEPTED, "b1")),
        (S.PENDING_UPDATE, OrderEvent(S.ACCEPTED, "b1")),
        (S.CANCELED, OrderEvent(S.ACCEPTED, "b1")),
        (S.REJECTED, OrderEvent(S.ACCEPTED, "b1")),
        (S.CANCELED, OrderEvent(S.EXPIRED, "b1")),
        (S.EXPIRED, OrderEvent(S.CANCELED, "b1", 0)),
        (S.NOT_PLACED, OrderEvent(S.CANCELED)),
        (S.ACCEPTED, OrderEvent(S.NOT_PLACED)),
    ],
)
def test_old_news_changes_nothing(state: OrderState, event: OrderEvent) -> None:
    """A view that is older than the row, or says the same in another word, is no event."""
    assert folded(order_in(state, quantity=3, broker_order_id="b1"), event) is None


@pytest.mark.parametrize("end", sorted(CLOSED_STATES - {S.FILLED, S.DENIED}))
def test_fill_after_the_end_is_kept(end: OrderState) -> None:
    """Whatever the order was believed to be, what was bought was bought (B03)."""
    after = folded(order_in(end, quantity=3), OrderEvent(S.FILLED, "b1", 3, Decimal(900)))
    assert after is not None
    assert (after.filled_quantity, after.average_price) == (3, Decimal(900))


def test_fill_of_a_denied_order_is_an_anomaly_that_names_it() -> None:
    """We never sent it: the row must not pretend that we had."""
    with pytest.raises(OrderAnomaly, match="it was denied and the broker says filled"):
        folded(order_in(S.DENIED), OrderEvent(S.FILLED, "b1", 1, Decimal(900)))


def test_price_is_of_the_largest_fill_alone() -> None:
    """An event that fills nothing more brings no price, and one without a price takes none away."""
    order = order_in(S.PARTIALLY_FILLED, quantity=3, filled_quantity=2, average_price=Decimal(900))
    ended = folded(order, OrderEvent(S.CANCELED, "b1", 1, Decimal(1)))
    filled = folded(order, OrderEvent(S.FILLED, "b1", 3))
    assert ended is not None and filled is not None
    assert (ended.filled_quantity, ended.average_price) == (2, Decimal(900))
    assert (filled.filled_quantity, filled.average_price) == (3, Decimal(900))


def test_first_broker_id_stays() -> None:
    """Another id in a later answer was meant for another order (N15)."""
    known = order_in(S.ACCEPTED, broker_order_id="b1")
    after = folded(known, OrderEvent(S.FILLED, "b2", 1, Decimal(900)))
    assert after is not None
    assert after.broker_order_id == "b1"
    unknown = folded(order_in(S.ACCEPTED), OrderEvent(S.ACCEPTED, "b2"))
    assert unknown is not None
    assert unknown.broker_order_id == "b2"


def test_confirmed_change_moves_quantity_and_trigger() -> None:
    """The rest of the request stays; a confirmation of what stands already is no event."""
    order = order_in(S.PENDING_UPDATE, quantity=3, trigger_price=Decimal(890))
    event = OrderEvent(S.ACCEPTED, quantity=2, trigger_price=Decimal("891.5"), is_resumed=True)
    after = folded(order, event)
    assert after is not None
    assert (after.request.quantity, after.request.trigger_price) == (2, Decimal("891.5"))
    assert after.request.client_order_id == order.request.client_order_id
    assert folded(after, event) is None


def test_reason_and_refusal_are_the_newest_said() -> None:
    """An event without words leaves the old ones; a refusal is remembered only while held."""
    held = folded(
        order_in(S.SUBMITTED),
        OrderEvent(S.HELD, reason="log in", held_for=Refusal.AUTH_REQUIRED),
    )
    assert held is not None
    assert (held.reason, held.held_for) == ("log in", Refusal.AUTH_REQUIRED)
    again = folded(held, OrderEvent(S.SUBMITTED))
    assert again is not None
    assert (again.reason, again.held_for) == ("log in", None)


@pytest.mark.row("R7")
def test_why_a_cancel_was_asked_for_stays_known() -> None:
    """A cancel that comes late, after it seemed to have had no effect, is still ours."""
    order = order_in(S.ACCEPTED, broker_order_id="b1")
    steps = [
        OrderEvent(S.PENDING_CANCEL, reason="makes way for an exit"),
        OrderEvent(S.ACCEPTED, is_resumed=True),
        OrderEvent(S.CANCELED, reason="the broker's words"),
    ]
    for event in steps:
        after = folded(order, event)
        assert after is not None
        order = after
    assert (order.cancel_reason, order.reason) == ("makes way for an exit", "the broker's words")


@pytest.mark.row("R7")
def test_stop_is_seen_to_trigger_once() -> None:
    """The first sight is a step; every later one is nothing new."""
    order = order_in(S.ACCEPTED, broker_order_id="b1")
    event = OrderEvent(S.ACCEPTED, "b1", is_triggered=True)
    after = folded(order, event)
    assert after is not None
    assert folded(replace(after, triggered_at=after.created_at), event) is None


def fold(order: Order, event: OrderEvent) -> Order:
    after = folded(order, event)
    assert after is not None
    return after


def test_terms_that_were_asked_for_are_kept_until_they_show() -> None:
    """An answer that says nothing of them keeps them; a refusal keeps those of an earlier change."""
    before = order_in(S.ACCEPTED, purpose=Purpose.STOP, quantity=10, trigger_price=Decimal(800))
    terms, later = (10, Decimal(805)), (10, Decimal(810))
    pending = fold(before, OrderEvent(S.PENDING_UPDATE, asked=terms))
    assert pending.asked == terms and order_of(order_row(pending)) == pending
    resumed = fold(pending, OrderEvent(S.ACCEPTED, is_resumed=True))
    assert (resumed.state, resumed.asked) == (S.ACCEPTED, terms)
    again = fold(resumed, OrderEvent(S.PENDING_UPDATE, asked=later))
    refused = OrderEvent(S.ACCEPTED, is_resumed=True, is_answered=True, asked=terms)
    assert again.asked == later and fold(again, refused).asked == terms
    shows = OrderEvent(S.ACCEPTED, quantity=10, trigger_price=Decimal(805), is_resumed=True)
    assert fold(pending, shows).asked is None


def test_rows_of_before_have_no_terms_asked_for() -> None:
    """A row that an earlier version has stored is read as one without an unanswered change."""
    row = order_row(order_in(S.PENDING_UPDATE))
    del row["asked_quantity"], row["asked_trigger"]
    assert order_of(row).asked is None


@pytest.mark.row("R4")
@pytest.mark.parametrize("state", [one for one in S if one is not S.UNRESOLVED])
@pytest.mark.parametrize("word", [OrderState.ACCEPTED, OrderState.NOT_PLACED])
def test_users_word_changes_nothing_once_the_order_is_settled(
    state: OrderState, word: OrderState
) -> None:
    """It answers a question; when that is settled, it is no answer, and no alarm either."""
    event = OrderEvent(word, broker_order_id="b8", by_user=True)
    assert folded(order_in(state), event) is None


@pytest.mark.row("R4")
@pytest.mark.matrix("N15")
def test_users_word_takes_the_place_of_an_id_that_was_mixed_up() -> None:
    """The broker's answer named another order; the user has chosen the right one."""
    order = order_in(OrderState.UNRESOLVED, broker_order_id="of-another")
    after = folded(order, OrderEvent(OrderState.ACCEPTED, broker_order_id="b8", by_user=True))
    assert after is not None
    assert (after.state, after.broker_order_id) == (OrderState.ACCEPTED, "b8")
