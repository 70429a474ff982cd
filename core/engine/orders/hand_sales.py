"""What a sale by hand takes from the strategies' ledgers, and the one message about it (R8, H5)."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from core.domain.ledger import Ledger
from core.domain.notices.positions import ClosedByHand
from core.domain.notices.post import Post, closed_by_hand_card
from core.domain.order import Order
from core.domain.truth import (
    Key,
    Net,
    closed_by_hand,
    ended_by_hand,
    key_of,
    result_of_close,
)
from core.engine.orders.results import charges_by_hand

__all__ = ["hand_sale", "post_of_hand_sale"]


def hand_sale(
    broker_id: str, key: Key, net: Net, ledgers: Sequence[Ledger], rows: Sequence[Order]
) -> tuple[list[Ledger], ClosedByHand] | None:
    """Return the ledgers that foreign fills reduce, as they are afterwards, and the notice.

    Args:
        broker_id: The account.
        key: What is held.
        net: How much of it.
        ledgers: The account's ledgers.
        rows: Today's orders of the instrument.

    Returns:
        None where nothing was closed by hand.
    """
    if net.by_fills is None:
        return None
    before = [one for one in ledgers if key_of(one) == key]
    mine = [one for one in rows if key_of(one) == key]
    changed, price = closed_by_hand(before, net.by_fills, mine)
    if not changed:
        return None
    was = {one.key: one.quantity for one in before}
    less = sum(was[one.key] - one.quantity for one in changed)
    result = result_of_close(before, changed, price)
    notice = ClosedByHand(
        broker_id,
        str(key[0]),
        key[1].value,
        tuple(one.strategy for one in changed),
        abs(less),
        price,
        net.owned - less,
        result,
        None
        if result is None
        else charges_by_hand(before, changed, mine, price=price, result=result),
    )
    return changed, notice


def post_of_hand_sale(
    notice: ClosedByHand, key: Key, rows: Sequence[Order], *, since: datetime | None
) -> Post:
    """Return the post of a sale: in the place of its order's card, where one order explains it.

    The card would be a second message about the same sale. An order that still works keeps it, for
    it can be cancelled there; so does every order where the price is not known yet, because its
    card will show it.

    Args:
        notice: The sale.
        key: What was held.
        rows: Today's orders of the instrument.
        since: When the read began that showed the sale.
    """
    order = ended_by_hand(rows, key, since=since) if notice.price else None
    if order is None or order.filled_quantity < notice.units:
        return Post(notice)
    return closed_by_hand_card(notice, order.client_order_id)
