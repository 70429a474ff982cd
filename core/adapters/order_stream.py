"""One login's order updates over a WebSocket: read for hints alone.

What differs between brokers (the address, what is sent on it, how a frame is read) is a ``Dialect``
in the broker's own folder. The connection and the watch over it are ``core.adapters.kept_socket``.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from enum import StrEnum
from typing import Any, Final, Protocol

from core.adapters.broker_json import parsed
from core.adapters.kept_socket import KeptSocket, Say, SocketForm, Word
from core.domain.route import OWN_ROUTE, Route
from core.ports.clock import Clock
from core.ports.updates import OrderHint, UpdatesStatus

__all__ = ["Dialect", "Heard", "OrderStream", "Sign", "json_frame"]

_log = logging.getLogger(__name__)
_LARGEST_FRAME: Final = 256 * 1024


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
    found = parsed(text.encode("utf-8", "replace"))
    if not isinstance(found, dict):
        raise ValueError("no object")  # noqa: TRY004 - a wrong value from outside
    return found


class OrderStream:
    """An ``OrderUpdates``.

    Args:
        clock: Paces attempts, pings and the watch.
        dialect: The broker's.
        account: Whose it is, for the log; spreads the attempts of many accounts too.
        route: From where the account's connections leave.
    """

    def __init__(
        self,
        clock: Clock,
        dialect: Dialect,
        *,
        account: str,
        route: Route = OWN_ROUTE,
    ) -> None:
        self._dialect = dialect
        self._account = account
        form = SocketForm(
            "order updates",
            dialect.address,
            dialect.headers,
            dialect.beat_s,
            dialect.silence_s,
            _LARGEST_FRAME,
        )
        self._socket = KeptSocket(clock, form, _log, account=account, route=route)
        self._hint: Callable[[OrderHint], None] = _to_nobody
        self._told: set[str] = set()
        self.unreadable = 0

    @property
    def status(self) -> UpdatesStatus:
        """How the stream does."""
        return self._socket.status

    @property
    def heard_at(self) -> float:
        """When a frame was heard last, by the clock that never steps back."""
        return self._socket.heard_at

    async def run(self, hint: Callable[[OrderHint], None]) -> None:
        """Keep the stream until cancelled; return only when the broker refuses the login."""
        self._hint = hint
        await self._socket.run(self)

    async def open(self, say: Say) -> Word:
        """Send the greeting."""
        for text in self._dialect.greeting:
            await say(text)
        return Word.READY if self._dialect.is_ready_at_once else Word.NOTHING

    def hear(self, frame: str | bytes) -> Word:
        """Hand a hint on."""
        heard = self._read(frame)
        if isinstance(heard, OrderHint):
            self._hint(heard)
            return Word.NOTHING
        return _WORDS.get(heard, Word.NOTHING)

    async def beat(self, say: Say) -> None:
        """Ping."""
        if self._dialect.ping is not None:
            await say(self._dialect.ping)

    def changed(self) -> None:
        """Give a hint: what came while the stream was down is found by a read."""
        self._hint(OrderHint())

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

    def _tell_once(self, what: str) -> None:
        if what not in self._told:
            self._told.add(what)
            _log.warning("account %s: order updates: %s; told once", self._account, what)


_WORDS: Final = {Sign.READY: Word.READY, Sign.REFUSED: Word.REFUSED}


def _to_nobody(_hint: OrderHint) -> None:
    """Take a hint before anybody listens."""
