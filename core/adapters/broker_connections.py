"""The connections of one account to its broker: opened, kept, and written to once.

A connection carries one request at a time. Its protocol is our own and ``aiohttp``'s parser in C
reads the answers: nothing here can repeat a request, follow a redirect, keep a cookie or ask the
environment, and "not one byte has left" is known because the only write is in ``Connection.ask``.

How long a connection may have been idle:

- An order goes out on one that was used a moment ago, or on a new one. Written to just as the
  broker closes it, an order would be ambiguous, so ``Lifetime`` learns how long the broker keeps
  idle connections, and orders use them for half of that time at most.
- A read may use any that is kept: when it was closed meanwhile, reading again does no harm.
"""

from __future__ import annotations

import asyncio
import bisect
import re
import select
import socket
import ssl
from asyncio import sslproto
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import cache, partial
from operator import attrgetter
from typing import Protocol
from urllib.parse import urlsplit

import certifi
from aiohttp.base_protocol import BaseProtocol
from aiohttp.http import HttpResponseParser, RawResponseMessage
from aiohttp.streams import StreamReader

from core.adapters.host_names import HostNames
from core.adapters.proxy_tunnels import open_tunnel
from core.domain.route import Route
from core.ports.clock import Clock

__all__ = [
    "ANY_IPV4",
    "Answer",
    "ConnectTimedOut",
    "Connection",
    "ConnectionPool",
    "Lifetime",
    "Origin",
    "origin_of",
    "request_bytes",
    "tls_context",
]

ANY_IPV4 = "0.0.0.0"  # noqa: S104 - the local end of outgoing connections, nothing listens
"""Brokers register IPv4 addresses; on a dual-stack host IPv6 would leave from another one."""

_KEPT_S = 90.0
"""Idle connections are closed after so long."""
_ALWAYS_SAFE_S = 4.0
"""No broker is known to close earlier than this after an answer."""
_SAFE_AT_MOST_S = 45.0
_SAFE_AT_LEAST_S = 0.5
"""A connection that was just opened is used, even at a broker that is closing all of them."""
_SAFE_SHARE = 0.5
_CONNECT_SHARE = 0.4
"""Of the time left, what connecting and TLS to one address may take."""
_PROBED = (
    (socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1),
    (socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, 20),
    (socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, 10),
    (socket.IPPROTO_TCP, socket.TCP_KEEPCNT, 3),
)
"""The kernel asks after idle connections: a router on the way does not forget them unnoticed."""
_BUFFER = 64 * 1024
_HEADER = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+: ?[\t\x20-\x7e\x80-\xff]*")
_TARGET = re.compile(r"/[\x21-\x7e]*")
_TLS_BUFFER = 32 * 1024
_INTERIM = range(100, 200)
_SWITCHED = 101


# For each TLS connection asyncio holds a buffer of this size, 256 KiB unless it is told otherwise:
# 50 MB for 200 accounts. A record of TLS has 16 KiB at most.
sslproto.SSLProtocol.max_size = _TLS_BUFFER


@dataclass(frozen=True, slots=True)
class Origin:
    """Where requests go.

    Attributes:
        netloc: As the ``Host`` header names it.
    """

    is_tls: bool
    host: str
    port: int
    netloc: str


def origin_of(root: str) -> Origin:
    """Return the origin of an address ``scheme://host[:port]``.

    Raises:
        ValueError: No HTTP address.
    """
    parts = urlsplit(root)
    if parts.scheme not in {"http", "https"} or not parts.hostname or parts.username is not None:
        raise ValueError("no address of HTTP")
    is_tls = parts.scheme == "https"
    host = (
        parts.hostname.encode("idna").decode() if not parts.hostname.isascii() else parts.hostname
    )
    usual = 443 if is_tls else 80
    port = parts.port or usual
    shown = f"[{host}]" if ":" in host else host
    return Origin(is_tls, host, port, shown if port == usual else f"{shown}:{port}")


def request_bytes(
    method: str, target: str, origin: Origin, headers: Mapping[str, str], body: bytes
) -> bytes:
    """Return a request as it is written.

    Raises:
        ValueError: A header that would break out of its line.
    """
    lines = [f"{name}: {value}" for name, value in headers.items()]
    if not (all(map(_HEADER.fullmatch, lines)) and _TARGET.fullmatch(target)):
        raise ValueError("a header or the address holds what HTTP cannot carry")
    head = "\r\n".join([f"{method} {target} HTTP/1.1", f"Host: {origin.netloc}", *lines, "", ""])
    return head.encode("latin-1") + body


class Lifetime:
    """How long a broker keeps connections that are idle, as far as it has shown.

    Shared by the accounts of a broker. The newest sight wins: a connection that was closed early by
    a restart is forgotten when another lives longer.
    """

    def __init__(self) -> None:
        self._survived_s = 0.0
        self._closed_s = float("inf")

    @property
    def safe_s(self) -> float:
        """How long a connection may have been idle when an order is written to it."""
        shown = min(_SAFE_SHARE * self._survived_s, _SAFE_AT_MOST_S)
        return max(min(max(_ALWAYS_SAFE_S, shown), _SAFE_SHARE * self._closed_s), _SAFE_AT_LEAST_S)

    def survived(self, idle_s: float) -> None:
        """Note that a request was answered on a connection that had been idle for so long."""
        self._survived_s = max(self._survived_s, idle_s)
        if idle_s >= self._closed_s:
            self._closed_s = float("inf")

    def closed(self, idle_s: float) -> None:
        """Note that the broker closed a connection that had been idle for so long, or says so."""
        self._closed_s = idle_s
        self._survived_s = min(self._survived_s, idle_s)


class ConnectTimedOut(ConnectionError):
    """No connection came about in its share of the time."""


@dataclass(frozen=True, slots=True)
class Answer:
    """The head of an answer, and where its body comes from."""

    status: int
    headers: Mapping[str, str]
    body: StreamReader


class Owner(Protocol):
    """Learns that one of its connections is gone."""

    def lost(self, connection: Connection, *, by_peer: bool) -> None:
        """Forget a connection; the peer ended it, or this side did."""


class Connection(BaseProtocol):
    """One open connection; it carries one request at a time.

    Attributes:
        origin: What it leads to.
        idle_since: When it was opened or last answered, by the owner's clock.
        idle_s: How long it had been idle when it was last written to; None when it was new then.
        is_new: Whether nothing was ever written to it.
        was_answered: Whether anything came back since it was last written to.
    """

    def __init__(self, owner: Owner, origin: Origin) -> None:
        super().__init__(asyncio.get_running_loop())
        self.origin = origin
        self.idle_since = 0.0
        self.idle_s: float | None = None
        self.is_new = True
        self.was_answered = False
        self._owner = owner
        self._is_kept = True
        self._is_ended_here = False
        self._head: asyncio.Future[Answer] | None = None
        self._body: StreamReader | None = None
        self._input: select.poll | None = None

    async def is_usable(self) -> bool:
        """Whether it is open as far as anybody can tell at this side.

        The peer's end may have arrived while this program did something else, so the socket itself
        is asked; what has come in is left to the loop, which takes two rounds for it.
        """
        for _ in range(4):
            if self.transport is None or self.transport.is_closing() or not self._is_kept:
                return False
            if not self._has_input(self.transport):
                return True
            await asyncio.sleep(0)
        return False

    def begin(self, at: float) -> None:
        """Get ready for a request; nothing has left after this, whether it raises or not.

        Args:
            at: The owner's time.

        Raises:
            ConnectionResetError: It is closed.
        """
        self.idle_s = None if self.is_new else at - self.idle_since
        self.is_new = self.was_answered = False
        if self.transport is None or self.transport.is_closing():
            raise ConnectionResetError("the connection is closed")
        self._head = self._loop.create_future()
        self._parser = HttpResponseParser(
            self, self._loop, _BUFFER, read_until_eof=True, auto_decompress=False
        )

    async def ask(self, request: bytes) -> Answer:
        """Write a request, all of it at once, and return the head of its answer.

        Raises:
            OSError: The connection broke, or what came is not HTTP.
        """
        if self.transport is None or self._head is None:
            raise RuntimeError("begin comes right before")
        self.transport.write(request)
        return await self._head

    def finish(self) -> bool:
        """End the exchange; return whether the connection can be used again."""
        is_whole = self._body is not None and self._body.is_eof()
        self._head = self._body = self._parser = None
        return is_whole and self._is_kept and self.transport is not None

    def abort(self) -> None:
        """Close at once."""
        self._is_kept = False
        self._is_ended_here = True
        if self.transport is not None:
            self.transport.abort()

    def data_received(self, data: bytes) -> None:
        """Let the parser have what came; what nobody asked for ends the connection."""
        if self._parser is None:
            if data and self.transport is not None:
                self._is_kept = False  # as a rule: 408, the peer has waited for long enough
                self.transport.abort()
            return
        self.was_answered = True
        try:
            messages, _, _ = self._parser.feed_data(data)
        except Exception as error:  # noqa: BLE001 - the parser's, for whatever a peer may send
            self._fail(error)
            self.abort()
            return
        for message, body in messages:
            self._begun(message, body)

    def connection_lost(self, exc: BaseException | None) -> None:
        """End what is under way; an answer without a length ends with the connection."""
        if self._parser is not None and exc is None:
            with suppress(Exception):  # the parser's, of an answer that was cut
                self._parser.feed_eof()
        self._fail(exc or ConnectionResetError("closed without a whole answer"))
        super().connection_lost(exc)
        self._owner.lost(self, by_peer=not self._is_ended_here)

    def _begun(self, message: RawResponseMessage, body: StreamReader) -> None:
        if message.code in _INTERIM and message.code != _SWITCHED:
            return
        if self._head is None or self._head.done():
            self._is_kept = False  # a second answer: nobody knows whose it is
            return
        if message.should_close or message.upgrade:
            self._is_kept = False
        self._body = body
        headers: dict[str, str] = {}
        for name, value in message.headers.items():
            key = name.lower()
            headers[key] = f"{headers[key]}, {value}" if key in headers else value
        self._head.set_result(Answer(message.code, headers, body))

    def _fail(self, error: BaseException) -> None:
        self._is_kept = False
        shown = error if isinstance(error, OSError) else ConnectionError(type(error).__name__)
        if self._head is not None and not self._head.done():
            self._head.set_exception(shown)
        if self._body is not None and not self._body.is_eof():
            self._body.set_exception(shown)

    def _has_input(self, transport: asyncio.Transport) -> bool:
        if self._input is None:
            self._input = select.poll()
            self._input.register(transport.get_extra_info("socket").fileno(), select.POLLIN)
        return bool(self._input.poll(0))


class ConnectionPool:
    """The connections of one account.

    Args:
        clock: Tells how long a connection has been idle.
        route: From where the account's connections leave.
        lifetime: What is known about the broker's patience.
        names: Looks up where the broker is.
    """

    def __init__(self, clock: Clock, route: Route, lifetime: Lifetime, names: HostNames) -> None:
        self._clock = clock
        own = route.source_address
        self._source = (own, 0) if own not in {None, ANY_IPV4} else None
        self._proxy = route.proxy
        # A proxy is told an address too: given a name, it might leave by IPv6.
        is_ipv6 = own is not None and ":" in own
        self._family = socket.AF_INET6 if is_ipv6 else socket.AF_INET
        self._lifetime = lifetime
        self._names = names
        self._idle: dict[Origin, list[Connection]] = {}
        self._open: set[Connection] = set()
        self._is_closed = False

    @property
    def is_closed(self) -> bool:
        """Whether nothing else is sent."""
        return self._is_closed

    def is_warm(self, for_s: float) -> bool:
        """Whether a connection is open that an order may use for so long from now on."""
        latest = self._clock.monotonic() + for_s - self._lifetime.safe_s
        return any(one.idle_since > latest for idle in self._idle.values() for one in idle)

    def is_safe(self, connection: Connection) -> bool:
        """Whether an order may go out on it: the broker will not be about to close it."""
        return self._clock.monotonic() - connection.idle_since < self._lifetime.safe_s

    async def take(self, origin: Origin, left_s: float, *, is_safe: bool) -> Connection:
        """Return an open connection that nobody else uses: the one used last, or a new one.

        Args:
            origin: What it must lead to.
            left_s: How long opening one may take.
            is_safe: Whether an order must be able to go out on it.

        Raises:
            OSError: None could be opened.
        """
        idle = self._idle.get(origin, [])
        self._drop_old(idle)
        while idle and (not is_safe or self.is_safe(idle[-1])):
            connection = idle.pop()
            if await connection.is_usable():
                return connection
            connection.abort()
        return await self._dial(origin, left_s)

    def put_back(self, connection: Connection) -> None:
        """Take back a connection that was not written to."""
        idle = self._idle.setdefault(connection.origin, [])
        if self._is_closed:
            connection.abort()
        else:
            bisect.insort(idle, connection, key=attrgetter("idle_since"))

    def give(self, connection: Connection) -> None:
        """Take back a connection after a whole answer; it is kept if it can be used again."""
        if connection.idle_s is not None:
            self._lifetime.survived(connection.idle_s)
        if not connection.finish() or self._is_closed:
            connection.abort()
            return
        connection.idle_since = self._clock.monotonic()
        idle = self._idle.setdefault(connection.origin, [])
        self._drop_old(idle)
        idle.append(connection)

    def broke(self, connection: Connection) -> None:
        """Learn from one that ended when it was written to."""
        if connection.idle_s is not None and not connection.was_answered:
            self._lifetime.closed(connection.idle_s)

    def lost(self, connection: Connection, *, by_peer: bool) -> None:
        """Forget a connection that is gone; learn from one that the broker closed while idle."""
        self._open.discard(connection)
        idle = self._idle.get(connection.origin, [])
        if connection in idle:
            idle.remove(connection)
            if by_peer:
                self._lifetime.closed(self._clock.monotonic() - connection.idle_since)

    def close(self) -> None:
        """Open no other connection, and close each: an idle one now, one in use after its answer.

        A login that is renewed closes the client of the one before it, and an order whose
        connection is cut on its way is of unknown fate.
        """
        self._is_closed = True
        idle, self._idle = self._idle, {}
        for connections in idle.values():
            for connection in connections:
                connection.abort()

    def _drop_old(self, idle: list[Connection]) -> None:
        earliest = self._clock.monotonic() - _KEPT_S
        while idle and idle[0].idle_since < earliest:
            idle.pop(0).abort()

    async def _dial(self, origin: Origin, left_s: float) -> Connection:
        loop = asyncio.get_running_loop()
        until = loop.time() + left_s
        failure: OSError = ConnectionError("no address")
        for address in await self._names.addresses(origin.host, self._family):
            if self._is_closed:
                raise ConnectionError("the account's transport is closed")
            share = max(until - loop.time(), 0.0) * _CONNECT_SHARE
            try:
                async with asyncio.timeout(share):
                    connection = await self._connect(origin, address)
            except TimeoutError:
                failure = ConnectTimedOut(f"no connection within {share:.1f} s")
            except OSError as error:
                failure = error
            else:
                return self._opened(connection)
        raise failure

    async def _connect(self, origin: Origin, address: str) -> Connection:
        """Open one connection, through the account's proxy where it has one."""
        loop = asyncio.get_running_loop()
        new = partial(Connection, self, origin)
        tls = tls_context() if origin.is_tls else None
        name = origin.host if origin.is_tls else None
        if self._proxy is not None:
            tunnel = await open_tunnel(self._proxy, address, origin.port)
            try:
                _, connection = await loop.create_connection(
                    new, sock=tunnel, ssl=tls, server_hostname=name
                )
            except BaseException:
                tunnel.close()
                raise
            return connection
        _, connection = await loop.create_connection(
            new,
            address,
            origin.port,
            family=self._family,
            flags=socket.AI_NUMERICHOST,
            local_addr=self._source,
            ssl=tls,
            server_hostname=name,
        )
        return connection

    def _opened(self, connection: Connection) -> Connection:
        self._open.add(connection)
        if self._is_closed:
            connection.abort()
            raise ConnectionError("the account's transport is closed")
        connection.idle_since = self._clock.monotonic()
        if connection.transport is not None:
            raw = connection.transport.get_extra_info("socket")
            for level, option, value in _PROBED:
                raw.setsockopt(level, option, value)
        return connection


@cache
def tls_context() -> ssl.SSLContext:
    """Return the one context of the process; making one reads the whole bundle of certificates."""
    context = ssl.create_default_context(cafile=certifi.where())
    context.set_alpn_protocols(["http/1.1"])
    return context
