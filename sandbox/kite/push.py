"""What Kite pushes: postbacks to the app's address, order frames on the WebSocket.

A postback goes once to the app that placed the order when it completes, is cancelled, rejected,
modified or partly filled (the last two say ``UPDATE``). Every order of the user goes to each of the
user's sockets, whichever app placed it, with a heartbeat byte each second and, for subscribed
instruments, the last price (the 8-byte form) when it has changed.
"""

import asyncio
import contextlib
import hashlib
import json
import struct
from dataclasses import dataclass, field
from typing import Any

import aiohttp
from aiohttp import WSMsgType, web

from sandbox.accounts import App
from sandbox.kite.serializers import order_row
from sandbox.listing import find_token
from sandbox.orders import TERMINAL, Order
from sandbox.world import World

__all__ = ["Push"]

_HEARTBEAT_S = 1.0
_POSTBACK_TIMEOUT_S = 3.0


@dataclass(eq=False)
class _Socket:
    user_id: str
    socket: web.WebSocketResponse
    tokens: dict[int, int] = field(default_factory=dict)


class Push:
    """Postbacks and sockets of the Kite application."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._sockets: set[_Socket] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._http: aiohttp.ClientSession | None = None

    async def running(self, _app: web.Application) -> Any:
        """Listen to the exchange while the application runs."""
        timeout = aiohttp.ClientTimeout(total=_POSTBACK_TIMEOUT_S)
        self._http = aiohttp.ClientSession(timeout=timeout)
        self._world.exchange.listeners.append(self._on_order)
        yield
        self._world.exchange.listeners.remove(self._on_order)
        for task in self._tasks:
            task.cancel()
        for known in list(self._sockets):
            await known.socket.close()
        await self._http.close()

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
        for known in self._sockets:
            if known.user_id == order.user_id:
                frame = json.dumps({"type": "order", "data": row})
                self._spawn(_send(known.socket, frame))

    async def _post(self, app: App, body: dict[str, Any]) -> None:
        """Send a postback once; a dead or slow address loses it, as at the broker."""
        if self._http is None:
            return
        with contextlib.suppress(aiohttp.ClientError, TimeoutError):
            async with self._http.post(app.postback_url, json=body):
                pass

    async def socket(self, request: web.Request) -> web.StreamResponse:
        """Serve one WebSocket; a wrong token is refused in the handshake."""
        api_key, token = (request.query.get(k, "") for k in ("api_key", "access_token"))
        session = self._world.accounts.session("kite", api_key, token)
        if session is None:
            return web.Response(status=403, text="Forbidden")
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        known = _Socket(session.user_id, socket)
        self._sockets.add(known)
        heartbeat = asyncio.get_running_loop().create_task(self._heartbeat(known))
        try:
            async for message in socket:
                if message.type == WSMsgType.TEXT:
                    _subscribe(known, message.data)
        finally:
            self._sockets.discard(known)
            heartbeat.cancel()
        return socket

    async def _heartbeat(self, known: _Socket) -> None:
        while not known.socket.closed:
            await _send(known.socket, self._ticks(known) or b"\x00")
            await asyncio.sleep(_HEARTBEAT_S)

    def _ticks(self, known: _Socket) -> bytes:
        packets = []
        for token, seen in known.tokens.items():
            instrument = find_token(token)
            paise = round(self._world.market.last_price(instrument) * 100) if instrument else seen
            if paise != seen:
                known.tokens[token] = paise
                packets.append(struct.pack(">HII", 8, token, paise))
        return struct.pack(">H", len(packets)) + b"".join(packets) if packets else b""


async def _send(socket: web.WebSocketResponse, frame: str | bytes) -> None:
    with contextlib.suppress(ConnectionError):
        if isinstance(frame, str):
            await socket.send_str(frame)
        else:
            await socket.send_bytes(frame)


def _subscribe(known: _Socket, text: str) -> None:
    with contextlib.suppress(ValueError, TypeError, AttributeError):
        command = json.loads(text)
        if command.get("a") == "subscribe":
            known.tokens.update({int(token): 0 for token in command["v"]})
        elif command.get("a") == "unsubscribe":
            for token in command["v"]:
                known.tokens.pop(int(token), None)


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
