"""Reading the fields of an order in a Kite request, and Kite's words when one is wrong."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from aiohttp import web

from sandbox.kite.responses import KiteError

__all__ = ["Form", "choice", "decimal_of", "key_of", "order_list", "text_fields", "whole"]

Form = Mapping[str, str]

_CHOICES = {
    "transaction_type": {"BUY", "SELL"},
    "product": {"CNC", "MIS", "NRML", "MTF"},
    "order_type": {"MARKET", "LIMIT", "SL", "SL-M"},
    "validity": {"DAY", "IOC", "TTL"},
}
_EXCHANGES = {"NSE", "BSE", "NFO", "BFO", "CDS", "BCD", "MCX"}


def choice(form: Form, name: str, default: str | None = None) -> str:
    """Return a field that has a fixed set of values.

    Raises:
        KiteError: It is missing without a default, or has another value.
    """
    value = form.get(name) or default
    if value is None:
        raise KiteError("InputException", f"Missing or empty field `{name}`.")
    if value not in _CHOICES[name]:
        raise KiteError("InputException", f"Invalid `{name}`.")
    return value


def whole(form: Form, name: str) -> int | None:
    """Return a whole number, None when it is left out.

    Raises:
        KiteError: It is no whole number.
    """
    text = form.get(name)
    if text is None or not text:
        return None
    if not text.isdecimal():
        raise KiteError("InputException", f"Invalid `{name}`.")
    return int(text)


def decimal_of(form: Form, name: str) -> float | None:
    """Return a number, None when it is left out.

    Raises:
        KiteError: It is no number.
    """
    text = form.get(name)
    if text is None or not text:
        return None
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise KiteError("InputException", f"Invalid `{name}`.")
    return value


def key_of(form: Form) -> str:
    """Return the sandbox's key of the instrument that exchange and symbol name.

    Raises:
        KiteError: One is missing, or there is no such exchange.
    """
    exchange, symbol = form.get("exchange", ""), form.get("tradingsymbol", "")
    for name, value in (("exchange", exchange), ("tradingsymbol", symbol)):
        if not value:
            raise KiteError("InputException", f"Missing or empty field `{name}`.")
    if exchange not in _EXCHANGES:
        raise KiteError("InputException", "Invalid `exchange`.")
    return symbol if exchange == "NSE" else f"{exchange}:{symbol}"


async def order_list(request: web.Request) -> list[Mapping[str, Any]]:
    """Return the orders of a JSON body.

    Raises:
        KiteError: The body is no JSON array of objects.
    """
    try:
        items = await request.json()
    except ValueError as error:
        raise KiteError("InputException", "Invalid JSON in request body.") from error
    if not isinstance(items, list) or not all(isinstance(item, dict) for item in items):
        raise KiteError("InputException", "A list of orders is expected.")
    return items


def text_fields(item: Mapping[str, Any]) -> dict[str, str]:
    """Return the fields of a JSON order as a form would carry them."""
    return {name: str(value) for name, value in item.items() if value is not None}
