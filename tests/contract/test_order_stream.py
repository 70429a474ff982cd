"""The stream of order updates over sockets, with time in the test's hand: both brokers' dialects."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import pytest

from core.adapters.fyers.updates import FyersDialect
from core.adapters.order_stream import Dialect, OrderStream
from core.adapters.zerodha.updates import KiteDialect
from core.ports.broker import Credentials
from core.ports.updates import OrderHint, UpdatesState
from tests.fakes.clock import ManualClock
from tests.fakes.log_lines import lines_of
from tests.fakes.stream_server import StreamServer, serving_stream, until

TOKEN = "CANARYtokenCANARY"
CREDENTIALS = Credentials("zerodha_aaaaaaaaaa", "apikey", "secret", TOKEN)
SUBSCRIBED = '{"code":1605,"message":"Successfully subscribed","s":"ok"}'
FILL = {
    "kite": json.dumps({"type": "order", "data": {"order_id": "2401", "tag": "SA1"}}),
    "fyers": json.dumps({"s": "ok", "orders": {"id": "2401", "ordertag": "1:SA1"}}),
}
DIALECTS: dict[str, Callable[[str, Credentials], Dialect]] = {
    "kite": KiteDialect,
    "fyers": FyersDialect,
}
ANYTHING = OrderHint()
NAMED = OrderHint("2401", "SA1")


class WatchedClock(ManualClock):
    """Remembers the pauses that it was asked for."""

    def __init__(self) -> None:
        super().__init__()
        self.asked: list[float] = []

    async def sleep(self, seconds: float) -> None:
        self.asked.append(seconds)
        await super().sleep(seconds)


@dataclass
class Stream:
    """A stream that runs against a server."""

    name: str
    server: StreamServer
    clock: WatchedClock
    dialect: Dialect
    stream: OrderStream
    hints: list[OrderHint] = field(default_factory=list)
    seen_live: list[bool] = field(default_factory=list)
    task: asyncio.Task[None] | None = None

    def hint(self, hint: OrderHint) -> None:
        self.hints.append(hint)
        self.seen_live.append(self.stream.status.is_live)

    async def is_live(self, connections: int = 1) -> None:
        """Wait until the stream lives on its n-th connection."""
        await until(lambda: len(self.server.seen) == connections and self.stream.status.is_live)

    async def is_down(self) -> None:
        """Wait until the connection is given up and the next attempt waits for its time."""
        await until(lambda: not self.stream.status.is_live and self.clock.sleepers == 1)


@pytest.fixture(params=["kite", "fyers"])
def name(request: pytest.FixtureRequest) -> str:
    """Both brokers in turn."""
    return str(request.param)


@pytest.fixture
async def streaming(name: str) -> AsyncIterator[Stream]:
    """A stream that is made, on a server that confirms subscriptions where they are needed."""
    async with serving_stream() as server:
        dialect = DIALECTS[name](server.url, CREDENTIALS)
        server.greets = [SUBSCRIBED] if name == "fyers" else []
        clock = WatchedClock()
        stream = OrderStream(clock, dialect, account=CREDENTIALS.broker_id)
        yield Stream(name, server, clock, dialect, stream)


@asynccontextmanager
async def running(streaming: Stream) -> AsyncIterator[Stream]:
    """Run it until the block ends."""
    streaming.task = asyncio.create_task(streaming.stream.run(streaming.hint))
    try:
        yield streaming
    finally:
        streaming.task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await streaming.task


async def test_updates_come_as_hints(streaming: Stream) -> None:
    """The login goes where the broker takes it, the first hint asks for a read, frames follow."""
    async with running(streaming) as it:
        await it.is_live()
        address, headers = it.server.seen[0]
        if it.name == "kite":
            assert address == f"/?api_key=apikey&access_token={TOKEN}"
        else:
            assert (address, headers["authorization"]) == ("/trade/v3", f"apikey:{TOKEN}")
            await until(lambda: it.server.heard)
            assert json.loads(it.server.heard[0])["SLIST"] == ["orders", "trades", "positions"]
        await it.server.say(b"\x00", FILL[it.name])
        await until(lambda: len(it.hints) == 2)
        assert it.hints == [ANYTHING, NAMED]
        assert it.stream.status.why == ""
    assert it.stream.status.state is UpdatesState.DOWN


async def test_lost_connection_is_made_anew(streaming: Stream) -> None:
    """After a cut the state falls first, then a hint comes; and again once it lives anew."""
    async with running(streaming) as it:
        await it.is_live()
        it.server.cut()
        await it.is_down()
        assert it.hints == [ANYTHING] * 2 and it.seen_live == [True, False]
        assert "closed" in it.stream.status.why
        await it.clock.advance(1.0)
        await it.is_live(connections=2)
        assert it.seen_live == [True, False, True]


async def test_attempts_grow_apart(streaming: Stream) -> None:
    """While the broker is away the pauses grow to half a minute, and one hint is given in all."""
    async with running(streaming) as it:
        await it.is_live()
        await it.clock.wait_for_sleepers()
        it.clock.asked.clear()
        it.server.refuses = 503
        it.server.cut()
        for attempt in range(11):
            await until(lambda: len(it.clock.asked) > attempt)  # noqa: B023 - awaited here
            await it.clock.advance(it.clock.asked[attempt])
        longest = [min(0.5 * 2**attempt, 30) for attempt in range(11)]
        pauses = it.clock.asked[:11]
        assert all(most / 2 <= one <= most for one, most in zip(pauses, longest, strict=True))
        assert it.hints == [ANYTHING] * 2
        assert it.stream.status.why == "the broker answered 503 to the handshake"


async def test_silent_peer_is_noticed(streaming: Stream) -> None:
    """A connection that stays open and says nothing is given up, within half a minute."""
    async with running(streaming) as it:
        await it.is_live()
        while it.stream.status.is_live:
            assert it.clock.monotonic() <= it.dialect.silence_s + it.dialect.beat_s
            await it.clock.wait_for_sleepers()
            await it.clock.advance(it.dialect.beat_s)
            await until(lambda: it.clock.sleepers == 1)
        assert it.clock.monotonic() >= it.dialect.silence_s
        assert it.stream.status.why.startswith("nothing was heard for")
        await it.is_down()
        await it.clock.advance(1.0)
        await it.is_live(connections=2)


async def test_pulse_keeps_it(streaming: Stream) -> None:
    """With a heartbeat or the answer to a ping now and then it lives on, however long."""
    pulse: str | bytes = b"\x00" if streaming.name == "kite" else "pong"
    async with running(streaming) as it:
        await it.is_live()
        for beat in range(30):
            await it.clock.wait_for_sleepers()
            before = it.stream.heard_at
            await it.clock.advance(it.dialect.beat_s)
            if it.dialect.ping is not None:
                await until(lambda: it.server.heard.count("ping") == beat + 1)  # noqa: B023
            await it.server.say(pulse)
            await until(lambda: it.stream.heard_at > before)  # noqa: B023 - awaited here
        assert it.stream.status.is_live and len(it.server.seen) == 1


@pytest.mark.parametrize("status", [401, 403])
async def test_refused_login_ends_it_once(
    streaming: Stream, status: int, caplog: pytest.LogCaptureFixture
) -> None:
    """No second attempt with a login that the broker refuses; one hint, one line in the log."""
    caplog.set_level(logging.INFO, logger="core.adapters.order_stream")
    streaming.server.refuses = status
    async with running(streaming) as it:
        assert it.task is not None
        await asyncio.wait_for(it.task, 150)
        assert it.stream.status.state is UpdatesState.REFUSED
        assert it.hints == [ANYTHING] and len(it.server.seen) == 1
    (told,) = (one.getMessage() for one in lines_of(caplog, "core"))
    assert told.endswith(f"updates are refused: the broker answered {status} to the handshake")


GARBAGE: dict[str, str] = {
    "no json": "{not json",
    "no object": "[1, 2]",
    "nested": "[" * 100_000,
    "a number": "17",
    "empty": "",
}


async def test_garbage_harms_nothing(streaming: Stream, caplog: pytest.LogCaptureFixture) -> None:
    """What cannot be read is counted and told once, without its words; the next frame counts."""
    async with running(streaming) as it:
        await it.is_live()
        await it.server.say(*GARBAGE.values(), *GARBAGE.values(), FILL[it.name])
        await until(lambda: NAMED in it.hints)
        assert it.stream.unreadable == 2 * len(GARBAGE)
        assert it.stream.status.is_live
    told = [one for one in caplog.messages if "could not be read" in one]
    assert len(told) == 1 and "not json" not in told[0]


async def test_frame_without_end_ends_the_connection_alone(streaming: Stream) -> None:
    """A frame above the limit is not kept: the connection ends and is made anew."""
    async with running(streaming) as it:
        await it.is_live()
        await it.server.say("x" * 300_000)
        await it.is_down()
        await it.clock.advance(1.0)
        await it.is_live(connections=2)


@pytest.mark.parametrize("name", ["fyers"], indirect=True)
async def test_no_confirmation_is_not_live(streaming: Stream) -> None:
    """Until the subscription is confirmed nothing is promised, and it is not waited for forever."""
    streaming.server.greets = []
    async with running(streaming) as it:
        await until(lambda: it.server.heard)
        for _ in range(3):
            await it.clock.wait_for_sleepers()
            await it.server.say("pong")
            await until(lambda: it.stream.heard_at == it.clock.monotonic())
            assert not it.stream.status.is_live
            await it.clock.advance(it.dialect.beat_s)
        await until(lambda: it.stream.status.why != "connecting")
        assert it.stream.status.why == "the subscription was not confirmed"
        assert it.hints == []


@pytest.mark.parametrize("name", ["fyers"], indirect=True)
async def test_login_that_ends_in_a_frame_ends_the_stream(streaming: Stream) -> None:
    """An error frame with a code of a dead login is a refusal; any other error is only told."""
    async with running(streaming) as it:
        await it.is_live()
        await it.server.say('{"s":"error","code":-50,"message":"Invalid subscription"}')
        await it.server.say('{"s":"error","code":-16,"message":"Could not authenticate the user"}')
        assert it.task is not None
        await asyncio.wait_for(it.task, 150)
        assert it.stream.status.state is UpdatesState.REFUSED


FAULTS: dict[str, Callable[[StreamServer], None]] = {
    "refused": lambda server: setattr(server, "refuses", 403),
    "away": lambda server: setattr(server, "refuses", 502),
    "not there": lambda server: setattr(server, "port", 1),
    "garbage": lambda server: server.greets.append("{not json"),
    "too large": lambda server: server.greets.append("x" * 300_000),
}


@pytest.mark.parametrize("fault", FAULTS)
async def test_token_is_never_told(name: str, fault: str, caplog: pytest.LogCaptureFixture) -> None:
    """Whatever happens, neither a log at any level nor the state repeats the token."""
    caplog.set_level(logging.DEBUG)
    async with serving_stream() as server:
        FAULTS[fault](server)
        dialect = DIALECTS[name](server.url, CREDENTIALS)
        clock = WatchedClock()
        stream = OrderStream(clock, dialect, account=CREDENTIALS.broker_id)
        async with running(Stream(name, server, clock, dialect, stream)) as it:
            assert it.task is not None
            done = it.task.done
            await until(lambda: done() or it.stream.unreadable or it.clock.sleepers == 1)
            assert TOKEN not in repr((it.stream.status, it.dialect, it.stream))
    # The server of this test logs its requests; what is asked here is what ours says.
    ours = [one for one in caplog.records if not one.name.startswith("aiohttp.access")]
    assert TOKEN not in "\n".join(logging.Formatter().format(one) for one in ours)
