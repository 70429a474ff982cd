"""A paper account as the umpire sees it: the books that the store holds, as a venue.

The paper exchange is the product's own, so its books are committed by the very process that is
killed. What a commit shows here is what a broker outside would have taken.
"""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from core.adapters.paper.book import PaperOrder
from core.adapters.paper.documents import order_of
from core.domain.broker import BrokerStatus
from core.domain.order import OrderState, OrderType
from tests.campaign.troubles import Troubles
from tests.campaign.venue import Trade, Venue, VenueOrder

if TYPE_CHECKING:
    from tests.campaign.world import World, Written

__all__ = ["PaperSeat", "asked_about"]

_MILLISECOND = 0.001
_ENDED = {
    BrokerStatus.COMPLETE: "COMPLETE",
    BrokerStatus.CANCELED: "CANCELLED",
    BrokerStatus.EXPIRED: "CANCELLED",
    BrokerStatus.REJECTED: "REJECTED",
}


class _Followed(Venue):
    """A venue in which nothing happens by itself: the product's paper exchange fills."""

    def settle(self) -> None:
        """Do nothing."""


@dataclass
class PaperSeat:
    """Stands where a broker's client stands for the umpire; nothing of it can be spoilt.

    Attributes:
        venue: Follows the committed books.
    """

    world: World
    broker_id: str
    is_login_dead: bool = False
    venue: Venue = field(init=False)
    troubles: Troubles = field(init=False)

    def __post_init__(self) -> None:
        world = self.world
        chance = random.Random(0)
        self.venue = _Followed(world.market, world.loop.time, world.clock.market_now, chance)
        self.troubles = Troubles(world.loop.time)
        world.listeners.append(self._follow)

    def _follow(self, changed: list[Written]) -> None:
        for one in changed:
            if one.collection == "paper_orders" and one.new["broker_id"] == self.broker_id:
                self._take(order_of(dict(one.new)))

    def _take(self, order: PaperOrder) -> None:
        """Take in an order as it was just committed: new, with more fills, or at its end."""
        venue = self.venue
        shown = venue.orders.get(order.order_id)
        if shown is None:
            shown = venue.orders[order.order_id] = self._new(order)
        shown.quantity, shown.trigger_price = order.quantity, order.trigger_price
        known = {trade.trade_id for trade in venue.trades}
        for fill in order.fills:
            if fill.trade_id not in known:
                self._fill(shown, fill.trade_id, fill.quantity, fill.price, fill.at)
        shown.has_triggered = order.is_triggered
        if order.is_working:
            shown.status = "TRIGGER PENDING" if order.is_waiting_stop else "OPEN"
        elif shown.is_live:
            # What follows is stamped in milliseconds, cut off: the same moment must not be earlier.
            shown.status, shown.ended_at = _ENDED[order.status], venue.now() - _MILLISECOND
            shown.cancelled_by = "us" if order.status is BrokerStatus.CANCELED else ""

    def _new(self, order: PaperOrder) -> VenueOrder:
        venue, tag = self.venue, order.tag
        if tag is not None:
            # I3: the journal said SUBMITTED before the paper exchange took it.
            row = self.world.database.committed["orders"].get(tag)
            if row is None or row["state"] != OrderState.SUBMITTED:
                self.world.unjournalled.append(tag)
            venue.wrote(
                "place", applied=True, tag=tag, side=order.side.value, quantity=order.quantity
            )
        return VenueOrder(
            order.order_id,
            order.instrument,
            order.side,
            order.product,
            order.order_type,
            order.quantity,
            tag,
            "us" if tag is not None else "broker",
            order.placed_at,
            venue.now(),
            order.limit_price,
            order.trigger_price,
            status="TRIGGER PENDING" if order.order_type is OrderType.SL_M else "OPEN",
        )

    def _fill(
        self, order: VenueOrder, trade_id: str, units: int, price: Decimal, at: datetime
    ) -> None:
        total = order.average * order.filled + price * units
        order.filled += units
        order.average = total / order.filled
        now = self.venue.now()
        trade = Trade(trade_id, order, units, price, now, at, now)
        self.venue.trades.append(trade)
        self.venue.on_fill(trade)


def asked_about(rows: list[Mapping[str, Any]], broker_id: str) -> list[str]:
    """Return the audit rows in which an order of a paper account became unknown: none may."""
    return [
        f"the paper order {row['client_order_id']} was of unknown fate"
        for row in rows
        if row["broker_id"] == broker_id and row["state"] == OrderState.UNRESOLVED
    ]
