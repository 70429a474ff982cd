"""The HTTP client under the Telegram library: what each way of failing is called, on a real socket."""

from __future__ import annotations

import asyncio
import json
import traceback
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field

import pytest
from telegram import Bot, InputFile, Update
from telegram.error import BadRequest, NetworkError, RetryAfter, TelegramError, TimedOut
from telegram.request import RequestData
from telegram.request._requestparameter import RequestParameter

from bot.edge.http import AiohttpRequest, PollRequest, Timeouts
from tests.fakes.stream_server import until

SECRET = "AAsecretOfTheToken"
TOKEN = f"7000000001:{SECRET}"
PATIENT = Timeouts(connect=30.0, pool=30.0, read=30.0, write=30.0)
QUICK = Timeouts(connect=30.0, pool=30.0, read=0.2, write=30.0)
"""Gives an answer up soon, and nothing else: on a busy machine anything may take a while."""
Serve = Callable[["Server", asyncio.StreamWriter], Awaitable[None]]


@dataclass
class Server:
    """Reads requests and does with each what it is told to."""

    serve: Serve
    root: str = ""
    requests: list[bytes] = field(default_factory=list)
    over: asyncio.Event = field(default_factory=asyncio.Event)
    connections: list[asyncio.Task[None] | None] = field(default_factory=list)

    async def connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections.append(asyncio.current_task())
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                length = next(
                    int(line.partition(b":")[2])
                    for line in head.lower().split(b"\r\n")
                    if line.startswith(b"content-length")
                )
                self.requests.append(head + await reader.readexactly(length))
                await self.serve(self, writer)
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()
            with suppress(ConnectionError):
                await writer.wait_closed()


def answer(status: str, body: str, *headers: str) -> Serve:
    """Answer with a status and a body."""

    async def serve(_: Server, writer: asyncio.StreamWriter) -> None:
        lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", *headers, "", body]
        writer.write("\r\n".join(lines).encode())

    return serve


async def hang_up(_: Server, writer: asyncio.StreamWriter) -> None:
    """Close the connection without a word."""
    writer.close()


async def stay_silent(server: Server, _: asyncio.StreamWriter) -> None:
    """Never answer."""
    await server.over.wait()


@asynccontextmanager
async def calling(
    serve: Serve, timeouts: Timeouts = PATIENT, connections: int = 8
) -> AsyncIterator[tuple[Server, Bot]]:
    """Serve on a free port, and give a bot that calls it."""
    found = Server(serve)
    server = await asyncio.start_server(found.connected, "127.0.0.1", 0)
    found.root = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    request = AiohttpRequest(found.root, connections=connections, timeouts=timeouts)
    bot = Bot(TOKEN, base_url=f"{found.root}/bot", request=request, get_updates_request=request)
    await request.initialize()
    try:
        yield found, bot
    finally:
        await request.shutdown()
        server.close()
        found.over.set()
        await asyncio.gather(*(one for one in found.connections if one), return_exceptions=True)


def told(error: BaseException) -> str:
    """Return all that a log would show of an error."""
    return "".join(traceback.format_exception(error))


@pytest.mark.invariant("I12")
@pytest.mark.parametrize(
    ("serve", "kind"),
    [
        (hang_up, NetworkError),
        (stay_silent, TimedOut),
        (answer("302 Found", "", "Location: http://127.0.0.1:9/elsewhere"), NetworkError),
        (answer("200 OK", "", "Transfer-Encoding: nonsense"), NetworkError),
        (answer("502 Bad Gateway", "<html>"), NetworkError),
    ],
)
async def test_a_failure_is_sent_once_and_names_no_token(serve: Serve, kind: type[TelegramError]):
    """Whatever happens on the wire: one request, one of two errors, and no address in any of it."""
    async with calling(serve, QUICK if kind is TimedOut else PATIENT) as (server, bot):
        with pytest.raises(kind) as raised:
            await bot.send_message(1, "hello")
    assert type(raised.value) is kind
    assert len(server.requests) == 1
    assert SECRET not in told(raised.value)


@pytest.mark.invariant("I12")
async def test_nobody_at_the_address_is_a_network_error():
    """A refused connection names what the system said, not the address with the token."""
    async with calling(hang_up) as (server, _):
        pass
    request = AiohttpRequest(server.root, connections=2, timeouts=PATIENT)
    bot = Bot(TOKEN, base_url=f"{server.root}/bot", request=request, get_updates_request=request)
    await request.initialize()
    with pytest.raises(NetworkError) as raised:
        await bot.get_me()
    await request.shutdown()
    assert type(raised.value) is NetworkError and "refused" in str(raised.value).lower()
    assert SECRET not in told(raised.value)


def open_connections(bot: Bot) -> list[object]:
    """Return the rested connections whose end the client has not seen."""
    assert isinstance(bot.request, AiohttpRequest) and bot.request._session is not None
    connector = bot.request._session.connector
    assert connector is not None
    rested = [one for many in connector._conns.values() for one, _ in many]
    return [one for one in rested if one.is_connected()]


@pytest.mark.matrix("T01")
async def test_a_rested_connection_that_the_server_closed_is_not_used():
    """What was closed meanwhile is noticed before something is sent on it, not after."""
    ok = answer("200 OK", '{"ok": true, "result": true}')

    async def once(server: Server, writer: asyncio.StreamWriter) -> None:
        await ok(server, writer)
        writer.close()

    async with calling(once) as (server, bot):
        for _ in range(3):
            assert await bot.answer_callback_query("1")
            await until(lambda: not open_connections(bot))
    assert len(server.connections) == len(server.requests) == 3


async def test_who_finds_no_free_connection_in_time_is_told_so():
    """The wait for the pool ends, as with the library's own client."""
    slow = Timeouts(connect=2.0, pool=0.05, read=60.0, write=30.0)
    async with calling(stay_silent, slow, connections=1) as (server, bot):
        first = asyncio.ensure_future(bot.get_me())
        while not server.requests:
            await asyncio.sleep(0.005)
        with pytest.raises(TimedOut):
            await bot.get_me()
        first.cancel()
        await asyncio.gather(first, return_exceptions=True)
    assert len(server.requests) == 1


async def test_a_call_may_wait_longer_than_the_others():
    """A long poll names its own time-out of reading, which holds."""

    async def late(server: Server, writer: asyncio.StreamWriter) -> None:
        await asyncio.sleep(0.5)
        await answer("200 OK", '{"ok": true, "result": []}')(server, writer)

    async with calling(late, QUICK) as (_, bot):
        assert await bot.get_updates(timeout=60, read_timeout=0.2) == ()


@pytest.mark.matrix("T02")
async def test_refusals_of_telegram_stay_what_they_are():
    """The library reads them from status and body, as with its own client."""
    limited = '{"ok":false,"error_code":429,"description":"x","parameters":{"retry_after":7}}'
    async with calling(answer("429 Too Many Requests", limited)) as (_, bot):
        with pytest.raises(RetryAfter):
            await bot.send_message(1, "hello")
    refused = '{"ok":false,"error_code":400,"description":"Bad Request: chat not found"}'
    async with calling(answer("400 Bad Request", refused)) as (_, bot):
        with pytest.raises(BadRequest, match="Chat not found"):
            await bot.send_message(1, "hello")


async def test_a_file_goes_as_a_form():
    """JSON carries no file."""
    ok = answer("200 OK", '{"ok": true, "result": true}')
    async with calling(ok) as (server, bot):
        file = InputFile(b"of a file", filename="report.csv")
        data = RequestData([RequestParameter.from_input("document", file)])
        assert await bot.request.post(f"{server.root}/bot{TOKEN}/sendDocument", data)
    assert b"of a file" in server.requests[0] and b"report.csv" in server.requests[0]


async def test_a_closed_client_says_so():
    """A call after the end is a fault of ours, not one of the network."""
    async with calling(hang_up) as (_, bot):
        pass
    with pytest.raises(NetworkError, match="not open"):
        await bot.get_me()


async def test_of_a_message_that_was_sent_its_id_is_read():
    """Text and keyboard are ours; making objects of them anew costs more than the rest of a tap."""
    shown = '{"message_id": 7, "date": 1, "chat": {"id": 5, "type": "private"}, "text": "x"}'
    async with calling(answer("200 OK", f'{{"ok": true, "result": {shown}}}')) as (_, bot):
        sent = await bot.send_message(5, "x")
        assert (sent.message_id, sent.chat.id, sent.text) == (7, 5, None)
        edited = await bot.edit_message_text("x", chat_id=5, message_id=7)
        assert not isinstance(edited, bool) and edited.message_id == 7
    async with calling(answer("200 OK", '{"ok": true, "result": true}')) as (_, bot):
        assert await bot.edit_message_text("x", inline_message_id="7") is True


@pytest.mark.matrix("T05")
async def test_an_update_is_stored_as_telegram_wrote_it():
    """What the library does not know of it stays in it; the next poll takes its place."""
    update = '{"update_id": 9, "of_a_later_version": {"a": 1}}'
    async with calling(answer("200 OK", f'{{"ok": true, "result": [{update}]}}')) as (server, _):
        polling = PollRequest(server.root, timeouts=QUICK)
        root = f"{server.root}/bot"
        bot = Bot(TOKEN, base_url=root, request=polling, get_updates_request=polling)
        await polling.initialize()
        assert await bot.get_updates() == ()
        read = Update.de_json(polling.written()[0], bot)  # type: ignore[arg-type]
        await polling.shutdown()
    assert json.loads(polling.text_of(read)) == json.loads(update)
    assert json.loads(polling.text_of(Update(3))) == {"update_id": 3}
