"""A TCP proxy in front of a store's server that loses chosen messages.

It cuts the stream into MongoDB wire messages (length-prefixed) and looks for a command's name in
those of the client, so that a test can lose exactly the request, or exactly the reply, of a
``commitTransaction``.
"""

from __future__ import annotations

import asyncio
import contextlib
import re
import struct
from collections.abc import AsyncIterator, Awaitable, Callable
from enum import StrEnum

__all__ = ["Loss", "StoreProxy", "through"]


class Loss(StrEnum):
    """What happens to a message that matches."""

    REQUEST = "request"  # it never reaches the server, the connection breaks
    REPLY = "reply"  # the server acts on it, its answer is lost, the connection breaks


class StoreProxy:
    """Forwards connections; ``lose`` arms the loss of the next matching commands.

    Attributes:
        lost: How many messages were lost so far.
        trace: ``>`` for each message of a transaction, ``<`` for each answer on its connection.
        after_loss: Awaited after each loss and before the client can notice it.
        gate: While clear, matching commands wait in the proxy; ``held`` is set while one waits.
    """

    def __init__(self, host: str, port: int) -> None:
        self._upstream = (host, port)
        self._command = b""
        self._loss = Loss.REPLY
        self._left = 0
        self.lost = 0
        self.trace: list[str] = []
        self.after_loss: Callable[[], Awaitable[None]] | None = None
        self.gate = asyncio.Event()
        self.gate.set()
        self.held = asyncio.Event()
        self._tasks: set[asyncio.Task[None]] = set()
        self._server: asyncio.Server | None = None

    def lose(self, loss: Loss, command: str, times: int = 1) -> None:
        """Lose the request or reply of the next ``times`` messages that hold ``command``."""
        self._loss, self._command, self._left = loss, command.encode(), times

    def hold(self, command: str) -> None:
        """Keep messages that hold ``command`` back until ``gate`` is set."""
        self._command, self._left = command.encode(), 0
        self.gate.clear()

    async def start(self) -> int:
        """Listen on a free port of loopback and return it."""
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        return int(self._server.sockets[0].getsockname()[1])

    async def stop(self) -> None:
        """Stop listening and drop every connection."""
        if self._server is not None:
            self._server.close()
        for task in tuple(self._tasks):
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks)

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.create_task(self._serve(reader, writer))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _serve(self, client: asyncio.StreamReader, back: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError, asyncio.IncompleteReadError):
            upstream, forward = await asyncio.open_connection(*self._upstream)
            try:
                await self._exchange(client, back, upstream, forward)
            finally:
                forward.close()
        back.close()

    async def _exchange(
        self,
        client: asyncio.StreamReader,
        back: asyncio.StreamWriter,
        upstream: asyncio.StreamReader,
        forward: asyncio.StreamWriter,
    ) -> None:
        """Relay message by message; both directions may speak at any time (streamed hello)."""
        losing, in_transaction = asyncio.Event(), asyncio.Event()
        ways = {
            asyncio.create_task(self._replies(upstream, back, losing, in_transaction)),
            asyncio.create_task(self._requests(client, forward, losing, in_transaction)),
        }
        try:
            await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for way in ways:
                way.cancel()
            await asyncio.gather(*ways, return_exceptions=True)
        if losing.is_set():
            self.lost += 1
            if self.after_loss is not None:
                await self.after_loss()

    async def _replies(
        self,
        upstream: asyncio.StreamReader,
        back: asyncio.StreamWriter,
        losing: asyncio.Event,
        in_transaction: asyncio.Event,
    ) -> None:
        while True:
            message = await _message(upstream)
            if losing.is_set():
                return
            if in_transaction.is_set():
                self.trace.append("<")
            back.write(message)
            await back.drain()

    async def _requests(
        self,
        client: asyncio.StreamReader,
        forward: asyncio.StreamWriter,
        losing: asyncio.Event,
        in_transaction: asyncio.Event,
    ) -> None:
        while True:
            message = await _message(client)
            if b"txnNumber" in message:
                in_transaction.set()
                self.trace.append(">")
            if self._command and self._command in message:
                if not self.gate.is_set():
                    self.held.set()
                    await self.gate.wait()
                if self._left > 0:
                    self._left -= 1
                    losing.set()
            if losing.is_set() and self._loss is Loss.REQUEST:
                return
            forward.write(message)
            await forward.drain()
            if losing.is_set():
                await asyncio.Event().wait()  # until the reply came and was lost


async def _message(reader: asyncio.StreamReader) -> bytes:
    head = await reader.readexactly(4)
    (length,) = struct.unpack("<i", head)
    return head + await reader.readexactly(length - 4)


@contextlib.asynccontextmanager
async def through(uri: str) -> AsyncIterator[tuple[StoreProxy, str]]:
    """Put a proxy in front of the server of ``uri``; give it and the URI that leads through it."""
    found = re.search(r"(?<=[@/])([\w.\-]+):(\d+)(?=/|$)", uri)
    assert found is not None, "a URI with one host and port"
    proxy = StoreProxy(found.group(1), int(found.group(2)))
    port = await proxy.start()
    try:
        yield proxy, f"{uri[: found.start()]}127.0.0.1:{port}{uri[found.end() :]}"
    finally:
        await proxy.stop()
