"""One account's books inside one transaction: read, change, and write what has changed.

Owns ``paper_books`` and ``paper_orders`` (``documents.py``).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import date, datetime, timedelta
from decimal import Decimal

from core.adapters.paper.book import Book, PaperFill, PaperOrder, filled, roll
from core.adapters.paper.documents import (
    book_fields,
    book_of,
    order_id_of,
    order_of,
    order_row,
)
from core.adapters.paper.money import charges_so_far
from core.domain.broker import BrokerStatus
from core.domain.instrument import Instrument, InstrumentId, Product
from core.domain.order import OrderType, Side, Validity
from core.domain.sessions import IST
from core.ports.store import Change, StoreView

__all__ = ["FIRST_FUNDS", "State", "ended", "forget", "load", "write"]

_BOOKS = "paper_books"
_ORDERS = "paper_orders"
_DEPTH_STANDS = timedelta(seconds=2)
FIRST_FUNDS = Decimal(1_000_000)
_Known = Callable[[InstrumentId], Instrument | None]


class State:
    """The book and the day's orders; every change is a new value in them."""

    def __init__(self, broker_id: str, book: Book, orders: list[PaperOrder]) -> None:
        self.broker_id = broker_id
        self.book = book
        self.orders = {one.order_id: one for one in orders}
        self._old_book = book
        self._old = dict(self.orders)
        self._gone: list[str] = []

    @property
    def working(self) -> list[PaperOrder]:
        """The orders that are not over, oldest first."""
        return sorted(
            (one for one in self.orders.values() if one.is_working), key=lambda one: one.order_id
        )

    def taken(self, name: InstrumentId, now: datetime) -> dict[Side, int]:
        """Return what was bought and sold in the last seconds: the same depth gives it once."""
        found = dict.fromkeys(Side, 0)
        for order in self.orders.values():
            if order.instrument == name:
                found[order.side] += sum(
                    one.quantity for one in order.fills if now - one.at < _DEPTH_STANDS
                )
        return found

    def number(self) -> int:
        """Return the next number of an order or a fill."""
        self.book = replace(self.book, seq=self.book.seq + 1)
        return self.book.seq

    def new_id(self, now: datetime) -> str:
        """Return an order's id; they sort by time."""
        return f"P{now:%y%m%d}{self.number():07d}"

    def put(self, order: PaperOrder) -> None:
        """Keep an order, or another state of it."""
        self.orders[order.order_id] = order

    def fill(self, order: PaperOrder, fills: list[tuple[int, Decimal]], now: datetime) -> None:
        """Take what an order fills, and end it when nothing is left or may wait."""
        for units, price in fills:
            self.book = filled(self.book, order.key, order.side, units, price)
            done = PaperFill(f"T{self.number():07d}", units, price, now)
            order = replace(order, fills=(*order.fills, done), updated_at=now)
        if order.leaves == 0:
            order = replace(order, status=BrokerStatus.COMPLETE)
        elif order.validity is Validity.IOC and order.is_looked_at and not order.is_waiting_stop:
            order = ended(order, BrokerStatus.CANCELED, "immediate or cancel", now)
        self.put(order)
        if fills:
            charged = charges_so_far(self.orders.values(), self.book.day)
            cash = self.book.cash - (charged - self.book.charged)
            self.book = replace(self.book, cash=cash, charged=charged)

    def begin_prices(self, *, is_practice: bool, now: datetime) -> None:
        """End what was traded at made-up prices before real ones count, and the other way round.

        What works is cancelled, and what is held is sold or bought back at the last price of its
        kind, by orders without a tag, as somebody in a broker's app would do it.
        """
        if self.book.is_practice is is_practice:
            return
        why = "prices were made up for practice until now"
        if is_practice:
            why = "no account is connected that gives prices: they are made up from now on"
        for order in self.working:
            self.put(ended(order, BrokerStatus.CANCELED, why, now))
        held = [(*one.key, one.quantity, one.last_price) for one in self.book.places.values()]
        for one in self.book.shares.values():
            sold = min(0, self.book.place((one.instrument, Product.CNC)).quantity)
            held.append((one.instrument, Product.CNC, one.quantity + sold, one.last_price))
        for instrument, product, quantity, price in held:
            if quantity > 0 or (quantity < 0 and product is not Product.CNC):
                side, units = Side.of(-quantity), abs(quantity)
                order = PaperOrder(
                    self.new_id(now),
                    None,
                    instrument,
                    side,
                    product,
                    OrderType.MARKET,
                    units,
                    now,
                    now,
                    message=why,
                )
                self.fill(order, [(units, price)], now)
        self.book = replace(self.book, is_practice=is_practice)

    @property
    def has_rolled(self) -> bool:
        """Whether a new day has begun that is not written yet."""
        return self._old_book.day != self.book.day

    def learn_expiries(self, known: _Known) -> None:
        """Keep the last days of what is held: a later master lists no expired contract."""

        def expiry(name: InstrumentId) -> date | None:
            found = known(name)
            return found.expiry if found is not None else None

        self.book = self.book.with_expiries(expiry)

    def begin_day(self, day: str, known: _Known) -> None:
        """Roll the book over to a new day; the orders of the day before are history."""
        if self.book.day == day:
            return
        self.learn_expiries(known)
        self.book = roll(self.book, day)
        self._gone = list(self._old)
        self.orders = {}

    async def save(self, view: StoreView) -> None:
        """Write what has changed."""
        if self.book != self._old_book:
            await write(view, self.broker_id, self.book)
        for order_id in self._gone:
            key = order_id_of(self.broker_id, order_id)
            await view.delete(_ORDERS, {"_id": key})
        for order_id, order in self.orders.items():
            if order_id not in self._old:
                await view.insert(_ORDERS, order_row(self.broker_id, order))
            elif order != self._old[order_id]:
                row = order_row(self.broker_id, order)
                key = row.pop("_id")
                await view.update(_ORDERS, {"_id": key}, Change(set=row))


def ended(order: PaperOrder, status: BrokerStatus, why: str, now: datetime) -> PaperOrder:
    """Return an order that is over before it has filled."""
    return replace(order, status=status, message=why, updated_at=now)


async def load(view: StoreView, broker_id: str, now: datetime) -> State:
    """Read an account's books; one that was never opened begins with the first funds."""
    row = await view.get(_BOOKS, broker_id)
    if row is None:
        day = now.astimezone(IST).date().isoformat()
        return State(broker_id, Book(day, FIRST_FUNDS, FIRST_FUNDS), [])
    found = await view.find(_ORDERS, {"broker_id": broker_id})
    return State(broker_id, book_of(row), [order_of(one) for one in found])


async def write(view: StoreView, broker_id: str, book: Book) -> None:
    """Write a book."""
    await view.update(_BOOKS, {"_id": broker_id}, Change(set=book_fields(book)), upsert=True)


async def forget(view: StoreView, broker_id: str) -> None:
    """Remove a book and its orders."""
    await view.delete(_BOOKS, {"_id": broker_id})
    await view.delete(_ORDERS, {"broker_id": broker_id})
