"""One login's order updates over a WebSocket: kept open, watched, and read for hints alone.

What differs between brokers (the address, what is sent on it, how a frame is read) is a ``Dialect``
in the broker's own folder. The connection, its end, the pauses between attempts and the watch for a
peer that has gone silent are here. Time goes through the clock; no frame is kept.

The address or a header holds the token, and aiohttp's errors quote addresses: of an error only its
type and the status of the handshake are ever told.
"""

from __future__ import annotations

import asyncio
import json
import logging
import socket as sockets
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final, Protocol

import aiohttp

from core.adapters.broker_http import ANY_IPV4, tls_context
from core.ports.clock import Clock
from core.ports.updates import OrderHint, UpdatesState, UpdatesStatus

__all__ = ["Dialect", "Heard", "OrderStream", "Sign", "json_frame"]

_log = logging.getLogger(__name__)

_CONNECT_S: Final = 10.0
_CLOSE_S: Final = 0.5
_FIRST_PAUSE_S: Final = 0.5
_LONGEST_PAUSE_S: Final = 30.0
_HEALTHY_S: Final = 60.0
"""A connection that lived this long was a good one: the next pause is short again."""
_LARGEST_FRAME: Final = 256 * 1024
_REFUSED: Final = {401, 403}


class Sign(StrEnum):
    """What a frame says that is no hint."""

    PULSE = "pulse"
    """The other end lives; nothing else is said."""
    READY = "ready"
    """The subscription is confirmed: from here on changes are heard of."""
    TROUBLE = "trouble"
    """The broker reports an error that does not end the stream."""
    REFUSED = "refused"
    """The login is not, or no longer, accepted."""


Heard = OrderHint | Sign


class Dialect(Protocol):
    """How one broker's stream is opened and read, for one login. Pure.

    Attributes:
        greeting: Frames that are sent first, the subscription among them.
        is_ready_at_once: Whether updates come from the handshake on, with no ``Sign.READY``.
        ping: A frame that the client has to send now and then; None for none.
        beat_s: Seconds between two pings, and between two looks at the silence.
        silence_s: Seconds without any frame after which the other end is taken for gone.
    """

    greeting: tuple[str, ...]
    is_ready_at_once: bool
    ping: str | None
    beat_s: float
    silence_s: float

    def address(self) -> str:
        """Return the address; it may hold the token."""
        ...

    def headers(self) -> Mapping[str, str]:
        """Return the headers of the handshake; they may hold the token."""
        ...

    def read(self, frame: str | bytes) -> Heard:
        """Return what a frame says; raises ``ValueError`` when that cannot be told."""
        ...


def json_frame(text: str) -> dict[str, Any]:
    """Return the JSON object of a frame; raises ``ValueError`` for anything else."""
    try:
        found = json.loads(text)
    except RecursionError:  # a bomb of nested brackets
        raise ValueError("nested too deeply") from None
    if not isinstance(found, dict):
        raise ValueError("no object")  # noqa: TRY004 - a wrong value from outside
    return found


@dataclass(frozen=True, slots=True)
class _End:
    """How a connection ended."""

    why: str
    is_refusal: bool = False


class _GivenUp(Exception):
    """A connection that says nothing any more."""


class OrderStream:
    """An ``OrderUpdates``.

    Args:
        clock: Paces attempts, pings and the watch.
        dialect: The broker's.
        account: Whose it is, for the log; spreads the attempts of many accounts too.
        source_address: The account's own address, or None.
    """

    def __init__(
        self,
        clock: Clock,
        dialect: Dialect,
        *,
        account: str,
        source_address: str | None = None,
    ) -> None:
        self._clock = clock
        self._dialect = dialect
        self._account = account
        self._source_address = source_address or ANY_IPV4
        self._status = UpdatesStatus(UpdatesState.DOWN, clock.now(), "connecting")
        self._heard_at = 0.0
        self._live_at: float | None = None
        self._told: set[str] = set()
        self.unreadable = 0

    @property
    def status(self) -> UpdatesStatus:
        """How the stream does."""
        return self._status

    async def run(self, hint: Callable[[OrderHint], None]) -> None:
        """Keep the stream until cancelled; return only when the broker refuses the login."""
        failures = 0
        try:
            while True:
                self._live_at = None
                end = await self._connect(hint)
                if end.is_refusal:
                    self._become(UpdatesState.REFUSED, end.why, hint)
                    return
                failures = 1 if self._has_lived() else failures + 1
                self._become(UpdatesState.DOWN, end.why, hint)
                await self._clock.sleep(self._pause(failures))
        finally:
            if self._status.is_live:
                self._status = UpdatesStatus(UpdatesState.DOWN, self._clock.now(), "closed")

    def _has_lived(self) -> bool:
        since = self._live_at
        return since is not None and self._clock.monotonic() - since >= _HEALTHY_S

    def _pause(self, failures: int) -> float:
        # The exponent is capped too: a night of failures would make a number without end of it.
        longest = min(_FIRST_PAUSE_S * 2.0 ** min(failures - 1, 10), _LONGEST_PAUSE_S)
        # Half of it is spread, each account and attempt at a place of its own: after an outage not
        # all come back at one moment.
        place = zlib.crc32(f"{self._account}|{failures}".encode()) / 2**32
        return longest * (1 + place) / 2

    async def _connect(self, hint: Callable[[OrderHint], None]) -> _End:
        """Open one connection and listen until it ends."""
        try:
            async with self._session() as session:
                async with asyncio.timeout(_CONNECT_S):
                    socket = await session.ws_connect(
                        self._dialect.address(),
                        headers=self._dialect.headers(),
                        max_msg_size=_LARGEST_FRAME,
                        timeout=aiohttp.ClientWSTimeout(ws_close=_CLOSE_S),
                    )
                return await self._listen(socket, hint)
        except aiohttp.WSServerHandshakeError as error:
            why = f"the broker answered {error.status} to the handshake"
            return _End(why, error.status in _REFUSED)
        except (aiohttp.ClientError, OSError, TimeoutError, ValueError) as error:
            # Its text may quote the address, and with it the token.
            return _End(f"no connection ({type(error).__name__})")

    def _session(self) -> aiohttp.ClientSession:
        connector = aiohttp.TCPConnector(
            family=sockets.AF_INET, local_addr=(self._source_address, 0), ssl=tls_context()
        )
        return aiohttp.ClientSession(connector=connector, trust_env=False)

    async def _listen(
        self, socket: aiohttp.ClientWebSocketResponse[bool], hint: Callable[[OrderHint], None]
    ) -> _End:
        self._heard_at = self._clock.monotonic()
        for text in self._dialect.greeting:
            await socket.send_str(text)
        if self._dialect.is_ready_at_once:
            self._become(UpdatesState.LIVE, "", hint)
        end = _End("the connection was lost")
        try:
            async with asyncio.TaskGroup() as group:
                keeping = group.create_task(self._keep(socket))
                end = await self._hear(socket, hint)
                keeping.cancel()
        except* _GivenUp as given_up:
            end = _End(str(given_up.exceptions[0]))
        except* (aiohttp.ClientError, OSError):
            pass
        finally:
            await socket.close()
        return end

    async def _hear(
        self, socket: aiohttp.ClientWebSocketResponse[bool], hint: Callable[[OrderHint], None]
    ) -> _End:
        """Read frames until the connection ends."""
        async for message in socket:
            if message.type not in {aiohttp.WSMsgType.TEXT, aiohttp.WSMsgType.BINARY}:
                break
            self._heard_at = self._clock.monotonic()
            heard = self._read(message.data)
            if heard is Sign.REFUSED:
                return _End("the broker refused the login", is_refusal=True)
            if heard is Sign.READY:
                self._become(UpdatesState.LIVE, "", hint)
            elif isinstance(heard, OrderHint):
                hint(heard)
        return _End(f"the connection was closed ({socket.close_code})")

    def _read(self, frame: str | bytes) -> Heard:
        try:
            heard = self._dialect.read(frame)
        except ValueError:
            self.unreadable += 1
            self._tell_once("a frame could not be read")
            return Sign.PULSE
        if heard is Sign.TROUBLE:
            self._tell_once("the broker reported an error on it")
        return heard

    async def _keep(self, socket: aiohttp.ClientWebSocketResponse[bool]) -> None:
        """Ping, and raise ``_GivenUp`` when nothing was heard for too long."""
        dialect, began = self._dialect, self._clock.monotonic()
        while True:
            await self._clock.sleep(dialect.beat_s)
            now = self._clock.monotonic()
            if now - self._heard_at >= dialect.silence_s:
                raise _GivenUp(f"nothing was heard for {now - self._heard_at:.0f} s")
            if not self._status.is_live and now - began >= dialect.silence_s:
                raise _GivenUp("the subscription was not confirmed")
            if dialect.ping is not None:
                await socket.send_str(dialect.ping)

    def _become(self, state: UpdatesState, why: str, hint: Callable[[OrderHint], None]) -> None:
        before = self._status
        if state is before.state:
            self._status = UpdatesStatus(state, before.since, why)
            return
        self._status = UpdatesStatus(state, self._clock.now(), why)
        if state is UpdatesState.LIVE:
            self._live_at = self._clock.monotonic()
        _log.info("account %s: order updates are %s%s", self._account, state, why and f": {why}")
        hint(OrderHint())

    def _tell_once(self, what: str) -> None:
        if what not in self._told:
            self._told.add(what)
            _log.warning("account %s: order updates: %s; told once", self._account, what)
