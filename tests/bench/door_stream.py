"""The door's WebSocket: order frames and a heartbeat, as Kite pushes them."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections import defaultdict
from typing import Any

from aiohttp import WSMsgType, web

__all__ = ["DoorStream"]

_HEARTBEAT_S = 1.0


class DoorStream:
    """Every connected socket, by app."""

    def __init__(self) -> None:
        self._sockets: defaultdict[str, set[web.WebSocketResponse]] = defaultdict(set)
        self._tasks: set[asyncio.Task[None]] = set()

    def push(self, api_key: str, row: dict[str, Any]) -> None:
        """Send an order's row to the sockets of its app."""
        frame = json.dumps({"type": "order", "data": row})
        for socket in self._sockets[api_key]:
            task = asyncio.get_running_loop().create_task(_send(socket, frame))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def serve(self) -> int:
        """Listen on loopback; return the port."""
        app = web.Application()
        app.add_routes([web.get("/", self._socket), web.get("/ws", self._socket)])
        runner = web.AppRunner(app, access_log=None)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        return int(runner.addresses[0][1])

    async def _socket(self, request: web.Request) -> web.StreamResponse:
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        sockets = self._sockets[request.query.get("api_key", "")]
        sockets.add(socket)
        beating = asyncio.get_running_loop().create_task(_beat(socket))
        try:
            async for message in socket:
                if message.type is WSMsgType.ERROR:
                    break
        finally:
            sockets.discard(socket)
            beating.cancel()
        return socket


async def _send(socket: web.WebSocketResponse, frame: str) -> None:
    with contextlib.suppress(ConnectionError, RuntimeError):
        await socket.send_str(frame)


async def _beat(socket: web.WebSocketResponse) -> None:
    with contextlib.suppress(ConnectionError, RuntimeError):
        while not socket.closed:
            await socket.send_bytes(b"\x00")
            await asyncio.sleep(_HEARTBEAT_S)
