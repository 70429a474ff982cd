"""Finding our orders among a broker's: by our tag, by its id, and by likeness for a proposal."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from core.domain.broker import BrokerOrder, BrokerStatus
from core.domain.identifiers import is_client_order_id
from core.domain.order import Order, OrderState

__all__ = ["Match", "look_alikes", "match_orders", "state_of"]

_CLOCKS_APART = timedelta(seconds=30)


@dataclass(frozen=True, slots=True)
class Match:
    """Our orders of a day compared with the broker's.

    Attributes:
        pairs: Our orders with the broker's.
        missing: Ours that the broker does not list.
        foreign: The broker's that no row of ours claims.
        swapped: Ours whose broker order is for something else (N15): an answer was mixed up.
    """

    pairs: tuple[tuple[Order, BrokerOrder], ...]
    missing: tuple[Order, ...]
    foreign: tuple[BrokerOrder, ...]
    swapped: tuple[Order, ...]


def state_of(found: BrokerOrder) -> OrderState:
    """Return our state for a broker's order."""
    match found.status:
        case BrokerStatus.COMPLETE:
            return OrderState.FILLED
        case BrokerStatus.CANCELED:
            return OrderState.CANCELED
        case BrokerStatus.REJECTED:
            return OrderState.REJECTED
        case BrokerStatus.EXPIRED:
            return OrderState.EXPIRED
        case BrokerStatus.WORKING:
            partly = found.filled_quantity > 0
            return OrderState.PARTIALLY_FILLED if partly else OrderState.ACCEPTED


def match_orders(ours: Sequence[Order], theirs: Sequence[BrokerOrder]) -> Match:
    """Pair today's orders by tag first, then by broker order id."""
    by_tag = {order.tag: order for order in theirs if order.tag}
    by_id = {order.broker_order_id: order for order in theirs}
    pairs, missing, swapped, claimed = [], [], [], set()
    for order in ours:
        # The tag is ours and was sent with the order; an id came back in an answer, and answers can
        # be mixed up (N15).
        found = by_tag.get(order.client_order_id) or by_id.get(order.broker_order_id or "")
        if found is None:
            missing.append(order)
        elif _is_other(order, found):
            swapped.append(order)
        else:
            pairs.append((order, found))
            claimed.add(found.broker_order_id)
    foreign = [order for order in theirs if order.broker_order_id not in claimed]
    return Match(tuple(pairs), tuple(missing), tuple(foreign), tuple(swapped))


def _is_other(ours: Order, theirs: BrokerOrder) -> bool:
    """Return whether a broker order cannot be ours although an answer gave us its id."""
    if theirs.tag is not None and theirs.tag == ours.client_order_id:
        return False
    tagged_for_another = is_client_order_id(theirs.tag) and theirs.tag != ours.client_order_id
    other_thing = (theirs.instrument, theirs.side) != (ours.request.instrument, ours.request.side)
    return tagged_for_another or other_thing


def look_alikes(
    order: Order, foreign: Iterable[BrokerOrder], since: datetime | None
) -> list[BrokerOrder]:
    """Return foreign orders that could be ours without its tag (B07), the nearest in time first.

    They are proposals for the user, never facts.

    Args:
        order: Ours, unresolved.
        foreign: The broker's orders that no row claims.
        since: Market time of our submission, None when it is not known.
    """
    request = order.request
    # One that carries a tag of ours belongs to another row. One placed before ours cannot be ours;
    # the broker's clock and ours may differ by seconds, hence the margin.
    alike = [
        found
        for found in foreign
        if not is_client_order_id(found.tag)
        and (found.instrument, found.side) == (request.instrument, request.side)
        and (found.quantity, found.product) == (request.quantity, request.product)
        and (found.placed_at is None or since is None or found.placed_at >= since - _CLOCKS_APART)
    ]
    return sorted(alike, key=lambda found: _apart(found.placed_at, since))


def _apart(placed_at: datetime | None, since: datetime | None) -> timedelta:
    if placed_at is None or since is None:
        return timedelta.max
    return abs(placed_at - since)
