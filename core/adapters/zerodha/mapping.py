"""Kite's words translated: outcomes of writes, faults of reads, rows of the account."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any

from core.adapters.broker_http import NoReply, Raw, Reply, retry_after
from core.adapters.clock import MARKET_ZONE
from core.adapters.fields import Malformed, Row, UnknownWord, checked_name, malformed, said
from core.adapters.rejection_words import cause_of, largest_in
from core.adapters.share_names import ShareNames
from core.domain.broker import (
    BrokerOrder,
    BrokerStatus,
    BrokerTrade,
    Candle,
    Funds,
    Holding,
    Position,
    PriceLevel,
    Profile,
    Quote,
)
from core.domain.identifiers import is_client_order_id
from core.domain.instrument import InstrumentId, Product
from core.domain.odd_rows import OddRow
from core.domain.order import OrderType, Side
from core.domain.outcome import Acked, Ambiguous, NotSent, Refusal, Refused, WriteOutcome
from core.errors import BrokerReadError, ReadFault

__all__ = [
    "broker_order",
    "broker_trade",
    "candle",
    "funds",
    "holding",
    "is_address_refusal",
    "odd_holding",
    "odd_order",
    "odd_position",
    "payload_of",
    "position",
    "profile",
    "quote",
    "write_outcome",
]

_OK = 200
_FORBIDDEN = 403
_TOO_MANY = 429
_SERVER_ERROR = 500
_REFUSING = {400, 403, 404, 405, 410}
_REFUSALS = {
    "InputException": Refusal.REJECTED,
    "MarginException": Refusal.REJECTED,
    "HoldingException": Refusal.REJECTED,
    "OrderException": Refusal.REJECTED,
    "UserException": Refusal.REJECTED,
    "PermissionException": Refusal.PERMISSION,
    "TokenException": Refusal.AUTH_REQUIRED,
}
_DOUBTFUL = re.compile(
    r"tim(?:ed?|ing)[\s-]*out|check (?:the |your )?order ?book(?! for open orders)", re.IGNORECASE
)
"""A 400 "Order request timed out. Please check the order book" was placed 8 s later (forum
35732): such words make any refusal doubtful. Not meant is the ordinary end of a margin refusal,
"Check the orderbook for open orders.", which says where the funds are."""
_ADDRESS = re.compile(
    r"\bIP\b.*\bnot allowed\b|allowed IPs|static IP|whitelist", re.IGNORECASE | re.DOTALL
)
"""The refusal of a source address has several types: the text decides (facts/kite.md 6.1)."""

_STATUSES = {
    "COMPLETE": BrokerStatus.COMPLETE,
    "CANCELLED": BrokerStatus.CANCELED,
    "CANCELLED AMO": BrokerStatus.CANCELED,
    "REJECTED": BrokerStatus.REJECTED,
}
_AT_REST = "TRIGGER PENDING"
"""Of the words with PENDING the one in which nothing is on its way (facts/kite.md 5.1)."""
_OPEN = "OPEN"
_PRODUCTS = {
    "CNC": Product.CNC,
    "MIS": Product.MIS,
    "NRML": Product.NRML,
    # Not ours, but the user may hold them. MTF is carried on margin, and no cash share is NRML, so
    # the two cannot be confused; cover and bracket orders end within the day.
    "MTF": Product.NRML,
    "CO": Product.MIS,
    "BO": Product.MIS,
}


def is_address_refusal(message: str) -> bool:
    """Return whether the broker refuses the address that the request came from."""
    return bool(_ADDRESS.search(message))


def write_outcome(raw: Raw, expected_id: str | None = None) -> WriteOutcome:
    """Classify the end of a write (reliability.md 1, facts/kite.md 6).

    Only a parsed body can prove a refusal; whatever is not proved is ambiguous.

    Args:
        raw: What happened on the wire.
        expected_id: The order that was to be changed or cancelled; an answer about another one
            belongs to another request.
    """
    if isinstance(raw, NoReply):
        return Ambiguous(raw.reason) if raw.may_have_left else NotSent(raw.reason)
    body = raw.mapping()
    if raw.status == _TOO_MANY:
        return Refused(Refusal.THROTTLED, _message(body, raw), retry_after(raw))
    if body is None:
        return Ambiguous(f"HTTP {raw.status} without a JSON object")
    if raw.status == _OK and body.get("status") == "success":
        return _acknowledgement(body, expected_id)
    return _refusal(body, raw)


def _acknowledgement(body: Mapping[str, Any], expected_id: str | None) -> WriteOutcome:
    data = body.get("data")
    order_id = data.get("order_id") if isinstance(data, dict) else None
    if not isinstance(order_id, str) or not order_id:
        return Ambiguous("success without an order id")
    if expected_id is not None and order_id != expected_id:
        return Ambiguous("the answer is about another order")
    return Acked(order_id)


def _refusal(body: Mapping[str, Any], raw: Reply) -> WriteOutcome:
    message = _message(body, raw)
    kind = _REFUSALS.get(str(body.get("error_type")))
    if raw.status not in _REFUSING or body.get("status") == "success" or kind is None:
        return Ambiguous(message)
    if _DOUBTFUL.search(message):
        return Ambiguous(message)
    if is_address_refusal(message):
        return Refused(Refusal.PERMISSION, message)
    if kind is Refusal.REJECTED:
        return Refused(kind, message, cause=cause_of(message), largest=largest_in(message))
    return Refused(kind, message)


def _message(body: Mapping[str, Any] | None, raw: Reply) -> str:
    message = body.get("message") if body else None
    return said(message) if isinstance(message, str) and message else f"HTTP {raw.status}"


def payload_of(raw: Raw) -> Any:
    """Return ``data`` of a successful read.

    Raises:
        BrokerReadError: Anything else.
    """
    if isinstance(raw, NoReply):
        raise raw.read_error()
    body = raw.mapping()
    if raw.is_ok and body is not None and body.get("status") == "success":
        if body.get("data") is None:
            raise malformed("success without data")
        return body["data"]
    raise BrokerReadError(
        _read_fault(body, raw), _message(body, raw), retry_after_s=retry_after(raw)
    )


def _read_fault(body: Mapping[str, Any] | None, raw: Reply) -> ReadFault:
    if raw.status == _TOO_MANY:
        return ReadFault.THROTTLED
    if raw.status >= _SERVER_ERROR:
        return ReadFault.UNREACHABLE
    error_type = body.get("error_type") if body else None
    if raw.is_ok or error_type is None:
        return ReadFault.MALFORMED
    kind = _REFUSALS.get(str(error_type))
    if kind is Refusal.AUTH_REQUIRED and raw.status == _FORBIDDEN:
        return ReadFault.AUTH_REQUIRED
    return ReadFault.PERMISSION if kind is Refusal.PERMISSION else ReadFault.REFUSED


def _instrument(row: Row) -> InstrumentId:
    return checked_name(InstrumentId(row.text("exchange"), row.text("tradingsymbol")))


def _name_of(row: Row) -> InstrumentId | None:
    try:
        return _instrument(row)
    except BrokerReadError:
        return None


def _side(row: Row) -> Side:
    try:
        return Side(row.text("transaction_type"))
    except ValueError as error:
        raise UnknownWord("transaction_type", row.text("transaction_type")) from error


def _product(row: Row) -> Product:
    word = row.text("product")
    if word not in _PRODUCTS:
        raise UnknownWord("product", word)
    return _PRODUCTS[word]


def _order_type(row: Row) -> OrderType:
    try:
        return OrderType(row.text("order_type"))
    except ValueError:
        return OrderType.LIMIT  # the echo is unreliable anyway (facts/kite.md 5.3)


def _tag(row: Row) -> str | None:
    """Return our id from ``tag`` or from among ``tags``, which hold the system's own too."""
    tags = row.get("tags")
    candidates = [row.maybe_text("tag"), *(tags if isinstance(tags, list) else [])]
    ours = (tag for tag in candidates if isinstance(tag, str) and is_client_order_id(tag))
    return next(ours, candidates[0])


def broker_order(row: Row) -> BrokerOrder:
    """Translate one of the day's orders."""
    status = row.text("status")
    words = row.maybe_text("status_message") or row.maybe_text("status_message_raw") or ""
    message = said(words)
    is_rejected = _STATUSES.get(status) is BrokerStatus.REJECTED
    return BrokerOrder(
        broker_order_id=row.text("order_id"),
        instrument=_instrument(row),
        side=_side(row),
        product=_product(row),
        order_type=_order_type(row),
        quantity=row.whole("quantity"),
        filled_quantity=row.whole("filled_quantity", 0),
        average_price=row.number("average_price"),
        status=_STATUSES.get(status, BrokerStatus.WORKING),
        has_pending_request="PENDING" in status.upper() and status.upper() != _AT_REST,
        tag=_tag(row),
        exchange_order_id=row.maybe_text("exchange_order_id"),
        limit_price=row.price("price"),
        trigger_price=row.price("trigger_price"),
        message=message,
        cause=cause_of(message) if is_rejected else None,
        largest=largest_in(message) if is_rejected else None,
        placed_at=row.ist("order_timestamp"),
        updated_at=row.ist("exchange_update_timestamp") or row.ist("exchange_timestamp"),
        is_triggered=_is_triggered(row, status),
    )


def _is_triggered(row: Row, status: str) -> bool | None:
    """Return whether a stop has triggered: then it is OPEN with its trigger still named.

    The echo of the order type does not say that it was a stop (facts/kite.md 5.3).
    """
    if row.price("trigger_price") is None:
        return None
    return {_AT_REST: False, _OPEN: True}.get(status.upper())


def odd_order(row: Row, error: Malformed) -> OddRow | None:
    """Return what is known of an order or trade that cannot be read; without an id it is no row."""
    order_id = row.maybe_text("order_id")
    return OddRow(error.what, order_id, _tag(row), _name_of(row)) if order_id else None


def odd_position(row: Row, error: Malformed) -> OddRow | None:
    """Return what is known of a position whose words are none of ours.

    A row of our own products that cannot be read fails the read: left out, it would look flat.
    """
    is_foreign = isinstance(error, UnknownWord)
    return OddRow(error.what, instrument=_name_of(row)) if is_foreign else None


def odd_holding(row: Row, error: Malformed) -> OddRow | None:
    """Return what is known of a holding that cannot be read: without it less may be sold."""
    return OddRow(error.what, instrument=_name_of(row))


def broker_trade(row: Row) -> BrokerTrade:
    """Translate one execution."""
    return BrokerTrade(
        trade_id=row.text("trade_id"),
        broker_order_id=row.text("order_id"),
        instrument=_instrument(row),
        side=_side(row),
        product=_product(row),
        quantity=row.whole("quantity"),
        price=row.number("average_price", None),
        traded_at=row.ist("fill_timestamp") or row.ist("exchange_timestamp"),
    )


def position(row: Row) -> Position:
    """Translate one row of the net positions."""
    return Position(
        instrument=_instrument(row),
        product=_product(row),
        quantity=row.whole("quantity"),
        average_price=row.number("average_price"),
        last_price=row.number("last_price"),
        day_buy_quantity=row.whole("day_buy_quantity", 0),
        day_sell_quantity=row.whole("day_sell_quantity", 0),
        realised=row.number("realised"),
        unrealised=row.number("unrealised"),
        previous_close=row.price("close_price"),
        day_buy_value=row.number("day_buy_value"),
        day_sell_value=row.number("day_sell_value"),
        multiplier=row.price("multiplier") or Decimal(1),
    )


def holding(row: Row, names: ShareNames) -> Holding:
    """Translate one delivery holding; ``quantity`` is what is left of it to sell.

    ``authorised_quantity`` does not say what may be sold: with a standing authorisation (DDPI) it
    is 0, as in every published reply. Without one the broker refuses the order.
    """
    isin = row.maybe_text("isin") or ""
    return Holding(
        instrument=_instrument(row),
        quantity=row.whole("quantity"),
        t1_quantity=row.whole("t1_quantity", 0),
        average_price=row.number("average_price"),
        last_price=row.number("last_price"),
        previous_close=row.price("close_price"),
        used_quantity=row.whole("used_quantity", 0),
        pledged_quantity=row.whole("collateral_quantity", 0),
        isin=isin,
        names=names.of(isin) | {_instrument(row)},
    )


def funds(row: Row) -> Funds:
    """Translate the equity segment; ``net`` is what can be traded with (facts/kite.md 3.2)."""
    return Funds(
        available=row.number("net", None),
        used=row.row("utilised").number("debits"),
        opening=row.row("available").number("opening_balance"),
    )


def profile(row: Row) -> Profile:
    """Translate who is logged in."""
    return Profile(said(row.text("user_id")), said(row.maybe_text("user_name") or ""))


def quote(instrument: InstrumentId, row: Row) -> Quote:
    """Translate one full quote."""
    day = row.row("ohlc") if row.get("ohlc") else Row({})
    return Quote(
        instrument=instrument,
        last_price=row.number("last_price", None),
        at=row.ist("timestamp") or row.ist("last_trade_time"),
        lower_circuit=row.price("lower_circuit_limit"),
        upper_circuit=row.price("upper_circuit_limit"),
        previous_close=day.price("close"),
        traded_at=row.ist("last_trade_time"),
        volume=row.whole("volume", 0) or None,
        day_high=day.price("high"),
        day_low=day.price("low"),
        bids=_levels(row, "buy"),
        asks=_levels(row, "sell"),
    )


def _levels(row: Row, side: str) -> tuple[PriceLevel, ...]:
    """Return one side of the depth, best first; none where it is not readable: nobody needs it."""
    try:
        found = [
            (one.price("price"), one.whole("quantity", 0)) for one in row.row("depth").rows(side)
        ]
    except Malformed:
        return ()
    return tuple(PriceLevel(price, units) for price, units in found if price and units > 0)


def candle(values: object) -> Candle:
    """Translate ``["2017-12-15T09:15:00+0530", open, high, low, close, volume, ...]``."""
    if not isinstance(values, list) or len(values) < len(_CANDLE):
        raise malformed("a candle has too few values")
    row = Row(dict(zip(_CANDLE, values, strict=False)))
    try:
        start = datetime.fromisoformat(row.text("start"))
    except ValueError as error:
        raise malformed("a candle has no time") from error
    if start.tzinfo is None:
        raise malformed("a candle's time has no zone")
    prices: dict[str, Decimal] = {key: row.number(key, None) for key in _CANDLE[1:5]}
    return Candle(start=start.astimezone(MARKET_ZONE), volume=row.whole("volume", 0), **prices)


_CANDLE = ("start", "open", "high", "low", "close", "volume")
