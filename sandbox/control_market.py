"""Control routes of the market: prices, halts, liquidity and instruments."""

from __future__ import annotations

from dataclasses import asdict

from aiohttp import web

from sandbox.control_body import json_body
from sandbox.instruments import instruments
from sandbox.world import World

__all__ = ["MarketControl"]


class MarketControl:
    """The handlers; one method a route."""

    def __init__(self, world: World) -> None:
        self._world = world

    def routes(self) -> list[web.RouteDef]:
        """Return the routes of these handlers."""
        return [
            web.post("/market", self.move),
            web.post("/market/halt", self.halt),
            web.post("/market/liquidity", self.liquidity),
            web.get("/instruments", self.list_instruments),
            web.post("/instruments", self.change_instrument),
        ]

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
