"""Fyers' numbers translated: outcomes of writes, faults of reads, rows of the account."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from core.adapters.broker_http import NoReply, Raw, Reply, retry_after
from core.adapters.clock import MARKET_ZONE
from core.adapters.fields import Malformed, Row, UnknownWord, checked_name, malformed, said
from core.adapters.fyers.instruments import SymbolBook
from core.adapters.rejection_words import cause_of, largest_in
from core.domain.broker import (
    BrokerOrder,
    BrokerStatus,
    BrokerTrade,
    Candle,
    Funds,
    Holding,
    Position,
    PriceBand,
    PriceLevel,
    Profile,
    Quote,
)
from core.domain.instrument import InstrumentId, Product
from core.domain.odd_rows import OddRow
from core.domain.order import OrderType, Side
from core.domain.outcome import Acked, Ambiguous, NotSent, Refusal, Refused, WriteOutcome
from core.errors import BrokerReadError, ReadFault

__all__ = [
    "DEAD_SESSION",
    "ORDER_TYPES",
    "PRODUCTS",
    "broker_order",
    "broker_trade",
    "candle",
    "fault_code",
    "funds",
    "holding",
    "is_throttled",
    "odd_holding",
    "odd_order",
    "odd_position",
    "payload_of",
    "position",
    "price_band",
    "profile",
    "quote",
    "tag_of",
    "write_outcome",
]

ORDER_TYPES = {OrderType.LIMIT: 1, OrderType.MARKET: 2, OrderType.SL_M: 3, OrderType.SL: 4}
PRODUCTS = {Product.CNC: "CNC", Product.MIS: "INTRADAY", Product.NRML: "MARGIN"}

_OK = 200
_UNAUTHORISED = 401
_FORBIDDEN = 403
_TOO_MANY = 429
_SERVER_ERROR = 500
_ACKNOWLEDGED = {1101, 1102, 1103}
DEAD_SESSION = {-8, -15, -16, -17}
_THROTTLED = {-429, -353}
_PERMISSION = {-373}
_REJECTIONS = {-50, -51, -53, -99, -101, -159, -161, -162, -163, -164, -209} | {
    code for code in range(-399, -299) if code not in _THROTTLED | _PERMISSION
}
"""Documented refusals (facts/fyers.md 6.1). Absent on purpose: 201 and -201 to -205 (sent, or the
connection to the order system broke) and -96 (unexpected) prove nothing."""
_ADDRESS = re.compile(r"whitelist|static ip|\bIP\b.*\bnot\b|\balgo\b", re.IGNORECASE | re.DOTALL)
"""The code of an address refusal is unknown; its text shows it (facts/fyers.md 6.1)."""
_DOUBTFUL = re.compile(
    r"tim(?:ed?|ing)[\s-]*out|check (?:the |your )?order ?book|no ack|^bad request$", re.IGNORECASE
)

_STATUSES = {
    1: BrokerStatus.CANCELED,
    2: BrokerStatus.COMPLETE,
    5: BrokerStatus.REJECTED,
    7: BrokerStatus.EXPIRED,
}
_IN_TRANSIT = 4
_PRODUCTS = {
    "CNC": Product.CNC,
    "INTRADAY": Product.MIS,
    "MARGIN": Product.NRML,
    # Not ours, but the user may hold them. MTF is carried on margin, and no cash share is NRML, so
    # the two cannot be confused; cover and bracket orders end within the day.
    "MTF": Product.NRML,
    "CO": Product.MIS,
    "BO": Product.MIS,
}
_ORDER_TYPES = {number: kind for kind, number in ORDER_TYPES.items()}
_SIDES = {1: Side.BUY, -1: Side.SELL}
_TAG_PREFIX = re.compile(r"^\d+:")
_DAY_MINUTES = 1440
_FUNDS_USED, _FUNDS_OPENING, _FUNDS_AVAILABLE = 2, 9, 10
_MONTHS = "jan feb mar apr may jun jul aug sep oct nov dec".split()  # noqa: SIM905 - reads best
_TIME = re.compile(r"(\d{1,2})-(\d{1,2}|[A-Za-z]{3})-(\d{4}) (\d{2}):(\d{2}):(\d{2})")


def fault_code(body: Mapping[str, Any] | None) -> int | None:
    """Return Fyers' own code of an answer, None when it has none."""
    code = body.get("code") if body else None
    return code if isinstance(code, int) and not isinstance(code, bool) else None


def is_throttled(raw: Raw) -> bool:
    """Return whether an answer says that the app's rate is used up."""
    return isinstance(raw, Reply) and (
        raw.status == _TOO_MANY or fault_code(raw.mapping()) in _THROTTLED
    )


def write_outcome(raw: Raw, accepted: int, expected_id: str | None = None) -> WriteOutcome:
    """Classify the end of a write (reliability.md 1, facts/fyers.md 6.2).

    Args:
        raw: What happened on the wire.
        accepted: The code of success: 1101 placed, 1102 changed, 1103 cancelled.
        expected_id: The order that was to be changed or cancelled; an answer about another one
            belongs to another request.
    """
    if isinstance(raw, NoReply):
        return Ambiguous(raw.reason) if raw.may_have_left else NotSent(raw.reason)
    body = raw.mapping()
    if raw.status == _TOO_MANY:
        return Refused(Refusal.THROTTLED, _message(body, raw), retry_after(raw))
    # A page of a proxy proves nothing, whatever its status: the order may have passed behind it.
    if body is None:
        return Ambiguous(f"HTTP {raw.status} without a JSON object")
    if body.get("s") == "ok":
        return _acknowledgement(body, raw, accepted, expected_id)
    if body.get("s") != "error" or raw.status >= _SERVER_ERROR:
        return Ambiguous(_message(body, raw))
    return _refusal(body, raw)


def _acknowledgement(
    body: Mapping[str, Any], raw: Reply, accepted: int, expected_id: str | None
) -> WriteOutcome:
    # One sample of the documents answers a change with 1101 (facts/fyers.md 4.1); code 201 is
    # "sent, not acknowledged".
    codes = {accepted, 1101} if expected_id else {accepted}
    order_id = body.get("id")
    # Success is what is documented as such; anything else is looked up in the day's orders.
    if raw.status != _OK or fault_code(body) not in codes & _ACKNOWLEDGED:
        return Ambiguous(_message(body, raw))
    if not isinstance(order_id, str) or not order_id:
        return Ambiguous("success without an order id")
    if expected_id is not None and order_id != expected_id:
        return Ambiguous("the answer is about another order")
    return Acked(order_id)


def _refusal(body: Mapping[str, Any], raw: Reply) -> WriteOutcome:
    message, code = _message(body, raw), fault_code(body)
    # First of all: a time-out behind the broker's edge comes as an error too, and the order may
    # have reached the exchange.
    if _DOUBTFUL.search(message):
        return Ambiguous(message)
    if raw.status == _UNAUTHORISED or code in DEAD_SESSION:
        return Refused(Refusal.AUTH_REQUIRED, message)
    if code in _THROTTLED:
        return Refused(Refusal.THROTTLED, message, retry_after(raw))
    if raw.status == _FORBIDDEN or code in _PERMISSION:
        return Refused(Refusal.PERMISSION, message)
    # A list of what is refused and not of what is doubtful: a new code must not pass for a refusal,
    # after which the order would be sent again (I2).
    if code not in _REJECTIONS:
        return Ambiguous(message)
    if _ADDRESS.search(message):
        return Refused(Refusal.PERMISSION, message)
    return Refused(Refusal.REJECTED, message, cause=cause_of(message), largest=largest_in(message))


def _message(body: Mapping[str, Any] | None, raw: Reply) -> str:
    message = body.get("message") if body else None
    if isinstance(message, str) and message:
        return said(message)
    code = fault_code(body)
    return f"HTTP {raw.status}" if code is None else f"HTTP {raw.status}, code {code}"


def payload_of(raw: Raw) -> Row:
    """Return the answer to a successful read; Fyers has its payload at the top level.

    Raises:
        BrokerReadError: Anything else.
    """
    if isinstance(raw, NoReply):
        raise raw.read_error()
    body = raw.mapping()
    if raw.is_ok and body is not None and body.get("s") in {"ok", "no_data"}:
        return Row(body)
    raise BrokerReadError(
        _read_fault(body, raw), _message(body, raw), retry_after_s=retry_after(raw)
    )


def _read_fault(body: Mapping[str, Any] | None, raw: Reply) -> ReadFault:
    code = fault_code(body)
    if is_throttled(raw):
        return ReadFault.THROTTLED
    if raw.status >= _SERVER_ERROR:
        return ReadFault.UNREACHABLE
    if body is None or body.get("s") != "error":
        return ReadFault.MALFORMED
    if raw.status == _UNAUTHORISED or code in DEAD_SESSION:
        return ReadFault.AUTH_REQUIRED
    if raw.status == _FORBIDDEN or code in _PERMISSION:
        return ReadFault.PERMISSION
    return ReadFault.REFUSED


def _side(row: Row, key: str = "side") -> Side:
    number = row.whole(key)
    if number not in _SIDES:
        raise UnknownWord(key, number)
    return _SIDES[number]


def _product(row: Row) -> Product:
    word = row.text("productType")
    if word not in _PRODUCTS:
        raise UnknownWord("product", word)
    return _PRODUCTS[word]


def _name(row: Row, book: SymbolBook) -> InstrumentId:
    return checked_name(book.named(row.text("symbol")))


def _name_of(row: Row, book: SymbolBook) -> InstrumentId | None:
    try:
        return _name(row, book)
    except BrokerReadError:
        return None


def odd_order(row: Row, error: Malformed, book: SymbolBook) -> OddRow | None:
    """Return what is known of an order or trade that cannot be read; without an id it is no row."""
    order_id = row.maybe_text("id") or row.maybe_text("orderNumber")
    return OddRow(error.what, order_id, _tag(row), _name_of(row, book)) if order_id else None


def odd_position(row: Row, error: Malformed, book: SymbolBook) -> OddRow | None:
    """Return what is known of a position whose words are none of ours.

    A row of our own products that cannot be read fails the read: left out, it would look flat.
    """
    is_foreign = isinstance(error, UnknownWord)
    return OddRow(error.what, instrument=_name_of(row, book)) if is_foreign else None


def odd_holding(row: Row, error: Malformed, book: SymbolBook) -> OddRow | None:
    """Return what is known of a holding that cannot be read: without it less may be sold."""
    return OddRow(error.what, instrument=_name_of(row, book))


def _tag(row: Row) -> str | None:
    return tag_of(row.maybe_text("orderTag") or "")


def tag_of(text: str) -> str | None:
    """Return the tag without Fyers' prefix (``1:<ours>``); ``2:Untagged`` means none."""
    tag = _TAG_PREFIX.sub("", text)
    return tag if tag and tag != "Untagged" else None


def _ist(text: str | None) -> datetime | None:
    """Read ``09-Mar-2023 09:34:38`` or ``09-03-2023 09:34:38``, whatever the locale says."""
    match = _TIME.fullmatch(text or "")
    if not match:
        return None
    day, month, *rest = match.groups()
    year, hour, minute, second = map(int, rest)
    try:
        number = int(month) if month.isdecimal() else _MONTHS.index(month.lower()) + 1
        return datetime(year, number, int(day), hour, minute, second, tzinfo=MARKET_ZONE)
    except ValueError:
        return None


def _epoch(seconds: int) -> datetime:
    try:
        return datetime.fromtimestamp(seconds, UTC).astimezone(MARKET_ZONE)
    except (OverflowError, OSError, ValueError) as error:
        raise malformed("a time is out of range") from error


def broker_order(row: Row, book: SymbolBook) -> BrokerOrder:
    """Translate one of the day's orders."""
    status = row.whole("status")
    message = said(row.maybe_text("message") or "")
    is_rejected = _STATUSES.get(status) is BrokerStatus.REJECTED
    return BrokerOrder(
        broker_order_id=row.text("id"),
        instrument=_name(row, book),
        side=_side(row),
        product=_product(row),
        order_type=_ORDER_TYPES.get(row.whole("type", 0), OrderType.LIMIT),
        quantity=row.whole("qty"),
        filled_quantity=row.whole("filledQty", 0),
        average_price=row.number("tradedPrice"),
        status=_STATUSES.get(status, BrokerStatus.WORKING),
        has_pending_request=status == _IN_TRANSIT,
        tag=_tag(row),
        exchange_order_id=row.maybe_text("exchOrdId"),
        limit_price=row.price("limitPrice"),
        trigger_price=row.price("stopPrice"),
        message=message,
        cause=cause_of(message) if is_rejected else None,
        largest=largest_in(message) if is_rejected else None,
        placed_at=_ist(row.maybe_text("orderDateTime")),
    )


def broker_trade(row: Row, book: SymbolBook) -> BrokerTrade:
    """Translate one execution."""
    return BrokerTrade(
        trade_id=row.text("tradeNumber"),
        broker_order_id=row.text("orderNumber"),
        instrument=_name(row, book),
        side=_side(row),
        product=_product(row),
        quantity=row.whole("tradedQty"),
        price=row.number("tradePrice", None),
        traded_at=_ist(row.maybe_text("orderDateTime")),
    )


def position(row: Row, book: SymbolBook) -> Position:
    """Translate one net position.

    Values bought and sold hold what was carried too, so they are today's only where nothing was.
    """
    is_of_today = not row.whole("cfBuyQty", 0) and not row.whole("cfSellQty", 0)
    return Position(
        instrument=_name(row, book),
        product=_product(row),
        quantity=row.whole("netQty"),
        average_price=row.number("avgPrice", row.number("netAvg")),
        last_price=row.number("ltp"),
        day_buy_quantity=row.whole("dayBuyQty", 0),
        day_sell_quantity=row.whole("daySellQty", 0),
        realised=row.number("realized_profit"),
        unrealised=row.number("unrealized_profit"),
        day_buy_value=row.number("buyVal", None) if is_of_today and row.get("buyVal") else None,
        day_sell_value=row.number("sellVal", None) if is_of_today and row.get("sellVal") else None,
        multiplier=row.price("qtyMulti_com") or Decimal(1),
    )


def holding(row: Row, book: SymbolBook) -> Holding:
    """Translate one delivery holding; a row of type T1 has not arrived yet.

    Whether ``remainingQuantity`` holds ``qty_t1`` is not documented. It is read so, since the other
    reading could let more be sold than there is.
    """
    remaining = row.whole("remainingQuantity", row.whole("quantity", 0))
    is_arriving = row.maybe_text("holdingType") == "T1"
    arriving = remaining if is_arriving else min(row.whole("qty_t1", 0), remaining)
    name, isin = _name(row, book), row.maybe_text("isin") or ""
    return Holding(
        instrument=name,
        quantity=remaining - arriving,
        t1_quantity=arriving,
        average_price=row.number("costPrice"),
        last_price=row.number("ltp"),
        # What was sold today is in the quantity of the morning and not in what remains.
        used_quantity=max(0, row.whole("quantity", remaining) - remaining),
        pledged_quantity=row.whole("collateralQuantity", 0),
        isin=isin,
        names=book.shares.of(isin) | {name},
    )


def funds(payload: Row) -> Funds:
    """Translate the equity amounts, found by their ids: the order of the rows is not promised."""
    amounts = {row.whole("id"): row.number("equityAmount") for row in payload.rows("fund_limit")}
    if _FUNDS_AVAILABLE not in amounts:
        raise malformed("fund_limit has no available balance")
    return Funds(
        available=amounts[_FUNDS_AVAILABLE],
        used=amounts.get(_FUNDS_USED, Decimal(0)),
        opening=amounts.get(_FUNDS_OPENING, Decimal(0)),
    )


def profile(payload: Row) -> Profile:
    """Translate who is logged in; the rest of the profile is personal and is not kept."""
    data = payload.row("data")
    return Profile(said(data.text("fy_id")), said(data.maybe_text("name") or ""))


_DAY_S = 24 * 60 * 60
_IST_S = 5 * 60 * 60 + 30 * 60


def quote(instrument: InstrumentId, row: Row) -> Quote:
    """Translate the ``v`` of one quote."""
    at = row.whole("tt", 0)
    # Called "today's time": where it is the day's midnight, of UTC or of IST, it is a date and no
    # time of a price, and none is better than one that is hours old.
    is_date = any((at + zone) % _DAY_S == 0 for zone in (0, _IST_S))
    return Quote(
        instrument,
        row.number("lp", None),
        None if is_date else _epoch(at),
        previous_close=row.price("prev_close_price"),
        volume=row.whole("volume", 0) or None,
        day_high=row.price("high_price"),
        day_low=row.price("low_price"),
        bids=_touch(row, "bid"),
        asks=_touch(row, "ask"),
    )


def price_band(row: Row) -> PriceBand:
    """Translate the band in the depth of one symbol (facts/fyers.md 7)."""
    return PriceBand(row.price("lower_ckt"), row.price("upper_ckt"))


def _touch(row: Row, side: str) -> tuple[PriceLevel, ...]:
    """Return the best price of one side; quotes do not say how many units wait there."""
    try:
        price = row.price(side)
    except Malformed:
        return ()
    return (PriceLevel(price, None),) if price else ()


def candle(values: object, minutes: int) -> Candle:
    """Translate ``[epoch, open, high, low, close, volume, ...]``; a day starts at midnight."""
    if not isinstance(values, list) or len(values) < len(_CANDLE):
        raise malformed("a candle has too few values")
    row = Row(dict(zip(_CANDLE, values, strict=False)))
    start = _epoch(row.whole("start"))
    if minutes == _DAY_MINUTES:
        start -= timedelta(hours=start.hour, minutes=start.minute, seconds=start.second)
    prices: dict[str, Decimal] = {key: row.number(key, None) for key in _CANDLE[1:5]}
    return Candle(start=start, volume=row.whole("volume", 0), **prices)


_CANDLE = ("start", "open", "high", "low", "close", "volume")
