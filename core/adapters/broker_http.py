"""The transport under both broker SDKs: it alone decides what left and what came back.

The SDKs build requests and name endpoints, and nothing more (``sdk_requests``). A request then goes
out once on one of the account's own connections (``broker_connections``): no redirects, no retries,
nothing from the environment (proxy, netrc), by the account's own route. What the caller gets is
what really happened, ``Reply`` or ``NoReply``, and never an SDK's reading of it. Since no thread
takes part, a hung account delays no other (I7), and a call whose deadline passed while it waited
cannot be sent later (I13).
"""

from __future__ import annotations

import asyncio
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from email.utils import parsedate_to_datetime
from functools import lru_cache
from types import TracebackType
from typing import Any, Self

import requests

from core.adapters.broker_connections import (
    Answer,
    Connection,
    ConnectionPool,
    ConnectTimedOut,
    Lifetime,
    Origin,
    origin_of,
    request_bytes,
)
from core.adapters.broker_json import parsed
from core.adapters.host_names import HostNames
from core.adapters.proxy_tunnels import ProxyFailed
from core.adapters.redaction import Redaction
from core.adapters.sdk_requests import Outgoing, outgoing
from core.adapters.throttle import Bucket, RateExceeded, Throttle
from core.connection_failures import why_not_connected
from core.domain.route import OWN_ROUTE, Route
from core.errors import BrokerReadError, ReadFault
from core.ports.clock import Clock, ComparedClock

__all__ = [
    "MASTER_LIMIT",
    "BrokerTransport",
    "NoReply",
    "Raw",
    "Reply",
    "Wire",
    "retry_after",
    "wire_of",
]

WRITE_LIMIT = 256 * 1024
"""Largest body of an answer to an order, in bytes."""
READ_LIMIT = 8 * 1024 * 1024
"""Largest body of an answer to a read: a day of 5,000 orders takes about five megabytes."""
MASTER_LIMIT = 96 * 1024 * 1024
"""Largest instrument master."""

_LANES = {Bucket.ORDERS: 10, Bucket.QUOTES: 2, Bucket.HISTORICAL: 3, Bucket.OTHER: 6}
"""Calls in flight per bucket: hung reads must neither pile up nor take the orders' connections."""
_WARM_S = 1.0
"""A connection is warm when an order may use it for so long from now on."""
_AT_ONCE_S = 0.001
"""A permit that took no longer than this was not waited for."""
_TRIES = 3
"""ConnectionPool that a request may find ended while it waits for its rate."""
_MULTIPLE_CHOICES = 300
_OK = 200


@dataclass(frozen=True, slots=True)
class Reply:
    """A complete answer: status, headers (lower-case names) and the decoded body."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def is_ok(self) -> bool:
        """Whether the status is in the 200s."""
        return _OK <= self.status < _MULTIPLE_CHOICES

    def json(self) -> object:
        """Return the parsed body with exact decimals, or None when it is not JSON."""
        try:
            found: object = parsed(self.body)
        except ValueError:
            return None
        return found

    def mapping(self) -> Mapping[str, Any] | None:
        """Return the body when it is a JSON object, else None."""
        found = self.json()
        return found if isinstance(found, dict) else None


@dataclass(frozen=True, slots=True)
class NoReply:
    """No complete answer came.

    Attributes:
        may_have_left: False only when provably not one byte of the request left.
        fault: How a read reports it.
        reason: One line for the log and the user, free of the broker's addresses and of secrets.
        has_no_way_out: The account's proxy is not there, whatever was asked for.
    """

    may_have_left: bool
    fault: ReadFault
    reason: str
    has_no_way_out: bool = False

    def read_error(self) -> BrokerReadError:
        """Return the error that a read raises for this."""
        return BrokerReadError(self.fault, self.reason)


Raw = Reply | NoReply
"""What really happened to one request."""


def retry_after(reply: Reply) -> float | None:
    """Return the seconds that a 429 asks to wait (``X-Retry-After-Ms`` or ``Retry-After``)."""
    for name, scale in (("x-retry-after-ms", 1000.0), ("retry-after", 1.0)):
        text = reply.headers.get(name, "").strip()
        if text.replace(".", "", 1).isdecimal():
            return float(text) / scale
    return None


class BrokerTransport:
    """One account's way to its broker. Opens nothing until the first call.

    Args:
        clock: Paces requests; it sees the times that the broker's answers name.
        throttle: The rates of the account's app.
        deadline_s: Total time of one call.
        route: From where the account's requests leave.
        lifetime: What its broker has shown about idle connections.
        names: Looks up where its broker is.
        redaction: Takes the account's secrets out of answers.
    """

    def __init__(
        self,
        clock: Clock,
        throttle: Throttle,
        *,
        deadline_s: float,
        route: Route = OWN_ROUTE,
        lifetime: Lifetime | None = None,
        names: HostNames | None = None,
        redaction: Redaction | None = None,
    ) -> None:
        self._clock = clock
        self._redaction = redaction or Redaction()
        self._compared = clock if isinstance(clock, ComparedClock) else None
        self._throttle = throttle
        self._deadline_s = deadline_s
        self._lanes = {bucket: asyncio.Semaphore(size) for bucket, size in _LANES.items()}
        self._pool = ConnectionPool(clock, route, lifetime or Lifetime(), names or HostNames(clock))

    @property
    def is_warm(self) -> bool:
        """Whether a connection is open that an order may use for at least another second."""
        return self._pool.is_warm(_WARM_S)

    @property
    def throttle(self) -> Throttle:
        """The rates of this account's app."""
        return self._throttle

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.aclose()

    async def send(
        self,
        request: Outgoing | requests.PreparedRequest | Wire,
        bucket: Bucket,
        *,
        limit: int | None = None,
        deadline_s: float | None = None,
    ) -> Raw:
        """Send a request at most once and return what happened, within the total deadline.

        The deadline covers the wait for a lane and for the rate, the connection and the whole
        answer. Cancelling the caller closes the connection; whether the request took effect is
        then unknown.

        Args:
            request: What an SDK built, or ``wire_of`` it for this bucket.
            bucket: The rate it counts against.
            limit: Largest accepted body in bytes; by default what the bucket allows.
            deadline_s: Another total deadline than the account's.
        """
        total_s = self._deadline_s if deadline_s is None else deadline_s
        size = limit or (WRITE_LIMIT if bucket is Bucket.ORDERS else READ_LIMIT)
        latest = self._clock.monotonic() + total_s
        # Which fault it was decides nothing below; whether a byte had left does. That alone makes a
        # write "not sent" or "ambiguous" (I4).
        attempt = _Attempt(self._throttle, bucket, size, latest)
        try:
            wire = request if isinstance(request, Wire) else wire_of(request, bucket)
            async with asyncio.timeout(total_s), self._lanes[bucket]:
                return await self._exchange(wire, attempt)
        except TimeoutError:
            return attempt.failed(ReadFault.TIMEOUT, f"no answer within {total_s:g} s")
        except RateExceeded as error:
            return attempt.failed(ReadFault.THROTTLED, str(error))
        except _Oversized as error:
            return attempt.failed(ReadFault.MALFORMED, str(error))
        except ProxyFailed as error:
            failed = attempt.failed(ReadFault.UNREACHABLE, str(error))
            return replace(failed, has_no_way_out=error.is_absent)
        except (OSError, ValueError) as error:
            return attempt.failed(ReadFault.UNREACHABLE, _words(error))

    async def aclose(self) -> None:
        """Send nothing else; what has left is answered, or waited for in vain. Never raises."""
        self._pool.close()
        await asyncio.sleep(0)  # the loop forgets their sockets

    async def _exchange(self, wire: Wire, attempt: _Attempt) -> Reply:
        """Send a request and return its answer.

        Only what merely asks may go out twice: on a connection that had been idle for long, when
        it ends without a byte of an answer. The broker had closed it by then.
        """
        connection = await self._ready(wire, attempt, is_safe=wire.is_write)
        is_doubtful = not connection.is_new and not self._pool.is_safe(connection)
        try:
            return await self._answered(connection, wire, attempt)
        except OSError:
            if wire.is_write or not is_doubtful or connection.was_answered:
                raise
        return await self._answered(await self._ready(wire, attempt, is_safe=True), wire, attempt)

    async def _ready(self, wire: Wire, attempt: _Attempt, *, is_safe: bool) -> Connection:
        """Return a connection on which the request may go out at once.

        The rate is waited for on the open connection: counted earlier, a slow connection would
        bring requests closer together than they were let go. If it ends or grows old in that time,
        the place is given back, another connection is opened and the rate is waited for again.

        Raises:
            OSError: None could be opened, or each ended at once.
        """
        for _ in range(_TRIES):
            left_s = attempt.latest - self._clock.monotonic()
            connection = await self._pool.take(wire.origin, left_s, is_safe=is_safe)
            taken_at = self._clock.monotonic()
            try:
                place = await attempt.permit()
                if place - taken_at < _AT_ONCE_S and not self._pool.is_closed:
                    return connection
                is_usable = await connection.is_usable()
            except BaseException:
                self._pool.put_back(connection)
                raise
            is_usable = is_usable and not self._pool.is_closed
            if is_usable and (not is_safe or self._pool.is_safe(connection)):
                return connection
            attempt.give_back(place)
            connection.abort()
        raise ConnectionResetError("each connection ended before the request could be sent")

    async def _answered(self, connection: Connection, wire: Wire, attempt: _Attempt) -> Reply:
        try:
            connection.begin(self._clock.monotonic())
            attempt.left_at = left_at = self._clock.now()
            # Streamed, so that a body without end cannot fill the memory of all accounts.
            answer = await connection.ask(wire.data)
            self._compare_clocks(wire.origin.netloc, answer.headers, left_at)
            body = await _read(answer, attempt.size)
        except BaseException as error:
            if isinstance(error, OSError) and not isinstance(error, TimeoutError):
                self._pool.broke(connection)
            connection.abort()
            raise
        self._pool.give(connection)
        return Reply(answer.status, answer.headers, self._redaction.clean(body, wire.data))

    def _compare_clocks(self, peer: str, headers: Mapping[str, str], left_at: datetime) -> None:
        """Let the clock see the answer's ``Date``; one that a cache gave again says nothing."""
        if self._compared is None or "age" in headers:
            return
        date = _date_of(headers.get("date", ""))
        if date is not None:
            self._compared.compare(peer, date, sent_at=left_at, answered_at=self._clock.now())


@dataclass(frozen=True, slots=True)
class Wire:
    """A request as it is written, and whether it may change anything."""

    origin: Origin
    data: bytes
    is_write: bool


def wire_of(request: Outgoing | requests.PreparedRequest, bucket: Bucket) -> Wire:
    """Return a request as it is written.

    Raises:
        ValueError: It cannot be sent.
    """
    sent = request if isinstance(request, Outgoing) else outgoing(request)
    address, question, query = sent.url.partition("#")[0].partition("?")
    origin, path = _located(address)
    headers = {name: value for name, value in sent.headers.items() if name != "Connection"}
    headers["Accept-Encoding"] = "gzip"  # what _read can unpack under a cap
    return Wire(
        origin,
        request_bytes(sent.method, f"{path}{question}{query}", origin, headers, sent.body),
        bucket is Bucket.ORDERS or sent.method != "GET",
    )


@lru_cache(maxsize=256)
def _located(address: str) -> tuple[Origin, str]:
    """Return where an address leads and its path; it has no query, which may hold a secret."""
    scheme, _, rest = address.partition("://")
    netloc, _, path = rest.partition("/")
    return origin_of(f"{scheme}://{netloc}"), f"/{path}"


class _Attempt:
    """What one call may take, and whether the first byte of its request has left."""

    __slots__ = ("_bucket", "_throttle", "latest", "left_at", "size")

    def __init__(self, throttle: Throttle, bucket: Bucket, size: int, latest: float) -> None:
        self._throttle = throttle
        self._bucket = bucket
        self.size = size
        self.latest = latest
        self.left_at: datetime | None = None

    async def permit(self) -> float:
        """Wait for the rate; return the time of the place that was taken."""
        return await self._throttle.acquire(self._bucket, self.latest)

    def give_back(self, place: float) -> None:
        """Free a place that was taken in vain."""
        self._throttle.give_back(self._bucket, place)

    def failed(self, fault: ReadFault, reason: str) -> NoReply:
        """Return the result of an attempt that ended without an answer."""
        has_left = self.left_at is not None
        where = "after the request was sent" if has_left else "before the request was sent"
        return NoReply(has_left, fault, f"{reason}, {where}")


def _words(error: OSError | ValueError) -> str:
    """Return what went wrong, free of addresses and of what was sent or received."""
    if isinstance(error, ConnectTimedOut):
        return str(error)
    return why_not_connected(error)


class _Oversized(Exception):
    """The answer is larger than allowed, or packed in a way that was not asked for."""


@lru_cache(maxsize=16)
def _date_of(text: str) -> datetime | None:
    """Return the time that a ``Date`` header names."""
    try:
        date = parsedate_to_datetime(text)
    except (ValueError, OverflowError):
        return None
    return None if date.tzinfo is None else date


async def _read(answer: Answer, limit: int) -> bytes:
    """Return the unpacked body; never hold more than ``limit`` bytes of it."""
    encoding = answer.headers.get("content-encoding", "identity").lower()
    if encoding not in {"identity", "gzip", ""}:
        raise _Oversized(f"the answer is packed with {encoding[:20]!r}")
    # Unpacked here and not by the parser, which has no cap: a small answer may unpack to gigabytes.
    unpack = zlib.decompressobj(wbits=31) if encoding == "gzip" else None
    parts: list[bytes] = []
    size = 0
    while not answer.body.at_eof():
        chunk = await answer.body.readany()
        try:
            part = unpack.decompress(chunk, limit + 1 - size) if unpack else chunk
        except zlib.error as error:
            raise _Oversized("the answer is not the gzip it claims to be") from error
        size += len(part)
        if size > limit:
            raise _Oversized(f"the answer is larger than {limit} bytes")
        parts.append(part)
    # A cut answer must not pass for a short one: a list of orders without its end would make orders
    # look absent (I2).
    if unpack and not unpack.eof:
        raise _Oversized("the packed answer ends too early")
    return b"".join(parts)
