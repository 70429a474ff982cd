"""Every fault of the wire, over sockets, through both brokers' clients (reliability.md 1 and 4.2)."""

from __future__ import annotations

import asyncio
import gzip
import json
import logging
import socket
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import pytest

from core.adapters.clock import SystemClock
from core.domain.outcome import Acked, Ambiguous, NotSent, Refusal, Refused, WriteOutcome
from core.errors import BrokerReadError, ReadFault
from core.ports.broker import BrokerClient, Credentials
from tests.fakes.brokers import BROKER_CASES, MASTER, BrokerCase, market_order
from tests.faults.raw_http import (
    Behaviour,
    RawServer,
    answer,
    close_unanswered,
    drip,
    garbage,
    half_a_body,
    hang,
    json_answer,
    reset_after,
    serving,
)

HTML = answer(502, b"<html>Bad gateway</html>", "text/html")
SUCCESS = json.dumps(
    {"status": "success", "s": "ok", "code": 1101, "id": "1001", "data": {"order_id": "1001"}}
).encode()
"""Either broker's acknowledgement, were it not for what is done to it."""
BOMB = gzip.compress(SUCCESS + b" " * 40_000_000, 9)
NESTED = b"[" * 200_000


@pytest.fixture(params=BROKER_CASES, ids=lambda case: case.profile.name)
def case(request: pytest.FixtureRequest) -> BrokerCase:
    """Both brokers in turn."""
    chosen: BrokerCase = request.param
    return chosen


@asynccontextmanager
async def connected(
    case: BrokerCase, behaviour: Behaviour, deadline_s: float = 30.0
) -> AsyncIterator[tuple[RawServer, BrokerClient]]:
    async with serving(behaviour) as server:
        client = case.client(server.url, deadline_s=deadline_s)
        try:
            yield server, client
        finally:
            await client.aclose()


def patience(fault: str) -> float:
    """Return a deadline: short where only it ends the call, long where it must not strike."""
    return 2.5 if fault in {"hang", "drip"} else 30.0


AMBIGUOUS: dict[str, Behaviour] = {
    "hang": hang,
    "reset after the request": reset_after,
    "close without a reply": close_unanswered,
    "half a body": half_a_body,
    "garbage": garbage,
    "drip": drip,
    "502 html": HTML,
    "500 html": answer(500, b"<html></html>", "text/html"),
    "503 json": json_answer(
        503, {"status": "error", "message": "down", "error_type": "NetworkException"}
    ),
    "504 empty": answer(504, b"", "text/html"),
    "200 html": answer(200, b"<html>Log in to the wi-fi</html>", "text/html"),
    "200 empty": answer(200, b"", "application/json"),
    "200 error": json_answer(200, {"status": "error", "s": "?", "message": "what?"}),
    "200 list": json_answer(200, []),
    "200 malformed": answer(200, b'{"status":"succ', "application/json"),
    "200 nested": answer(200, NESTED, "application/json"),
    "200 ten megabytes": answer(200, SUCCESS + b" " * 10_000_000, "application/json"),
    "gzip bomb": answer(200, BOMB, "application/json", Content_Encoding="gzip"),
    "gzip that is none": answer(200, b"{}", "application/json", Content_Encoding="gzip"),
    "redirect": answer(302, b"", "text/html", Location="/elsewhere"),
    "400 timed out": json_answer(
        400,
        {
            "status": "error",
            "s": "error",
            "code": -99,
            "message": "Order request timed out. Please check the order book",
            "error_type": "OrderException",
        },
    ),
}


@pytest.mark.matrix("N04", "N06", "N07", "N10", "N11", "N16")
@pytest.mark.invariant("I1", "I13")
@pytest.mark.parametrize("fault", AMBIGUOUS)
@pytest.mark.parametrize("write", ["place", "modify", "cancel"])
async def test_write_without_proof_is_ambiguous_and_never_repeated(
    case: BrokerCase, fault: str, write: str
) -> None:
    """Whatever the wire does, an unproved write is ambiguous, goes out once and ends in time."""
    deadline_s = patience(fault)
    async with connected(case, AMBIGUOUS[fault], deadline_s=deadline_s) as (server, client):
        call: Callable[[], Awaitable[WriteOutcome]] = {
            "place": lambda: client.place(market_order()),
            "modify": lambda: client.modify("1001", market_order()),
            "cancel": lambda: client.cancel("1001"),
        }[write]
        started = time.monotonic()
        outcome = await call()
        while isinstance(outcome, NotSent) and not server.received:
            started, outcome = time.monotonic(), await call()  # a busy machine did not connect
        assert isinstance(outcome, Ambiguous), outcome
        assert time.monotonic() - started < deadline_s + 20
        assert len(server.received) == 1


@pytest.mark.matrix("N04")
@pytest.mark.invariant("I1")
async def test_reset_at_accept_is_ambiguous_for_a_write(case: BrokerCase) -> None:
    """A reset at accept looks like one after the request, so it proves nothing."""
    async with connected(case, hang) as (server, client):
        server.refuses = True
        outcome = await client.place(market_order())
        # The kernel may refuse the connection outright, which is a proof.
        assert isinstance(outcome, Ambiguous | NotSent)
        assert server.received == []


@pytest.mark.matrix("N05")
async def test_refused_connection_is_not_sent(case: BrokerCase) -> None:
    """A connection that was refused proves that nothing left."""
    with socket.socket() as unheard:
        unheard.bind(("127.0.0.1", 0))
        client = case.client(f"http://127.0.0.1:{unheard.getsockname()[1]}")
        outcome = await client.place(market_order())
        assert isinstance(outcome, NotSent)
        with pytest.raises(BrokerReadError) as caught:
            await client.orders()
        assert caught.value.fault is ReadFault.UNREACHABLE
        await client.aclose()


@pytest.mark.matrix("N05")
@pytest.mark.parametrize("root", ["http://name.invalid", "https://127.0.0.1", "ftp://127.0.0.1"])
async def test_unresolved_name_or_failed_tls_is_not_sent(case: BrokerCase, root: str) -> None:
    """No address, no TLS and no protocol are proofs that nothing left."""
    async with serving(garbage) as server:
        port = server.url.rpartition(":")[2]
        client = case.client(f"{root}:{port}", deadline_s=1.0)
        assert isinstance(await client.place(market_order()), NotSent)
        await client.aclose()
        assert server.received == []


@pytest.mark.matrix("N05", "N11")
@pytest.mark.invariant("I13")
async def test_deadline_while_connecting_is_not_sent(case: BrokerCase) -> None:
    """A connection that never comes about ends at the deadline, provably without a byte sent."""
    with socket.socket() as full:
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        address = full.getsockname()
        plugs = [socket.socket() for _ in range(4)]
        for plug in plugs:  # fills the backlog: further handshakes stay unanswered
            plug.setblocking(False)
            plug.connect_ex(address)
        client = case.client(f"http://127.0.0.1:{address[1]}", deadline_s=0.5)
        started = time.monotonic()
        assert isinstance(await client.place(market_order()), NotSent)
        assert time.monotonic() - started < 20
        await client.aclose()
        for plug in plugs:
            plug.close()


@pytest.mark.matrix("N09")
@pytest.mark.parametrize("body", [b"<html>slow down</html>", b'{"status":"error","s":"error"}'])
async def test_429_is_throttled_with_its_delay(case: BrokerCase, body: bytes) -> None:
    """A 429 was not placed; it says how long to wait, and nothing goes out before."""
    slow = answer(429, body, "application/json", Retry_After="30")
    async with connected(case, slow, deadline_s=20) as (server, client):
        outcome = await client.place(market_order())
        assert isinstance(outcome, Refused)
        assert (outcome.kind, outcome.retry_after_s) == (Refusal.THROTTLED, 30.0)
        held = await client.place(market_order())
        assert isinstance(held, NotSent)
        assert len(server.received) == 1


@pytest.mark.matrix("N09")
async def test_429_on_a_read_is_throttled(case: BrokerCase) -> None:
    """A read that met a 429 says so, with the delay."""
    slow = json_answer(429, {"status": "error", "s": "error"}, Retry_After="7")
    async with connected(case, slow) as (_, client):
        with pytest.raises(BrokerReadError) as caught:
            await client.orders()
        assert (caught.value.fault, caught.value.retry_after_s) == (ReadFault.THROTTLED, 7.0)


READ_FAULTS: dict[str, tuple[Behaviour, ReadFault]] = {
    "hang": (hang, ReadFault.TIMEOUT),
    "drip": (drip, ReadFault.TIMEOUT),
    "reset": (reset_after, ReadFault.UNREACHABLE),
    "502": (HTML, ReadFault.UNREACHABLE),
    "html": (answer(200, b"<html>", "text/html"), ReadFault.MALFORMED),
    "redirect": (answer(302, b"", "text/html", Location="/x"), ReadFault.MALFORMED),
    "bomb": (
        answer(200, BOMB, "application/json", Content_Encoding="gzip"),
        ReadFault.MALFORMED,
    ),
    "no rows": (json_answer(200, {"status": "success", "s": "ok"}), ReadFault.MALFORMED),
    "odd rows": (
        json_answer(200, {"status": "success", "s": "ok", "data": [1], "orderBook": [1]}),
        ReadFault.MALFORMED,
    ),
}


@pytest.mark.matrix("N10", "N16")
@pytest.mark.parametrize("fault", READ_FAULTS)
async def test_failed_read_raises_and_never_guesses(case: BrokerCase, fault: str) -> None:
    """A read that did not succeed names its fault; it is never an empty list."""
    behaviour, expected = READ_FAULTS[fault]
    async with connected(case, behaviour, deadline_s=patience(fault)) as (server, client):
        with pytest.raises(BrokerReadError) as caught:
            await client.orders()
        assert caught.value.fault is expected
        assert len(server.received) == 1


@pytest.mark.matrix("N12")
@pytest.mark.invariant("I1")
async def test_stale_connection_does_not_repeat_a_write(case: BrokerCase) -> None:
    """A write on a kept connection that the server drops is not sent again by itself."""
    async with connected(case, json_answer(200, case.placed)) as (server, client):
        assert await client.place(market_order()) == Acked("1001")
        server.script = [close_unanswered]
        assert isinstance(await client.cancel("1001"), Ambiguous)
        assert len(server.received) == 2


@pytest.mark.matrix("N11")
@pytest.mark.invariant("I7", "I13")
async def test_hung_account_does_not_starve_another(case: BrokerCase) -> None:
    """With six calls of one account hanging, another account's order goes through meanwhile."""
    released = asyncio.Event()

    async def hang_until_released(_writer: asyncio.StreamWriter) -> bool:
        await released.wait()
        return False

    async with AsyncExitStack() as stack:
        silent = await stack.enter_async_context(serving(hang_until_released))
        lively = await stack.enter_async_context(serving(json_answer(200, case.placed)))
        hung, well = case.client(silent.url), case.client(lively.url)
        stack.push_async_callback(hung.aclose)
        stack.push_async_callback(well.aclose)
        async with asyncio.TaskGroup() as group:
            calls = [group.create_task(hung.place(market_order())) for _ in range(6)]
            async with asyncio.timeout(150):
                while len(silent.received) < 6:
                    await asyncio.sleep(0.005)
            assert await well.place(market_order()) == Acked("1001")
            assert not any(call.done() for call in calls)
            released.set()
        assert all(isinstance(call.result(), Ambiguous) for call in calls)


@pytest.mark.matrix("N14")
@pytest.mark.invariant("I7")
async def test_hung_reads_leave_orders_their_way(case: BrokerCase) -> None:
    """Reads that hang do not pile up, nor take the way of the same account's orders."""
    async with connected(case, json_answer(200, case.placed)) as (server, client):
        server.script = [hang] * 6
        reads = [asyncio.create_task(client.orders()) for _ in range(20)]
        async with asyncio.timeout(150):
            while len(server.received) < 6:
                await asyncio.sleep(0.005)
        assert await client.place(market_order()) == Acked("1001")
        assert sum(request.method == "GET" for request in server.received) <= 6
        for read in reads:
            read.cancel()
        await asyncio.gather(*reads, return_exceptions=True)


@pytest.mark.invariant("I1", "I13")
async def test_call_that_timed_out_while_waiting_is_never_sent_later(case: BrokerCase) -> None:
    """A write whose deadline passed in the queue is not sent, and does not leave afterwards."""
    async with connected(case, hang, deadline_s=0.5) as (server, client):
        calls = [asyncio.create_task(client.place(market_order())) for _ in range(24)]
        outcomes = await asyncio.gather(*calls)
        sent = sum(isinstance(outcome, Ambiguous) for outcome in outcomes)
        assert sum(isinstance(outcome, NotSent) for outcome in outcomes) == len(calls) - sent > 0
        async with asyncio.timeout(150):
            while len(server.received) < sent:
                await asyncio.sleep(0.005)
        server.always = json_answer(200, case.placed)
        await asyncio.sleep(1.2)  # not a synchronisation: nothing may happen in this time
        assert len(server.received) == sent


async def test_cancelled_caller_leaves_nothing_behind(case: BrokerCase) -> None:
    """Cancelling the caller ends the call and its connection; nothing is sent afterwards."""
    async with connected(case, hang, deadline_s=30) as (server, client):
        call = asyncio.create_task(client.place(market_order()))
        async with asyncio.timeout(150):
            while not server.received:
                await asyncio.sleep(0.005)
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call
        server.always = json_answer(200, case.placed)
        assert await client.place(market_order()) == Acked("1001")
        assert len(server.received) == 2


async def test_close_hears_what_is_in_flight_out(case: BrokerCase) -> None:
    """A login that is renewed closes the client before it: its order is not of unknown fate."""
    go_on = asyncio.Event()

    async def late(writer: asyncio.StreamWriter) -> bool:
        await go_on.wait()
        return await json_answer(200, case.placed)(writer)

    async with connected(case, late, deadline_s=50) as (server, client):
        call = asyncio.create_task(client.place(market_order()))
        async with asyncio.timeout(150):
            while not server.received:
                await asyncio.sleep(0.005)
            await client.aclose()
            assert isinstance(await client.place(market_order()), NotSent)
            go_on.set()
            assert await call == Acked("1001")
        assert len(server.received) == 1


async def test_closed_client_sends_nothing(case: BrokerCase) -> None:
    """After ``aclose`` a write is not sent, and closing twice is no error."""
    async with connected(case, json_answer(200, case.placed)) as (server, client):
        await client.aclose()
        await client.aclose()
        assert isinstance(await client.place(market_order()), NotSent)
        assert server.received == []


@pytest.mark.invariant("I7")
async def test_two_accounts_share_nothing(case: BrokerCase) -> None:
    """Two accounts of one broker send their own tokens, and one's refusal leaves no trace."""
    dead = {"status": "error", "s": "error", "code": -16, "message": "dead"}
    async with serving(json_answer(200, case.placed)) as server:
        broker = case.broker(server.url)
        one, other = (
            broker.connect(
                Credentials(name, f"key{name}", "secret", f"token{name}"), MASTER[case.profile]
            )
            for name in ("one", "other")
        )
        server.script = [
            json_answer(403, {**dead, "error_type": "TokenException"}, Set_Cookie="who=one")
        ]
        refused = await one.place(market_order())
        assert isinstance(refused, Refused)
        assert refused.kind is Refusal.AUTH_REQUIRED
        assert await other.place(market_order()) == Acked("1001")
        assert await one.place(market_order()) == Acked("1001")
        tokens = [request.headers["authorization"] for request in server.received]
        assert ["tokenone" in tokens[0], "tokenother" in tokens[1], "tokenone" in tokens[2]] == [
            True
        ] * 3
        assert not any("cookie" in request.headers for request in server.received)
        await one.aclose()
        await other.aclose()


@pytest.mark.invariant("I12")
async def test_secrets_are_not_logged(case: BrokerCase, caplog: pytest.LogCaptureFixture) -> None:
    """Neither token nor key reaches the log, whatever its level, even when calls fail."""
    caplog.set_level(logging.DEBUG)
    async with serving(json_answer(500, {"s": "error"})) as server:
        broker = case.broker(server.url)
        credentials = Credentials("id", "CANARYKEY", "CANARYSECRET", "CANARYTOKEN")
        client = broker.connect(credentials, {})
        for call in (client.profile, client.logout, client.orders):
            with pytest.raises(BrokerReadError) as caught:
                await call()
            assert "CANARY" not in str(caught.value)
        await client.aclose()
    assert "CANARY" not in caplog.text
    assert "CANARY" not in repr(credentials)


_CALL = """
import asyncio, json, sys
from core.adapters.clock import SystemClock
from tests.fakes.brokers import BROKER_CASES

async def main():
    case = BROKER_CASES[int(sys.argv[1])]
    client = case.client(sys.argv[2])
    print(json.dumps(len(await client.orders())))
    await client.aclose()
    heavy = [name for name in sys.modules if name.split(".")[0] in {"twisted", "autobahn"}]
    print(json.dumps(heavy))

asyncio.run(main())
"""


async def test_environment_is_ignored_and_nothing_is_left_in_it(
    case: BrokerCase, tmp_path: Path
) -> None:
    """Netrc and proxies do not reach the SDKs, Twisted is not loaded, no log file appears."""
    (tmp_path / ".netrc").write_text("default login thief password thief\n")
    (tmp_path / ".netrc").chmod(0o600)
    project = Path(__file__).resolve().parents[2]
    async with serving(json_answer(200, case.orders)) as server:
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-P",
            "-c",
            _CALL,
            str(BROKER_CASES.index(case)),
            server.url,
            cwd=tmp_path,
            env={
                "HOME": str(tmp_path),
                "PATH": "",
                "PYTHONPATH": str(project),
                "PYTHONDONTWRITEBYTECODE": "1",
                "HTTP_PROXY": "http://127.0.0.1:9",
                "http_proxy": "http://127.0.0.1:9",
                "ALL_PROXY": "http://127.0.0.1:9",
            },
            stdout=asyncio.subprocess.PIPE,
        )
        output, _ = await process.communicate()
        assert [json.loads(line) for line in output.splitlines()] == [0, []]
        assert "apikey:tok" in server.received[0].headers["authorization"]
    assert [path.name for path in tmp_path.iterdir()] == [".netrc"]


@pytest.mark.invariant("I11")
async def test_burst_keeps_the_rate(case: BrokerCase) -> None:
    """Of a burst of orders, no more than the broker allows reach the server in each second of it.

    Counted from the beginning of the burst: a slow machine only makes an arrival later.
    """
    times: list[float] = []
    placed = json_answer(200, case.placed)

    async def noting(writer: asyncio.StreamWriter) -> bool:
        times.append(SystemClock().monotonic())
        return await placed(writer)

    async with connected(case, noting) as (_, client):
        calls = [client.place(market_order()) for _ in range(20)]
        began = SystemClock().monotonic()
        outcomes = await asyncio.gather(*calls)
    assert all(outcome == Acked("1001") for outcome in outcomes)
    times.sort()
    assert all(later - began > 0.9 for later in times[10:])
