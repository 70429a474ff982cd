"""The transport under both broker SDKs: it alone decides what left and what came back.

The SDKs build requests and name endpoints, and nothing more: ``RequestCapture`` takes the place
of their ``requests.Session``, takes the prepared request and unwinds the SDK before it can send,
retry, follow, parse or log. The request then goes out once through the account's own
``httpx.AsyncClient``: no redirects, no retries, nothing from the environment (proxy, netrc), from
the account's own address. What the caller gets is what really happened, ``Reply`` or ``NoReply``,
and never an SDK's reading of it. Since no thread takes part, a hung account delays no other (I7),
and a call whose deadline passed while it waited cannot be sent later (I13).
"""

from __future__ import annotations

import asyncio
import json
import logging
import ssl
import zlib
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from email.utils import parsedate_to_datetime
from functools import cache
from types import TracebackType
from typing import Any, NoReturn, Self

import certifi
import httpx
import requests

from core.adapters.throttle import Bucket, RateExceeded, Throttle
from core.errors import BrokerReadError, ReadFault
from core.ports.clock import Clock, ComparedClock

__all__ = [
    "ANY_IPV4",
    "MASTER_LIMIT",
    "BrokerTransport",
    "NoReply",
    "Raw",
    "Reply",
    "RequestCapture",
    "capture",
    "retry_after",
    "tls_context",
]

WRITE_LIMIT = 256 * 1024
"""Largest body of an answer to an order, in bytes."""
READ_LIMIT = 8 * 1024 * 1024
"""Largest body of an answer to a read: a day of 5,000 orders takes about five megabytes."""
MASTER_LIMIT = 96 * 1024 * 1024
"""Largest instrument master."""

_LANES = {Bucket.ORDERS: 10, Bucket.QUOTES: 2, Bucket.HISTORICAL: 3, Bucket.OTHER: 6}
"""Calls in flight per bucket: hung reads must neither pile up nor take the orders' connections."""
_KEEPALIVE_S = 4.0
"""Idle connections are dropped early: an order written to a stale one would be ambiguous. So one is
opened just before it is needed (``warm`` of a client) instead of being kept."""
_WARM_S = 3.0
"""An account's connection counts as open for so long after an answer; then there is a second left
to use it."""
_CONNECT_SHARE = 0.4
"""Of the time left, what connecting and TLS may each take. Cut by the deadline itself, httpcore
leaves the socket of a half-made TLS connection to the garbage collector."""
ANY_IPV4 = "0.0.0.0"  # noqa: S104 - the local end of outgoing connections, nothing listens
"""Brokers register IPv4 addresses; on a dual-stack host IPv6 would leave from another one."""
_MULTIPLE_CHOICES = 300
_OK = 200

for _name in ("httpx", "httpcore"):
    # They log URLs (Kite's logout carries the token) at INFO and headers at DEBUG.
    logging.getLogger(_name).setLevel(logging.WARNING)


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
            return json.loads(self.body, parse_float=Decimal, parse_constant=_refuse_constant)
        except (ValueError, RecursionError):  # RecursionError: a bomb of nested brackets
            return None

    def mapping(self) -> Mapping[str, Any] | None:
        """Return the body when it is a JSON object, else None."""
        parsed = self.json()
        return parsed if isinstance(parsed, dict) else None


@dataclass(frozen=True, slots=True)
class NoReply:
    """No complete answer came.

    Attributes:
        may_have_left: False only when provably not one byte of the request left.
        fault: How a read reports it.
        reason: One line for the log and the user, free of addresses and secrets.
    """

    may_have_left: bool
    fault: ReadFault
    reason: str

    def read_error(self) -> BrokerReadError:
        """Return the error that a read raises for this."""
        return BrokerReadError(self.fault, self.reason)


Raw = Reply | NoReply
"""What really happened to one request."""


def _refuse_constant(text: str) -> NoReturn:
    raise ValueError(f"{text} is no number")


def retry_after(reply: Reply) -> float | None:
    """Return the seconds that a 429 asks to wait (``X-Retry-After-Ms`` or ``Retry-After``)."""
    for name, scale in (("x-retry-after-ms", 1000.0), ("retry-after", 1.0)):
        text = reply.headers.get(name, "").strip()
        if text.replace(".", "", 1).isdecimal():
            return float(text) / scale
    return None


class _Captured(BaseException):
    """Carries the request out of the SDK.

    A ``BaseException``, since the Fyers SDK swallows every ``Exception`` and goes on.
    """

    def __init__(self, request: requests.PreparedRequest) -> None:
        super().__init__()
        self.request = request


class RequestCapture(requests.Session):
    """Takes the place of an SDK's session: keeps the request that it built, and sends nothing."""

    def __init__(self) -> None:
        super().__init__()
        self.trust_env = False  # netrc would replace the broker's Authorization header

    def send(self, request: requests.PreparedRequest, **_kwargs: Any) -> NoReturn:
        """Unwind the SDK with the prepared request."""
        raise _Captured(request)


def capture(call: Callable[[], object]) -> requests.PreparedRequest:
    """Return the request that the SDK's ``call`` builds; nothing is sent.

    Raises:
        ValueError: The SDK built no request.
    """
    try:
        call()
    except _Captured as captured:
        return captured.request
    except (requests.RequestException, TypeError, KeyError) as error:
        raise ValueError(f"the SDK could not build the request: {error}") from error
    raise ValueError("the SDK built no request")


class BrokerTransport:
    """One account's way to its broker. Opens nothing until the first call."""

    def __init__(
        self,
        clock: Clock,
        throttle: Throttle,
        *,
        deadline_s: float,
        source_address: str | None = None,
    ) -> None:
        self._clock = clock
        self._throttle = throttle
        self._deadline_s = deadline_s
        self._source_address = source_address or ANY_IPV4
        self._lanes = {bucket: asyncio.Semaphore(size) for bucket, size in _LANES.items()}
        self._client: httpx.AsyncClient | None = None
        self._is_closed = False
        self._answered_at: float | None = None

    @property
    def is_warm(self) -> bool:
        """Whether a connection is open that stays so for at least another second."""
        at = self._answered_at
        return at is not None and self._clock.monotonic() - at < _WARM_S

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
        request: requests.PreparedRequest,
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
            request: What an SDK built.
            bucket: The rate it counts against.
            limit: Largest accepted body in bytes; by default what the bucket allows.
            deadline_s: Another total deadline than the account's.
        """
        total_s = self._deadline_s if deadline_s is None else deadline_s
        size = limit or (WRITE_LIMIT if bucket is Bucket.ORDERS else READ_LIMIT)
        latest = self._clock.monotonic() + total_s
        # Which fault it was decides nothing below; whether a byte had left does. That alone makes a
        # write "not sent" or "ambiguous" (I4).
        attempt = _Attempt(self._clock, lambda: self._throttle.acquire(bucket, latest))
        try:
            async with asyncio.timeout(total_s), self._lanes[bucket]:
                connect_s = (latest - self._clock.monotonic()) * _CONNECT_SHARE
                return await self._exchange(_translated(request, attempt, connect_s), attempt, size)
        except TimeoutError:
            return attempt.failed(ReadFault.TIMEOUT, f"no answer within {total_s:g} s")
        except RateExceeded as error:
            return attempt.failed(ReadFault.THROTTLED, str(error))
        except _Oversized as error:
            return attempt.failed(ReadFault.MALFORMED, str(error))
        except (httpx.HTTPError, httpx.InvalidURL, httpx.StreamError, OSError, ValueError) as error:
            return attempt.failed(ReadFault.UNREACHABLE, type(error).__name__)

    async def aclose(self) -> None:
        """Drop the connections. Calls in flight end as without an answer. Never raises."""
        self._is_closed = True
        client, self._client = self._client, None
        if client is not None:
            try:
                await client.aclose()
            except (httpx.HTTPError, OSError, RuntimeError):
                logging.getLogger(__name__).debug("closing the connections failed", exc_info=True)

    async def _exchange(self, request: httpx.Request, attempt: _Attempt, limit: int) -> Reply:
        if self._is_closed:
            raise ConnectionError("the account's transport is closed")
        # Streamed, so that a body without end cannot fill the memory of all accounts.
        response = await self._opened().send(request, stream=True)
        self._compare_clocks(request.url.netloc.decode(), response.headers, attempt)
        try:
            body = await _read(response, limit)
        finally:
            await response.aclose()
        self._answered_at = self._clock.monotonic()
        return Reply(response.status_code, dict(response.headers), body)

    def _compare_clocks(self, peer: str, headers: httpx.Headers, attempt: _Attempt) -> None:
        """Let the clock see the answer's ``Date``; one that a cache gave again says nothing."""
        if (
            attempt.left_at is None
            or "age" in headers
            or not isinstance(self._clock, ComparedClock)
        ):
            return
        try:
            date = parsedate_to_datetime(headers.get("date", ""))
        except (ValueError, OverflowError):
            return
        if date.tzinfo is not None:
            answered_at = self._clock.now()
            self._clock.compare(peer, date, sent_at=attempt.left_at, answered_at=answered_at)

    def _opened(self) -> httpx.AsyncClient:
        if self._client is None:
            limits = httpx.Limits(max_connections=None, keepalive_expiry=_KEEPALIVE_S)
            self._client = httpx.AsyncClient(
                transport=httpx.AsyncHTTPTransport(
                    verify=tls_context(),
                    trust_env=False,
                    limits=limits,
                    local_address=self._source_address,
                    retries=0,
                ),
                trust_env=False,
                follow_redirects=False,
                timeout=None,  # noqa: S113 - asyncio.timeout in send() is the total deadline
            )
        return self._client


class _Attempt:
    """Whether the first byte of one request has left, and the last wait before it does.

    The rate is waited for on the open connection, by httpcore's event right before the first byte:
    counted earlier, a slow connection would bring requests closer together than they were let go.
    """

    __slots__ = ("_clock", "_permit", "left_at")

    def __init__(self, clock: Clock, permit: Callable[[], Awaitable[None]]) -> None:
        self._clock = clock
        self._permit = permit
        self.left_at: datetime | None = None

    @property
    def has_left(self) -> bool:
        """Whether a byte has left."""
        return self.left_at is not None

    async def trace(self, event: str, _info: Mapping[str, Any]) -> None:
        """Hold the request back until it may leave; called by httpcore at each of its steps."""
        if event.endswith("send_request_headers.started"):
            await self._permit()
            self.left_at = self._clock.now()

    def failed(self, fault: ReadFault, reason: str) -> NoReply:
        """Return the result of an attempt that ended without an answer."""
        where = "after the request was sent" if self.has_left else "before the request was sent"
        return NoReply(self.has_left, fault, f"{reason}, {where}")


class _Oversized(Exception):
    """The answer is larger than allowed, or packed in a way that was not asked for."""


def _translated(
    request: requests.PreparedRequest, attempt: _Attempt, connect_s: float
) -> httpx.Request:
    body = request.body or b""
    headers = {str(name): str(value) for name, value in request.headers.items()}
    headers["Accept-Encoding"] = "gzip"  # what _read can unpack under a cap
    headers.pop("Connection", None)
    return httpx.Request(
        request.method or "GET",
        request.url or "",
        headers=headers,
        content=body.encode() if isinstance(body, str) else body,
        extensions={"trace": attempt.trace, "timeout": {"connect": max(connect_s, 0.0)}},
    )


async def _read(response: httpx.Response, limit: int) -> bytes:
    """Return the unpacked body; never hold more than ``limit`` bytes of it."""
    encoding = response.headers.get("content-encoding", "identity").lower()
    if encoding not in {"identity", "gzip", ""}:
        raise _Oversized(f"the answer is packed with {encoding[:20]!r}")
    # Unpacked here and not by httpx, which has no cap: a small answer may unpack to gigabytes.
    unpack = zlib.decompressobj(wbits=31) if encoding == "gzip" else None
    parts: list[bytes] = []
    size = 0
    async for chunk in response.aiter_raw():
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


@cache
def tls_context() -> ssl.SSLContext:
    """Return the one context of the process; making one reads the whole bundle of certificates."""
    return ssl.create_default_context(cafile=certifi.where())
