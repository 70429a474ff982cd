"""Accounts that leave from an address of their own or through a real proxy, at both brokers (A12)."""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import replace

import pytest

from core.adapters.address_probe import EchoProbe
from core.adapters.kept_socket import KeptSocket, Say, SocketForm, Word
from core.domain.outcome import Acked, Ambiguous, NotSent
from core.domain.route import Proxy, ProxyKind, Route
from core.errors import BrokerReadError, LoginRefused
from core.ports.address_probe import Sighted, Sighting
from core.ports.broker import Credentials
from tests.fakes.brokers import BROKER_CASES, MASTER, BrokerCase, market_order
from tests.fakes.clock import RunningClock
from tests.fakes.proxies import LEAVES_FROM, PASSWORD, RunningProxy, running_proxy
from tests.faults.raw_http import Behaviour, answer, json_answer, reset_after, serving

pytestmark = pytest.mark.row("A12")


@pytest.fixture(params=BROKER_CASES, ids=lambda case: case.profile.name)
def case(request: pytest.FixtureRequest) -> BrokerCase:
    """Both brokers in turn."""
    chosen: BrokerCase = request.param
    return chosen


@pytest.fixture(scope="module")
def running() -> Iterator[RunningProxy]:
    """One proxy for all of these tests."""
    with running_proxy() as proxy:
        yield proxy


@pytest.fixture(params=ProxyKind)
def proxy(running: RunningProxy, request: pytest.FixtureRequest) -> Proxy:
    """Spoken to both ways in turn."""
    return running.as_(request.param)


def credentials(proxy: Proxy) -> Credentials:
    return Credentials("id", "apikey", "secret", "tok", route=Route(proxy=proxy))


async def test_every_request_leaves_through_the_proxy(case: BrokerCase, proxy: Proxy) -> None:
    """Orders, reads and the exchange of a login come from the proxy's address, orders once."""
    async with serving(json_answer(200, case.placed)) as server:
        broker = case.broker(server.url)
        client = broker.connect(credentials(proxy), MASTER[case.profile])
        assert await client.place(market_order()) == Acked("1001")
        with pytest.raises(BrokerReadError):  # the server only knows how to take an order
            await client.orders()
        with pytest.raises(LoginRefused):
            await broker.login.exchange(credentials(proxy), "code", redirect_url="")
        await client.aclose()
        assert set(server.peers) == {LEAVES_FROM}
        assert len(server.received) >= 3


@pytest.mark.matrix("N05")
@pytest.mark.invariant("I1")
async def test_proxy_that_opens_no_tunnel_sends_nothing(case: BrokerCase, proxy: Proxy) -> None:
    """No proxy there, a wrong password, no way on: each is proof that nothing left, and says why."""
    with socket.socket() as unheard:
        unheard.bind(("127.0.0.1", 0))
        dead = unheard.getsockname()[1]
        async with serving(json_answer(200, case.placed)) as server:
            gone, wrong = replace(proxy, port=dead), replace(proxy, password="wrong-canary")
            for broken, why in ((gone, "does not answer"), (wrong, "")):
                client = case.broker(server.url).connect(credentials(broken), MASTER[case.profile])
                outcome = await client.place(market_order())
                assert isinstance(outcome, NotSent), outcome
                assert why in outcome.reason
                assert "canary" not in repr(outcome)
                await client.aclose()
            far = case.broker(f"http://127.0.0.1:{dead}")
            client = far.connect(credentials(proxy), MASTER[case.profile])
            # A SOCKS server may say yes before it has reached anybody: then nobody knows.
            expected = NotSent if proxy.kind is ProxyKind.HTTP else NotSent | Ambiguous
            assert isinstance(await client.place(market_order()), expected)
            await client.aclose()
            assert server.received == []


@pytest.mark.matrix("N17")
@pytest.mark.invariant("I14")
async def test_unowned_source_address_is_not_sent(case: BrokerCase) -> None:
    """An account whose address this machine does not own sends nothing."""
    async with serving(json_answer(200, case.placed)) as server:
        credentials = Credentials("id", "apikey", "secret", "tok", route=Route("192.0.2.1"))
        client = case.broker(server.url).connect(credentials, MASTER[case.profile])
        assert isinstance(await client.place(market_order()), NotSent)
        await client.aclose()
        assert server.peers == []


@pytest.mark.invariant("I14")
async def test_orders_leave_from_the_account_s_address(case: BrokerCase) -> None:
    """Each account's orders come from its own address, also at the same time."""
    async with serving(json_answer(200, case.placed)) as server:
        broker = case.broker(server.url)
        for address in ("127.0.0.2", "127.0.0.3"):
            credentials = Credentials("id", address, "secret", "tok", route=Route(address))
            client = broker.connect(credentials, MASTER[case.profile])
            assert await client.place(market_order()) == Acked("1001")
            await client.aclose()
        assert server.peers == ["127.0.0.2", "127.0.0.3"]


@pytest.mark.matrix("N04")
@pytest.mark.invariant("I1")
async def test_end_behind_a_proxy_is_ambiguous(case: BrokerCase, proxy: Proxy) -> None:
    """What the broker does behind the tunnel has the same classes as without one."""
    async with serving(reset_after) as server:
        client = case.broker(server.url).connect(credentials(proxy), MASTER[case.profile])
        assert isinstance(await client.place(market_order()), Ambiguous)
        await client.aclose()
        assert len(server.received) == 1


@asynccontextmanager
async def slow_spoken_proxy(broker: Behaviour) -> AsyncIterator[Proxy]:
    """Run an HTTP proxy that answers CONNECT in several pieces, and the broker behind it."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        await reader.readuntil(b"\r\n\r\n")
        for piece in (b"HTTP/1.1 200 OK\r\n", b"Via: us\r\n", b"\r", b"\n"):
            writer.write(piece)
            await asyncio.sleep(0.01)  # a segment each
        await reader.readuntil(b"\r\n\r\n")
        await broker(writer)
        await reader.read()
        writer.close()
        await writer.wait_closed()
        done.set()

    done = asyncio.Event()
    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        yield Proxy(ProxyKind.HTTP, "127.0.0.1", server.sockets[0].getsockname()[1])
        await done.wait()


async def test_answer_of_a_proxy_may_come_in_pieces(case: BrokerCase) -> None:
    """The end of the proxy's answer is not taken for the beginning of the broker's."""
    async with slow_spoken_proxy(json_answer(200, case.placed)) as slow:
        client = case.broker("http://127.0.0.9:9").connect(credentials(slow), MASTER[case.profile])
        assert await client.place(market_order()) == Acked("1001")
        await client.aclose()


class _Deaf:
    """A ``Talk`` that is never spoken to."""

    async def open(self, _say: Say) -> Word:
        return Word.READY

    def hear(self, _frame: str | bytes) -> Word:
        return Word.NOTHING

    async def beat(self, _say: Say) -> None:
        pass

    def changed(self) -> None:
        pass


async def stream_peers(route: Route) -> list[str]:
    """Open a stream by a route; return from where it came."""
    async with serving(answer(403, b"no", "text/plain")) as server:
        address = server.url.replace("http", "ws")
        form = SocketForm("order updates", lambda: address, dict, 1.0, 5.0, 1024)
        log = logging.getLogger(__name__)
        stream = KeptSocket(RunningClock(), form, log, account="id", route=route)
        await stream.run(_Deaf())  # ends when the handshake is refused
        return list(server.peers)


async def test_streams_leave_through_the_proxy(proxy: Proxy) -> None:
    """The sockets of order updates and prices take the account's way as well."""
    assert await stream_peers(Route(proxy=proxy)) == [LEAVES_FROM]


async def test_streams_leave_from_the_account_s_address() -> None:
    """And of this machine's addresses the account's own."""
    assert await stream_peers(Route("127.0.0.3")) == ["127.0.0.3"]


@pytest.mark.matrix("N17")
async def test_probe_sees_what_the_broker_would_see(proxy: Proxy) -> None:
    """Seen through the route itself; an absent address or proxy is told from an absent service."""
    clock = RunningClock()
    async with serving(answer(200, f"{LEAVES_FROM}\n".encode(), "text/plain")) as echo:
        probe = EchoProbe(clock, echo.url)
        assert await probe.look(Route(proxy=proxy)) == Sighting(Sighted.SEEN, LEAVES_FROM)
        assert echo.peers == [LEAVES_FROM]
        absent = await probe.look(Route("192.0.2.1"))
        assert absent.kind is Sighted.ABSENT
        assert absent.why == "192.0.2.1 is not an address of this machine"
        wrong = await probe.look(Route(proxy=replace(proxy, password=f"not-{PASSWORD}")))
        assert wrong.kind is Sighted.ABSENT
        assert PASSWORD not in wrong.why
        assert proxy.shown in wrong.why
    silent = EchoProbe(clock, echo.url, deadline_s=1.0)
    assert (await silent.look(Route("127.0.0.2"))).kind is Sighted.UNKNOWN
    for words in (b"<html>hotel</html>", b"fe80::1%a\nPAY 5 TO <b>MALLORY</b>"):
        async with serving(answer(200, words, "text/html")) as page:
            sighting = await EchoProbe(clock, page.url).look(Route())
            assert sighting.kind is Sighted.UNKNOWN and "MALLORY" not in sighting.why
    assert (await EchoProbe(clock, None).look(Route())).kind is Sighted.UNKNOWN
    assert await EchoProbe(clock, None).look(Route("127.0.0.2")) == Sighting(
        Sighted.SEEN, "127.0.0.2"
    )
