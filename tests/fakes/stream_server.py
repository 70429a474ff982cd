"""A WebSocket server in a test's hand: it says what it is told to, and remembers who came."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from aiohttp import WSMsgType, web

__all__ = ["StreamServer", "serving_stream", "until"]

_ALL_PATHS = "/{path:.*}"


async def until(ask: Callable[[], object], *, within_s: float = 150.0) -> None:
    """Wait until the answer is true; fail when it does not become true in time."""
    async with asyncio.timeout(within_s):
        while not ask():
            await asyncio.sleep(0.002)


@dataclass
class StreamServer:
    """Accepts handshakes, or answers them with ``refuses``.

    Attributes:
        refuses: The status of the answer to a handshake; None accepts it.
        greets: Sent to everybody who comes, before anything else.
        seen: The addresses and headers (lower case) of the handshakes.
        heard: The texts that clients sent.
    """

    port: int = 0
    refuses: int | None = None
    greets: list[str | bytes] = field(default_factory=list)
    seen: list[tuple[str, dict[str, str]]] = field(default_factory=list)
    heard: list[str] = field(default_factory=list)
    sockets: list[web.WebSocketResponse] = field(default_factory=list)

    @property
    def url(self) -> str:
        """The root address."""
        return f"ws://127.0.0.1:{self.port}"

    async def serve(self, request: web.Request) -> web.StreamResponse:
        """Serve one connection."""
        headers = {name.lower(): value for name, value in request.headers.items()}
        self.seen.append((str(request.rel_url), headers))
        if self.refuses is not None:
            return web.Response(status=self.refuses, text="no")
        socket = web.WebSocketResponse(max_msg_size=0)
        await socket.prepare(request)
        self.sockets.append(socket)
        for frame in self.greets:
            await say(socket, frame)
        async for message in socket:
            if message.type is WSMsgType.TEXT:
                self.heard.append(message.data)
        return socket

    async def say(self, *frames: str | bytes) -> None:
        """Send frames to who came last."""
        for frame in frames:
            await say(self.sockets[-1], frame)

    def cut(self, which: int = -1) -> None:
        """Cut a connection."""
        request = self.sockets[which]._req
        assert request is not None and request.transport is not None
        request.transport.abort()


async def say(socket: web.WebSocketResponse, frame: str | bytes) -> None:
    """Send one frame."""
    await (socket.send_str(frame) if isinstance(frame, str) else socket.send_bytes(frame))


@asynccontextmanager
async def serving_stream() -> AsyncIterator[StreamServer]:
    """Run a server until the block ends."""
    server = StreamServer()
    app = web.Application()
    app.router.add_get(_ALL_PATHS, server.serve)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    server.port = runner.addresses[0][1]
    try:
        yield server
    finally:
        await runner.cleanup()
