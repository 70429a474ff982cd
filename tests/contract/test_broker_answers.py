"""Answers in every form that HTTP/1.1 allows, and what ends a connection: over sockets."""

from __future__ import annotations

import asyncio
import gzip
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import pytest

from core.adapters.broker_connections import Lifetime
from core.adapters.broker_http import BrokerTransport, NoReply, Reply
from core.adapters.sdk_requests import Outgoing
from core.adapters.throttle import ORDERS, Bucket, Limit, Throttle
from tests.fakes.clock import ManualClock
from tests.faults.raw_http import Behaviour, RawServer, serving

BODY = b'{"status":"success"}'
PACKED = gzip.compress(BODY)
LARGE = b"[" + b"1," * 1_500_000 + b"1]"


def written(*parts: bytes, is_last: bool = False, pause_s: float = 0.0) -> Behaviour:
    """Answer with bytes as they are, piece by piece."""

    async def behave(writer: asyncio.StreamWriter) -> bool:
        for part in parts:
            writer.write(part)
            await writer.drain()
            if pause_s:
                await asyncio.sleep(pause_s)
        return not is_last

    return behave


def chunked(pieces: Sequence[bytes], *headers: bytes) -> bytes:
    """Return an answer in chunks, with a trailer."""
    head = b"\r\n".join([b"HTTP/1.1 200 OK", b"Transfer-Encoding: chunked", *headers, b"", b""])
    body = b"".join(b"%x;ext=1\r\n%b\r\n" % (len(piece), piece) for piece in pieces)
    return head + body + b"0\r\nX-Trailer: 1\r\n\r\n"


def plain(body: bytes, *headers: bytes) -> bytes:
    """Return an answer with its length."""
    length = b"Content-Length: %d" % len(body)
    return b"\r\n".join([b"HTTP/1.1 200 OK", length, *headers, b"", body])


@asynccontextmanager
async def connected(behaviour: Behaviour) -> AsyncIterator[tuple[RawServer, BrokerTransport]]:
    clock = ManualClock()
    throttle = Throttle(clock, [Limit(ORDERS, 2, 1.0)])
    async with (
        serving(behaviour) as server,
        BrokerTransport(clock, throttle, deadline_s=30.0) as transport,
    ):
        yield server, transport


async def ask(server: RawServer, transport: BrokerTransport, method: str = "GET") -> object:
    """Send one request; what asks is no order."""
    bucket = Bucket.OTHER if method == "GET" else Bucket.ORDERS
    return await transport.send(Outgoing(method, f"{server.url}/a?b=c", {}, b""), bucket)


KEPT = {
    "length": written(plain(BODY)),
    "chunks": written(chunked([BODY[:3], BODY[3:]])),
    "packed": written(plain(PACKED, b"Content-Encoding: gzip")),
    "packed in chunks": written(chunked([PACKED[:9], PACKED[9:]], b"Content-Encoding: GZIP")),
    "byte by byte": written(*(bytes([one]) for one in plain(BODY)), pause_s=0.0001),
    "bare line ends": written(plain(BODY).replace(b"\r\n", b"\n")),
    "interim before": written(b"HTTP/1.1 100 Continue\r\n\r\n", plain(BODY), pause_s=0.01),
    "hints before": written(b"HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n" + plain(BODY)),
}
ENDING = {
    "until the end": written(b"HTTP/1.1 200 OK\r\n\r\n" + BODY, is_last=True),
    "announced end": written(plain(BODY, b"Connection: close")),
    "HTTP/1.0": written(plain(BODY).replace(b"HTTP/1.1", b"HTTP/1.0"), is_last=True),
    "second answer": written(plain(BODY) + plain(b"[]")),
}


@pytest.mark.parametrize("form", KEPT)
async def test_answer_is_read_whole_and_the_connection_kept(form: str) -> None:
    """Each form gives the same body, and the next request goes out on the same connection."""
    async with connected(KEPT[form]) as (server, transport):
        for _ in range(2):
            answer = await ask(server, transport)
            assert isinstance(answer, Reply)
            assert (answer.status, answer.body) == (200, BODY)
        assert len(server.peers) == 1
        assert server.received[0].target == "/a?b=c"


@pytest.mark.parametrize("form", ENDING)
async def test_connection_that_says_more_or_goodbye_is_not_used_again(form: str) -> None:
    """The answer counts; what comes after it on the same connection would be another's."""
    async with connected(ENDING[form]) as (server, transport):
        for count in (1, 2):
            answer = await ask(server, transport)
            assert isinstance(answer, Reply)
            assert (answer.status, answer.body) == (200, BODY)
            assert len(server.peers) == count


@pytest.mark.matrix("N15")
async def test_word_that_nobody_asked_for_ends_an_idle_connection() -> None:
    """A late or stray answer is never taken for that of the next request."""
    stray = asyncio.Event()

    async def behave(writer: asyncio.StreamWriter) -> bool:
        writer.write(plain(BODY))
        await stray.wait()
        writer.write(plain(b"[]", b"X: stray"))
        return True

    async with connected(behave) as (server, transport):
        assert isinstance(await ask(server, transport), Reply)
        stray.set()
        async with asyncio.timeout(150):
            while transport.is_warm:
                await asyncio.sleep(0.001)
        server.always = written(plain(b"second"))
        answer = await ask(server, transport)
        assert isinstance(answer, Reply)
        assert answer.body == b"second"
        assert len(server.peers) == 2


@pytest.mark.parametrize("form", ["length", "chunks", "until the end"])
async def test_long_answer_is_read_in_pieces(form: str) -> None:
    """Three megabytes of orders pass, at the pace at which they are read."""
    whole = {
        "length": written(plain(LARGE)),
        "chunks": written(chunked([LARGE[at : at + 7000] for at in range(0, len(LARGE), 7000)])),
        "until the end": written(b"HTTP/1.1 200 OK\r\n\r\n" + LARGE, is_last=True),
    }
    async with connected(whole[form]) as (server, transport):
        answer = await ask(server, transport)
        assert isinstance(answer, Reply)
        assert answer.body == LARGE


@pytest.mark.matrix("N10")
@pytest.mark.parametrize(
    "parts",
    [
        (b"HTTP/1.1 200 OK\r\nContent-Length: 30\r\n\r\n" + BODY,),
        (chunked([BODY])[:-20],),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 20\r\nContent-Length: 5\r\n\r\n" + BODY,),
        (plain(PACKED[:-4], b"Content-Encoding: gzip"),),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",),
        (b"HTTP/1.1 200 OK\r\n" + b"X: " + b"y" * 100_000 + b"\r\n\r\n",),
        (b"HTTP/1.1 100 Continue\r\n\r\n",),
    ],
    ids=["short", "cut chunks", "two lengths", "cut gzip", "no chunk", "long header", "interim"],
)
async def test_spoilt_answer_is_none(parts: Sequence[bytes]) -> None:
    """What is cut or contradicts itself is no answer; the write may have taken effect."""
    async with connected(written(*parts, is_last=True)) as (server, transport):
        answer = await ask(server, transport, "POST")
        assert isinstance(answer, NoReply)
        assert answer.may_have_left
        assert len(server.received) == 1


@pytest.mark.matrix("N12")
@pytest.mark.invariant("I1", "I11")
async def test_connection_that_ends_while_the_rate_is_waited_for_is_replaced() -> None:
    """The order has not left by then, so it goes out on another one, at the rate."""
    clock = ManualClock()
    throttle = Throttle(clock, [Limit(ORDERS, 1, 1.0)])
    async with (
        serving(written(plain(BODY))) as server,
        BrokerTransport(clock, throttle, deadline_s=30.0) as transport,
    ):
        assert isinstance(await ask(server, transport, "POST"), Reply)
        waiting = asyncio.create_task(ask(server, transport, "POST"))
        await clock.wait_for_sleepers()
        await server.stop()
        await asyncio.sleep(0)
        await clock.advance(1.0)
        assert isinstance(await waiting, Reply)
        assert len(server.received) == len(server.peers) == 2


@pytest.mark.matrix("N12")
@pytest.mark.invariant("I1")
async def test_connection_that_grows_old_while_the_rate_is_waited_for_is_replaced() -> None:
    """An order leaves it for a read, and takes a new one."""
    clock = ManualClock()
    throttle = Throttle(clock, [Limit(ORDERS, 1, 6.0)])
    async with (
        serving(written(plain(BODY))) as server,
        BrokerTransport(clock, throttle, deadline_s=30.0) as transport,
    ):
        assert isinstance(await ask(server, transport, "POST"), Reply)
        waiting = asyncio.create_task(ask(server, transport, "POST"))
        await clock.wait_for_sleepers()
        await clock.advance(6.0)
        assert isinstance(await waiting, Reply)
        assert len(server.received) == len(server.peers) == 2


class TurningOld(Lifetime):
    """Trusts a connection when it is taken, and not any more once it was written to."""

    def __init__(self) -> None:
        super().__init__()
        self.is_trusting = True

    @property
    def safe_s(self) -> float:
        return 4.0 if self.is_trusting else 0.0


@pytest.mark.matrix("N12")
@pytest.mark.invariant("I1")
async def test_write_is_not_repeated_however_old_its_connection_was() -> None:
    """The age decides about questions alone, even where it is reached between two looks."""
    clock, lifetime = ManualClock(), TurningOld()
    throttle = Throttle(clock, [])
    acquire = throttle.acquire

    async def permit(bucket: Bucket, deadline: float) -> float:
        lifetime.is_trusting = False
        return await acquire(bucket, deadline)

    async with (
        serving(written(plain(BODY))) as server,
        BrokerTransport(clock, throttle, deadline_s=30.0, lifetime=lifetime) as transport,
    ):
        for method, sent in (("GET", 3), ("POST", 2)):
            assert isinstance(await ask(server, transport, "POST"), Reply)
            server.script = [written(is_last=True)]
            throttle.acquire = permit  # type: ignore[method-assign]
            answer = await ask(server, transport, method)
            assert isinstance(answer, Reply if method == "GET" else NoReply)
            assert len(server.received) == sent
            throttle.acquire = acquire  # type: ignore[method-assign]
            lifetime.is_trusting = True
            server.received.clear()


async def test_connection_that_is_gone_before_the_write_is_not_written_to() -> None:
    """It ended between the last look and the write: provably nothing has left."""
    clock = ManualClock()
    throttle = Throttle(clock, [])
    acquire = throttle.acquire

    async def permit(bucket: Bucket, deadline: float) -> float:
        for connection in transport._pool._open:
            connection.abort()
        return await acquire(bucket, deadline)

    throttle.acquire = permit  # type: ignore[method-assign]
    async with (
        serving(written(plain(BODY))) as server,
        BrokerTransport(clock, throttle, deadline_s=30.0) as transport,
    ):
        answer = await ask(server, transport, "POST")
        assert isinstance(answer, NoReply)
        assert not answer.may_have_left
        assert server.received == []


@pytest.mark.invariant("I1")
async def test_request_that_was_given_up_while_waiting_leaves_its_connection_behind() -> None:
    """Nothing was written to it, so the next one takes it."""
    clock = ManualClock()
    throttle = Throttle(clock, [Limit(ORDERS, 1, 1.0)])
    async with (
        serving(written(plain(BODY))) as server,
        BrokerTransport(clock, throttle, deadline_s=30.0) as transport,
    ):
        assert isinstance(await ask(server, transport, "POST"), Reply)
        waiting = asyncio.create_task(ask(server, transport, "POST"))
        await clock.wait_for_sleepers()
        waiting.cancel()
        await asyncio.gather(waiting, return_exceptions=True)
        assert isinstance(await ask(server, transport), Reply)
        assert len(server.peers) == 1
        assert [one.method for one in server.received] == ["POST", "GET"]
