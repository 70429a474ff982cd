"""What strangers can cost: lines of the log, connections, and whom requests count for (G4)."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from types import SimpleNamespace
from typing import Any

import pytest
from multidict import CIMultiDict

from tests.fakes.clock import ManualClock
from tests.fakes.log_lines import lines_of
from tests.fakes.web_world import running
from webhooks.connections import ConnectionLimits
from webhooks.guard import RateLimit
from webhooks.peers import Peers
from webhooks.rated_log import RatedLog

pytestmark = pytest.mark.row("G4")

_HEAD = b"POST /postback/%s HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Type: application/json\r\n"
MALFORMED = {
    "seven bytes": b"\x00\x01\x02\r\n\r\n",
    "no http": b"codecanary\r\n\r\n",
    "address": b"GET http://[::1 HTTP/1.1\r\nHost: x\r\n\r\n",
    "header": b"GET / HTTP/1.1\r\nHost: x\r\nbad codecanary header\r\n\r\n",
    "length": b"GET / HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n",
    "long": b"GET /" + b"codecanary" * 2000 + b" HTTP/1.1\r\nHost: x\r\n\r\n",
}
WRONG_BODIES = {
    "gzip": b"Content-Encoding: gzip\r\nContent-Length: 10\r\n\r\ncodecanary",
    "deflate": b"Content-Encoding: deflate\r\nContent-Length: 10\r\n\r\ncodecanary",
    "cut gzip": b"Content-Encoding: gzip\r\nContent-Length: 10\r\n\r\n\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\x03",
    "chunk": b"Transfer-Encoding: chunked\r\n\r\nzz\r\ncodecanary\r\n",
}


async def sent(port: int, request: bytes) -> bytes:
    """Send bytes, and return what comes back until the server closes."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(request)
    answer = await asyncio.wait_for(reader.read(), 150)
    writer.close()
    return answer


def written(caplog: pytest.LogCaptureFixture) -> list[str]:
    """Return every line of the log, tracebacks included."""
    form = logging.Formatter("%(message)s")
    return [form.format(one) for one in caplog.records if one.name != "asyncio"]


@pytest.mark.parametrize("request_bytes", MALFORMED.values(), ids=MALFORMED)
async def test_malformed_bytes_are_a_line(
    request_bytes: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    """Bytes that are no request are answered 400, and logged in short lines without them."""
    caplog.set_level("INFO")
    async with running() as world:
        caplog.clear()
        answer = await sent(world.port, request_bytes)
    assert answer.startswith((b"HTTP/1.1 400", b"HTTP/1.0 400"))
    lines = written(caplog)
    assert 1 <= len(lines) <= 2 and sum(map(len, lines)) < 200
    assert "codecanary" not in "".join(lines)


@pytest.mark.parametrize("broker", ["zerodha", "fyers"])
@pytest.mark.parametrize("body", WRONG_BODIES.values(), ids=WRONG_BODIES)
async def test_body_that_is_not_what_its_headers_say(
    body: bytes, broker: str, caplog: pytest.LogCaptureFixture
) -> None:
    """It is the sender's fault: 400 where postbacks are signed, 200 where not, in a line or two."""
    caplog.set_level("INFO")
    async with running() as world:
        caplog.clear()
        answer = await sent(world.port, _HEAD % broker.encode() + body)
        assert world.counts.total() <= 1
    # Where the connection shows the fault before a handler runs, nobody asks whose postback it is.
    right = {"zerodha": (b"400",), "fyers": (b"200", b"400")}[broker]
    assert answer.split(b" ", 2)[1] in right
    lines = written(caplog)
    assert len(lines) <= 2 and sum(map(len, lines)) < 250
    assert "codecanary" not in "".join(lines)


@pytest.mark.parametrize("broker", [b"zerodha", b"fyers"])
async def test_sender_that_goes_away_is_no_fault_of_ours(
    broker: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    """A body that breaks off in the middle leaves no traceback."""
    caplog.set_level("INFO")
    async with running() as world:
        caplog.clear()
        reader, writer = await asyncio.open_connection("127.0.0.1", world.port)
        writer.write(_HEAD % broker + b"Content-Length: 50\r\n\r\n{")
        await writer.drain()
        writer.close()
        await closed(reader)
        async with asyncio.timeout(150):
            while not world.counts:
                await asyncio.sleep(0.001)
    lines = written(caplog)
    assert len(lines) <= 2 and sum(map(len, lines)) < 250


@pytest.mark.parametrize(
    "request_bytes",
    [
        MALFORMED["seven bytes"],
        _HEAD % b"zerodha" + WRONG_BODIES["gzip"],
        _HEAD % b"fyers" + b"Content-Length: 2\r\n\r\n{}",
        b"GET /none HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
    ],
    ids=["malformed", "gzip", "postback", "no route"],
)
async def test_flood_of_faults_is_few_lines(
    request_bytes: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    """A hundred of a kind in a minute leave a score of lines; the next minute says how many."""
    caplog.set_level("INFO")
    async with running() as world:
        caplog.clear()
        for _ in range(100):
            await sent(world.port, request_bytes)
        assert len(written(caplog)) <= 21
        caplog.clear()
        await world.clock.advance(60)
        await sent(world.port, request_bytes)
    assert any(line.startswith(("90 more", "100 more")) for line in written(caplog))


def test_kinds_are_counted_apart(caplog: pytest.LogCaptureFixture) -> None:
    """One kind that is left out hides no other."""
    caplog.set_level("INFO")
    log = RatedLog(logging.getLogger("test"), ManualClock(), lines=2)
    for _ in range(5):
        log.say(logging.INFO, "one", "one")
    log.say(logging.INFO, "two", "two")
    assert [one.getMessage() for one in lines_of(caplog, "test")] == ["one", "one", "two"]


async def half_open(port: int) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """Open a connection that begins a request and never ends it."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(b"GET / HTTP/1.1\r\n")
    return reader, writer


async def closed(reader: asyncio.StreamReader) -> None:
    """Wait until the server has closed a connection, without a word."""
    with contextlib.suppress(ConnectionError):
        assert await asyncio.wait_for(reader.read(), 150) == b""


async def test_half_open_requests_make_room(caplog: pytest.LogCaptureFixture) -> None:
    """However many connections say nothing, the next request is answered; the longest idle go."""
    async with running(connections=ConnectionLimits(most=8, head_s=3600)) as world:
        idle: list[Any] = [await half_open(world.port) for _ in range(40)]
        for _ in range(3):
            assert (await world.http.get("/healthz")).status_code == 200
        for reader, _ in idle[:30]:
            await closed(reader)
        for _, writer in idle:
            writer.close()
    # Not because the server closes what is idle for long, which it would by then.
    assert "more than 8 connections: one was closed" in caplog.text


async def test_half_open_request_has_a_deadline(caplog: pytest.LogCaptureFixture) -> None:
    """A head that does not come in time ends its connection."""
    caplog.set_level("INFO")
    async with running(connections=ConnectionLimits(head_s=0.05)) as world:
        reader, writer = await half_open(world.port)
        await closed(reader)
        writer.close()
    assert "a connection sent no request in time" in caplog.text


@pytest.mark.parametrize(
    ("lines", "others"),
    [
        (["203.0.113.1"], ["203.0.113.1:4711"]),
        (["203.0.113.1"], ["198.51.100.9", "203.0.113.1"]),
        (["203.0.113.1"], ["198.51.100.9, 203.0.113.1"]),
        (["203.0.113.1"], ["203.0.113.1, 10.1.2.3"]),
        (["203.0.113.1"], ["203.0.113.1", "10.1.2.3:80, 127.0.0.1"]),
        (["203.0.113.1"], ["::ffff:203.0.113.1"]),
        (["2001:db8:1:2::1"], ["2001:db8:1:2:ffff::9"]),
        (["2001:db8:1:2::1"], ["[2001:db8:1:2::7]:443"]),
        (["2001:db8:1:2::1"], ['"[2001:db8:1:2::7]"']),
    ],
)
async def test_one_client_is_counted_once(lines: list[str], others: list[str]) -> None:
    """All lines of X-Forwarded-For count, with ports and in a /64, behind proxies that are trusted."""
    rate = RateLimit(requests=1)
    async with running(rate=rate, trusted_proxies=("10.0.0.0/8",)) as world:
        codes = [
            (
                await world.http.get(
                    "/healthz", headers=[("X-Forwarded-For", one) for one in named]
                )
            ).status_code
            for named in (lines, others)
        ]
    assert codes == [200, 429]


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("203.0.113.1", "203.0.113.2"),
        ("203.0.113.1, 10.1.2.3", "203.0.113.2, 10.1.2.3"),
        ("2001:db8:1:2::1", "2001:db8:1:3::1"),
        ("192.0.2.1, 203.0.113.1", "192.0.2.1, 203.0.113.2"),
    ],
)
async def test_two_clients_are_two(first: str, second: str) -> None:
    """A proxy that is trusted is no client; one that is not is."""
    rate = RateLimit(requests=1)
    async with running(rate=rate, trusted_proxies=("10.0.0.0/8",)) as world:
        codes = [
            (await world.http.get("/healthz", headers={"X-Forwarded-For": one})).status_code
            for one in (first, second)
        ]
    assert codes == [200, 200]


async def test_who_is_not_trusted_names_nobody() -> None:
    """What an address that is no proxy of ours says about others is not read."""
    rate = RateLimit(requests=1)
    async with running(rate=rate) as world:
        codes = [
            (
                await world.http.get("/healthz", headers={"X-Forwarded-For": f"{one}, 10.1.2.3"})
            ).status_code
            for one in ("203.0.113.1", "203.0.113.2")
        ]
    assert codes == [200, 429]


@pytest.mark.parametrize(
    ("peer", "counted"),
    [
        ("198.51.100.9", "198.51.100.9"),
        ("2001:db8:1:2::1", "2001:db8:1:2::/64"),
        ("10.1.2.3", "203.0.113.1"),
        ("127.0.0.1", "203.0.113.1"),
    ],
)
def test_who_connects_without_a_proxy_is_counted_as_who_they_are(peer: str, counted: str) -> None:
    """Whatever they say about others: otherwise each request could be of another address."""
    headers = CIMultiDict({"X-Forwarded-For": "203.0.113.1"})
    request: Any = SimpleNamespace(remote=peer, headers=headers)
    assert Peers(["10.0.0.0/8"]).client_of(request) == counted
