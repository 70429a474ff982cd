"""Connections that are kept open, and those over TLS: through both brokers' clients."""

from __future__ import annotations

import asyncio
import socket
import ssl
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from pathlib import Path

import pytest

from core.adapters import broker_connections
from core.domain.outcome import Acked, Ambiguous, NotSent
from core.errors import BrokerReadError
from core.ports.broker import BrokerClient
from tests.fakes.brokers import BROKER_CASES, BrokerCase, market_order
from tests.fakes.certificates import authority, certified
from tests.fakes.clock import ManualClock
from tests.faults.raw_http import (
    Behaviour,
    RawServer,
    close_unanswered,
    garbage,
    half_a_body,
    json_answer,
    reset_after,
    serving,
)

ALWAYS_SAFE_S = 4.0


@pytest.fixture(params=BROKER_CASES, ids=lambda case: case.profile.name)
def case(request: pytest.FixtureRequest) -> BrokerCase:
    """Both brokers in turn."""
    chosen: BrokerCase = request.param
    return chosen


@asynccontextmanager
async def connected(
    case: BrokerCase, behaviour: Behaviour
) -> AsyncIterator[tuple[RawServer, BrokerClient, ManualClock]]:
    clock = ManualClock()
    async with serving(behaviour) as server:
        client = case.client(server.url, deadline_s=30.0, clock=clock)
        try:
            yield server, client, clock
        finally:
            await client.aclose()


async def gone(server: RawServer, client: BrokerClient) -> None:
    """Have the server close its connections, and wait until this side has seen it."""
    await server.stop()
    connections = client._transport._pool  # type: ignore[attr-defined]
    async with asyncio.timeout(150):
        while connections._open:
            await asyncio.sleep(0.005)


@pytest.mark.matrix("N12")
async def test_order_does_not_go_out_on_an_old_connection(case: BrokerCase) -> None:
    """Nobody knows whether the broker is about to close it, so the order opens its own."""
    async with connected(case, json_answer(200, case.placed)) as (server, client, clock):
        assert await client.place(market_order()) == Acked("1001")
        await clock.advance(ALWAYS_SAFE_S - 0.5)
        assert await client.place(market_order()) == Acked("1001")
        assert len(server.peers) == 1
        await clock.advance(ALWAYS_SAFE_S + 0.5)
        assert await client.place(market_order()) == Acked("1001")
        assert len(server.peers) == 2


async def test_read_uses_an_old_connection_and_makes_it_good_for_orders(case: BrokerCase) -> None:
    """After a minute of silence a read needs no handshake, and the order after it none either."""
    async with connected(case, json_answer(200, case.orders)) as (server, client, clock):
        await client.orders()
        await clock.advance(65.0)
        await client.warm()
        server.script = [json_answer(200, case.placed)]
        assert await client.place(market_order()) == Acked("1001")
        await clock.advance(30.0)  # the broker was seen to keep a connection for 65 s
        server.script = [json_answer(200, case.placed)]
        assert await client.place(market_order()) == Acked("1001")
        assert len(server.peers) == 1


async def test_connection_is_not_kept_for_ever(case: BrokerCase) -> None:
    """A burst leaves many connections; those that nobody used for long are closed."""
    async with connected(case, json_answer(200, case.orders)) as (server, client, clock):
        await asyncio.gather(*(client.orders() for _ in range(4)))
        await clock.advance(60.0)
        await client.orders()
        await clock.advance(60.0)
        await client.orders()
        assert len(server.peers) == 4
        connections = client._transport._pool  # type: ignore[attr-defined]
        async with asyncio.timeout(150):
            while len(connections._open) > 1:
                await asyncio.sleep(0.005)
        await clock.advance(100.0)
        await client.orders()
        assert len(server.peers) == 5


async def test_kernel_asks_after_idle_connections(case: BrokerCase) -> None:
    """A router that forgets a silent connection would make the next order wait for nothing."""
    async with connected(case, json_answer(200, case.orders)) as (_, client, _clock):
        await client.orders()
        (connection,) = client._transport._pool._open  # type: ignore[attr-defined]
        raw = connection.transport.get_extra_info("socket")
        assert raw.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE) == 1
        assert raw.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE) == 20


@pytest.mark.matrix("N12")
@pytest.mark.invariant("I1")
async def test_read_is_asked_again_when_its_old_connection_was_closed(case: BrokerCase) -> None:
    """The broker closed it as the question was on its way; a question may be repeated, once."""
    async with connected(case, json_answer(200, case.orders)) as (server, client, clock):
        await client.orders()
        await clock.advance(60.0)
        server.script = [close_unanswered]
        assert await client.orders() == []
        assert [one.method for one in server.received] == ["GET"] * 3
        await clock.advance(60.0)
        server.script = [reset_after, reset_after]
        with pytest.raises(BrokerReadError):
            await client.orders()
        assert len(server.received) == 5


async def test_read_on_a_fresh_connection_is_not_asked_again(case: BrokerCase) -> None:
    """It was answered a moment ago, so the broker did not end it for being idle."""
    async with connected(case, json_answer(200, case.orders)) as (server, client, _):
        await client.orders()
        server.script = [close_unanswered]
        with pytest.raises(BrokerReadError):
            await client.orders()
        assert len(server.received) == 2


@pytest.mark.parametrize("fault", [half_a_body, garbage])
async def test_read_that_got_a_part_of_an_answer_is_not_asked_again(
    case: BrokerCase, fault: Behaviour
) -> None:
    """Then the connection was alive, and the broker has a trouble of its own."""
    async with connected(case, json_answer(200, case.orders)) as (server, client, clock):
        await client.orders()
        await clock.advance(60.0)
        server.script = [fault]
        with pytest.raises(BrokerReadError):
            await client.orders()
        assert len(server.received) == 2


@pytest.mark.matrix("N12")
@pytest.mark.invariant("I1")
@pytest.mark.parametrize("fault", [close_unanswered, reset_after])
@pytest.mark.parametrize("write", ["place", "modify", "cancel", "logout"])
@pytest.mark.parametrize("idle_s", [0.0, 60.0])
async def test_write_on_a_kept_connection_is_never_repeated(
    case: BrokerCase, write: str, fault: Behaviour, idle_s: float
) -> None:
    """POST, PUT, PATCH and DELETE go out once, however their connection ends."""
    async with connected(case, json_answer(200, case.placed)) as (server, client, clock):
        assert await client.place(market_order()) == Acked("1001")
        await clock.advance(idle_s)
        server.script = [fault]
        if write == "logout":
            with pytest.raises(BrokerReadError):
                await client.logout()
        else:
            outcome = await {
                "place": lambda: client.place(market_order()),
                "modify": lambda: client.modify("1001", market_order()),
                "cancel": lambda: client.cancel("1001"),
            }[write]()
            assert isinstance(outcome, Ambiguous)
        assert len(server.received) == 2
        assert len(server.peers) == (2 if idle_s else 1)


@pytest.mark.matrix("N12")
async def test_order_after_the_broker_closed_opens_another(case: BrokerCase) -> None:
    """A connection that was closed while idle is not written to."""
    async with connected(case, json_answer(200, case.placed)) as (server, client, _):
        for _ in range(2):
            assert await client.place(market_order()) == Acked("1001")
            await gone(server, client)
        assert len(server.received) == len(server.peers) == 2


@pytest.mark.matrix("N12")
async def test_broker_that_closes_early_is_remembered(case: BrokerCase) -> None:
    """Closed after two seconds of silence, the next connection is used for one only."""
    async with connected(case, json_answer(200, case.placed)) as (server, client, clock):
        assert await client.place(market_order()) == Acked("1001")
        await clock.advance(2.0)
        await gone(server, client)
        assert await client.place(market_order()) == Acked("1001")
        await clock.advance(1.5)
        assert await client.place(market_order()) == Acked("1001")
        assert len(server.peers) == 3


class ClosingServer:
    """Answers one request a connection, says nothing of closing, and closes when it is told."""

    def __init__(self, answer: bytes) -> None:
        self.may_close = threading.Event()
        self.has_closed = threading.Event()
        self.served = 0
        self._answer = answer
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        self._thread = threading.Thread(target=self._serve)

    def _serve(self) -> None:
        for _ in range(2):
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return  # the test is over
            with connection:
                if b"\r\n\r\n" in connection.recv(65536):
                    self.served += 1
                    connection.sendall(self._answer)
                    self.may_close.wait()
            self.has_closed.set()

    @contextmanager
    def running(self) -> Iterator[None]:
        """Serve two connections."""
        self._thread.start()
        try:
            yield
        finally:
            self.may_close.set()
            with suppress(OSError):
                self._listener.shutdown(socket.SHUT_RDWR)  # wakes what waits for a connection
            self._listener.close()
            self._thread.join(30)


@pytest.mark.matrix("N12")
@pytest.mark.invariant("I1")
async def test_end_that_the_loop_has_not_seen_yet_is_seen() -> None:
    """The broker closed while this program did something else; the order opens its own."""
    case = BROKER_CASES[0]
    body = b'{"status":"success","data":{"order_id":"1001"}}'
    server = ClosingServer(
        b"HTTP/1.1 200 X\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%b"
        % (len(body), body)
    )
    with server.running():
        client = case.client(server.url, deadline_s=30.0, clock=ManualClock())
        assert await client.place(market_order()) == Acked("1001")
        server.may_close.set()
        assert server.has_closed.wait(30)  # blocks the loop, as a long piece of work does
        assert await client.place(market_order()) == Acked("1001")
        assert server.served == 2
        await client.aclose()


# --- TLS ---------------------------------------------------------------------------------------


@asynccontextmanager
async def over_tls(
    case: BrokerCase,
    directory: Path,
    monkeypatch: pytest.MonkeyPatch,
    behaviour: Behaviour,
    name: str = "127.0.0.1",
) -> AsyncIterator[tuple[RawServer, BrokerClient]]:
    made = authority(directory)
    trusted = ssl.create_default_context(cafile=made.file)
    monkeypatch.setattr(broker_connections, "tls_context", lambda: trusted)
    async with serving(behaviour, certified(made, name)) as server:
        client = case.client(server.url, deadline_s=30.0, clock=ManualClock())
        try:
            yield server, client
        finally:
            await client.aclose()


async def test_orders_share_a_connection_over_tls(
    case: BrokerCase, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One handshake serves what follows, and a closed connection is replaced."""
    placed = json_answer(200, case.placed)
    async with over_tls(case, tmp_path, monkeypatch, placed) as (server, client):
        for _ in range(3):
            assert await client.place(market_order()) == Acked("1001")
        assert len(server.peers) == 1
        await gone(server, client)
        assert await client.place(market_order()) == Acked("1001")
        assert len(server.received) == 4


@pytest.mark.matrix("N04", "N12")
@pytest.mark.invariant("I1")
@pytest.mark.parametrize("fault", [close_unanswered, reset_after, half_a_body, garbage])
async def test_order_that_breaks_over_tls_is_ambiguous(
    case: BrokerCase, fault: Behaviour, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The classes are those of a connection without TLS."""
    placed = json_answer(200, case.placed)
    async with over_tls(case, tmp_path, monkeypatch, placed) as (server, client):
        server.script = [placed, fault]
        assert await client.place(market_order()) == Acked("1001")
        assert isinstance(await client.place(market_order()), Ambiguous)
        assert len(server.received) == 2


@pytest.mark.matrix("N05")
@pytest.mark.parametrize("trouble", ["another name", "unknown authority"])
async def test_certificate_that_cannot_be_trusted_stops_the_order(
    case: BrokerCase, trouble: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not a byte of it leaves."""
    placed = json_answer(200, case.placed)
    name = "127.0.0.2" if trouble == "another name" else "127.0.0.1"
    async with over_tls(case, tmp_path, monkeypatch, placed, name) as (server, client):
        if trouble == "unknown authority":
            monkeypatch.undo()
        assert isinstance(await client.place(market_order()), NotSent)
        assert server.received == []


async def test_connection_over_tls_holds_little_memory(
    case: BrokerCase, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Asyncio's own buffer would be 256 KiB for each connection of each account."""
    placed = json_answer(200, case.placed)
    async with over_tls(case, tmp_path, monkeypatch, placed) as (_, client):
        assert await client.place(market_order()) == Acked("1001")
        (connection,) = client._transport._pool._open  # type: ignore[attr-defined]
        assert len(connection.transport._ssl_protocol._ssl_buffer) == 32 * 1024
