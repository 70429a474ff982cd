"""What Kite pushes: postbacks to the app's address, order frames on the WebSocket.

A postback goes once to the app that placed the order when it completes, is cancelled, rejected,
modified or partly filled (the last two say ``UPDATE``). Every order of the user goes to each of the
user's sockets, whichever app placed it, with a heartbeat byte each second and the prices of what
was subscribed (``sandbox.kite.ticker``).
"""

import asyncio
import contextlib
import hashlib
import json
from typing import Any

import aiohttp
from aiohttp import WSMsgType, web

from sandbox.accounts import App, Session
from sandbox.kite.serializers import order_row
from sandbox.kite.ticker import Ticker
from sandbox.orders import TERMINAL, Order
from sandbox.push_sockets import PushSocket
from sandbox.world import World

__all__ = ["Push"]

_HEARTBEAT_S = 1.0
_POSTBACK_TIMEOUT_S = 3.0
_SOCKETS_OF_AN_APP = 3


class Push:
    """Postbacks and sockets of the Kite application."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._tasks: set[asyncio.Task[None]] = set()
        self._http: aiohttp.ClientSession | None = None
        self._ticker = Ticker(world, self._spawn)

    async def running(self, _app: web.Application) -> Any:
        """Listen to the exchange while the application runs."""
        timeout = aiohttp.ClientTimeout(total=_POSTBACK_TIMEOUT_S)
        self._http = aiohttp.ClientSession(timeout=timeout)
        self._world.exchange.listeners.append(self._on_order)
        yield
        self._world.exchange.listeners.remove(self._on_order)
        for task in self._tasks:
            task.cancel()
        await self._http.close()

    async def close(self, _app: web.Application) -> None:
        """Close every socket when the application stops."""
        await self._world.sockets.close_all("kite")

    def _spawn(self, work: Any) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _on_order(self, order: Order) -> None:
        instrument = self._world.market.find(order.symbol)
        if order.broker != "kite" or instrument is None:
            return
        row = order_row(order, instrument)
        app = self._world.accounts.app("kite", order.api_key)
        if app is not None and app.postback_url:
            self._spawn(self._post(app, _postback(order, app, row)))
        frame = json.dumps({"type": "order", "data": row})
        for known in self._world.sockets.of_user("kite", order.user_id):
            self._spawn(self._world.sockets.send_order(known, frame))

    async def _post(self, app: App, body: dict[str, Any]) -> None:
        """Send a postback once; a dead or slow address loses it, as at the broker."""
        if self._http is None:
            return
        with contextlib.suppress(aiohttp.ClientError, TimeoutError):
            async with self._http.post(app.postback_url, json=body):
                pass

    async def socket(self, request: web.Request) -> web.StreamResponse:
        """Serve one WebSocket; a wrong token or a free app is refused in the handshake."""
        session = self._admitted(request)
        if session is None:
            return web.Response(status=403, text="Forbidden")
        if len(self._world.sockets.of_app("kite", session.api_key)) >= _SOCKETS_OF_AN_APP:
            # The limit is a fact; how a fourth is answered is not documented.
            return web.Response(status=429, text="Too many requests")
        known = await self._world.sockets.open(request, session)
        heartbeat = asyncio.get_running_loop().create_task(self._heartbeat(known))
        try:
            async for message in known.socket:
                if message.type == WSMsgType.TEXT:
                    await self._ticker.hear(known, message.data)
        finally:
            self._world.sockets.forget(known)
            heartbeat.cancel()
        return known.socket

    def _admitted(self, request: web.Request) -> Session | None:
        api_key, token = (request.query.get(k, "") for k in ("api_key", "access_token"))
        app = self._world.accounts.app("kite", api_key)
        if app is None or app.plan == "personal":
            return None
        return self._world.accounts.session("kite", api_key, token)

    async def _heartbeat(self, known: PushSocket) -> None:
        while not known.socket.closed:
            await self._ticker.beat(known)
            await asyncio.sleep(_HEARTBEAT_S)


def _postback(order: Order, app: App, row: dict[str, Any]) -> dict[str, Any]:
    text = f"{order.order_id}{row['order_timestamp']}{app.api_secret}"
    body = {name: value for name, value in row.items() if name not in {"account_id", "modified"}}
    return body | {
        "user_id": order.user_id,
        "unfilled_quantity": order.quantity - order.filled_quantity,
        "app_id": 1234,
        "checksum": hashlib.sha256(text.encode()).hexdigest(),
        "status": order.status if order.status in TERMINAL else "UPDATE",
    }
