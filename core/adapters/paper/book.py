"""The books of one paper account: orders, positions, delivery shares and cash. Plain values.

Cash moves as at a broker: delivery is paid for in full, in every other product only what a closed
unit has won or lost moves it, and charges are taken with each fill. What ``roll`` does at the
beginning of a day is what a broker does over night.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from datetime import date, datetime
from decimal import ROUND_HALF_EVEN, Decimal

from core.domain.broker import BrokerStatus
from core.domain.instrument import InstrumentId, Product
from core.domain.order import OrderType, Side, Validity
from core.domain.outcome import Cause

__all__ = [
    "Book",
    "Key",
    "PaperFill",
    "PaperOrder",
    "PaperPosition",
    "Share",
    "executed",
    "filled",
    "roll",
]

_ZERO = Decimal(0)
_PAISA = Decimal("0.01")
Key = tuple[InstrumentId, Product]


@dataclass(frozen=True, slots=True)
class PaperFill:
    """One execution."""

    trade_id: str
    quantity: int
    price: Decimal
    at: datetime


@dataclass(frozen=True, slots=True)
class PaperOrder:
    """One order of the day.

    Attributes:
        bound: The worst price at which a market order may fill, by its protection.
        is_triggered: A stop has triggered, and works as a limit or protected order.
        seen_volume: What the day had traded at the last look; None before the first.
        is_looked_at: Whether it was compared with a price before.
    """

    order_id: str
    tag: str | None
    instrument: InstrumentId
    side: Side
    product: Product
    order_type: OrderType
    quantity: int
    placed_at: datetime
    updated_at: datetime
    limit_price: Decimal | None = None
    trigger_price: Decimal | None = None
    validity: Validity = Validity.DAY
    status: BrokerStatus = BrokerStatus.WORKING
    bound: Decimal | None = None
    is_triggered: bool = False
    seen_volume: int | None = None
    is_looked_at: bool = False
    fills: tuple[PaperFill, ...] = ()
    message: str = ""
    cause: Cause | None = None

    @property
    def key(self) -> Key:
        """What it buys or sells."""
        return self.instrument, self.product

    @property
    def filled_quantity(self) -> int:
        """Units that have filled."""
        return sum(one.quantity for one in self.fills)

    @property
    def leaves(self) -> int:
        """Units that may still fill."""
        return self.quantity - self.filled_quantity if self.is_working else 0

    @property
    def is_working(self) -> bool:
        """Whether it is not over."""
        return self.status is BrokerStatus.WORKING

    @property
    def is_waiting_stop(self) -> bool:
        """Whether it is a stop whose trigger was not reached yet."""
        is_stop = self.order_type in {OrderType.SL, OrderType.SL_M}
        return self.is_working and is_stop and not self.is_triggered

    @property
    def average_price(self) -> Decimal:
        """What its units cost on the average, 0 before the first."""
        units = self.filled_quantity
        value = sum((one.quantity * one.price for one in self.fills), _ZERO)
        return (value / units).quantize(Decimal("0.0001"), ROUND_HALF_EVEN) if units else _ZERO


@dataclass(frozen=True, slots=True)
class PaperPosition:
    """The position of one (instrument, product).

    Attributes:
        quantity: Signed units; in CNC, negative units are shares that were sold today.
        average_price: Of the units that are held.
        realised: Rupees of units that were closed today.
        previous_close: Of the day before, for what was carried into this one.
        expiry: The contract's last day: the next morning's master does not list it any more.
    """

    instrument: InstrumentId
    product: Product
    quantity: int = 0
    average_price: Decimal = _ZERO
    last_price: Decimal = _ZERO
    bought: int = 0
    bought_value: Decimal = _ZERO
    sold: int = 0
    sold_value: Decimal = _ZERO
    realised: Decimal = _ZERO
    previous_close: Decimal | None = None
    expiry: date | None = None

    @property
    def key(self) -> Key:
        """What it is of."""
        return self.instrument, self.product

    @property
    def unrealised(self) -> Decimal:
        """Rupees of the units that are held, at the last price."""
        return (self.last_price - self.average_price) * self.quantity


@dataclass(frozen=True, slots=True)
class Share:
    """Delivery shares of earlier days, what was sold of them today included."""

    instrument: InstrumentId
    quantity: int
    average_price: Decimal
    last_price: Decimal


@dataclass(frozen=True, slots=True)
class Book:
    """All of one account but its orders.

    Attributes:
        day: The trading day that it is of.
        cash: Rupees, what is blocked as margin included.
        opening: Rupees when the day began.
        charged: What of today's charges was taken from the cash.
        seq: How many orders and fills were numbered.
        is_practice: What it holds was traded at made-up prices.
    """

    day: str
    cash: Decimal
    opening: Decimal
    charged: Decimal = _ZERO
    seq: int = 0
    is_practice: bool = False
    places: dict[Key, PaperPosition] = field(default_factory=dict)
    shares: dict[InstrumentId, Share] = field(default_factory=dict)

    def place(self, key: Key) -> PaperPosition:
        """Return the position of a key, a flat one where there is none."""
        return self.places.get(key) or PaperPosition(*key)

    def sellable(self, instrument: InstrumentId) -> int:
        """Return how many delivery units may be sold: those of earlier days, and today's."""
        held = self.shares.get(instrument)
        place = self.places.get((instrument, Product.CNC))
        return (held.quantity if held else 0) + (place.quantity if place else 0)

    def with_expiries(self, known: Callable[[InstrumentId], date | None]) -> Book:
        """Return it with the last days of its contracts, as far as they are known now."""
        places = {
            key: replace(one, expiry=known(one.instrument) or one.expiry)
            for key, one in self.places.items()
        }
        return replace(self, places=places)

    def marked(self, prices: Callable[[InstrumentId], Decimal | None]) -> Book:
        """Return it with later prices, as far as there are any."""
        places = {
            key: replace(one, last_price=prices(one.instrument) or one.last_price)
            for key, one in self.places.items()
        }
        shares = {
            name: replace(one, last_price=prices(name) or one.last_price)
            for name, one in self.shares.items()
        }
        return replace(self, places=places, shares=shares)


def filled(book: Book, key: Key, side: Side, units: int, price: Decimal) -> Book:
    """Return the book after units were bought or sold at a price, before charges."""
    was = book.place(key)
    signed, value = units * side.sign, units * price
    after, won = was.quantity + signed, _ZERO
    average = was.average_price
    if was.quantity * signed >= 0:
        average = (abs(was.quantity) * was.average_price + value) / (abs(was.quantity) + units)
    else:
        closed = min(abs(was.quantity), units)
        won = (price - was.average_price) * closed * (1 if was.quantity > 0 else -1)
        if units > closed:
            average = price
    if key[1] is Product.CNC and min(was.quantity, after) < 0:
        # Shares of earlier days, which are no short: their own average counts at the depository.
        average, won = price, _ZERO
    place = replace(
        was,
        quantity=after,
        average_price=average if after else _ZERO,
        last_price=price,
        bought=was.bought + (units if side is Side.BUY else 0),
        bought_value=was.bought_value + (value if side is Side.BUY else 0),
        sold=was.sold + (units if side is Side.SELL else 0),
        sold_value=was.sold_value + (value if side is Side.SELL else 0),
        realised=was.realised + won,
    )
    paid = -value * side.sign if key[1] is Product.CNC else won
    return replace(book, cash=book.cash + paid, places={**book.places, key: place})


def roll(book: Book, day: str) -> Book:
    """Return the book as a new day finds it.

    Intraday units that nobody could square off, and what has expired, are closed at the last price
    that was seen; delivery goes to the holdings; what is carried begins at its last price.
    """
    today = date.fromisoformat(day)
    for one in list(book.places.values()):
        has_expired = one.expiry is not None and one.expiry < today
        is_over = one.product is Product.MIS or has_expired
        if one.quantity and is_over:
            closing = Side.of(-one.quantity)
            price = one.last_price or one.average_price
            book = filled(book, one.key, closing, abs(one.quantity), price)
    shares = dict(book.shares)
    for one in book.places.values():
        if one.product is Product.CNC and one.quantity:
            shares[one.instrument] = _delivered(shares.get(one.instrument), one)
    carried = {
        key: PaperPosition(
            *key,
            quantity=one.quantity,
            average_price=one.average_price,
            last_price=one.last_price,
            previous_close=one.last_price,
            expiry=one.expiry,
        )
        for key, one in book.places.items()
        if one.quantity and one.product is Product.NRML
    }
    cash = book.cash.quantize(_PAISA, ROUND_HALF_EVEN)
    held = {name: one for name, one in shares.items() if one.quantity > 0}
    return replace(
        Book(day, cash, cash, places=carried, shares=held),
        seq=book.seq,
        is_practice=book.is_practice,
    )


def _delivered(held: Share | None, place: PaperPosition) -> Share:
    if held is None:
        return Share(place.instrument, place.quantity, place.average_price, place.last_price)
    units, average = held.quantity + place.quantity, held.average_price
    if place.quantity > 0:
        value = held.quantity * held.average_price + place.quantity * place.average_price
        average = value / units
    return Share(place.instrument, units, average, place.last_price)


def executed(orders: Iterable[PaperOrder]) -> list[tuple[PaperOrder, PaperFill]]:
    """Return the day's executions, oldest first."""
    found = [(order, fill) for order in orders for fill in order.fills]
    return sorted(found, key=lambda pair: pair[1].at)
