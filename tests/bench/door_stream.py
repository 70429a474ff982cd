"""The door's WebSocket: order frames, ticks in full mode and a heartbeat, as Kite pushes them.

Every share trades at one price all day, by the same number each minute: bars that are built from
the ticks are those of the door's history.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import struct
from collections import defaultdict
from datetime import datetime, time
from typing import Any

from aiohttp import WSMsgType, web

from core.ports.clock import Clock

__all__ = ["A_MINUTE", "PRICE", "DoorStream"]

PRICE = 100.0
A_MINUTE = 120
"""Shares traded in a minute."""
_HEARTBEAT_S = 1.0
_TICK_S = 0.25
_OPENS = time(9, 15)
_DEPTH = struct.pack(">IIHH", 250, round(PRICE * 100), 1, 0) * 10


class DoorStream:
    """Every connected socket, by app."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
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
        wanted: set[int] = set()
        loop = asyncio.get_running_loop()
        tasks = [loop.create_task(_beat(socket)), loop.create_task(self._tick(socket, wanted))]
        try:
            async for message in socket:
                if message.type is WSMsgType.TEXT:
                    _subscribe(wanted, json.loads(message.data))
        finally:
            sockets.discard(socket)
            for task in tasks:
                task.cancel()
        return socket

    async def _tick(self, socket: web.WebSocketResponse, wanted: set[int]) -> None:
        with contextlib.suppress(ConnectionError, RuntimeError):
            while not socket.closed:
                if wanted:
                    await socket.send_bytes(_frame(wanted, self._clock.market_now()))
                await asyncio.sleep(_TICK_S)


def _subscribe(wanted: set[int], command: dict[str, Any]) -> None:
    if command["a"] == "subscribe":
        wanted.update(command["v"])
    elif command["a"] == "unsubscribe":
        wanted.difference_update(command["v"])


def _frame(tokens: set[int], now: datetime) -> bytes:
    """Return a full packet for each token."""
    paise, at = round(PRICE * 100), int(now.timestamp())
    opened = datetime.combine(now.date(), _OPENS, now.tzinfo)
    volume = max(0, int((now - opened).total_seconds() * A_MINUTE / 60))
    rest = struct.pack(">10I", paise, 1, paise, volume, 2500, 2500, paise, paise, paise, paise)
    rest += struct.pack(">5I", at, 0, 0, 0, at) + _DEPTH
    packets = (struct.pack(">HI", 4 + len(rest), token) + rest for token in tokens)
    return struct.pack(">H", len(tokens)) + b"".join(packets)


async def _send(socket: web.WebSocketResponse, frame: str) -> None:
    with contextlib.suppress(ConnectionError, RuntimeError):
        await socket.send_str(frame)


async def _beat(socket: web.WebSocketResponse) -> None:
    with contextlib.suppress(ConnectionError, RuntimeError):
        while not socket.closed:
            await socket.send_bytes(b"\x00")
            await asyncio.sleep(_HEARTBEAT_S)
