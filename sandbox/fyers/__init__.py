"""A Fyers that answers on loopback as `https://api-t1.fyers.in` does, with the shared exchange.

`/api/v3` and `/data` on one port, the public symbol masters under `/sym_details/`, the
order WebSocket at `/trade/v3`. Requests pass, from the outside in: the ledger, the faults, the
conversion of refusals, the gate, the handler.
"""

from collections.abc import Awaitable, Callable

from aiohttp import web

from sandbox.clock import http_date
from sandbox.fyers.desk import Desk
from sandbox.fyers.gate import BROKER, Gate
from sandbox.fyers.login import Login
from sandbox.fyers.marketdata import MarketData
from sandbox.fyers.masters import serve_master
from sandbox.fyers.replies import Refusal
from sandbox.fyers.socket import OrderSocket
from sandbox.fyers.trading import Trading
from sandbox.fyers.views import Views
from sandbox.fyers.webhook import Webhooks
from sandbox.fyers.writes import Writes
from sandbox.world import World

__all__ = ["build_app"]


def build_app(world: World) -> web.Application:
    """Return the application of the simulated Fyers.

    Args:
        world: What all simulators share.
    """
    gate = Gate(world)
    writes = Writes(world, gate)
    views = Views(world.market, world.clock)
    app = web.Application(
        middlewares=[
            world.ledger.middleware(writes.describe),
            world.faults.middleware(BROKER, writes.identify),
            _refusals,
            gate.middleware,
        ],
        client_max_size=1024**2,
    )

    async def date(_request: web.Request, response: web.StreamResponse) -> None:
        response.headers["Date"] = http_date(world.clock.now())

    async def master(request: web.Request) -> web.StreamResponse:
        return serve_master(request.match_info["name"], world.clock.now().date())

    async def health(_request: web.Request) -> web.StreamResponse:
        return web.json_response({"ok": True})

    app.on_response_prepare.append(date)
    socket = OrderSocket(world, gate, views)
    app.cleanup_ctx.extend([Webhooks(world, views).run, socket.run])
    app.on_shutdown.append(socket.close)
    app.add_routes(Login(world).routes())
    app.add_routes(Trading(world, Desk(world), views).routes())
    app.add_routes(MarketData(world).routes())
    app.add_routes(
        [
            web.get("/trade/v3", socket.connect),
            web.get("/sym_details/{name}", master),
            web.get("/_sandbox/health", health),
        ]
    )
    return app


@web.middleware
async def _refusals(
    request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
) -> web.StreamResponse:
    """Answer a refusal in the envelope of Fyers."""
    try:
        return await handler(request)
    except Refusal as refusal:
        return refusal.response()
