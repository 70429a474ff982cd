"""``python -m tests.bench.transports``: what a request costs this process, with peers in one run.

Each way sends the same order to the same small server, a process of its own that answers at once,
over connections that are kept open. The figure is the CPU time of this process for a request: what
an account's order takes away from all the others. pyreqwest takes part where it is installed.

``place`` is the whole way of an order through a client: rate, SDK, transport, outcome. With
``--tls`` all of it goes over TLS, as it does at the brokers; pyreqwest is then left out.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import importlib.util
import ssl
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import aiohttp
import httpx
import requests

from core.adapters import broker_connections
from core.adapters.broker_http import BrokerTransport
from core.adapters.clock import SystemClock
from core.adapters.fyers.client import FyersClient
from core.adapters.fyers.instruments import SymbolBook
from core.adapters.fyers.profile import FYERS
from core.adapters.fyers.sdk import FyersSdk
from core.adapters.throttle import ORDERS, Bucket, Limit, Throttle
from core.adapters.zerodha.client import ZerodhaClient
from core.adapters.zerodha.profile import ZERODHA
from core.adapters.zerodha.sdk import kite_sdk
from core.domain.outcome import Acked
from core.ports.broker import BrokerClient
from tests.bench.stores import program
from tests.fakes.brokers import MASTER, market_order
from tests.fakes.certificates import authority, certified
from tests.fakes.sandbox_process import ROOT

BODY = (
    b"variety=regular&exchange=NSE&tradingsymbol=SBIN&transaction_type=BUY&quantity=1&product=MIS"
    b"&order_type=MARKET&validity=DAY&tag=SAAAAAAAAAAAAAAAAAAA&market_protection=-1"
)
HEADERS = {
    "X-Kite-Version": "3",
    "User-Agent": "Kiteconnect-python/5.2.2",
    "Authorization": "token apikey:tok",
    "Content-Type": "application/x-www-form-urlencoded",
    "Accept-Encoding": "gzip",
    "Accept": "*/*",
}
PATH = "/orders/regular"
ACK = (
    b'{"status":"success","s":"ok","code":1101,"message":"","id":"1001","data":{"order_id":"1001"}}'
)
OK = 200
_WIDE = Limit(ORDERS, 1_000_000, 1.0)

Send = Callable[[], Awaitable[None]]
Way = Callable[["Place"], AbstractAsyncContextManager[Send]]


@dataclass(frozen=True)
class Place:
    """Where the server is, and how it is trusted."""

    url: str
    tls: ssl.SSLContext | None


class Answers(asyncio.Protocol):
    """Acknowledges every order; one connection."""

    def __init__(self) -> None:
        self._data = b""
        self._transport: asyncio.WriteTransport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep what answers go out on."""
        assert isinstance(transport, asyncio.WriteTransport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        """Answer each complete request."""
        self._data += data
        while (end := self._data.find(b"\r\n\r\n")) >= 0:
            head = self._data[:end].lower()
            _, _, rest = head.partition(b"content-length:")
            whole = end + 4 + int(rest.split(b"\r\n", 1)[0] or 0)
            if len(self._data) < whole:
                return
            self._data = self._data[whole:]
            assert self._transport is not None
            self._transport.write(
                b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nServer: bench\r\n"
                b"Date: Fri, 27 Nov 2026 01:00:00 GMT\r\nContent-Length: %d\r\n\r\n%b"
                % (len(ACK), ACK)
            )


async def serve(tls: ssl.SSLContext | None) -> None:
    """Answer until the end of standard input."""
    server = await asyncio.get_running_loop().create_server(Answers, "127.0.0.1", 0, ssl=tls)
    sys.stdout.write(f"127.0.0.1:{server.sockets[0].getsockname()[1]}\n")
    sys.stdout.flush()
    await asyncio.to_thread(sys.stdin.read)


@contextlib.contextmanager
def server(directory: Path | None) -> Iterator[Place]:
    """Run the server in a process of its own, over TLS where a directory for its keys is given."""
    trusted = None
    if directory is not None:
        made = authority(directory)
        certified(made, "127.0.0.1")
        trusted = ssl.create_default_context(cafile=made.file)
        broker_connections.tls_context = lambda: trusted  # type: ignore[assignment]
    process = subprocess.Popen(
        program("tests.bench.transports", "--serve", str(directory or "")),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=ROOT,
    )
    assert process.stdout is not None
    try:
        yield Place(f"http{'s' if trusted else ''}://{process.stdout.readline().strip()}", trusted)
    finally:
        process.communicate()


@asynccontextmanager
async def over_httpx(at: Place) -> AsyncIterator[Send]:
    """One client of httpx, as it was used under the SDKs."""
    async with httpx.AsyncClient(trust_env=False, timeout=7.0, verify=at.tls or True) as client:

        async def send() -> None:
            answer = await client.post(at.url + PATH, content=BODY, headers=HEADERS)
            assert answer.content == ACK

        yield send


@asynccontextmanager
async def over_aiohttp(at: Place) -> AsyncIterator[Send]:
    """One session of aiohttp without its repetition of PUT and DELETE."""
    async with aiohttp.ClientSession(
        cookie_jar=aiohttp.DummyCookieJar(),
        timeout=aiohttp.ClientTimeout(total=None, sock_connect=None),
    ) as session:
        session._retry_connection = False

        async def send() -> None:
            async with session.post(
                at.url + PATH, data=BODY, headers=HEADERS, allow_redirects=False, ssl=at.tls or True
            ) as answer:
                assert await answer.read() == ACK

        yield send


@asynccontextmanager
async def over_pyreqwest(at: Place) -> AsyncIterator[Send]:
    """One client of pyreqwest."""
    from pyreqwest.client import ClientBuilder  # type: ignore[import-not-found] # noqa: PLC0415

    async with ClientBuilder().no_proxy().build() as client:

        async def send() -> None:
            request = client.post(at.url + PATH).headers(HEADERS).body_bytes(BODY).build()
            assert bytes(await (await request.send()).bytes()) == ACK

        yield send


@asynccontextmanager
async def over_ours(at: Place) -> AsyncIterator[Send]:
    """Our transport alone, with lanes, rate, deadline and the comparison of clocks."""
    request = requests.Request("POST", at.url + PATH, headers=HEADERS, data=BODY).prepare()
    async with _transport() as transport:

        async def send() -> None:
            answer = await transport.send(request, Bucket.ORDERS)
            assert getattr(answer, "body", b"") == ACK

        yield send


def _transport() -> BrokerTransport:
    clock = SystemClock()
    return BrokerTransport(clock, Throttle(clock, [_WIDE]), deadline_s=7.0)


@asynccontextmanager
async def placing(client: BrokerClient) -> AsyncIterator[Send]:
    """A client's ``place``."""
    order = market_order()

    async def send() -> None:
        outcome = await client.place(order)
        assert outcome == Acked("1001"), outcome

    try:
        yield send
    finally:
        await client.aclose()


def kite_place(at: Place) -> AbstractAsyncContextManager[Send]:
    """Orders through a Kite client."""
    return placing(ZerodhaClient(_transport(), kite_sdk(at.url, "apikey", "tok"), MASTER[ZERODHA]))


def fyers_place(at: Place) -> AbstractAsyncContextManager[Send]:
    """Orders through a Fyers client."""
    sdk = FyersSdk(at.url, "apikey", "tok")
    return placing(FyersClient(_transport(), sdk, SymbolBook(MASTER[FYERS])))


WAYS: dict[str, Way] = {
    "httpx": over_httpx,
    "aiohttp": over_aiohttp,
    **({"pyreqwest": over_pyreqwest} if importlib.util.find_spec("pyreqwest") else {}),
    "ours": over_ours,
    "kite place": kite_place,
    "fyers place": fyers_place,
}


async def cost(way: Way, at: Place, accounts: int, count: int) -> float:
    """Return the milliseconds of CPU of one request, with each account's at the same time."""
    async with AsyncExitStack() as stack:
        sends = [await stack.enter_async_context(way(at)) for _ in range(accounts)]
        await asyncio.gather(*(send() for send in sends))  # opens the connections
        rounds = max(count // accounts, 1)
        before = time.process_time()
        for _ in range(rounds):
            await asyncio.gather(*(send() for send in sends))
        return (time.process_time() - before) * 1000 / (rounds * accounts)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.transports", description=__doc__)
    parser.add_argument("--requests", type=int, default=1000, help="requests a round and way")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--tls", action="store_true", help="over TLS")
    parser.add_argument("--serve", help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.serve is not None:
        asyncio.run(serve(_server_context(asked.serve)))
        return
    ways = {name: way for name, way in WAYS.items() if not (asked.tls and name == "pyreqwest")}
    found: dict[tuple[str, int], list[float]] = {}
    with (
        tempfile.TemporaryDirectory(prefix="saarthi-bench-") as made,
        server(Path(made) if asked.tls else None) as at,
    ):
        for _ in range(asked.rounds):  # all in turn, so that a busy moment hits them alike
            for accounts in (1, 50):
                for name, way in ways.items():
                    value = asyncio.run(cost(way, at, accounts, asked.requests))
                    found.setdefault((name, accounts), []).append(value)
    sys.stdout.write(_table({key: median(values) for key, values in found.items()}))


def _server_context(directory: str) -> ssl.SSLContext | None:
    if not directory:
        return None
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(Path(directory) / "server.pem")
    return context


def _table(found: Mapping[tuple[str, int], float]) -> str:
    head = f"{'CPU of a request, ms':<24}"
    lines = [f"{head}{'1 account':>10}{'to aiohttp':>12}{'50 at once':>12}{'to aiohttp':>12}"]
    for name in dict.fromkeys(name for name, _ in found):
        cells = ""
        for accounts, width in ((1, 10), (50, 12)):
            value = found[name, accounts]
            cells += f"{value:>{width}.3f}{value / found['aiohttp', accounts]:>12.2f}"
        lines.append(f"{name:<24}{cells}")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    main()
