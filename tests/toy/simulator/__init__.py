"""A simulator of Toy, on a port of its own, over the shared exchange."""

from __future__ import annotations

import html
from collections.abc import Awaitable, Callable
from dataclasses import asdict
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import urlencode

from aiohttp import web

from sandbox import orders as words
from sandbox.accounts import App
from sandbox.instruments import INSTRUMENTS
from sandbox.ledger import Draft
from sandbox.orders import Change, NewOrder, Order, Refused
from sandbox.world import World

__all__ = ["build_app"]

BROKER = "toy"
_PUBLIC = {"/login", "/token", "/instruments", "/_sandbox/health"}
_STATES = {words.COMPLETE: "done", words.CANCELLED: "gone", words.REJECTED: "refused"}
_FORM = '<form method="post">{app}<input name="user_id"><button name="action" value="allow">'


def _data(value: Any) -> web.Response:
    return web.json_response({"data": value})


def _error(status: int, text: str) -> web.Response:
    return web.json_response({"error": text}, status=status)


async def _describe(request: web.Request) -> list[Draft]:
    """Describe an order write for the ledger; nothing for other requests."""
    if not request.path.startswith("/orders") or request.method == "GET":
        return []
    actions = {"POST": "place", "PUT": "modify", "DELETE": "cancel"}
    body = await request.json() if request.can_read_body else {}
    draft = Draft(broker=BROKER, api_key=None, action=actions[request.method])
    draft["tag"], draft["symbol"] = body.get("tag"), body.get("symbol")
    draft["side"], draft["quantity"] = body.get("side"), body.get("quantity")
    return [draft]


class _Toy:
    """The routes."""

    def __init__(self, world: World) -> None:
        self._world = world

    @web.middleware
    async def admit(
        self,
        request: web.Request,
        handler: Callable[[web.Request], Awaitable[web.StreamResponse]],
    ) -> web.StreamResponse:
        """Let a session in, and give refusals their shape."""
        if request.path not in _PUBLIC:
            token = request.headers.get("Authorization", "").removeprefix("Bearer ")
            session = next(
                (
                    found
                    for app in self._world.accounts.apps(BROKER)
                    if (found := self._world.accounts.session(BROKER, app.api_key, token))
                ),
                None,
            )
            if session is None:
                return _error(401, "log in again")
            request["session"] = session
        try:
            return await handler(request)
        except Refused as refused:
            return _error(400, refused.message)

    def _app(self, api_key: str) -> App:
        app = self._world.accounts.app(BROKER, api_key)
        if app is None:
            raise web.HTTPNotFound
        return app

    async def page(self, request: web.Request) -> web.Response:
        """Show the form."""
        name = html.escape(self._app(request.query["app"]).api_key)
        return web.Response(text=_FORM.format(app=name), content_type="text/html")

    async def submit(self, request: web.Request) -> web.Response:
        """Lead back with a ticket, or with a denial."""
        app, form = self._app(request.query["app"]), await request.post()
        user, query = str(form.get("user_id", "")), {"memo": request.query["memo"]}
        if form.get("action") == "allow" and user in app.users:
            query["ticket"] = self._world.accounts.issue_code(app, user)
        else:
            query["denied"] = "not today"
        address = f"{request.query['back']}?{urlencode(query)}"
        return web.Response(status=302, headers={"Location": address})

    async def token(self, request: web.Request) -> web.Response:
        """Turn a ticket into a token."""
        body = await request.json()
        app = self._app(body["app"])
        if body["word"] != app.api_secret:
            return _error(403, "that is not the word")
        user = self._world.accounts.redeem_code(app, body["ticket"])
        if user is None:
            return _error(401, "that ticket was used")
        session = self._world.accounts.open_session(app, user.user_id)
        return _data({"token": session.token, "user": user.user_id, "name": user.user_name})

    async def logout(self, request: web.Request) -> web.Response:
        """End a session."""
        self._world.accounts.close(request["session"])
        return _data("bye")

    async def me(self, request: web.Request) -> web.Response:
        """Say who is logged in."""
        user = self._world.accounts.user(BROKER, request["session"].user_id)
        assert user is not None
        return _data({"user": user.user_id, "name": user.user_name})

    async def place(self, request: web.Request) -> web.Response:
        """Take an order."""
        session, body = request["session"], await request.json()
        new = NewOrder(
            account=(BROKER, session.user_id),
            api_key=session.api_key,
            symbol=body["symbol"],
            side=body["side"],
            quantity=body["quantity"],
            product=body["product"],
            order_type=body["kind"],
            price=float(body["price"]),
            trigger_price=float(body["trigger"]),
            tag=body["tag"],
        )
        order = self._world.exchange.submit(new)
        self._world.ledger.applied(request, order.order_id)
        return _data(order.order_id)

    async def modify(self, request: web.Request) -> web.Response:
        """Change an order."""
        body = await request.json()
        change = Change(
            quantity=body["quantity"],
            price=float(body["price"]),
            trigger_price=float(body["trigger"]),
            order_type=body["kind"],
        )
        return _data(self._world.exchange.modify(request.match_info["id"], change).order_id)

    async def cancel(self, request: web.Request) -> web.Response:
        """Cancel an order."""
        return _data(self._world.exchange.cancel(request.match_info["id"]).order_id)

    async def orders(self, request: web.Request) -> web.Response:
        """List the day's orders."""
        shown = self._world.exchange.visible_orders(BROKER, request["session"].user_id)
        return _data([_order(order) for order in shown])

    async def trades(self, request: web.Request) -> web.Response:
        """List the day's trades."""
        shown = self._world.exchange.visible_trades(BROKER, request["session"].user_id)
        rows = [asdict(trade) for trade in shown]
        return _data([row | {"id": row["trade_id"], "order": row["order_id"]} for row in rows])

    async def positions(self, request: web.Request) -> web.Response:
        """List net positions."""
        portfolio = self._world.exchange.portfolio(BROKER, request["session"].user_id)
        return _data(
            [
                {
                    "symbol": one.symbol,
                    "product": one.product,
                    "quantity": one.quantity,
                    "price": one.average_price,
                    "last": self._last(one.symbol),
                }
                for one in portfolio.positions()
            ]
        )

    async def holdings(self, request: web.Request) -> web.Response:
        """List delivery holdings."""
        portfolio = self._world.exchange.portfolio(BROKER, request["session"].user_id)
        return _data(
            [
                {
                    "symbol": one.symbol,
                    "quantity": one.quantity,
                    "price": one.average_price,
                    "last": self._last(one.symbol),
                }
                for one in portfolio.holdings()
            ]
        )

    async def funds(self, request: web.Request) -> web.Response:
        """Tell the funds."""
        funds = self._world.exchange.portfolio(BROKER, request["session"].user_id).funds()
        return _data({"free": funds.net, "used": funds.used, "opening": funds.opening})

    async def quotes(self, request: web.Request) -> web.Response:
        """Quote instruments."""
        symbols = request.query["symbols"].split(",")
        known = [symbol for symbol in symbols if self._world.market.find(symbol)]
        return _data([{"symbol": symbol, "last": self._last(symbol)} for symbol in known])

    async def candles(self, request: web.Request) -> web.Response:
        """List candles, merged from bars of a minute."""
        instrument = self._world.market.find(request.query["symbol"])
        if instrument is None:
            return _error(400, "no such instrument")
        since, until = (datetime.fromisoformat(request.query[k]) for k in ("since", "until"))
        step = timedelta(minutes=int(request.query["minutes"]))
        merged: dict[datetime, dict[str, Any]] = {}
        for bar in self._world.market.bars(instrument, since, until):
            opened = bar.start.replace(hour=9, minute=15)
            start = opened + (bar.start - opened) // step * step
            row = merged.setdefault(start, asdict(bar) | {"start": start.isoformat(), "volume": 0})
            row["high"], row["low"] = max(row["high"], bar.high), min(row["low"], bar.low)
            row["close"], row["volume"] = bar.close, row["volume"] + bar.volume
        return _data(list(merged.values()))

    def _last(self, symbol: str) -> float:
        instrument = self._world.market.find(symbol)
        return self._world.market.last_price(instrument) if instrument else 0.0


def _order(order: Order) -> dict[str, Any]:
    interim = "travelling" if order.status in words.INTERIM else "waiting"
    return {
        "id": order.order_id,
        "symbol": order.symbol,
        "side": order.side,
        "product": order.product,
        "kind": order.order_type,
        "quantity": order.quantity,
        "filled": order.filled_quantity,
        "average": order.average_price,
        "state": _STATES.get(order.status, interim),
        "tag": order.tag,
        "price": order.price,
        "trigger": order.trigger_price,
        "message": order.message,
        "at": order.placed_at,
    }


async def _instruments(_request: web.Request) -> web.Response:
    rows = [one for one in INSTRUMENTS if not one.is_index]
    return _data([{"symbol": one.symbol, "tick": one.tick_size} for one in rows])


async def _health(_request: web.Request) -> web.Response:
    return web.json_response({"ok": True})


def build_app(world: World) -> web.Application:
    """Build the Toy application over the shared world."""
    toy = _Toy(world)
    app = web.Application(
        middlewares=[
            world.ledger.middleware(_describe),
            world.faults.middleware(BROKER),
            toy.admit,
        ]
    )
    app.add_routes(
        [
            web.get("/_sandbox/health", _health),
            web.get("/instruments", _instruments),
            web.get("/login", toy.page),
            web.post("/login", toy.submit),
            web.post("/token", toy.token),
            web.delete("/token", toy.logout),
            web.get("/me", toy.me),
            web.get("/orders", toy.orders),
            web.post("/orders", toy.place),
            web.put("/orders/{id}", toy.modify),
            web.delete("/orders/{id}", toy.cancel),
            web.get("/trades", toy.trades),
            web.get("/positions", toy.positions),
            web.get("/holdings", toy.holdings),
            web.get("/funds", toy.funds),
            web.get("/quotes", toy.quotes),
            web.get("/candles", toy.candles),
        ]
    )
    return app
