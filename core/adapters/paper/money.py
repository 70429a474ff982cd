"""What a paper account's money is bound by: margins, and charges. Rather too much than too little.

Delivery and bought options are paid for in full. Every other position blocks a share of its value,
and a sold option a fixed amount a lot, because the margin of neither can be known without the
exchange's own files. A loss that is open is not free money either.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import date
from decimal import Decimal

from core.adapters.paper.book import Book, Key, PaperOrder, executed
from core.domain.charges import Execution, charges_of
from core.domain.identifiers import PAPER
from core.domain.instrument import Instrument, InstrumentId, Product

__all__ = ["available", "charges_so_far", "needed", "used"]

_ZERO = Decimal(0)
_SHARE = Decimal("0.2")
_SOLD_OPTION_LOT = Decimal(200_000)
_Lots = Callable[[InstrumentId], Instrument | None]


def _margin(key: Key, units: int, price: Decimal, lots: _Lots) -> Decimal:
    """Return what signed units block."""
    instrument, product = key
    value = abs(units) * price
    if product is Product.CNC:
        return _ZERO if units < 0 else value  # shares that are sold need no money
    if instrument.symbol.endswith(("CE", "PE")) and instrument.exchange in {"NFO", "BFO"}:
        if units > 0:
            return value
        known = lots(instrument)
        lot = known.lot_size if known else 1
        return _SOLD_OPTION_LOT * -(-abs(units) // lot)
    return value * _SHARE


def needed(book: Book, orders: Iterable[PaperOrder], order: PaperOrder, lots: _Lots) -> Decimal:
    """Return what an order blocks beside others: nothing for what only closes a position.

    Args:
        book: The account's book.
        orders: What works beside it.
        order: The order; its price is its limit, its bound or its trigger.
        lots: Instruments by name.
    """
    price = order.limit_price or order.bound or order.trigger_price or _ZERO
    held = book.place(order.key).quantity
    closing = 0
    if held * order.side.sign < 0:
        beside = sum(
            one.leaves for one in orders if one.key == order.key and one.side is order.side
        )
        closing = max(0, abs(held) - beside)
    opening = max(0, order.leaves - closing)
    return _margin(order.key, opening * order.side.sign, price, lots)


def used(book: Book, orders: Iterable[PaperOrder], lots: _Lots) -> Decimal:
    """Return what positions and working orders block."""
    held = sum(
        (
            _margin(one.key, one.quantity, one.average_price, lots)
            for one in book.places.values()
            if one.product is not Product.CNC  # paid for already
        ),
        _ZERO,
    )
    before: list[PaperOrder] = []
    for order in orders:
        if order.is_working:
            held += needed(book, before, order, lots)
            before.append(order)
    return held


def available(book: Book, orders: Iterable[PaperOrder], lots: _Lots) -> Decimal:
    """Return what is free for a new order."""
    open_losses = sum(
        (
            min(_ZERO, one.unrealised)
            for one in book.places.values()
            if one.product is not Product.CNC
        ),
        _ZERO,
    )
    return book.cash - used(book, orders, lots) + open_losses


def charges_so_far(orders: Iterable[PaperOrder], day: str) -> Decimal:
    """Return the charges of the day's executions, as far as they are known."""
    done = [
        Execution(
            order.order_id, order.instrument, order.product, order.side, fill.quantity, fill.price
        )
        for order, fill in executed(orders)
    ]
    return charges_of(done, PAPER, date.fromisoformat(day)).known
