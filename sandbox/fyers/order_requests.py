"""What an order write of Fyers says, read from JSON and checked as far as no exchange is needed.

Numbers may come as strings and booleans as `"False"`: older samples do that and the broker takes
both. Everything wrong here is code -50, whose message names the field.
"""

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from decimal import Decimal, InvalidOperation
from typing import Any, TypeVar

from sandbox.fyers.responses import FyersError

__all__ = [
    "LIMIT",
    "MARKET",
    "PRODUCTS",
    "STOP",
    "STOP_LIMIT",
    "ModifyRequest",
    "PlaceRequest",
    "as_bool",
    "as_int",
    "as_price",
    "invalid",
    "read_modify_request",
    "read_place_request",
]

LIMIT, MARKET, STOP, STOP_LIMIT = 1, 2, 3, 4
PRODUCTS = ("CNC", "INTRADAY", "MARGIN", "MTF")
VALIDITIES = ("DAY", "IOC")
REQUIRED = (
    "symbol",
    "qty",
    "type",
    "side",
    "productType",
    "limitPrice",
    "stopPrice",
    "validity",
    "disclosedQty",
    "offlineOrder",
)
_T = TypeVar("_T", int, str)
_TAG = re.compile(r"[A-Za-z0-9]{1,30}")


@dataclass(frozen=True, kw_only=True)
class PlaceRequest:
    """A new order as the client wrote it. Prices are rupees, side is 1 to buy and -1 to sell."""

    symbol: str
    quantity: int
    kind: int
    side: int
    product: str
    limit_price: Decimal
    stop_price: Decimal
    validity: str
    disclosed_quantity: int
    is_offline: bool
    stop_loss: Decimal
    take_profit: Decimal
    tag: str | None
    is_sliced: bool

    def sized(self, quantity: int) -> "PlaceRequest":
        """Return the same order for another quantity: one slice of it."""
        return replace(self, quantity=quantity, is_sliced=False)


@dataclass(frozen=True, kw_only=True)
class ModifyRequest:
    """A modification; None leaves a field as it is. The quantity is the new total."""

    order_id: str
    kind: int
    quantity: int | None
    limit_price: Decimal | None
    stop_price: Decimal | None
    disclosed_quantity: int | None


def invalid(message: str) -> FyersError:
    """Return the error for invalid parameters."""
    return FyersError(-50, message)


def read_place_request(body: object, user_id: str) -> PlaceRequest:
    """Read the body of a new order.

    Raises:
        FyersError: When a field is missing or has a value that Fyers does not know.
    """
    fields = _fields(body)
    for name in REQUIRED:
        if fields.get(name) is None:
            raise invalid(f"Invalid input: {name} is required")
    requested = PlaceRequest(
        symbol=str(fields["symbol"]).strip(),
        quantity=as_int(fields, "qty"),
        kind=_one_of(as_int(fields, "type"), (LIMIT, MARKET, STOP, STOP_LIMIT), "type"),
        side=_one_of(as_int(fields, "side"), (1, -1), "side"),
        product=_product(fields["productType"]),
        limit_price=as_price(fields, "limitPrice"),
        stop_price=as_price(fields, "stopPrice"),
        validity=_one_of(str(fields["validity"]), VALIDITIES, "validity"),
        disclosed_quantity=as_int(fields, "disclosedQty"),
        is_offline=as_bool(fields, "offlineOrder"),
        stop_loss=as_price(fields, "stopLoss"),
        take_profit=as_price(fields, "takeProfit"),
        tag=_tag(fields.get("orderTag"), user_id),
        is_sliced=as_bool(fields, "isSliceOrder"),
    )
    _check_sense(requested)
    return requested


def read_modify_request(body: object) -> ModifyRequest:
    """Read the body of a modification.

    Raises:
        FyersError: When the id is missing or a value is wrong.
    """
    fields = _fields(body)
    if not fields.get("id"):
        raise FyersError(-51, "Please provide a valid order id")

    def price(name: str) -> Decimal | None:
        return as_price(fields, name) or None

    def number(name: str) -> int | None:
        return as_int(fields, name) if fields.get(name) is not None else None

    if fields.get("type") is None:
        raise invalid("Invalid input: type is required")
    quantity = number("qty")
    if quantity is not None and quantity <= 0:
        raise invalid("Invalid input: qty must be above 0")
    return ModifyRequest(
        order_id=str(fields["id"]),
        kind=_one_of(as_int(fields, "type"), (LIMIT, MARKET, STOP, STOP_LIMIT), "type"),
        quantity=quantity,
        limit_price=price("limitPrice"),
        stop_price=price("stopPrice"),
        disclosed_quantity=number("disclosedQty"),
    )


def as_int(fields: Mapping[str, Any], name: str) -> int:
    """Return a whole number of the body, whether it came as a number or as text."""
    value = fields[name]
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        raise invalid(f"Invalid input: {name} must be a number")
    try:
        number = float(value)
    except ValueError:
        raise invalid(f"Invalid input: {name} must be a number") from None
    if not math.isfinite(number) or number != int(number):
        raise invalid(f"Invalid input: {name} must be a whole number")
    return int(number)


def as_price(fields: Mapping[str, Any], name: str) -> Decimal:
    """Return a price of the body, zero when it is absent."""
    value = fields.get(name) or 0
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        raise invalid(f"Invalid input: {name} must be a number")
    try:
        price = Decimal(str(value))
    except InvalidOperation:
        raise invalid(f"Invalid input: {name} must be a number") from None
    if not price.is_finite() or price < 0:
        raise invalid(f"Invalid input: {name} must not be below 0")
    return price


def as_bool(fields: Mapping[str, Any], name: str) -> bool:
    """Return a flag of the body: JSON true, or the texts `true` and `True`."""
    value = fields.get(name)
    return value.strip().lower() == "true" if isinstance(value, str) else bool(value)


def _fields(body: object) -> Mapping[str, Any]:
    if not isinstance(body, dict):
        raise invalid("Invalid input: a JSON object is expected")
    return body


def _one_of(value: _T, allowed: tuple[_T, ...], name: str) -> _T:
    if value not in allowed:
        raise invalid(f"Invalid input: {name} must be one of {', '.join(map(str, allowed))}")
    return value


def _product(value: object) -> str:
    if value in {"BO", "CO"}:
        raise invalid(f"Invalid input: productType {value} is discontinued")
    return _one_of(str(value), PRODUCTS, "productType")


def _tag(value: object, user_id: str) -> str | None:
    if value is None or value == "":
        return None
    tag = str(value)
    if not _TAG.fullmatch(tag) or tag in {user_id, "Untagged"}:
        raise invalid("Invalid orderTag: use 1 to 30 letters and digits")
    return tag


def _check_sense(requested: PlaceRequest) -> None:
    if requested.quantity <= 0:
        raise invalid("Invalid input: qty must be above 0")
    if requested.kind in {LIMIT, STOP_LIMIT} and requested.limit_price <= 0:
        raise invalid("Invalid input: limitPrice must be above 0")
    if requested.kind in {STOP, STOP_LIMIT} and requested.stop_price <= 0:
        raise invalid("Invalid input: stopPrice must be above 0")
    if not 0 <= requested.disclosed_quantity <= requested.quantity:
        raise invalid("Invalid input: disclosedQty must be between 0 and qty")
    if (
        requested.kind == STOP_LIMIT
        and (requested.limit_price - requested.stop_price) * requested.side < 0
    ):
        raise invalid("Invalid input: the limit price of a stop order lies beyond its stop price")
