"""Books and orders as stored documents.

Of ``paper_books`` (``_id`` is the account's id; ``day``, ``cash``, ``opening``, ``charged``,
``seq``, ``places`` and ``shares`` as lists, a place with its contract's ``expiry``) and
``paper_orders`` (``_id`` ``broker_id|order_id``, the day's orders of an account with their
``fills``).
"""

from __future__ import annotations

from datetime import date

from core.adapters.paper.book import Book, PaperFill, PaperOrder, PaperPosition, Share
from core.domain.broker import BrokerStatus
from core.domain.instrument import InstrumentId, Product
from core.domain.order import OrderType, Side, Validity
from core.domain.outcome import Cause
from core.domain.sessions import IST
from core.ports.store import Document

__all__ = ["book_fields", "book_of", "order_id_of", "order_of", "order_row"]

_PLACE = (
    "quantity",
    "average_price",
    "last_price",
    "bought",
    "bought_value",
    "sold",
    "sold_value",
    "realised",
    "previous_close",
)
_SHARE = ("quantity", "average_price", "last_price")
_BOOK = ("day", "cash", "opening", "charged", "seq", "is_practice")
_ORDER = (
    "order_id",
    "tag",
    "quantity",
    "limit_price",
    "trigger_price",
    "bound",
    "is_triggered",
    "seen_volume",
    "is_looked_at",
    "message",
)


def book_fields(book: Book) -> Document:
    """Return the fields of a book's document."""
    return {
        **{name: getattr(book, name) for name in _BOOK},
        "places": [
            {
                "instrument": str(one.instrument),
                "product": one.product.value,
                **{name: getattr(one, name) for name in _PLACE},
                "expiry": one.expiry.isoformat() if one.expiry else None,
            }
            for one in book.places.values()
        ],
        "shares": [
            {"instrument": str(one.instrument), **{name: getattr(one, name) for name in _SHARE}}
            for one in book.shares.values()
        ],
    }


def book_of(row: Document) -> Book:
    """Read a book's document."""
    places = [
        PaperPosition(
            InstrumentId.parse(one["instrument"]),
            Product(one["product"]),
            **{name: one[name] for name in _PLACE},
            # Books that are older than this field learn it with their next change.
            expiry=date.fromisoformat(one["expiry"]) if one.get("expiry") else None,
        )
        for one in row["places"]
    ]
    shares = [
        Share(InstrumentId.parse(one["instrument"]), **{name: one[name] for name in _SHARE})
        for one in row["shares"]
    ]
    return Book(
        **{name: row[name] for name in _BOOK},
        places={one.key: one for one in places},
        shares={one.instrument: one for one in shares},
    )


def order_id_of(broker_id: str, order_id: str) -> str:
    """Return the ``_id`` of an order's document."""
    return f"{broker_id}|{order_id}"


def order_row(broker_id: str, order: PaperOrder) -> Document:
    """Return an order's document."""
    return {
        "_id": order_id_of(broker_id, order.order_id),
        "broker_id": broker_id,
        **{name: getattr(order, name) for name in _ORDER},
        "instrument": str(order.instrument),
        "side": order.side.value,
        "product": order.product.value,
        "order_type": order.order_type.value,
        "validity": order.validity.value,
        "status": order.status.value,
        "cause": order.cause.value if order.cause else None,
        "placed_at": order.placed_at,
        "updated_at": order.updated_at,
        "fills": [
            {
                "trade_id": one.trade_id,
                "quantity": one.quantity,
                "price": one.price,
                "at": one.at,
            }
            for one in order.fills
        ],
    }


def order_of(row: Document) -> PaperOrder:
    """Read an order's document."""
    return PaperOrder(
        **{name: row[name] for name in _ORDER},
        instrument=InstrumentId.parse(row["instrument"]),
        side=Side(row["side"]),
        product=Product(row["product"]),
        order_type=OrderType(row["order_type"]),
        validity=Validity(row["validity"]),
        status=BrokerStatus(row["status"]),
        cause=Cause(row["cause"]) if row["cause"] else None,
        placed_at=row["placed_at"].astimezone(IST),
        updated_at=row["updated_at"].astimezone(IST),
        fills=tuple(
            PaperFill(one["trade_id"], one["quantity"], one["price"], one["at"].astimezone(IST))
            for one in row["fills"]
        ),
    )
