"""An HTTP server that misbehaves on purpose, byte by byte, and remembers what it received."""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
import ssl
import struct
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass

__all__ = [
    "Behaviour",
    "RawServer",
    "Received",
    "answer",
    "close_unanswered",
    "drip",
    "garbage",
    "half_a_body",
    "hang",
    "json_answer",
    "reset_after",
    "serving",
]


@dataclass(frozen=True)
class Received:
    """One complete request."""

    method: str
    target: str
    headers: Mapping[str, str]
    body: bytes


Behaviour = Callable[[asyncio.StreamWriter], Awaitable[bool]]
"""Answers one request; returns whether the connection lives on."""


def answer(status: int, body: bytes, content_type: str, **headers: str) -> Behaviour:
    """Answer properly."""

    async def behave(writer: asyncio.StreamWriter) -> bool:
        lines = [f"HTTP/1.1 {status} X", f"Content-Type: {content_type}"]
        lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
        lines += [f"Content-Length: {len(body)}", "", ""]
        writer.write("\r\n".join(lines).encode() + body)
        await writer.drain()
        return True

    return behave


def json_answer(status: int, payload: object, **headers: str) -> Behaviour:
    """Answer with JSON."""
    return answer(status, json.dumps(payload).encode(), "application/json", **headers)


async def hang(_writer: asyncio.StreamWriter) -> bool:
    """Never answer."""
    await asyncio.Event().wait()
    return False


async def reset_after(writer: asyncio.StreamWriter) -> bool:
    """Reset the connection once the whole request is here."""
    _reset(writer)
    return False


async def close_unanswered(_writer: asyncio.StreamWriter) -> bool:
    """Close the connection without a byte."""
    return False


async def garbage(writer: asyncio.StreamWriter) -> bool:
    """Answer with something that is not HTTP."""
    writer.write(b"\x16\x03\x01 nonsense\r\n\r\n")
    await writer.drain()
    return False


async def half_a_body(writer: asyncio.StreamWriter) -> bool:
    """Announce more than is sent."""
    writer.write(
        b'HTTP/1.1 200 X\r\nContent-Type: application/json\r\nContent-Length: 99\r\n\r\n{"'
    )
    await writer.drain()
    return False


async def drip(writer: asyncio.StreamWriter) -> bool:
    """Send a byte now and then: no timeout of a single read ever strikes."""
    writer.write(b"HTTP/1.1 200 X\r\nContent-Type: application/json\r\nContent-Length: 999\r\n\r\n")
    for _ in range(999):
        writer.write(b" ")
        await writer.drain()
        await asyncio.sleep(0.05)
    return False


def _reset(writer: asyncio.StreamWriter) -> None:
    raw: socket.socket = writer.get_extra_info("socket")
    raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()


class RawServer:
    """Answers each request with the next of ``script``, then with ``always``.

    Attributes:
        received: Every complete request, in order.
        peers: The address that each connection came from.
        refuses: Reset connections at accept.
    """

    def __init__(self, always: Behaviour) -> None:
        self.always = always
        self.script: list[Behaviour] = []
        self.received: list[Received] = []
        self.peers: list[str] = []
        self.refuses = False
        self.url = ""
        self._tasks: set[asyncio.Task[None]] = set()

    async def connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve one connection."""
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        self.peers.append(writer.get_extra_info("peername")[0])
        try:
            if self.refuses:
                _reset(writer)
                return
            with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
                while await self._serve(reader, writer):
                    pass
            writer.close()
        except asyncio.CancelledError:
            writer.transport.abort()  # the test is over, so is this task
        finally:
            self._tasks.discard(task)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        head = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
        method, target, _ = head[0].split(" ")
        headers = {
            name.lower(): value.strip()
            for name, _, value in (line.partition(":") for line in head[1:] if line)
        }
        body = await reader.readexactly(int(headers.get("content-length", "0")))
        self.received.append(Received(method, target, headers, body))
        behave = self.script.pop(0) if self.script else self.always
        return await behave(writer)

    async def stop(self) -> None:
        """Break off what is still being answered."""
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)


@contextlib.asynccontextmanager
async def serving(always: Behaviour, tls: ssl.SSLContext | None = None) -> AsyncIterator[RawServer]:
    """Run a server on a free port of loopback."""
    server = RawServer(always)
    listener = await asyncio.start_server(server.connected, "127.0.0.1", 0, ssl=tls)
    scheme = "https" if tls else "http"
    server.url = f"{scheme}://127.0.0.1:{listener.sockets[0].getsockname()[1]}"
    try:
        yield server
    finally:
        listener.close()
        await server.stop()
        await listener.wait_closed()
