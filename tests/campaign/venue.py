"""The broker's side of a campaign: the true book of one account, and what happens at the exchange.

Nothing here knows the product but by its words for orders. What a client sees of this book is
``client.py``'s; this is the ledger by which the umpire judges.
"""

from __future__ import annotations

import heapq
import random
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from itertools import count
from typing import Any

from core.domain.instrument import InstrumentId, Product
from core.domain.order import OrderRequest, OrderType, Side
from tests.campaign.market import Market

__all__ = ["Key", "Trade", "Venue", "VenueOrder"]

Key = tuple[InstrumentId, Product]
_LIVE = {"OPEN", "TRIGGER PENDING"}


@dataclass
class VenueOrder:
    """One order of the book.

    Attributes:
        origin: ``us``, ``hand`` or ``broker``.
        shown_at: From when the lists show it, world's seconds.
        shows_tag: Whether the broker tells its tag; it may have lost it.
        rests: It was meant to fill at once and rests under its protection.
        cancelled_by: Who cancelled it.
    """

    order_id: str
    instrument: InstrumentId
    side: Side
    product: Product
    order_type: OrderType
    quantity: int
    tag: str | None
    origin: str
    placed_at: datetime
    shown_at: float
    limit_price: Decimal | None = None
    trigger_price: Decimal | None = None
    status: str = "OPEN"
    filled: int = 0
    average: Decimal = Decimal(0)
    message: str = ""
    shows_tag: bool = True
    rests: bool = False
    has_triggered: bool = False
    cancelled_by: str = ""
    ended_at: float = 0.0

    @property
    def is_live(self) -> bool:
        """Whether it may still fill."""
        return self.status in _LIVE

    @property
    def left(self) -> int:
        """Units that may still fill."""
        return self.quantity - self.filled if self.is_live else 0

    @property
    def key(self) -> Key:
        """Where it counts."""
        return self.instrument, self.product


@dataclass(frozen=True)
class Trade:
    """One execution; ``at`` and ``shown_at`` are world's seconds."""

    trade_id: str
    order: VenueOrder
    quantity: int
    price: Decimal
    at: float
    traded_at: datetime
    shown_at: float

    @property
    def signed(self) -> int:
        """Units, negative for a sale."""
        return self.quantity * self.order.side.sign


@dataclass
class Venue:
    """One account at the exchange.

    Attributes:
        writes: Every write that arrived, as the sandbox's ledger has it.
        foreign: When somebody else acted on a key, world's seconds.
        freeze: The largest quantity of one order.
        conversions: When somebody else converted units of a key.
        note: Writes down what happened, for the story.
        on_fill: Called after each execution.
    """

    market: Market
    now: Callable[[], float]
    wall: Callable[[], datetime]
    chance: random.Random
    freeze: int = 1800
    orders: dict[str, VenueOrder] = field(default_factory=dict)
    trades: list[Trade] = field(default_factory=list)
    writes: list[dict[str, Any]] = field(default_factory=list)
    converted: Counter[Key] = field(default_factory=Counter)
    foreign: list[tuple[float, Key]] = field(default_factory=list)
    conversions: list[tuple[float, Key]] = field(default_factory=list)
    note: Callable[[str], None] = lambda _what: None
    on_fill: Callable[[Trade], None] = lambda _trade: None
    _due: list[tuple[float, int, Callable[[], object]]] = field(default_factory=list)
    _numbers: Any = field(default_factory=lambda: count(240101000000001))

    # Time

    def later(self, seconds: float, happens: Callable[[], object]) -> None:
        """Let something happen at the exchange after some seconds, whoever still waits for it."""
        heapq.heappush(self._due, (self.now() + seconds, next(self._numbers), happens))

    def settle(self) -> None:
        """Let happen what is due by now: requests under way, triggers, limits."""
        while self._due and self._due[0][0] <= self.now():
            heapq.heappop(self._due)[2]()
        for order in [one for one in self.orders.values() if one.is_live]:
            self._work(order)

    def _work(self, order: VenueOrder) -> None:
        price = self.market.price(order.instrument, self.wall())
        if order.status == "TRIGGER PENDING" and order.trigger_price is not None:
            if (price - order.trigger_price) * order.side.sign < 0:
                return
            order.status, order.has_triggered = "OPEN", True
            order.rests = order.rests or self.chance.random() < 0.15
            self.note(f"{(order.tag or order.origin)[-6:]} triggers, rests={order.rests}")
            if not order.rests:
                self.fill(order, order.left, price)
        elif (
            order.order_type is OrderType.LIMIT
            and order.limit_price is not None
            and (order.limit_price - price) * order.side.sign >= 0
        ):
            self.fill(order, order.left, order.limit_price)

    # Orders

    def accept(
        self,
        request: OrderRequest,
        *,
        origin: str = "us",
        hidden_s: float = 0.0,
        plan: str = "",
    ) -> VenueOrder:
        """Take an order in; ``plan`` is one of ``rests``, ``part``, ``rejected later`` or ''."""
        order = VenueOrder(
            str(next(self._numbers)),
            request.instrument,
            request.side,
            request.product,
            request.order_type,
            request.quantity,
            request.client_order_id if origin == "us" else None,
            origin,
            self.wall(),
            self.now() + hidden_s,
            request.limit_price,
            request.trigger_price,
        )
        self.orders[order.order_id] = order
        if origin != "us":
            self.foreign.append((self.now(), order.key))
        price = self.market.price(order.instrument, self.wall())
        if order.order_type is OrderType.SL_M:
            order.status, order.rests = "TRIGGER PENDING", plan == "rests"
        elif plan == "rejected later":
            self.later(0.7, lambda: self.end(order, "REJECTED", "RMS: margin exceeds"))
        elif plan == "rests":
            order.rests = True
        elif plan == "part" and order.quantity > 1:
            self.fill(order, max(1, order.quantity // 3), price)
            order.rests = True
            self.later(self.chance.uniform(2, 40), lambda: self.fill_rest(order))
        elif order.order_type is OrderType.MARKET:
            self.fill(order, order.quantity, price)
        return order

    def is_through(self, request: OrderRequest) -> bool:
        """Whether the price is through a stop already, so that the exchange refuses it."""
        price = self.market.price(request.instrument, self.wall())
        trigger = request.trigger_price
        return trigger is not None and (price - trigger) * request.side.sign >= 0

    def fill_rest(self, order: VenueOrder) -> None:
        """Fill what is left of an order that still works."""
        if order.is_live:
            self.fill(order, order.left, self.market.price(order.instrument, self.wall()))

    def fill(self, order: VenueOrder, quantity: int, price: Decimal) -> None:
        """Execute units of a working order."""
        quantity = min(quantity, order.left)
        if quantity <= 0:
            return
        total = order.average * order.filled + price * quantity
        order.filled += quantity
        order.average = total / order.filled
        if order.filled == order.quantity:
            order.status, order.ended_at = "COMPLETE", self.now()
        trade = Trade(
            f"T{next(self._numbers)}",
            order,
            quantity,
            price,
            self.now(),
            self.wall(),
            max(self.now(), order.shown_at),
        )
        self.trades.append(trade)
        if order.origin != "us":
            self.foreign.append((self.now(), order.key))
        self.on_fill(trade)

    def end(self, order: VenueOrder, status: str, message: str = "", by: str = "") -> bool:
        """Cancel or reject a working order; return whether it still worked."""
        if not order.is_live:
            return False
        order.status, order.message, order.cancelled_by = status, message, by
        order.ended_at = self.now()
        if by in {"hand", "broker"}:
            self.foreign.append((self.now(), order.key))
        return True

    def wrote(self, action: str, *, applied: bool, **what: Any) -> None:
        """Note a write that arrived."""
        self.writes.append(
            {
                "action": action,
                "applied": applied,
                "real_at": self.wall().timestamp(),
                "at": self.now(),
                "tag": None,
                **what,
            }
        )

    # Other people

    def by_hand(self, request: OrderRequest, *, rests: bool = False) -> VenueOrder:
        """Let a person place an order in the broker's app."""
        return self.accept(request, origin="hand", plan="rests" if rests else "")

    def convert(self, instrument: InstrumentId, old: Product, new: Product, units: int) -> None:
        """Let a person convert units of a position to another product."""
        self.note(f"{units} {instrument} are converted from {old} to {new}")
        self.converted[instrument, old] -= units
        self.converted[instrument, new] += units
        for key in ((instrument, old), (instrument, new)):
            self.foreign.append((self.now(), key))
            self.conversions.append((self.now(), key))

    def square_off(self, product: Product = Product.MIS) -> int:
        """Close what is left of a product in the broker's own name; return how many orders."""
        for order in self.orders.values():
            if order.product is product:
                self.end(order, "CANCELLED", "RMS square-off", by="broker")
        done = 0
        for key in sorted(self.touched()):
            units = self.net(key)
            if key[1] is product and units:
                side = Side.of(-units)
                self.accept(
                    OrderRequest("", key[0], side, abs(units), OrderType.MARKET, product),
                    origin="broker",
                )
                done += 1
        return done

    # The truth

    def moved_by_others(self, key: Key) -> float | None:
        """Return when somebody else last moved units of a position; None if nobody ever did."""
        moved = [t.at for t in self.trades if t.order.key == key and t.order.origin != "us"]
        return max([*moved, *(at for at, where in self.conversions if where == key)], default=None)

    def of_tag(self, tag: str) -> VenueOrder | None:
        """Return the order that was placed under an id of ours."""
        return next((one for one in self.orders.values() if one.tag == tag), None)

    def touched(self) -> set[Key]:
        """Return every (instrument, product) that was touched."""
        return {order.key for order in self.orders.values()} | set(self.converted)

    def net(self, key: Key, *, seen_at: float | None = None) -> int:
        """Return the net position; with ``seen_at`` as far as the lists show it by then."""
        moved = sum(
            trade.signed
            for trade in self.trades
            if trade.order.key == key and (seen_at is None or trade.shown_at <= seen_at)
        )
        return moved + self.converted[key]

    def book(self) -> dict[str, Any]:
        """Return the truth as the sandbox's control port gives it."""
        return {
            "orders": [
                {
                    "order_id": order.order_id,
                    "tag": order.tag,
                    "status": order.status,
                    "filled_quantity": order.filled,
                    "quantity": order.quantity,
                    "average_price": order.average,
                }
                for order in self.orders.values()
            ],
            "trades": [
                {"side": trade.order.side.value, "quantity": trade.quantity}
                for trade in self.trades
            ],
            "positions": [
                {
                    "symbol": instrument.symbol,
                    "product": product.value,
                    "quantity": self.net((instrument, product)),
                }
                for instrument, product in self.touched()
            ],
        }
