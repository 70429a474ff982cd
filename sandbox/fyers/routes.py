"""Account and order paths under `/api/v3`."""

import json
from collections.abc import Callable
from functools import partial
from typing import Any

from aiohttp import web

from sandbox.account_reads import AccountReads, AccountView
from sandbox.fyers.middleware import BROKER, Caller, caller_of
from sandbox.fyers.order_requests import (
    PlaceRequest,
    invalid,
    read_modify_request,
    read_place_request,
)
from sandbox.fyers.order_service import OrderService, Placed, placed_answer
from sandbox.fyers.position_service import PositionService
from sandbox.fyers.responses import FyersError, error_body, ok
from sandbox.fyers.serializers import FyersSerializer, shown_tag
from sandbox.fyers.user import funds, profile
from sandbox.orders import Order
from sandbox.world import World

__all__ = ["TradingRoutes"]

MAX_BASKET = 10
_OK = 200


class TradingRoutes:
    """The handlers; access control has stored the caller in the request."""

    def __init__(
        self, world: World, order_service: OrderService, serializer: FyersSerializer
    ) -> None:
        self._world = world
        self._order_service = order_service
        self._serializer = serializer
        self._positions = PositionService(world, order_service)
        self._reads = AccountReads(world, BROKER)

    def _view(self, request: web.Request) -> AccountView:
        caller = caller_of(request)
        return self._reads.view(request, caller.app.api_key, caller.user.user_id)

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
        """Answer the caller's profile."""
        return web.json_response(ok(data=profile(caller_of(request).user)))

    async def funds(self, request: web.Request) -> web.StreamResponse:
        """Answer the caller's funds."""
        portfolio = self._world.exchange.portfolio(BROKER, caller_of(request).user.user_id)
        return web.json_response(ok(fund_limit=funds(portfolio.funds())))

    async def holdings(self, request: web.Request) -> web.StreamResponse:
        """Answer the caller's holdings."""
        portfolio = self._view(request).portfolio()
        return web.json_response(ok(**self._serializer.holdings(portfolio)))

    async def positions(self, request: web.Request) -> web.StreamResponse:
        """Answer the caller's positions of the day."""
        portfolio = self._view(request).portfolio()
        return web.json_response(ok(**self._serializer.positions(portfolio)))

    async def exit(self, request: web.Request) -> web.StreamResponse:
        """Close positions."""
        body = await _json(request)
        if not isinstance(body, dict):
            raise invalid("Invalid input: a JSON object is expected")
        return web.json_response(await self._positions.close(request, caller_of(request), body))

    async def convert(self, request: web.Request) -> web.StreamResponse:
        """Convert a position to another product."""
        body = await _json(request)
        if not isinstance(body, dict):
            raise invalid("Invalid input: a JSON object is expected")
        return web.json_response(self._positions.convert(caller_of(request), body))

    async def orders(self, request: web.Request) -> web.StreamResponse:
        """Answer the day's orders, all or by id or tag."""
        found = self._view(request).orders()
        wanted, tag = request.query.get("id"), request.query.get("order_tag")
        rows = [
            self._serializer.order(order, number)
            for number, order in enumerate(found, 1)
            if wanted is None or order.order_id in wanted.split(",")
            if tag is None or shown_tag(order.tag) == tag
        ]
        return web.json_response(ok(orderBook=rows))

    async def trades(self, request: web.Request) -> web.StreamResponse:
        """Answer the day's trades, all or by tag."""
        exchange = self._world.exchange
        tag = request.query.get("order_tag")
        rows = []
        for number, trade in enumerate(self._view(request).trades(), 1):
            row = self._serializer.trade(trade, exchange.order(trade.order_id), number)
            if tag is None or row["orderTag"] == tag:
                rows.append(row)
        return web.json_response(ok(tradeBook=rows))

    async def place(self, request: web.Request) -> web.StreamResponse:
        """Place an order, in slices where it asks for that and is too large."""
        caller = caller_of(request)
        requested = read_place_request(await _json(request), caller.user.user_id)
        parts = self._order_service.slices(requested)
        if len(parts) == 1:
            return web.json_response(self._place(request, caller, requested, 0))
        bodies = [
            _attempt(partial(self._place_slice, request, caller, requested, n)) for n in parts
        ]
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
        requests = [read_place_request(_margin_row(row), caller.user.user_id) for row in rows]
        return web.json_response(ok(data=self._order_service.margin(caller, requests)))

    def _place_row(
        self, request: web.Request, caller: Caller, row: object, index: int
    ) -> dict[str, Any]:
        return self._place(request, caller, read_place_request(row, caller.user.user_id), index)

    def _place(
        self, request: web.Request, caller: Caller, requested: PlaceRequest, index: int
    ) -> dict[str, Any]:
        try:
            placed = self._order_service.place(request, caller, requested)
        except FyersError as error:
            self._applied(request, error.extra.get("id"), index)
            raise
        self._note(request, placed, index)
        return dict(placed_answer(placed))

    def _place_slice(
        self, request: web.Request, caller: Caller, requested: PlaceRequest, quantity: int
    ) -> dict[str, Any]:
        placed = self._order_service.place(request, caller, requested.sized(quantity))
        self._note(request, placed, 0)
        return dict(placed_answer(placed))

    def _modify(
        self, request: web.Request, caller: Caller, row: object, index: int
    ) -> dict[str, Any]:
        order = self._order_service.modify(caller, read_modify_request(row))
        self._world.ledger.applied(request, order.order_id, index)
        return ok(1102, "Successfully modified order", id=order.order_id)

    def _cancel(
        self, request: web.Request, caller: Caller, row: object, index: int
    ) -> dict[str, Any]:
        order_id = row.get("id") if isinstance(row, dict) else None
        if not order_id:
            raise FyersError(-51, "Please provide a valid order id")
        order = self._order_service.cancel(caller, str(order_id))
        self._world.ledger.applied(request, order.order_id, index)
        return ok(1103, "Successfully cancelled order", id=order.order_id)

    def _note(self, request: web.Request, placed: Placed, index: int) -> None:
        order: Order | None = placed.order
        self._applied(request, order.order_id if order else None, index)

    def _applied(self, request: web.Request, order_id: object, index: int) -> None:
        if order_id:
            self._world.ledger.applied(request, str(order_id), index)


def _attempt(act: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    """Return one inner answer of a basket; an error stays inside."""
    try:
        return {"statusCode": _OK, "body": act(), "statusDescription": "OK"}
    except FyersError as error:
        body = error_body(error.code, error.message, **error.extra)
        return {
            "statusCode": error.status,
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
