"""One login's WebSocket at a broker, kept open: attempts, pauses, and the watch for silence.

What is said and heard on it is a ``Talk``. Time goes through the clock; no frame is kept.

The address or a header holds the token, and aiohttp's errors quote addresses: of an error only its
type and the status of the handshake are ever told.
"""

from __future__ import annotations

import asyncio
import logging
import socket as sockets
import zlib
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final, Protocol

import aiohttp

from core.adapters.broker_connections import ANY_IPV4, tls_context
from core.adapters.proxy_tunnels import ProxyFailed, open_tunnel
from core.domain.route import OWN_ROUTE, Proxy, Route
from core.ports.clock import Clock
from core.ports.updates import UpdatesState, UpdatesStatus

__all__ = ["KeptSocket", "Say", "SocketForm", "Talk", "Word"]

_CONNECT_S: Final = 10.0
_CLOSE_S: Final = 0.5
_FIRST_PAUSE_S: Final = 0.5
_LONGEST_PAUSE_S: Final = 30.0
_HEALTHY_S: Final = 60.0
"""A connection that lived this long was a good one: the next pause is short again."""
_REFUSED: Final = {401, 403}

Say = Callable[[str], Awaitable[None]]
"""Sends a text frame."""


class Word(StrEnum):
    """What a frame means for the connection."""

    NOTHING = "nothing"
    READY = "ready"
    """From here on it is live."""
    REFUSED = "refused"
    """The login is not, or no longer, accepted."""


class Talk(Protocol):
    """What is said and heard on a socket."""

    async def open(self, say: Say) -> Word:
        """Begin after a handshake; READY when nothing has to be waited for."""
        ...

    def hear(self, frame: str | bytes) -> Word:
        """Take a frame; never raises."""
        ...

    async def beat(self, say: Say) -> None:
        """Say what is due, once a beat."""
        ...

    def changed(self) -> None:
        """Learn that the state of the socket is another."""
        ...


@dataclass(frozen=True, slots=True)
class SocketForm:
    """How a socket is opened and watched.

    Attributes:
        name: What comes on it, for the log.
        address: Returns the address, which may hold the token.
        headers: Returns the headers of the handshake, which may hold the token.
        beat_s: Seconds between two beats, and between two looks at the silence.
        silence_s: Seconds without any frame after which the other end is taken for gone.
        largest_frame: Bytes; a larger frame ends the connection.
    """

    name: str
    address: Callable[[], str]
    headers: Callable[[], Mapping[str, str]]
    beat_s: float
    silence_s: float
    largest_frame: int


@dataclass(frozen=True, slots=True)
class _End:
    """How a connection ended."""

    why: str
    is_refusal: bool = False


class _GivenUp(Exception):
    """A connection that says nothing any more."""


class KeptSocket:
    """Keeps one socket.

    Args:
        clock: Paces attempts, beats and the watch.
        form: How it is opened.
        log: Where changes of its state are told.
        account: Whose it is, for the log; spreads the attempts of many accounts too.
        route: From where the account's connections leave.
    """

    def __init__(
        self,
        clock: Clock,
        form: SocketForm,
        log: logging.Logger,
        *,
        account: str,
        route: Route = OWN_ROUTE,
    ) -> None:
        self._clock = clock
        self._form = form
        self._log = log
        self._account = account
        self._route = route
        self._live_at: float | None = None
        self.status = UpdatesStatus(UpdatesState.DOWN, clock.now(), "connecting")
        self.heard_at = 0.0

    async def run(self, talk: Talk) -> None:
        """Keep the socket until cancelled; return only when the broker refuses the login."""
        failures = 0
        try:
            while True:
                self._live_at = None
                end = await self._connect(talk)
                if end.is_refusal:
                    self._become(UpdatesState.REFUSED, end.why, talk)
                    return
                failures = 1 if self._has_lived() else failures + 1
                self._become(UpdatesState.DOWN, end.why, talk)
                await self._clock.sleep(self._pause(failures))
        finally:
            if self.status.is_live:
                self.status = UpdatesStatus(UpdatesState.DOWN, self._clock.now(), "closed")

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

    async def _connect(self, talk: Talk) -> _End:
        """Open one connection and listen until it ends."""
        try:
            async with self._session() as session:
                async with asyncio.timeout(_CONNECT_S):
                    socket = await session.ws_connect(
                        self._form.address(),
                        headers=self._form.headers(),
                        max_msg_size=self._form.largest_frame,
                        timeout=aiohttp.ClientWSTimeout(ws_close=_CLOSE_S),
                    )
                return await self._listen(socket, talk)
        except aiohttp.WSServerHandshakeError as error:
            why = f"the broker answered {error.status} to the handshake"
            return _End(why, error.status in _REFUSED)
        except ProxyFailed as error:
            return _End(f"no connection: {error}")
        except (aiohttp.ClientError, OSError, TimeoutError, ValueError) as error:
            # Its text may quote the address, and with it the token.
            self._log.debug("account %s: no connection: %s", self._account, type(error).__name__)
            return _End("no connection")

    def _session(self) -> aiohttp.ClientSession:
        return aiohttp.ClientSession(connector=_connector(self._route), trust_env=False)

    async def _listen(self, socket: aiohttp.ClientWebSocketResponse[bool], talk: Talk) -> _End:
        self.heard_at = self._clock.monotonic()
        if await talk.open(socket.send_str) is Word.READY:
            self._become(UpdatesState.LIVE, "", talk)
        end = _End("the connection was lost")
        try:
            async with asyncio.TaskGroup() as group:
                keeping = group.create_task(self._keep(socket, talk))
                end = await self._hear(socket, talk)
                keeping.cancel()
        except* _GivenUp as given_up:
            end = _End(str(given_up.exceptions[0]))
        except* (aiohttp.ClientError, OSError):
            pass
        finally:
            await socket.close()
        return end

    async def _hear(self, socket: aiohttp.ClientWebSocketResponse[bool], talk: Talk) -> _End:
        """Read frames until the connection ends."""
        async for message in socket:
            if message.type not in {aiohttp.WSMsgType.TEXT, aiohttp.WSMsgType.BINARY}:
                break
            self.heard_at = self._clock.monotonic()
            word = talk.hear(message.data)
            if word is Word.REFUSED:
                return _End("the broker refused the login", is_refusal=True)
            if word is Word.READY:
                self._become(UpdatesState.LIVE, "", talk)
        return _End(f"the connection was closed ({socket.close_code})")

    async def _keep(self, socket: aiohttp.ClientWebSocketResponse[bool], talk: Talk) -> None:
        """Beat, and raise ``_GivenUp`` when nothing was heard for too long."""
        form, began = self._form, self._clock.monotonic()
        while True:
            await self._clock.sleep(form.beat_s)
            now = self._clock.monotonic()
            if now - self.heard_at >= form.silence_s:
                raise _GivenUp(f"nothing was heard for {now - self.heard_at:.0f} s")
            if not self.status.is_live and now - began >= form.silence_s:
                raise _GivenUp("the subscription was not confirmed")
            await talk.beat(socket.send_str)

    def _become(self, state: UpdatesState, why: str, talk: Talk) -> None:
        before = self.status
        if state is before.state:
            self.status = UpdatesStatus(state, before.since, why)
            return
        self.status = UpdatesStatus(state, self._clock.now(), why)
        if state is UpdatesState.LIVE:
            self._live_at = self._clock.monotonic()
        told = why and f": {why}"
        self._log.info("account %s: %s are %s%s", self._account, self._form.name, state, told)
        talk.changed()


def _connector(route: Route) -> aiohttp.TCPConnector:
    """Return what opens connections by a route; over IPv4, which is what brokers register."""
    own = route.source_address or ANY_IPV4
    if route.proxy is not None:
        return _Tunnels(route.proxy)
    family = sockets.AF_INET6 if ":" in own else sockets.AF_INET
    return aiohttp.TCPConnector(family=family, local_addr=(own, 0), ssl=tls_context())


class _Tunnels(aiohttp.TCPConnector):
    """Opens connections through a proxy."""

    def __init__(self, proxy: Proxy) -> None:
        super().__init__(family=sockets.AF_INET, ssl=tls_context())
        self._through = proxy

    async def _wrap_create_connection(
        self, *args: Any, addr_infos: Sequence[Any], **kwargs: Any
    ) -> tuple[asyncio.Transport, Any]:
        host, port = addr_infos[0][4][:2]
        tunnel = await open_tunnel(self._through, str(host), int(port))
        tls, name = kwargs.get("ssl"), kwargs.get("server_hostname")
        try:
            return await self._loop.create_connection(
                *args, sock=tunnel, ssl=tls, server_hostname=name
            )
        except BaseException:
            tunnel.close()
            raise
