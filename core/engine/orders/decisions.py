"""What one read of a broker's orders means for the journal: decisions, worked out without I/O.

``decide`` takes our rows and theirs and returns what is to be done, in order; the reconciler reads
the orders and carries out the decisions. An order that is absent from a read is given up only by
rule: at the end of its day, or unknown for longer than the horizon. Keeps I2, I4 and I5.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from core.domain.broker import BrokerOrder
from core.domain.matching import Match, look_alikes, match_orders, state_of
from core.domain.order import (
    CLOSED_STATES,
    EXTERNAL,
    LIVE_STATES,
    UNKNOWN_STATES,
    Order,
    OrderRequest,
    OrderState,
    Purpose,
)
from core.engine.orders.folding import OrderEvent

__all__ = [
    "Adopt",
    "Advance",
    "Ask",
    "Correct",
    "Decision",
    "Disown",
    "Freeze",
    "OrdersRead",
    "changes_asked_for",
    "decide",
    "external_id",
    "external_order",
    "foreign_event",
    "seen_event",
    "sent_at",
    "were_sent",
]

_CHANGE_SETTLES = timedelta(seconds=5)
_CHANGE_IS_LOST = timedelta(seconds=90)
_AT_REST = {OrderState.ACCEPTED, OrderState.PARTIALLY_FILLED}
_NEVER_SENT = {OrderState.INITIALIZED, OrderState.DENIED, OrderState.HELD}
_STOPPED = "Saarthi stopped, or its store was away,"
_CUT_OFF = f"{_STOPPED} before the answer was written down"
_NEVER_CAME = f"{_STOPPED} as it was being sent, so it was not placed"
_ASKED = {OrderState.PENDING_CANCEL, OrderState.PENDING_UPDATE}


@dataclass(frozen=True, slots=True)
class OrdersRead:
    """One read of an account's orders, and what was known beside it.

    Attributes:
        day: The trading day.
        began_at: Real time before the request: it cannot show what was sent after that.
        now: Real time at which our orders were looked up: one that was sent later than that was
            sent before the clock was set back. None where nobody looked.
        horizon: How long an order may stay unknown before its absence is believed.
        market_at: Market time at a real time; the broker's times are market times.
        in_flight: Orders whose answer is still awaited.
        asked_at: When the cancel or change of an order that has one pending was asked for.
        doubted: Orders whose absence is not believed: exits where the reads may show the past, and
            orders that may be one which an earlier read showed.
        lists_all: The broker lists all that it took, always (``BrokerProfile.lists_all``).
        settled_before: Real time; what was asked before has had its effect or never will. None
            where that is not known.
    """

    theirs: Sequence[BrokerOrder]
    day: str
    began_at: datetime
    horizon: timedelta
    market_at: Callable[[datetime], datetime]
    in_flight: frozenset[str] = frozenset()
    asked_at: Mapping[str, datetime] = field(default_factory=dict)
    doubted: frozenset[str] = frozenset()
    now: datetime | None = None
    lists_all: bool = False
    settled_before: datetime | None = None

    def is_older_than(self, sent_at: datetime) -> bool:
        """Whether what was sent then was sent after this read began."""
        return self.began_at < sent_at and (self.now is None or sent_at <= self.now)

    def is_over(self, order: Order) -> bool:
        """Whether the horizon of an order of unknown fate had passed when this read began."""
        return self.began_at >= (order.submitted_at or order.created_at) + self.horizon


@dataclass(frozen=True, slots=True)
class Advance:
    """Apply an event to an order."""

    order: Order
    event: OrderEvent


@dataclass(frozen=True, slots=True)
class Correct:
    """Give these orders the broker's ids that their tags prove (N15)."""

    pairs: tuple[tuple[Order, BrokerOrder], ...]


@dataclass(frozen=True, slots=True)
class Freeze:
    """Report what is impossible about an order, and stop its account's entries."""

    order: Order
    text: str


@dataclass(frozen=True, slots=True)
class Adopt:
    """Keep an order that is not ours as EXTERNAL, so that positions and exits add up (B08)."""

    seen: BrokerOrder


@dataclass(frozen=True, slots=True)
class Ask:
    """Ask the user about an order of unknown fate that no read will settle.

    It is an exit, and nothing proves that it was not placed; or the broker shows an order without
    our tag that could be this one (B07).
    """

    order: Order


@dataclass(frozen=True, slots=True)
class Disown:
    """Remove an order that was adopted as somebody else's: a tag proves that it is ours."""

    order: Order


Decision = Advance | Correct | Freeze | Adopt | Ask | Disown


def decide(ours: Sequence[Order], read: OrdersRead) -> list[Decision]:
    """Return what a read of the day's orders asks for, in the order in which it is to be done.

    Args:
        ours: The journal's rows of the day and every pending one, those never sent left out.
        read: What the broker showed.
    """
    found = match_orders(ours, read.theirs)
    # Corrections come first: a broker id is unique in the journal, so an order cannot be settled
    # under its own id while another row holds that id by mistake (N15).
    disowned = list(_disowned(found))
    gone = {one.order.client_order_id for one in disowned}
    return [
        # Before anything else takes the broker's id, which is unique in the journal.
        *disowned,
        *_corrections(found.pairs),
        *_ended_days(found.missing, read.day),
        *_settlements(found.pairs, read),
        *(_mixed_up(one) for one in found.swapped if one.client_order_id not in gone),
        *_adoptions(found.missing, found.foreign, read),
        *_absences(found.missing, found.foreign, read),
    ]


def were_sent(orders: Iterable[Order]) -> list[Order]:
    """Return the orders that a broker may know."""
    return [order for order in orders if order.state not in _NEVER_SENT]


def changes_asked_for(orders: Iterable[Order]) -> list[Order]:
    """Return the orders that wait for the end of a cancel or a change."""
    return [order for order in orders if order.state in _ASKED]


def foreign_event(seen: BrokerOrder) -> OrderEvent:
    """Return what a broker's row says of an order that is not ours: its size may have changed."""
    return replace(seen_event(seen), quantity=seen.quantity)


def seen_event(seen: BrokerOrder) -> OrderEvent:
    """Return what a broker's row says, as an event."""
    return OrderEvent(
        state_of(seen),
        broker_order_id=seen.broker_order_id,
        filled_quantity=seen.filled_quantity,
        average_price=seen.average_price,
        reason=seen.message,
        cause=seen.cause,
        largest=seen.largest,
    )


# --- orders that the broker shows ----------------------------------------------------------------


def _corrections(pairs: Iterable[tuple[Order, BrokerOrder]]) -> Iterator[Correct]:
    """Find broker ids that came with an answer to another request (N15).

    The tag proves whose a broker order is. A cancel by a wrong id would hit another order.
    """
    wrong = tuple(
        (order, seen)
        for order, seen in pairs
        if order.broker_order_id not in {None, seen.broker_order_id}
    )
    if wrong:
        yield Correct(wrong)


def _disowned(found: Match) -> Iterator[Disown]:
    """Find orders that trades showed before their tag was seen, and that are ours by their tag."""
    by_tag = {
        seen.broker_order_id for order, seen in found.pairs if seen.tag == order.client_order_id
    }
    for order in found.swapped:
        if order.purpose is Purpose.EXTERNAL and order.broker_order_id in by_tag:
            yield Disown(order)


def _settlements(pairs: Iterable[tuple[Order, BrokerOrder]], read: OrdersRead) -> Iterator[Advance]:
    for order, seen in pairs:
        if order.submitted_at and read.is_older_than(order.submitted_at):
            continue  # sent again after this read began: only the next one can show it (I4)
        event = foreign_event(seen) if order.purpose is Purpose.EXTERNAL else seen_event(seen)
        event = replace(event, is_triggered=_has_triggered(order, seen))
        yield Advance(
            order,
            replace(
                _with_terms(order, seen, event, read),
                # While an order works, a broker's message is chatter, and would replace our reason
                # of a cancel that is pending.
                reason=event.reason if event.state in CLOSED_STATES else "",
                is_resumed=order.state in _ASKED
                and (_has_effect(order, seen, read) or _had_no_effect(order, seen, read)),
            ),
        )


def _has_triggered(order: Order, seen: BrokerOrder) -> bool:
    return order.purpose is Purpose.STOP and seen.is_triggered is True


def _with_terms(order: Order, seen: BrokerOrder, event: OrderEvent, read: OrdersRead) -> OrderEvent:
    """Return the event with a final order's quantity, or with a resting stop's terms.

    They differ from ours when somebody changed the stop at the broker (R7), when a change of ours
    was acknowledged and never made, or when it was made and its answer was lost.
    """
    if event.state in CLOSED_STATES:
        # No read need have shown the order at work since it was changed: a stop of 6 that was made
        # 3 without an answer, and filled or was cancelled at once, was for 3 (I4). Its trigger does
        # not matter any more, and some brokers clear it.
        return replace(event, quantity=seen.quantity or None)
    request = order.request
    terms = (seen.quantity, seen.trigger_price)
    if _has_effect(order, seen, read):
        return replace(event, quantity=seen.quantity, trigger_price=seen.trigger_price)
    is_settled = order.state in _AT_REST and not seen.has_pending_request
    if order.purpose is not Purpose.STOP or not is_settled or seen.trigger_price is None:
        return event
    if event.state not in _AT_REST or terms == (request.quantity, request.trigger_price):
        return event
    since = read.began_at - (order.changed_at or order.submitted_at or order.created_at)
    # What was so before our last change is a read that lags, and no deed of anybody's.
    if since < (_CHANGE_IS_LOST if terms == order.replaced else _CHANGE_SETTLES):
        return event
    return replace(
        event,
        quantity=seen.quantity,
        trigger_price=seen.trigger_price,
        is_outside=terms not in {order.replaced, order.asked},
    )


def _has_effect(order: Order, seen: BrokerOrder, read: OrdersRead) -> bool:
    """Return whether a change without an answer shows at the broker: it is ours, nobody else's."""
    if order.state is not OrderState.PENDING_UPDATE or seen.has_pending_request:
        return False
    asked_at = read.asked_at.get(order.client_order_id, order.created_at)
    works = state_of(seen) in _AT_REST
    return (
        works and read.began_at >= asked_at and order.asked == (seen.quantity, seen.trigger_price)
    )


def _had_no_effect(order: Order, seen: BrokerOrder, read: OrdersRead) -> bool:
    """Return whether a cancel or change is known to have had no effect.

    The broker still shows the order as working, with no request pending, well after it was asked.
    """
    # Too early would be worse than too late: an order that is believed to work on is cancelled
    # again, and counts as one that refuses its cancel (B05).
    if seen.has_pending_request:
        return False
    since = read.asked_at.get(order.client_order_id, order.created_at)
    if read.settled_before is not None and since < read.settled_before:
        return True
    return read.began_at - since > _CHANGE_SETTLES


def _mixed_up(order: Order) -> Decision:
    """Doubt an order whose broker order is for something else (N15)."""
    reason = "the broker's answer named another order"
    # What was settled before cannot become unknown again; it is impossible, so a user looks.
    if order.state in CLOSED_STATES | LIVE_STATES:
        return Freeze(order, f"order {order.client_order_id}: {reason}")
    return Advance(order, OrderEvent(OrderState.UNRESOLVED, reason=reason))


# --- orders that the broker does not show --------------------------------------------------------


def _ended_days(missing: Iterable[Order], day: str) -> Iterator[Advance]:
    """Close what an earlier day left open and the broker no longer lists (case B10).

    The rule of the day closes it, never mere absence within its day.
    """
    for order in missing:
        if order.day < day and order.state not in CLOSED_STATES:
            yield Advance(order, OrderEvent(OrderState.EXPIRED, reason="the trading day ended"))


def _absences(
    missing: Iterable[Order], foreign: Sequence[BrokerOrder], read: OrdersRead
) -> Iterator[Decision]:
    for order in missing:
        if order.day == read.day and order.state in UNKNOWN_STATES:
            yield from _absent(order, foreign, read)


def _absent(order: Order, foreign: Sequence[BrokerOrder], read: OrdersRead) -> Iterator[Decision]:
    # Its answer may still come, and says more than any absence.
    if order.client_order_id in read.in_flight:
        return
    if read.lists_all:
        # One that was sent after this read began shows in the next one.
        if not read.is_older_than(order.submitted_at or order.created_at):
            yield Advance(order, OrderEvent(OrderState.NOT_PLACED, reason=_NEVER_CAME))
        return
    if order.state is OrderState.SUBMITTED:
        # Not in flight and still SUBMITTED: the process that sent it died before the answer. It
        # becomes a question, not an end: the broker may list it only later (I2).
        yield Advance(order, OrderEvent(OrderState.UNRESOLVED, reason=_CUT_OFF))
        return
    if not read.is_over(order):
        return
    if look_alikes(order, foreign, sent_at(order, read)):
        # The user decides; as long as it may be this one, the order is not given up.
        yield Ask(order)
    elif order.client_order_id in read.doubted:
        # An exit that is given up is worked out anew and sent again: where the reads may be older
        # than the send, that would sell twice (reliability.md 2.3.7). Nor does one read that leaves
        # out what the reads before it showed.
        yield Ask(order)
    else:
        seconds = int(read.horizon.total_seconds())
        reason = f"not among the broker's orders {seconds} s after it was sent"
        if order.reason == _CUT_OFF:
            # Most likely it never left: the commit came before the send (decision 32).
            reason = (
                f"{_STOPPED} as it was being sent, and {seconds} s later it is not among the "
                "broker's orders"
            )
        yield Advance(order, OrderEvent(OrderState.NOT_PLACED, reason=reason))


def sent_at(order: Order, read: OrdersRead) -> datetime:
    """Return the market time at which an order was sent."""
    return read.market_at(order.submitted_at or order.created_at)


# --- orders that are not ours --------------------------------------------------------------------


def _adoptions(
    missing: Iterable[Order], foreign: Sequence[BrokerOrder], read: OrdersRead
) -> Iterator[Adopt]:
    """Return the foreign orders that cannot be one of ours whose fate is unknown (B07).

    The others stay unassigned until that is settled: adopted now, they could not be proposed later,
    and would count twice once the user has confirmed them. Meanwhile the unknown order keeps its
    instrument closed to entries.
    """
    perhaps_ours = {
        seen.broker_order_id
        for order in missing
        if order.state in UNKNOWN_STATES
        for seen in look_alikes(order, foreign, sent_at(order, read))
    }
    for seen in foreign:
        # Until some time in the morning a broker still lists yesterday's orders (case B10).
        is_of_today = seen.own_day in {None, read.day}
        if is_of_today and seen.broker_order_id not in perhaps_ours:
            yield Adopt(seen)


def external_id(broker_id: str, broker_order_id: str) -> str:
    """Return the journal id of an order that was not placed by Saarthi."""
    return f"X|{broker_id}|{broker_order_id}"


def external_order(
    broker_id: str, day: str, seen: BrokerOrder, *, at: datetime, key: str = ""
) -> Order:
    """Return the journal's row of an order that it lacks; ``key`` is another id than usual."""
    request = OrderRequest(
        key or external_id(broker_id, seen.broker_order_id),
        seen.instrument,
        seen.side,
        seen.quantity,
        seen.order_type,
        seen.product,
        limit_price=seen.limit_price,
        trigger_price=seen.trigger_price,
    )
    return Order(
        request=request,
        broker_id=broker_id,
        strategy=EXTERNAL,
        run_id=EXTERNAL,
        purpose=Purpose.EXTERNAL,
        state=state_of(seen),
        day=day,
        created_at=at,
        filled_at=at if seen.filled_quantity else None,
        broker_order_id=seen.broker_order_id,
        filled_quantity=seen.filled_quantity,
        average_price=seen.average_price,
        reason=seen.message,
    )
