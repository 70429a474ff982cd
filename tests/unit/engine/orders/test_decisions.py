"""What a read of the day's orders means for the journal, decision by decision."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.domain.broker import BrokerOrder, BrokerStatus
from core.domain.instrument import InstrumentId, Product
from core.domain.order import (
    CLOSED_STATES,
    LIVE_STATES,
    Order,
    OrderState,
    OrderType,
    Purpose,
    Side,
)
from core.domain.sessions import IST
from core.engine.orders.decisions import (
    Adopt,
    Advance,
    Ask,
    Correct,
    Decision,
    Freeze,
    OrdersRead,
    changes_asked_for,
    decide,
    external_id,
    external_order,
    were_sent,
)
from core.engine.orders.folding import OrderEvent, folded
from core.errors import OrderAnomaly
from tests.fakes.orders import ACCOUNT, DAY, SENT_AT, TAG, order_in, shown

S = OrderState
HORIZON = timedelta(seconds=120)
YESTERDAY = "2021-05-11"
OTHER_TAG = "SBBBBBBBBBBBBBBBBBBB"
RELIANCE = InstrumentId("NSE", "RELIANCE")


def read(*theirs: BrokerOrder, after_s: float = 10, **known: Any) -> OrdersRead:
    """Return a read that began so many seconds after the orders were sent."""
    return OrdersRead(
        theirs,
        DAY,
        SENT_AT + timedelta(seconds=after_s),
        HORIZON,
        market_at=lambda real: real.astimezone(IST),
        **known,
    )


def only(decisions: Sequence[Decision]) -> Decision:
    """Return the one decision."""
    (one,) = decisions
    return one


def states(decisions: Sequence[Decision]) -> list[OrderState]:
    """Return the states that orders are advanced to."""
    return [one.event.state for one in decisions if isinstance(one, Advance)]


# --- orders that the broker shows ----------------------------------------------------------------


@pytest.mark.row("R2")
@pytest.mark.parametrize("set_back_s", [0, 600])
def test_order_sent_before_the_clock_was_set_back_is_settled(set_back_s: int) -> None:
    """Its time lies after the read's end, so it was not sent while the read was on its way."""
    now = SENT_AT + timedelta(seconds=10 - set_back_s)
    found = decide(
        [order_in(S.ACCEPTED, broker_order_id="b1")],
        read(shown(status=BrokerStatus.CANCELED), after_s=10 - set_back_s, now=now),
    )
    assert states(found) == [S.CANCELED]


@pytest.mark.matrix("N01", "B04")
def test_order_found_by_its_tag_is_settled_with_all_that_is_shown() -> None:
    """Its answer was lost: id, fills and price come from the broker's row."""
    seen = shown(status=BrokerStatus.COMPLETE, filled_quantity=1, average_price=Decimal("801.5"))
    order = order_in(S.UNRESOLVED)
    assert decide([order], read(seen)) == [
        Advance(order, OrderEvent(S.FILLED, "b1", 1, Decimal("801.5"), quantity=1))
    ]


@pytest.mark.invariant("I4")
@pytest.mark.parametrize("state", [S.ACCEPTED, S.PENDING_UPDATE, S.PENDING_CANCEL])
@pytest.mark.parametrize(
    ("status", "filled"), [(BrokerStatus.COMPLETE, 3), (BrokerStatus.CANCELED, 0)]
)
def test_order_that_has_ended_is_for_what_the_broker_says(
    state: OrderState, status: BrokerStatus, filled: int
) -> None:
    """A change without an answer took effect, and no read showed the stop at work since."""
    trigger = Decimal(805)
    stop = order_in(
        state, purpose=Purpose.STOP, quantity=6, trigger_price=trigger, broker_order_id="b1"
    )
    seen = shown(status=status, quantity=3, filled_quantity=filled, trigger_price=Decimal(0))
    decision = only(decide([stop], read(seen, after_s=1)))
    assert isinstance(decision, Advance)
    after = folded(stop, decision.event)
    assert after is not None and after.state in CLOSED_STATES
    assert (after.request.quantity, after.request.trigger_price) == (3, trigger)
    assert decide([after], read(seen)) and folded(after, decision.event) is None


def test_read_that_began_before_the_order_was_sent_says_nothing_of_it() -> None:
    """A held order may be sent anew while an old read is on its way."""
    ended = shown(status=BrokerStatus.REJECTED)
    assert decide([order_in(S.SUBMITTED)], read(ended, after_s=-1)) == []
    assert states(decide([order_in(S.SUBMITTED)], read(ended, after_s=0))) == [S.REJECTED]


def test_brokers_words_are_kept_with_an_end_alone() -> None:
    """What it says of an order at work is no reason for anything."""
    rejected = shown(status=BrokerStatus.REJECTED, message="no margin")
    working = shown(message="put order req received")
    for seen, reason in ((rejected, "no margin"), (working, "")):
        decision = only(decide([order_in(S.SUBMITTED)], read(seen)))
        assert isinstance(decision, Advance)
        assert decision.event.reason == reason


@pytest.mark.matrix("B05")
@pytest.mark.parametrize("state", [S.PENDING_CANCEL, S.PENDING_UPDATE])
@pytest.mark.parametrize(
    ("asked_s", "is_on_its_way", "is_resumed"),
    [(4, False, True), (5, False, False), (9, False, False), (4, True, False)],
)
def test_cancel_came_to_nothing_when_the_order_works_long_after_it(
    state: OrderState, asked_s: float, *, is_on_its_way: bool, is_resumed: bool
) -> None:
    """More than five seconds later, and with nothing on its way, the order is known to live on."""
    order = order_in(state, broker_order_id="b1")
    asked_at = {TAG: SENT_AT + timedelta(seconds=asked_s)}
    seen = shown(has_pending_request=is_on_its_way)
    decision = only(decide([order], read(seen, asked_at=asked_at)))
    assert isinstance(decision, Advance)
    assert decision.event.is_resumed is is_resumed


def test_order_that_nobody_asked_to_change_is_never_resumed() -> None:
    """Only a pending request can come to nothing."""
    decision = only(decide([order_in(S.ACCEPTED, broker_order_id="b1")], read(shown())))
    assert isinstance(decision, Advance)
    assert not decision.event.is_resumed


# --- answers that were mixed up ------------------------------------------------------------------


@pytest.mark.matrix("N15")
def test_mixed_up_ids_are_set_right_before_anything_else() -> None:
    """The tags prove whose order is whose; a cancel by the wrong id would hit the other."""
    first = order_in(S.ACCEPTED, broker_order_id="b2")
    second = order_in(S.ACCEPTED, client_order_id=OTHER_TAG, broker_order_id="b1")
    theirs = (shown("b1"), shown("b2", tag=OTHER_TAG))
    decisions = decide([first, second], read(*theirs))
    assert decisions[0] == Correct(((first, theirs[0]), (second, theirs[1])))
    assert states(decisions[1:]) == [S.ACCEPTED, S.ACCEPTED]


def test_id_that_was_not_known_yet_is_no_mix_up() -> None:
    """The usual case: the answer was lost."""
    assert not any(
        isinstance(one, Correct) for one in decide([order_in(S.UNRESOLVED)], read(shown()))
    )


@pytest.mark.matrix("N15")
def test_answer_that_named_another_order_is_doubted() -> None:
    """Unknown if nothing proves more; an order already settled by it is an impossible event."""
    other = shown(tag=None, instrument=RELIANCE)
    doubted = decide([order_in(S.SUBMITTED, broker_order_id="b1")], read(other))
    assert states(doubted) == [S.UNRESOLVED]
    for state in (S.ACCEPTED, S.FILLED):
        order = order_in(state, broker_order_id="b1")
        frozen = [one for one in decide([order], read(other)) if isinstance(one, Freeze)]
        assert [one.order for one in frozen] == [order]
        assert TAG in frozen[0].text


# --- orders that the broker does not show --------------------------------------------------------


@pytest.mark.matrix("B10")
@pytest.mark.parametrize("state", sorted(LIVE_STATES | {S.SUBMITTED, S.UNRESOLVED}))
def test_absent_order_of_an_earlier_day_has_expired(state: OrderState) -> None:
    """By the rule of the day, whatever it was."""
    order = order_in(state, day=YESTERDAY)
    assert decide([order], read(after_s=86400)) == [
        Advance(order, OrderEvent(S.EXPIRED, reason="the trading day ended"))
    ]


@pytest.mark.matrix("B10", "N05")
@pytest.mark.parametrize("state", sorted(LIVE_STATES | CLOSED_STATES))
def test_known_order_is_not_ended_by_absence(state: OrderState) -> None:
    """A list that comes back empty within the day proves nothing about what was once there."""
    if state is not S.DENIED:
        assert decide([order_in(state)], read(after_s=3600)) == []
    if state in CLOSED_STATES - {S.DENIED}:
        assert decide([order_in(state, day=YESTERDAY)], read()) == []


@pytest.mark.matrix("C02")
def test_submitted_order_that_is_absent_becomes_unresolved() -> None:
    """Whoever would have had its answer is gone; while it is awaited nothing is concluded."""
    order = order_in(S.SUBMITTED)
    assert states(decide([order], read())) == [S.UNRESOLVED]
    assert decide([order], read(after_s=3600, in_flight=frozenset({TAG}))) == []


@pytest.mark.matrix("N02", "N03")
@pytest.mark.parametrize(("after_s", "expected"), [(119.9, []), (120, [S.NOT_PLACED])])
def test_unresolved_order_is_given_up_at_the_horizon(
    after_s: float, expected: list[OrderState]
) -> None:
    """Not before, because brokers show some orders late; counted from when it was sent."""
    order = order_in(S.UNRESOLVED, created_at=SENT_AT - timedelta(hours=1))
    decisions = decide([order], read(after_s=after_s))
    assert states(decisions) == expected
    if decisions:
        decision = only(decisions)
        assert isinstance(decision, Advance)
        assert decision.event.reason == "not among the broker's orders 120 s after it was sent"


@pytest.mark.matrix("C02")
@pytest.mark.row("R4")
def test_order_of_a_controller_that_ended_is_given_up_with_that_reason() -> None:
    """The chat says that it was cut off, and not only that the broker does not list it."""
    doubted = only(decide([order_in(S.SUBMITTED)], read()))
    assert isinstance(doubted, Advance)
    assert "before the answer was written down" in doubted.event.reason
    order = order_in(S.UNRESOLVED, reason=doubted.event.reason)
    decision = only(decide([order], read(after_s=120)))
    assert isinstance(decision, Advance)
    assert decision.event.reason == (
        "Saarthi stopped, or its store was away, as it was being sent, and 120 s later it is not "
        "among the broker's orders"
    )


def test_unresolved_order_whose_answer_is_awaited_is_not_given_up() -> None:
    """A slow answer may still tell."""
    order = order_in(S.UNRESOLVED)
    assert decide([order], read(after_s=3600, in_flight=frozenset({TAG}))) == []


@pytest.mark.row("F6", "R4")
@pytest.mark.parametrize("state", [S.SUBMITTED, S.UNRESOLVED])
@pytest.mark.parametrize("purpose", [Purpose.ENTRY, Purpose.STOP, Purpose.EXIT])
def test_list_that_leaves_nothing_out_settles_an_order_at_once(
    state: OrderState, purpose: Purpose
) -> None:
    """A paper account's order is known after one read, whatever is doubted of brokers' lists."""
    order = order_in(state, purpose=purpose)
    found = decide([order], read(after_s=0, lists_all=True, doubted=frozenset({TAG})))
    assert states(found) == [S.NOT_PLACED]
    assert decide([order], read(lists_all=True, in_flight=frozenset({TAG}))) == []
    assert decide([order], read(after_s=-1, lists_all=True)) == [], "sent after the read began"
    assert states(decide([order], read(shown(), lists_all=True))) == [S.ACCEPTED]


@pytest.mark.row("F6")
@pytest.mark.parametrize(("asked_s", "resumed"), [(-1, True), (1, False)])
def test_change_asked_by_a_process_that_is_gone_is_settled_at_once(
    asked_s: int, resumed: bool
) -> None:
    """What a paper account did not do before the restart it never does."""
    order = order_in(S.PENDING_CANCEL, broker_order_id="b1")
    asked = {TAG: SENT_AT + timedelta(seconds=asked_s)}
    found = read(shown(), after_s=2, asked_at=asked, lists_all=True, settled_before=SENT_AT)
    decision = only(decide([order], found))
    assert isinstance(decision, Advance)
    assert decision.event.is_resumed is resumed


# --- look-alikes and orders that are not ours ----------------------------------------------------


@pytest.mark.matrix("B07")
def test_look_alike_is_proposed_and_neither_adopted_nor_the_order_given_up() -> None:
    """A user is asked once the horizon has passed; until then it may still be found by its tag."""
    order = order_in(S.UNRESOLVED)
    sent = SENT_AT.astimezone(IST)
    far = shown("far", tag=None, placed_at=sent + timedelta(seconds=50))
    near = shown("near", tag=None, placed_at=sent + timedelta(seconds=1))
    assert decide([order], read(far, near, after_s=119)) == []
    assert decide([order], read(far, near, after_s=3600)) == [Ask(order)]


@pytest.mark.matrix("B07", "B08")
@pytest.mark.parametrize(
    "changes",
    [
        {"instrument": RELIANCE},
        {"quantity": 2},
        {"product": Product.CNC},
        {"side": Side.SELL},
        {"tag": OTHER_TAG},
        {"placed_at": SENT_AT.astimezone(IST) - timedelta(minutes=1)},
    ],
)
def test_foreign_order_that_cannot_be_ours_is_adopted(changes: dict[str, Any]) -> None:
    """Beside an unknown order too, which is given up in its time."""
    foreign = shown(**{"tag": None, **changes})
    order = order_in(S.UNRESOLVED)
    assert decide([order], read(foreign)) == [Adopt(foreign)]
    decisions = decide([order], read(foreign, after_s=3600))
    assert decisions[0] == Adopt(foreign)
    assert states(decisions) == [S.NOT_PLACED]


def test_look_alike_of_a_known_order_is_adopted() -> None:
    """An order whose fate is known leaves nothing to propose."""
    foreign = shown("b2", tag=None)
    for state in (S.ACCEPTED, S.FILLED, S.REJECTED):
        order = order_in(state, broker_order_id="b1")
        assert Adopt(foreign) in decide([order], read(shown("b1"), foreign))
        assert decide([order], read(foreign)) == [Adopt(foreign)]


@pytest.mark.matrix("B08")
def test_adopted_order_is_the_brokers_row_under_an_id_of_its_own() -> None:
    """External in purpose and owner, so that it is in no strategy's ledger."""
    seen = shown(
        "b9",
        BrokerStatus.COMPLETE,
        tag="mine",
        order_type=OrderType.SL,
        limit_price=Decimal(800),
        trigger_price=Decimal(801),
        filled_quantity=1,
        average_price=Decimal(800),
        message="done",
    )
    row = external_order(ACCOUNT, DAY, seen, at=SENT_AT)
    assert row.client_order_id == external_id(ACCOUNT, "b9") == f"X|{ACCOUNT}|b9"
    assert (row.purpose, row.strategy, row.state) == (Purpose.EXTERNAL, "external", S.FILLED)
    assert (row.broker_order_id, row.filled_quantity, row.average_price) == ("b9", 1, Decimal(800))
    assert (row.request.order_type, row.request.trigger_price) == (OrderType.SL, Decimal(801))
    assert (row.request.limit_price, row.reason, row.day) == (Decimal(800), "done", DAY)
    # Its end, later on, is no fill: two who fill one after the other have not met (R8).
    ended = replace(row, settled_at=SENT_AT + HORIZON)
    assert ended.fill_seen_at == SENT_AT
    resting = external_order(ACCOUNT, DAY, shown("b9"), at=SENT_AT)
    assert resting.filled_at is None


# --- which rows, and what the whole comes to -----------------------------------------------------


def test_rows_that_a_broker_cannot_know_are_left_out() -> None:
    """What was never sent cannot be missing."""
    orders = [order_in(state) for state in S]
    assert {order.state for order in orders} - {order.state for order in were_sent(orders)} == {
        S.INITIALIZED,
        S.DENIED,
        S.HELD,
    }
    assert [order.state for order in changes_asked_for(orders)] == [
        S.PENDING_CANCEL,
        S.PENDING_UPDATE,
    ]


def settled(rows: Sequence[Order], known: OrdersRead) -> tuple[list[Order], bool]:
    """Do what is decided, as the reconciler does; return the rows and whether any moved."""
    after = {row.client_order_id: row for row in rows}
    moved = False
    for decision in decide(rows, known):
        if isinstance(decision, Adopt):
            row = external_order(ACCOUNT, DAY, decision.seen, at=SENT_AT)
            moved |= row.client_order_id not in after
            after.setdefault(row.client_order_id, row)
        elif isinstance(decision, Advance):
            key = decision.order.client_order_id
            try:
                new = folded(after[key], decision.event)
            except OrderAnomaly:
                continue
            moved |= new is not None
            after[key] = new or after[key]
    return list(after.values()), moved


@st.composite
def accounts(draw: st.DrawFn) -> tuple[list[Order], OrdersRead]:
    """Rows of one account, and what its broker shows of them and besides."""
    rows, theirs = [], []
    for number in range(draw(st.integers(0, 4))):
        tag = f"S{number:019d}"
        state = draw(st.sampled_from(sorted(set(S) - {S.INITIALIZED, S.DENIED, S.HELD})))
        day = draw(st.sampled_from([DAY, YESTERDAY]))
        rows.append(order_in(state, client_order_id=tag, day=day, quantity=2))
        if draw(st.booleans()):
            status = draw(st.sampled_from(sorted(BrokerStatus)))
            filled = {BrokerStatus.COMPLETE: 2, BrokerStatus.REJECTED: 0}.get(
                status, draw(st.integers(0, 1))
            )
            theirs.append(
                shown(
                    f"b{number}",
                    status,
                    tag=draw(st.sampled_from([tag, None])),
                    quantity=2,
                    filled_quantity=filled,
                    average_price=Decimal(800 * min(filled, 1)),
                )
            )
    return rows, read(*theirs, after_s=draw(st.sampled_from([1, 200])))


@pytest.mark.invariant("I4")
@given(account=accounts())
def test_second_look_at_the_same_orders_changes_nothing(
    account: tuple[list[Order], OrdersRead],
) -> None:
    """Whatever the rows and the broker said; a submitted order takes one look more to be lost."""
    rows, known = account
    once, _ = settled(rows, known)
    twice, _ = settled(once, known)
    _, moved = settled(twice, known)
    assert not moved
