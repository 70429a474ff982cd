"""What is refused: at the door for its form, and by the exchange for what the account may do."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from core.adapters.paper.book import Book, PaperOrder
from core.adapters.paper.matching import Look
from core.adapters.paper.money import available, needed
from core.domain.instrument import Instrument, InstrumentId, Product
from core.domain.money import rupees
from core.domain.order import OrderRequest, OrderType, Side
from core.domain.outcome import Cause, Refusal, Refused
from core.domain.sessions import SessionWindow

__all__ = ["Rejection", "refused_form", "refused_order", "too_dear"]

_LIMITED = {OrderType.LIMIT, OrderType.SL}
_TRIGGERED = {OrderType.SL, OrderType.SL_M}


@dataclass(frozen=True, slots=True)
class Rejection:
    """Why the exchange rejects an order that has the right form."""

    cause: Cause
    message: str


def _refuse(message: str, cause: Cause = Cause.OTHER, largest: int | None = None) -> Refused:
    return Refused(Refusal.REJECTED, message, cause=cause, largest=largest)


def refused_form(order: OrderRequest, known: Instrument | None) -> Refused | None:
    """Return why a request is refused at the door: what it trades, its quantity, its prices."""
    if known is None:
        return _refuse(f"{order.instrument} is not in the list of instruments", Cause.INSTRUMENT)
    if order.quantity <= 0 or order.quantity % known.lot_size:
        return _refuse(f"quantity {order.quantity} is no multiple of the lot of {known.lot_size}")
    freeze = known.freeze_quantity
    if freeze is not None and order.quantity > freeze:
        message = f"quantity {order.quantity} is above the freeze quantity of {freeze}"
        return _refuse(message, Cause.FREEZE, freeze)
    if order.product is Product.CNC and known.id.exchange not in {"NSE", "BSE"}:
        return _refuse("CNC is not allowed in derivatives", Cause.PRODUCT)
    if order.product is Product.NRML and known.id.exchange in {"NSE", "BSE"}:
        return _refuse("NRML is not allowed in shares", Cause.PRODUCT)
    if order.order_type in _LIMITED and (wrong := _off_tick(order.limit_price, known, "price")):
        return _refuse(wrong)
    if order.order_type in _TRIGGERED:
        wrong = _off_tick(order.trigger_price, known, "trigger price")
        return _refuse(wrong) if wrong else None
    return None


def _off_tick(price: Decimal | None, known: Instrument, what: str) -> str:
    if price is None or price <= 0:
        return f"the order has no {what}"
    if price % known.tick_size:
        return f"{what} {rupees(price)} is no multiple of the tick of {rupees(known.tick_size)}"
    return ""


def refused_order(
    order: PaperOrder,
    look: Look,
    book: Book,
    beside: list[PaperOrder],
    lots: dict[InstrumentId, Instrument],
    window: SessionWindow | None,
) -> Rejection | None:
    """Return why the exchange rejects an order, the first reason that it finds.

    Args:
        order: The order, with the bound of its protection.
        look: The price now.
        book: The account's book.
        beside: The account's other working orders.
        lots: What is known of the instruments that it concerns.
        window: The instrument's session today.
    """
    return (
        _closed(window, look.at)
        or _outside_band(order, look)
        or _beyond_trigger(order, look)
        or _not_held(order, book, beside)
        or too_dear(order, book, beside, lots)
    )


def _closed(window: SessionWindow | None, now: datetime) -> Rejection | None:
    if window is not None and window.contains(now):
        return None
    return Rejection(Cause.CLOSED, "the market is closed for this instrument")


def _outside_band(order: PaperOrder, look: Look) -> Rejection | None:
    low, high, price = look.quote.lower_circuit, look.quote.upper_circuit, order.limit_price
    if price is None or not ((low and price < low) or (high and price > high)):
        return None
    limits = " to ".join("none" if one is None else rupees(one) for one in (low, high))
    words = f"price {rupees(price)} is outside the circuit limits {limits}"
    return Rejection(Cause.BAND, words)


def _beyond_trigger(order: PaperOrder, look: Look) -> Rejection | None:
    trigger = order.trigger_price
    if not order.is_waiting_stop or trigger is None:
        return None
    if (trigger - look.last) * order.side.sign > 0:
        return None
    side = "above" if order.side is Side.BUY else "below"
    words = f"trigger price {rupees(trigger)} is not {side} the last price {rupees(look.last)}"
    return Rejection(Cause.TRIGGER, words)


def _not_held(order: PaperOrder, book: Book, beside: list[PaperOrder]) -> Rejection | None:
    if order.product is not Product.CNC or order.side is not Side.SELL:
        return None
    selling = sum(o.leaves for o in beside if o.key == order.key and o.side is Side.SELL)
    free = book.sellable(order.instrument) - selling
    if order.leaves <= free:
        return None
    words = f"insufficient holdings: {order.leaves} asked for, {max(0, free)} free"
    return Rejection(Cause.HOLDING, words)


def too_dear(
    order: PaperOrder,
    book: Book,
    beside: list[PaperOrder],
    lots: dict[InstrumentId, Instrument],
) -> Rejection | None:
    """Return that an order needs more than is free, or None."""
    asked = needed(book, beside, order, lots.get)
    if not asked:
        return None
    free = available(book, beside, lots.get)
    if asked <= free:
        return None
    words = f"insufficient funds: {rupees(asked)} needed, {rupees(max(Decimal(0), free))} free"
    return Rejection(Cause.MARGIN, words)
