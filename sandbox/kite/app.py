"""The Kite application: its routes, and the middlewares in the order of a real request.

An order write is entered in the ledger, then faults apply, then errors get Kite's shape, then
access control admits the request. Errors get Kite's shape outside of all that too, for a body that
the ledger cannot read. GTT, mutual funds, iceberg, cover and auction orders and the refresh of
tokens are not simulated.
"""

from aiohttp import web

from sandbox.kite.charges import ChargeRoutes
from sandbox.kite.login import KiteLogin
from sandbox.kite.margin_routes import MarginRoutes
from sandbox.kite.market_data import KiteMarketData
from sandbox.kite.middleware import KiteMiddleware, describe_write, identify
from sandbox.kite.order_reads import OrderReads
from sandbox.kite.order_routes import OrderRoutes
from sandbox.kite.portfolio_routes import PortfolioRoutes
from sandbox.kite.push import Push
from sandbox.world import World

__all__ = ["build_app"]

_BODY_LIMIT = 256 * 1024


async def _health(_request: web.Request) -> web.Response:
    return web.json_response({"ok": True})


def build_app(world: World) -> web.Application:
    """Build the Kite application over the shared world."""
    access, push = KiteMiddleware(world), Push(world)
    middlewares = [
        access.errors,
        world.ledger.middleware(describe_write),
        world.faults.middleware("kite", identify),
        access.errors,
        access.admit,
    ]
    app = web.Application(middlewares=middlewares, client_max_size=_BODY_LIMIT)
    app.on_response_prepare.append(access.stamp)
    app.cleanup_ctx.append(push.running)
    app.on_shutdown.append(push.close)
    app.add_routes(_routes(world, push))
    return app


def _routes(world: World, push: Push) -> list[web.RouteDef]:
    login, orders, reads = KiteLogin(world), OrderRoutes(world), OrderReads(world)
    portfolio, data = PortfolioRoutes(world), KiteMarketData(world)
    margins, charges = MarginRoutes(world), ChargeRoutes(world)
    return [
        web.get("/_sandbox/health", _health),
        web.get("/", push.socket),
        web.get("/ws", push.socket),
        web.get("/connect/login", login.page),
        web.post("/connect/login", login.submit),
        web.post("/session/token", login.exchange),
        web.delete("/session/token", login.logout),
        web.post("/session/refresh_token", login.refresh),
        web.get("/user/profile", login.profile),
        web.get("/user/margins", portfolio.margins),
        web.get("/user/margins/{segment}", portfolio.margins),
        web.get("/portfolio/holdings", portfolio.holdings),
        web.get("/portfolio/positions", portfolio.positions),
        web.put("/portfolio/positions", portfolio.convert),
        web.get("/orders", reads.day),
        web.get("/orders/{order_id}", reads.history),
        web.post("/orders/{variety}", orders.place),
        web.put("/orders/{variety}/{order_id}", orders.modify),
        web.delete("/orders/{variety}/{order_id}", orders.cancel),
        web.get("/trades", reads.trades),
        web.get("/orders/{order_id}/trades", reads.order_trades),
        web.post("/margins/orders", margins.orders),
        web.post("/margins/basket", margins.basket),
        web.post("/charges/orders", charges.orders),
        web.get("/quote", data.quote),
        web.get("/quote/{mode}", data.quote),
        web.get("/instruments", data.instruments),
        web.get("/instruments/{exchange}", data.instruments),
        web.get("/instruments/historical/{token}/{interval}", data.historical),
    ]
