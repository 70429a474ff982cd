"""Polls of what waits already: a plain answer is taken, anything else is left to the library (R2)."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field

import pytest
from yarl import URL

from bot.edge import backlog
from bot.edge.backlog import Backlog

pytestmark = pytest.mark.row("R2")
BODY = b'{"ok": true, "result": [1, 2]}'


def answer(status: str = "200 OK", *headers: str, body: bytes = BODY) -> bytes:
    """Return an answer of a known length."""
    lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", *headers, "", ""]
    return "\r\n".join(lines).encode() + body


CUT = answer()[:-3]


@dataclass
class Api:
    """Gives each request the next answer, and hangs up where that is empty or cut."""

    answers: list[bytes]
    url: URL = field(default_factory=URL)
    requests: list[bytes] = field(default_factory=list)
    connections: list[asyncio.Task[None] | None] = field(default_factory=list)

    async def talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections.append(asyncio.current_task())
        with suppress(asyncio.IncompleteReadError, ConnectionError):
            while head := await reader.readuntil(b"\r\n\r\n"):
                length = int(head.lower().rpartition(b"content-length: ")[2].split(b"\r\n")[0])
                self.requests.append(head + await reader.readexactly(length))
                told = self.answers.pop(0)
                writer.write(told)
                if not told or told == CUT or told.count(b"\r\n\r\n") != 1:
                    break
        writer.close()


@asynccontextmanager
async def polling(answers: Sequence[bytes]) -> AsyncIterator[tuple[Api, Backlog]]:
    """Serve the answers on a free port, beside what asks for them."""
    api = Api(list(answers))
    server = await asyncio.start_server(api.talk, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    found = Backlog(URL(f"http://127.0.0.1:{port}/bot1:a%3Ab/getUpdates", encoded=True), None)
    try:
        yield api, found
    finally:
        found.close()
        server.close()
        await asyncio.gather(*(one for one in api.connections if one), return_exceptions=True)


async def test_polls_go_over_one_connection() -> None:
    """Each asks with its own offset and without waiting; the address is sent as it is written."""
    async with polling([answer(), answer(body=b"{}")]) as (api, found):
        assert await found.poll(7) == BODY
        assert await found.poll(107) == b"{}"
        assert len(api.connections) == 1
    head, _, asked = api.requests[0].partition(b"\r\n\r\n")
    assert head.startswith(b"POST /bot1:a%3Ab/getUpdates HTTP/1.1\r\nHost: 127.0.0.1:")
    assert asked == b'{"offset": 7, "timeout": 0}'
    assert api.requests[1].endswith(b'{"offset": 107, "timeout": 0}')


@pytest.mark.parametrize(
    "first",
    [
        b"",
        CUT,
        answer("409 Conflict"),
        answer("302 Found", "Location: http://127.0.0.1:9/"),
        answer("200 OK", "Content-Length: 1"),
        answer("200 OK", "Content-Encoding: gzip"),
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: -5\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 99999999999\r\n\r\n",
        b"nonsense\r\n\r\n",
        b"x" * 3_000_000,
    ],
    ids=lambda one: repr(one[:60]),
)
async def test_what_is_no_plain_answer_is_none(first: bytes) -> None:
    """Nothing of it is believed, and the next poll has a connection of its own."""
    async with polling([first, answer()]) as (api, found):
        assert await found.poll(7) is None
        assert await found.poll(7) == BODY
        assert len(api.connections) == 2


async def test_a_connection_that_was_closed_is_opened_again() -> None:
    """By the server, with the answer or after it, or because it rested long."""
    async with polling([answer("200 OK", "Connection: close"), answer(), answer()]) as (api, found):
        assert await found.poll(1) == await found.poll(2) == BODY
        assert len(api.connections) == 2
        found.close()
        assert await found.poll(3) == BODY
        assert len(api.connections) == 3


async def test_silence_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """What hangs must not hold the owner's updates for ever; nobody listens on a closed port."""
    monkeypatch.setattr(backlog, "_POLL_WITHIN_S", 0.05)
    over = asyncio.Event()

    async def silent(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await over.wait()
        writer.close()

    server = await asyncio.start_server(silent, "127.0.0.1", 0)
    found = Backlog(URL(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/x"), None)
    assert await found.poll(1) is None
    over.set()
    server.close()
    await server.wait_closed()
    assert await found.poll(1) is None
