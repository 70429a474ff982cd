"""The control API: how tests and users drive the sandbox (JSON over HTTP, loopback)."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import asdict
from datetime import date
from http import HTTPStatus
from typing import Any

import aiohttp
from aiohttp import web

from sandbox.accounts import AccountError
from sandbox.clock import ClockError
from sandbox.control_body import json_body
from sandbox.control_market import MarketControl
from sandbox.control_orders import OrderControl, account_of
from sandbox.faults import FaultError
from sandbox.instruments import InstrumentError
from sandbox.market import MarketError
from sandbox.orders import Refused
from sandbox.portfolio import Portfolio
from sandbox.sessions import SessionError
from sandbox.settings import SettingError
from sandbox.world import World

__all__ = ["build_app"]


_MAX_UPLOAD = 50 * 1024 * 1024
_HELP = "What the sandbox can be asked for, as JSON over HTTP; docs/sandbox.md says more."


@web.middleware
async def _errors(
    request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
) -> web.StreamResponse:
    """Answer every error as JSON with a one-line message."""
    try:
        return await handler(request)
    except web.HTTPException as error:
        return web.json_response({"error": error.text or error.reason}, status=error.status)
    except (
        AccountError,
        ClockError,
        FaultError,
        InstrumentError,
        MarketError,
        Refused,
        SessionError,
        SettingError,
    ) as error:
        return web.json_response({"error": str(error)}, status=400)


def portfolio_json(portfolio: Portfolio, price: Callable[[str], float]) -> dict[str, Any]:
    """Return a client's true state as JSON: hidden orders too, with the tag the broker knows."""
    positions = [
        {
            "symbol": position.symbol,
            "product": position.product,
            "quantity": position.quantity,
            "average_price": position.average_price,
            "last_price": price(position.symbol),
            "pnl": position.pnl(price(position.symbol)),
        }
        for position in portfolio.positions()
    ]
    holdings = [asdict(h) | {"average_price": h.average_price} for h in portfolio.holdings()]
    return {
        "user_id": portfolio.user.user_id,
        "orders": [asdict(order) for order in portfolio.orders()],
        "trades": [asdict(trade) for trade in portfolio.trades()],
        "positions": positions,
        "holdings": holdings,
        "funds": asdict(portfolio.funds()),
    }


class Control:
    """The handlers; one method a route."""

    def __init__(self, world: World) -> None:
        self._world = world

    async def help(self, request: web.Request) -> web.Response:
        """Say what can be asked for, a line each."""
        lines = {}
        for route in request.app.router.routes():
            resource, said = route.resource, (route.handler.__doc__ or "").strip().split("\n")[0]
            if resource is not None and route.method != "HEAD":
                lines[f"{route.method:<6} {resource.canonical}"] = said
        width = max(map(len, lines))
        text = "\n".join(f"{what:<{width}}  {said}".rstrip() for what, said in lines.items())
        return web.Response(text=f"{_HELP}\n\n{text}\n")

    async def health(self, _request: web.Request) -> web.Response:
        """Answer 200 when every simulator answers."""
        answers = {}
        timeout = aiohttp.ClientTimeout(total=2)
        async with aiohttp.ClientSession(timeout=timeout) as session:
            for name, url in self._world.urls.items():
                try:
                    async with session.get(f"{url}/_sandbox/health") as answer:
                        answers[name] = answer.status < HTTPStatus.INTERNAL_SERVER_ERROR
                except (aiohttp.ClientError, TimeoutError):
                    answers[name] = False
        ok = all(answers.values())
        body = {"ok": ok, "simulators": answers, "market_now": self._world.clock.now().isoformat()}
        return web.json_response(body, status=200 if ok else 503)

    async def address(self, request: web.Request) -> web.Response:
        """Say from which address the question came, as brokers see it, and as text."""
        return web.Response(text=request.remote or "")

    async def add_account(self, request: web.Request) -> web.Response:
        """Register an app and its user."""
        app = self._world.accounts.register(await json_body(request))
        return web.json_response(asdict(app))

    async def list_accounts(self, _request: web.Request) -> web.Response:
        """List the apps, each with its users."""
        accounts = self._world.accounts
        rows = []
        for app in accounts.apps():
            users = [accounts.user(app.broker, user_id) for user_id in app.users]
            known = [asdict(user) for user in users if user is not None]
            first = known[0] if known else {}
            row = asdict(app) | {"redirect_url": accounts.redirect_url(app), "users": known}
            row["has_logged_in"] = accounts.has_logged_in(app)
            rows.append(
                row | {k: first.get(k) for k in ("user_id", "user_name", "cash", "holdings")}
            )
        return web.json_response(rows)

    async def ledger(self, request: web.Request) -> web.Response:
        """List order writes in the order they came."""
        wanted = {name: request.query.get(name) or None for name in ("broker", "api_key", "tag")}
        return web.json_response(self._world.ledger.entries(**wanted))

    async def book(self, request: web.Request) -> web.Response:
        """Return the true state of an account: its first user, or ``user_id``."""
        broker, key = request.query.get("broker", ""), request.query.get("api_key", "")
        app = self._world.accounts.app(broker, key)
        if app is None:
            raise web.HTTPNotFound(text=f"no app {key!r} at {broker!r}")
        wanted = request.query.get("user_id")
        users = [wanted] if wanted else app.users
        exchange = self._world.exchange
        try:
            portfolios = {
                user: portfolio_json(exchange.portfolio(broker, user), self._price)
                for user in users
            }
        except KeyError as error:
            raise web.HTTPNotFound(text=f"no user {error}") from error
        return web.json_response(
            portfolios[users[0]] | ({"users": portfolios} if len(users) > 1 else {})
        )

    async def charges(self, request: web.Request) -> web.Response:
        """Return what an account is charged for a day: its first user, today by default."""
        account = account_of(self._world, request.query)
        try:
            day = date.fromisoformat(request.query["day"]) if "day" in request.query else None
        except ValueError as error:
            raise web.HTTPBadRequest(text=f"day must be a date: {error}") from error
        bill = self._world.exchange.bill(*account, day)
        return web.json_response({"broker": account[0], "user_id": account[1]} | bill)

    def _price(self, symbol: str) -> float:
        instrument = self._world.market.find(symbol)
        return self._world.market.last_price(instrument) if instrument else 0.0

    async def add_fault(self, request: web.Request) -> web.Response:
        """Set a fault, or all of ``faults``."""
        data = await json_body(request)
        if "faults" not in data:
            return web.json_response({"id": self._world.faults.add(data).id})
        if not isinstance(data["faults"], list):
            raise web.HTTPBadRequest(text="faults must be a list")
        made = self._world.faults.add_all(data["faults"])
        return web.json_response({"ids": [fault.id for fault in made]})

    async def list_faults(self, _request: web.Request) -> web.Response:
        """List the faults that still strike."""
        return web.json_response(self._world.faults.all())

    async def delete_faults(self, request: web.Request) -> web.Response:
        """Delete one fault or all."""
        fault_id = request.match_info.get("id")
        gone = self._world.faults.remove(fault_id)
        if fault_id and not gone:
            raise web.HTTPNotFound(text=f"no fault {fault_id!r}")
        return web.json_response({"deleted": gone})

    async def expire(self, request: web.Request) -> web.Response:
        """Do to the sessions of an app, or of a list of apps, what 06:00 does."""
        data = await json_body(request)
        broker, named = str(data.get("broker")), data.get("api_key")
        keys = [str(key) for key in (named if isinstance(named, list) else [named])]
        for key in keys:
            if self._world.accounts.app(broker, key) is None:
                raise web.HTTPNotFound(text=f"no app {key!r} at {broker!r}")
        expired = sum(self._world.accounts.expire(broker, key) for key in keys)
        await self._world.sockets.close_ended()
        return web.json_response({"expired": expired})

    async def count_sockets(self, request: web.Request) -> web.Response:
        """Return how many sockets of an app are open."""
        broker, key = request.query.get("broker", ""), request.query.get("api_key", "")
        return web.json_response({"open": len(self._world.sockets.of_app(broker, key))})

    async def drop_sockets(self, request: web.Request) -> web.Response:
        """Cut the connections of an app's sockets, or of all."""
        data = await json_body(request)
        dropped = self._world.sockets.drop(data.get("broker"), data.get("api_key"))
        return web.json_response({"dropped": dropped})

    async def clock(self, request: web.Request) -> web.Response:
        """Step the market clock, and let it stand there for some seconds."""
        data = await json_body(request)
        by, stands_s = data.get("by"), data.get("stands_s", 0)
        if by is not None and not isinstance(by, int | float):
            raise web.HTTPBadRequest(text="by must be a number of seconds")
        if not isinstance(stands_s, int | float):
            raise web.HTTPBadRequest(text="stands_s must be a number of real seconds")
        self._world.step(to=data.get("to"), by=by, stands_s=stands_s)
        return await self.read_clock(request)

    async def read_clock(self, _request: web.Request) -> web.Response:
        """Return market time, and the clock as another process can follow it."""
        clock = self._world.clock
        body = {"now": clock.now().isoformat(), "clock": clock.anchored().format()}
        return web.json_response(body | {"stands_s": clock.stands_s})

    async def settings(self, _request: web.Request) -> web.Response:
        """List the settings."""
        return web.json_response(self._world.settings.all())

    async def change_settings(self, request: web.Request) -> web.Response:
        """Change settings."""
        for name, value in (await json_body(request)).items():
            self._world.settings.change(name, value)
        return web.json_response(self._world.settings.all())

    async def reset(self, _request: web.Request) -> web.Response:
        """Put everything back to the start."""
        self._world.reset()
        return web.json_response({"ok": True})


def build_app(world: World, extra: list[web.RouteDef] | None = None) -> web.Application:
    """Build the control application.

    Args:
        world: The shared world.
        extra: Routes of other simulators (Telegram's).
    """
    control = Control(world)
    app = web.Application(middlewares=[_errors], client_max_size=_MAX_UPLOAD)
    app.add_routes(
        [
            web.get("/", control.help),
            web.get("/health", control.health),
            web.get("/address", control.address),
            web.post("/accounts", control.add_account),
            web.get("/accounts", control.list_accounts),
            web.get("/ledger", control.ledger),
            web.get("/book", control.book),
            web.get("/charges", control.charges),
            web.post("/faults", control.add_fault),
            web.get("/faults", control.list_faults),
            web.delete("/faults", control.delete_faults),
            web.delete("/faults/{id}", control.delete_faults),
            web.post("/tokens/expire", control.expire),
            web.get("/sockets", control.count_sockets),
            web.post("/sockets/drop", control.drop_sockets),
            *MarketControl(world).routes(),
            *OrderControl(world).routes(),
            web.post("/clock", control.clock),
            web.get("/clock", control.read_clock),
            web.get("/settings", control.settings),
            web.post("/settings", control.change_settings),
            web.post("/reset", control.reset),
            *(extra or []),
        ]
    )
    return app
