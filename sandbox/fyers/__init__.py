"""A Fyers that answers on loopback as `https://api-t1.fyers.in` does, with the shared exchange.

`/api/v3` and `/data` on one port, the public symbol masters under `/sym_details/`, the
order WebSocket at `/trade/v3`. Requests pass, from the outside in: the ledger, the faults, the
conversion of errors, access control, the handler.
"""

from collections.abc import Awaitable, Callable

from aiohttp import web

from sandbox.fyers.login import FyersLogin
from sandbox.fyers.market_data import FyersMarketData
from sandbox.fyers.middleware import BROKER, FyersMiddleware
from sandbox.fyers.order_service import OrderService
from sandbox.fyers.order_socket import OrderSocket
from sandbox.fyers.responses import FyersError
from sandbox.fyers.routes import TradingRoutes
from sandbox.fyers.serializers import FyersSerializer
from sandbox.fyers.symbol_master import serve_master
from sandbox.fyers.webhook import Webhooks
from sandbox.fyers.write_requests import WriteReader
from sandbox.world import World

__all__ = ["build_app"]


def build_app(world: World) -> web.Application:
    """Return the application of the simulated Fyers.

    Args:
        world: What all simulators share.
    """
    access = FyersMiddleware(world)
    writes = WriteReader(world, access)
    serializer = FyersSerializer(world.market, world.clock)
    app = web.Application(
        middlewares=[
            world.ledger.middleware(writes.describe),
            world.faults.middleware(BROKER, writes.identify),
            _errors,
            access.admit,
        ],
        client_max_size=1024**2,
    )

    async def date(request: web.Request, response: web.StreamResponse) -> None:
        now = world.clock.now()
        stamp = await world.faults.date_of(BROKER, request, now, writes.identify)
        response.headers["Date"] = stamp

    async def master(request: web.Request) -> web.StreamResponse:
        return serve_master(request.match_info["name"], world.clock.now().date())

    async def health(_request: web.Request) -> web.StreamResponse:
        return web.json_response({"ok": True})

    app.on_response_prepare.append(date)
    socket = OrderSocket(world, access, serializer)
    app.cleanup_ctx.extend([Webhooks(world, serializer).run, socket.run])
    app.on_shutdown.append(socket.close)
    app.add_routes(FyersLogin(world).routes())
    app.add_routes(TradingRoutes(world, OrderService(world), serializer).routes())
    app.add_routes(FyersMarketData(world).routes())
    app.add_routes(
        [
            web.get("/trade/v3", socket.connect),
            web.get("/sym_details/{name}", master),
            web.get("/_sandbox/health", health),
        ]
    )
    return app


@web.middleware
async def _errors(
    request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
) -> web.StreamResponse:
    """Answer an error in the envelope of Fyers."""
    try:
        return await handler(request)
    except FyersError as error:
        return error.response()
