"""Account and order paths under `/api/v3`."""

import json
from collections.abc import Callable
from functools import partial
from typing import Any

from aiohttp import web

from sandbox.fyers.desk import Desk, Placed, placed_answer
from sandbox.fyers.entry import Entry, invalid, read_change, read_entry
from sandbox.fyers.exits import Exits
from sandbox.fyers.gate import BROKER, Caller, caller_of
from sandbox.fyers.person import funds, profile
from sandbox.fyers.replies import Refusal, error, ok
from sandbox.fyers.views import Views, shown_tag
from sandbox.orders import Order
from sandbox.world import World

__all__ = ["Trading"]

MAX_BASKET = 10
_OK = 200


class Trading:
    """The handlers; each knows its caller from the gate."""

    def __init__(self, world: World, desk: Desk, views: Views) -> None:
        self._world = world
        self._desk = desk
        self._views = views
        self._exits = Exits(world, desk)

    def routes(self) -> list[web.RouteDef]:
        """Return the routes of these handlers."""
        return [
            web.get("/api/v3/profile", self.profile),
            web.get("/api/v3/funds", self.funds),
            web.get("/api/v3/holdings", self.holdings),
            web.get("/api/v3/positions", self.positions),
            web.delete("/api/v3/positions", self.exit),
            web.post("/api/v3/positions", self.convert),
            web.get("/api/v3/orders", self.orders),
            web.get("/api/v3/tradebook", self.trades),
            web.post("/api/v3/orders/sync", self.place),
            web.patch("/api/v3/orders/sync", self.modify),
            web.delete("/api/v3/orders/sync", self.cancel),
            web.post("/api/v3/multi-order/sync", self.basket),
            web.patch("/api/v3/multi-order/sync", self.basket),
            web.delete("/api/v3/multi-order/sync", self.basket),
            web.post("/api/v3/multiorder/margin", self.margin),
        ]

    async def profile(self, request: web.Request) -> web.StreamResponse:
        """Answer who the caller is."""
        return web.json_response(ok(data=profile(caller_of(request).user)))

    async def funds(self, request: web.Request) -> web.StreamResponse:
        """Answer the caller's money."""
        book = self._world.exchange.book(BROKER, caller_of(request).user.user_id)
        return web.json_response(ok(fund_limit=funds(book.funds())))

    async def holdings(self, request: web.Request) -> web.StreamResponse:
        """Answer the caller's holdings."""
        book = self._world.exchange.book(BROKER, caller_of(request).user.user_id)
        return web.json_response(ok(**self._views.holdings(book)))

    async def positions(self, request: web.Request) -> web.StreamResponse:
        """Answer the caller's positions of the day."""
        book = self._world.exchange.book(BROKER, caller_of(request).user.user_id)
        return web.json_response(ok(**self._views.positions(book)))

    async def exit(self, request: web.Request) -> web.StreamResponse:
        """Close positions."""
        body = await _json(request)
        if not isinstance(body, dict):
            raise invalid("Invalid input: a JSON object is expected")
        return web.json_response(await self._exits.close(request, caller_of(request), body))

    async def convert(self, request: web.Request) -> web.StreamResponse:
        """Convert a position to another product."""
        body = await _json(request)
        if not isinstance(body, dict):
            raise invalid("Invalid input: a JSON object is expected")
        return web.json_response(self._exits.convert(caller_of(request), body))

    async def orders(self, request: web.Request) -> web.StreamResponse:
        """Answer the day's orders, all or by id or tag."""
        user_id = caller_of(request).user.user_id
        found = self._world.exchange.visible_orders(BROKER, user_id)
        wanted, tag = request.query.get("id"), request.query.get("order_tag")
        rows = [
            self._views.order(order, number)
            for number, order in enumerate(found, 1)
            if wanted is None or order.order_id in wanted.split(",")
            if tag is None or shown_tag(order.tag) == tag
        ]
        return web.json_response(ok(orderBook=rows))

    async def trades(self, request: web.Request) -> web.StreamResponse:
        """Answer the day's trades, all or by tag."""
        user_id = caller_of(request).user.user_id
        exchange = self._world.exchange
        tag = request.query.get("order_tag")
        rows = []
        for number, trade in enumerate(exchange.visible_trades(BROKER, user_id), 1):
            row = self._views.trade(trade, exchange.order(trade.order_id), number)
            if tag is None or row["orderTag"] == tag:
                rows.append(row)
        return web.json_response(ok(tradeBook=rows))

    async def place(self, request: web.Request) -> web.StreamResponse:
        """Place an order, in slices where it asks for that and is too large."""
        caller = caller_of(request)
        entry = read_entry(await _json(request), caller.user.user_id)
        parts = self._desk.slices(entry)
        if len(parts) == 1:
            return web.json_response(self._place(request, caller, entry, 0))
        bodies = [_attempt(partial(self._place_slice, request, caller, entry, n)) for n in parts]
        return web.json_response(ok(1101, data=bodies))

    async def modify(self, request: web.Request) -> web.StreamResponse:
        """Modify an order."""
        return web.json_response(self._modify(request, caller_of(request), await _json(request), 0))

    async def cancel(self, request: web.Request) -> web.StreamResponse:
        """Cancel an order."""
        return web.json_response(self._cancel(request, caller_of(request), await _json(request), 0))

    async def basket(self, request: web.Request) -> web.StreamResponse:
        """Do up to ten writes of one kind; each has an answer of its own inside an outer ok."""
        caller = caller_of(request)
        rows = await _json(request)
        if not isinstance(rows, list) or not 1 <= len(rows) <= MAX_BASKET:
            raise invalid(f"Invalid input: give 1 to {MAX_BASKET} orders")
        act = {"POST": self._place_row, "PATCH": self._modify, "DELETE": self._cancel}
        one = act[request.method]
        data = [
            _attempt(partial(one, request, caller, row, index)) for index, row in enumerate(rows)
        ]
        return web.json_response(ok(200, data=data))

    async def margin(self, request: web.Request) -> web.StreamResponse:
        """Answer what some orders would need."""
        caller = caller_of(request)
        body = await _json(request)
        rows = body.get("data") if isinstance(body, dict) else None
        if not isinstance(rows, list) or not rows:
            raise invalid("Invalid input: data must be a list of orders")
        entries = [read_entry(_margin_row(row), caller.user.user_id) for row in rows]
        return web.json_response(ok(data=self._desk.margin(caller, entries)))

    def _place_row(
        self, request: web.Request, caller: Caller, row: object, index: int
    ) -> dict[str, Any]:
        return self._place(request, caller, read_entry(row, caller.user.user_id), index)

    def _place(
        self, request: web.Request, caller: Caller, entry: Entry, index: int
    ) -> dict[str, Any]:
        try:
            placed = self._desk.place(request, caller, entry)
        except Refusal as refusal:
            self._applied(request, refusal.extra.get("id"), index)
            raise
        self._note(request, placed, index)
        return dict(placed_answer(placed))

    def _place_slice(
        self, request: web.Request, caller: Caller, entry: Entry, quantity: int
    ) -> dict[str, Any]:
        placed = self._desk.place(request, caller, entry.sized(quantity))
        self._note(request, placed, 0)
        return dict(placed_answer(placed))

    def _modify(
        self, request: web.Request, caller: Caller, row: object, index: int
    ) -> dict[str, Any]:
        order = self._desk.modify(caller, read_change(row))
        self._world.ledger.applied(request, order.order_id, index)
        return ok(1102, "Successfully modified order", id=order.order_id)

    def _cancel(
        self, request: web.Request, caller: Caller, row: object, index: int
    ) -> dict[str, Any]:
        order_id = row.get("id") if isinstance(row, dict) else None
        if not order_id:
            raise Refusal(-51, "Please provide a valid order id")
        order = self._desk.cancel(caller, str(order_id))
        self._world.ledger.applied(request, order.order_id, index)
        return ok(1103, "Successfully cancelled order", id=order.order_id)

    def _note(self, request: web.Request, placed: Placed, index: int) -> None:
        order: Order | None = placed.order
        self._applied(request, order.order_id if order else None, index)

    def _applied(self, request: web.Request, order_id: object, index: int) -> None:
        if order_id:
            self._world.ledger.applied(request, str(order_id), index)


def _attempt(act: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    """Return one inner answer of a basket; a refusal stays inside."""
    try:
        return {"statusCode": _OK, "body": act(), "statusDescription": "OK"}
    except Refusal as refusal:
        body = error(refusal.code, refusal.message, **refusal.extra)
        return {
            "statusCode": refusal.status,
            "body": body,
            "statusDescription": "Bad Request",
        }


def _margin_row(row: object) -> object:
    """Fill in what a margin question may leave out."""
    if not isinstance(row, dict):
        return row
    defaults = {"limitPrice": 0, "stopPrice": 0, "disclosedQty": 0, "offlineOrder": False}
    return {**defaults, "validity": "DAY", **row}


async def _json(request: web.Request) -> Any:
    try:
        return json.loads(await request.read())
    except ValueError:
        raise invalid("Invalid input: the body is not JSON") from None
