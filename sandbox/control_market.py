"""Control routes of the market: prices, halts, liquidity, sessions and instruments."""

from __future__ import annotations

from dataclasses import asdict
from datetime import date, time

from aiohttp import web

from sandbox.control_body import json_body
from sandbox.instruments import instruments
from sandbox.sessions import SEGMENTS, is_trading_day, segment_session
from sandbox.world import World

__all__ = ["MarketControl"]


class MarketControl:
    """The handlers; one method a route."""

    def __init__(self, world: World) -> None:
        self._world = world

    def routes(self) -> list[web.RouteDef]:
        """Return the routes of these handlers."""
        return [
            web.get("/market", self.price),
            web.post("/market", self.move),
            web.post("/market/halt", self.halt),
            web.post("/market/liquidity", self.liquidity),
            web.post("/market/circuit", self.circuit),
            web.get("/sessions", self.list_sessions),
            web.post("/sessions", self.change_session),
            web.get("/instruments", self.list_instruments),
            web.post("/instruments", self.change_instrument),
        ]

    async def price(self, request: web.Request) -> web.Response:
        """Return the last price of ``symbol``."""
        symbol = request.query.get("symbol", "")
        instrument = self._world.market.find(symbol)
        if instrument is None:
            raise web.HTTPNotFound(text=f"no instrument {symbol!r}")
        last = self._world.market.last_price(instrument)
        return web.json_response({"symbol": symbol, "last_price": last})

    async def move(self, request: web.Request) -> web.Response:
        """Move a price; null lets it go on."""
        data = await json_body(request)
        if "last_price" not in data:
            raise web.HTTPBadRequest(text="last_price is required (a number, or null)")
        self._world.exchange.advance()
        price = self._world.market.move(str(data.get("symbol", "")), data["last_price"])
        self._world.exchange.advance()
        return web.json_response({"symbol": data.get("symbol"), "last_price": price})

    async def halt(self, request: web.Request) -> web.Response:
        """Stop a symbol or the market; with ``halted`` false lift the halt."""
        data = await json_body(request)
        self._world.exchange.advance()
        if data.get("halted", True):
            self._world.market.halt(data.get("symbol"))
        else:
            self._world.market.resume(data.get("symbol"))
        return web.json_response(self._world.market.settings())

    async def liquidity(self, request: web.Request) -> web.Response:
        """Limit what trades of a symbol while its price moves on; null lifts the limit."""
        data = await json_body(request)
        if "quantity" not in data:
            raise web.HTTPBadRequest(text="quantity is required (a whole number, or null)")
        self._world.exchange.advance()
        self._world.market.limit_liquidity(str(data.get("symbol", "")), data["quantity"])
        self._world.exchange.advance()
        return web.json_response(self._world.market.settings())

    async def circuit(self, request: web.Request) -> web.Response:
        """Put a symbol at its lower or upper circuit; null lets the price go on."""
        data = await json_body(request)
        if "circuit" not in data:
            raise web.HTTPBadRequest(text="circuit is required (lower, upper, or null)")
        self._world.exchange.advance()
        price = self._world.market.lock(str(data.get("symbol", "")), data["circuit"])
        self._world.exchange.advance()
        return web.json_response({"symbol": data.get("symbol"), "last_price": price})

    async def list_sessions(self, request: web.Request) -> web.Response:
        """Return the hours of each segment on a day, empty when it is closed."""
        day = _day(request.query.get("day"), self._world.clock.now().date())
        hours = {}
        if is_trading_day(day):
            for segment in SEGMENTS:
                hours[segment] = [at.isoformat() for at in segment_session(segment, day)]
        return web.json_response({"day": day.isoformat(), "segments": hours})

    async def change_session(self, request: web.Request) -> web.Response:
        """Give a day a special session, or close it when no hours are given."""
        data = await json_body(request)
        day = _day(data.get("day"), None)
        opens, closes = (_time(data.get(name), name) for name in ("open", "close"))
        self._world.exchange.advance()
        self._world.change_day(day, opens, closes)
        self._world.exchange.advance()
        return web.json_response({"day": day.isoformat(), "is_open": is_trading_day(day)})

    async def list_instruments(self, _request: web.Request) -> web.Response:
        """List the instruments that are listed today."""
        return web.json_response([asdict(item) | {"key": item.key} for item in instruments()])

    async def change_instrument(self, request: web.Request) -> web.Response:
        """Change an instrument from now on, or add a share of NSE."""
        fields = await json_body(request)
        key = str(fields.pop("symbol", "")).removeprefix("NSE:")
        self._world.exchange.advance()
        changed = self._world.change_instrument(key, fields)
        return web.json_response(asdict(changed) | {"key": changed.key})


def _day(text: object, default: date | None) -> date:
    if text is None and default is not None:
        return default
    try:
        return date.fromisoformat(str(text))
    except ValueError as error:
        raise web.HTTPBadRequest(text=f"day must be a date, found {text!r}") from error


def _time(text: object, name: str) -> time | None:
    if text is None:
        return None
    try:
        return time.fromisoformat(str(text))
    except ValueError as error:
        raise web.HTTPBadRequest(text=f"{name} must be a time, found {text!r}") from error
