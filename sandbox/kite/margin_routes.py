"""Kite's calculation of margins, for orders one by one and for a basket."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from aiohttp import web

from sandbox.accounts import App, Session
from sandbox.kite.charges import NO_CHARGES, charges_beside_margin
from sandbox.kite.middleware import APP, SESSION
from sandbox.kite.order_fields import decimal_of, key_of, order_list, text_fields, whole
from sandbox.kite.responses import KiteError, success
from sandbox.portfolio import leverage
from sandbox.world import World

__all__ = ["MarginRoutes"]

_PARTS = ("span", "exposure", "option_premium", "additional", "bo", "cash", "var")
_ADDED = (
    "transaction_tax",
    "exchange_turnover_charge",
    "sebi_turnover_charge",
    "brokerage",
    "stamp_duty",
    "total",
)


class MarginRoutes:
    """The margin routes."""

    def __init__(self, world: World) -> None:
        self._world = world

    async def orders(self, request: web.Request) -> web.Response:
        """Return the margin that each order of a list would block, with its charges."""
        return success([self._margin(request, item) for item in await order_list(request)])

    async def basket(self, request: web.Request) -> web.Response:
        """Return the margin that a basket of orders would block together, and its charges."""
        rows = [self._margin(request, item) for item in await order_list(request)]
        total = _row("", "", "", sum(row["total"] for row in rows), 0, NO_CHARGES)
        charges = _sum([row["charges"] for row in rows])
        return success({"initial": total, "final": total, "orders": rows, "charges": charges})

    def _margin(self, request: web.Request, item: Mapping[str, Any]) -> dict[str, Any]:
        app: App = request[APP]
        session: Session = request[SESSION]
        form = {"exchange": "NSE"} | text_fields(item)
        instrument = self._world.market.find(key_of(form))
        if instrument is None:
            raise KiteError("InputException", f"Invalid `tradingsymbol` for {app.api_key}.")
        portfolio = self._world.exchange.portfolio("kite", session.user_id)
        price = decimal_of(form, "price") or self._world.market.last_price(instrument)
        times = leverage(instrument.key, form.get("product", ""))
        total = round((whole(form, "quantity") or 0) * price / times, 4)
        if form.get("product") == "CNC" and form.get("transaction_type") == "SELL":
            total = 0.0 if portfolio.sellable(instrument.key) > 0 else total
        charges = charges_beside_margin(self._world, form, price)
        return _row("equity", instrument.symbol, instrument.exchange, total, times, charges)


def _row(
    kind: str,
    symbol: str,
    exchange: str,
    total: float,
    times: float,
    charges: Mapping[str, Any],
) -> dict[str, Any]:
    return {
        "type": kind,
        "tradingsymbol": symbol,
        "exchange": exchange,
        **dict.fromkeys(_PARTS, 0),
        "var": total,
        "pnl": {"realised": 0, "unrealised": 0},
        "leverage": times,
        "charges": dict(charges),
        "total": total,
    }


def _sum(rows: list[dict[str, Any]]) -> dict[str, Any]:
    """Return the charges of all orders together."""
    gst = sum(row["gst"]["total"] for row in rows)
    return {
        **NO_CHARGES,
        **{name: sum(row[name] for row in rows) for name in _ADDED},
        "transaction_tax_type": "stt",
        "gst": {"igst": gst, "cgst": 0, "sgst": 0, "total": gst},
    }
