"""``python -m tests.bench.transports``: what a request costs this process, with peers in one run.

Each way sends the same order to the same small server, a process of its own that answers at once,
over connections that are kept open. The figure is the CPU time of this process for a request: what
an account's order takes away from all the others. pyreqwest takes part where it is installed.

``place`` is the whole way of an order through a client: rate, SDK, transport, outcome.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import importlib.util
import os
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from statistics import median

import aiohttp
import httpx

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
from tests.fakes.brokers import MASTER, market_order

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
Way = Callable[[str], AbstractAsyncContextManager[Send]]


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


async def serve() -> None:
    """Answer until the end of standard input."""
    server = await asyncio.get_running_loop().create_server(Answers, "127.0.0.1", 0)
    sys.stdout.write(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}\n")
    sys.stdout.flush()
    await asyncio.to_thread(sys.stdin.read)


@contextlib.contextmanager
def server() -> Iterator[str]:
    """Run the server in a process of its own."""
    process = subprocess.Popen(
        [sys.executable, "-P", "-m", "tests.bench.transports", "--serve"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
    )
    assert process.stdout is not None
    try:
        yield process.stdout.readline().strip()
    finally:
        process.communicate()


@asynccontextmanager
async def over_httpx(url: str) -> AsyncIterator[Send]:
    """One client of httpx, as it was used under the SDKs."""
    async with httpx.AsyncClient(trust_env=False, timeout=None) as client:  # noqa: S113

        async def send() -> None:
            answer = await client.post(url + PATH, content=BODY, headers=HEADERS)
            assert answer.content == ACK

        yield send


@asynccontextmanager
async def over_aiohttp(url: str) -> AsyncIterator[Send]:
    """One session of aiohttp without its repetition of PUT and DELETE."""
    async with aiohttp.ClientSession(
        cookie_jar=aiohttp.DummyCookieJar(),
        timeout=aiohttp.ClientTimeout(total=None, sock_connect=None),
    ) as session:
        session._retry_connection = False

        async def send() -> None:
            async with session.post(
                url + PATH, data=BODY, headers=HEADERS, allow_redirects=False
            ) as answer:
                assert await answer.read() == ACK

        yield send


@asynccontextmanager
async def over_pyreqwest(url: str) -> AsyncIterator[Send]:
    """One client of pyreqwest."""
    from pyreqwest.client import ClientBuilder  # type: ignore[import-not-found] # noqa: PLC0415

    async with ClientBuilder().no_proxy().build() as client:

        async def send() -> None:
            request = client.post(url + PATH).headers(HEADERS).body_bytes(BODY).build()
            assert bytes(await (await request.send()).bytes()) == ACK

        yield send


@asynccontextmanager
async def over_ours(url: str) -> AsyncIterator[Send]:
    """Our transport alone, with lanes, rate, deadline and the comparison of clocks."""
    import requests  # noqa: PLC0415

    request = requests.Request("POST", url + PATH, headers=HEADERS, data=BODY).prepare()
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


def kite_place(url: str) -> AbstractAsyncContextManager[Send]:
    """Orders through a Kite client."""
    return placing(ZerodhaClient(_transport(), kite_sdk(url, "apikey", "tok"), MASTER[ZERODHA]))


def fyers_place(url: str) -> AbstractAsyncContextManager[Send]:
    """Orders through a Fyers client."""
    sdk = FyersSdk(url, "apikey", "tok")
    return placing(FyersClient(_transport(), sdk, SymbolBook(MASTER[FYERS])))


WAYS: dict[str, Way] = {
    "httpx": over_httpx,
    "aiohttp": over_aiohttp,
    **({"pyreqwest": over_pyreqwest} if importlib.util.find_spec("pyreqwest") else {}),
    "ours": over_ours,
    "kite place": kite_place,
    "fyers place": fyers_place,
}


async def cost(way: Way, url: str, accounts: int, requests: int) -> float:
    """Return the milliseconds of CPU of one request, with each account's at the same time."""
    async with AsyncExitStack() as stack:
        sends = [await stack.enter_async_context(way(url)) for _ in range(accounts)]
        await asyncio.gather(*(send() for send in sends))  # opens the connections
        rounds = max(requests // accounts, 1)
        before = time.process_time()
        for _ in range(rounds):
            await asyncio.gather(*(send() for send in sends))
        return (time.process_time() - before) * 1000 / (rounds * accounts)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.transports", description=__doc__)
    parser.add_argument("--requests", type=int, default=1000, help="requests a round and way")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--serve", action="store_true", help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.serve:
        asyncio.run(serve())
        return
    found: dict[tuple[str, int], list[float]] = {}
    with server() as url:
        for _ in range(asked.rounds):  # all in turn, so that a busy moment hits them alike
            for accounts in (1, 50):
                for name, way in WAYS.items():
                    value = asyncio.run(cost(way, url, accounts, asked.requests))
                    found.setdefault((name, accounts), []).append(value)
    sys.stdout.write(
        f"{'CPU of a request, ms':<24}{'1 account':>10}{'to aiohttp':>12}"
        f"{'50 at once':>12}{'to aiohttp':>12}\n"
    )
    middle = {key: median(values) for key, values in found.items()}
    for name in WAYS:
        cells = ""
        for accounts, width in ((1, 10), (50, 12)):
            value = middle[name, accounts]
            cells += f"{value:>{width}.3f}{value / middle['aiohttp', accounts]:>12.2f}"
        sys.stdout.write(f"{name:<24}{cells}\n")


if __name__ == "__main__":
    main()
