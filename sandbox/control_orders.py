"""Control routes of what a user does at the broker by hand, in the broker's own app.

Such an order has no tag and no app of ours: it is in the broker's books, not in the ledger of order
writes that came over an API. Working orders can be changed, cancelled and filled by hand too,
whoever placed them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from aiohttp import web

from sandbox.control_body import json_body
from sandbox.orders import Change, NewOrder, Order
from sandbox.world import World

__all__ = ["OrderControl", "account_of"]

_CHOICES = {
    "side": ("BUY", "SELL"),
    "product": ("MIS", "CNC", "NRML", "MTF"),
    "order_type": ("MARKET", "LIMIT", "SL", "SL-M"),
    "validity": ("DAY", "IOC"),
}


class OrderControl:
    """The handlers; one method a route."""

    def __init__(self, world: World) -> None:
        self._world = world

    def routes(self) -> list[web.RouteDef]:
        """Return the routes of these handlers."""
        return [
            web.post("/orders", self.place),
            web.patch("/orders/{order_id}", self.modify),
            web.delete("/orders/{order_id}", self.cancel),
            web.post("/orders/{order_id}/fill", self.fill),
            web.post("/positions/convert", self.convert),
            web.post("/square-off", self.square_off),
        ]

    async def place(self, request: web.Request) -> web.Response:
        """Place an order by hand."""
        data = await json_body(request)
        order_type = _choice(data, "order_type", "MARKET")
        new = NewOrder(
            account=account_of(self._world, data),
            api_key="",
            symbol=str(data.get("symbol", "")).removeprefix("NSE:"),
            side=_choice(data, "side"),
            quantity=_whole(data, "quantity") or 0,
            product=_choice(data, "product", "MIS"),
            order_type=order_type,
            price=_number(data, "price") or 0.0,
            trigger_price=_number(data, "trigger_price") or 0.0,
            validity=_choice(data, "validity", "DAY"),
            protection=_number(data, "protection"),
            after_market=bool(data.get("after_market")),
        )
        return _answer(self._world.exchange.submit(new))

    async def modify(self, request: web.Request) -> web.Response:
        """Change a working order by hand; fields that are left out stay."""
        order = self._order(request)
        data = await json_body(request)
        change = Change(
            quantity=_whole(data, "quantity"),
            price=_number(data, "price"),
            trigger_price=_number(data, "trigger_price"),
            order_type=_choice(data, "order_type") if "order_type" in data else None,
            protection=_number(data, "protection"),
        )
        return _answer(self._world.exchange.modify(order.order_id, change))

    async def cancel(self, request: web.Request) -> web.Response:
        """Cancel a working order by hand."""
        return _answer(self._world.exchange.cancel(self._order(request).order_id))

    async def fill(self, request: web.Request) -> web.Response:
        """Fill a working order, or a part of it, whatever the market says."""
        order = self._order(request)
        data = await json_body(request)
        quantity, price = _whole(data, "quantity"), _number(data, "price")
        return _answer(self._world.exchange.fill(order.order_id, quantity, price))

    async def convert(self, request: web.Request) -> web.Response:
        """Move a position, or a part of it, from one product to another by hand."""
        data = await json_body(request)
        account = account_of(self._world, data)
        symbol = str(data.get("symbol", "")).removeprefix("NSE:")
        old, new = (_choice(data, name, options="product") for name in ("from", "to"))
        held = self._world.exchange.portfolio(*account).position(symbol, old)
        quantity = _whole(data, "quantity") or abs(held)
        signed = quantity if held > 0 else -quantity
        self._world.exchange.convert(account, symbol, signed, old, new)
        return web.json_response({"converted": signed})

    async def square_off(self, request: web.Request) -> web.Response:
        """Let the broker's RMS close the intraday positions of an account now."""
        account = account_of(self._world, await json_body(request))
        return web.json_response({"closed": self._world.exchange.square_off(*account)})

    def _order(self, request: web.Request) -> Order:
        order_id = request.match_info["order_id"]
        order = self._world.exchange.order(order_id)
        if order is None:
            raise web.HTTPNotFound(text=f"no order {order_id!r}")
        return order


def account_of(world: World, named: Mapping[str, Any]) -> tuple[str, str]:
    """Return the account that is named by ``user_id``, or by an app and its first user.

    Raises:
        HTTPNotFound: There is no such account.
    """
    accounts, broker = world.accounts, str(named.get("broker"))
    app = accounts.app(broker, str(named.get("api_key", "")))
    user_id = str(named.get("user_id") or (app.users[0] if app else ""))
    if accounts.user(broker, user_id) is None:
        raise web.HTTPNotFound(text=f"no user {user_id!r} at {broker!r}")
    return broker, user_id


def _answer(order: Order) -> web.Response:
    return web.json_response(asdict(order))


def _choice(
    data: dict[str, Any], name: str, default: str | None = None, options: str | None = None
) -> str:
    value, allowed = data.get(name, default), _CHOICES[options or name]
    if value not in allowed:
        raise web.HTTPBadRequest(text=f"{name} must be one of {list(allowed)}")
    return str(value)


def _whole(data: dict[str, Any], name: str) -> int | None:
    value = data.get(name)
    if value is None or (isinstance(value, int) and not isinstance(value, bool)):
        return value
    raise web.HTTPBadRequest(text=f"{name} must be a whole number")


def _number(data: dict[str, Any], name: str) -> float | None:
    value = data.get(name)
    if value is None or (isinstance(value, int | float) and not isinstance(value, bool)):
        return value
    raise web.HTTPBadRequest(text=f"{name} must be a number")
