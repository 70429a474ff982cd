"""The connections of the web server: how many, for how long, and what of them is logged.

Strangers open connections as they like. One that sends no complete head of a request in time is
closed; above the cap the one that has waited longest without a request makes room. So the server
never uses up the process's descriptors, which the brokers' connections need too.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from http import HTTPStatus
from typing import Any, Final

from aiohttp import web

from webhooks.guard import CLIENT_FAULTS
from webhooks.rated_log import RatedLog

__all__ = ["CONNECTION_LIMITS", "ConnectionLimits", "WebRunner"]

_IDLE_S: Final = 20.0
_GRACE_S: Final = 5.0


@dataclass(frozen=True, slots=True)
class ConnectionLimits:
    """What connections may cost.

    Attributes:
        most: How many may be open at once.
        head_s: Within how many seconds the head of the first request has to be there.
    """

    most: int = 256
    head_s: float = 10.0


CONNECTION_LIMITS: Final = web.AppKey("connection_limits", ConnectionLimits)


class _Connection(web.RequestHandler):
    """A connection that is closed in time, and that logs nothing of what it cannot read."""

    def __init__(self, room: _Room, log: RatedLog, manager: web.Server, **options: Any) -> None:
        super().__init__(manager, **options)
        self._room = room
        self._rated = log
        self._head_due: asyncio.TimerHandle | None = None

    @property
    def is_waiting(self) -> bool:
        """Whether no request of it is being answered."""
        return self._current_request is None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin, if there is room."""
        super().connection_made(transport)
        self._head_due = self._loop.call_later(self._room.limits.head_s, self._head_is_late)
        self._room.enter(self)

    def connection_lost(self, exc: BaseException | None) -> None:
        """Leave the room."""
        self._room.leave(self)
        self._no_longer_due()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Take bytes; a complete head has come in time."""
        super().data_received(data)
        if self._request_count:
            self._no_longer_due()

    def abort(self) -> None:
        """Close at once, whatever was not sent yet."""
        transport = self.transport
        self.force_close()
        if isinstance(transport, asyncio.WriteTransport):
            transport.abort()

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = HTTPStatus.INTERNAL_SERVER_ERROR,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        """Answer malformed HTTP with a bare status and one line, and close."""
        del message
        self._rated.say(
            logging.WARNING,
            "a request could not be read",
            "a request of %s could not be read (%s)",
            request.remote,
            type(exc).__name__,
        )
        answer = web.Response(status=status, text=HTTPStatus(status).phrase)
        answer.headers["Server"] = ""
        answer.force_close()
        return answer

    def log_exception(self, *args: Any, **kw: Any) -> None:
        """Write what went wrong below every handler: a client's fault in one line."""
        del args
        error = kw.get("exc_info")
        is_clients = isinstance(error, (*CLIENT_FAULTS, OSError, UnicodeError))
        self._rated.say(
            logging.WARNING if is_clients else logging.ERROR,
            f"a connection failed: {type(error).__name__}",
            "a connection failed (%s)",
            type(error).__name__,
            error=None if is_clients else error,
        )

    def _head_is_late(self) -> None:
        self._head_due = None
        self._room.log.say(logging.INFO, "no request", "a connection sent no request in time")
        self.abort()

    def _no_longer_due(self) -> None:
        if self._head_due is not None:
            self._head_due.cancel()
            self._head_due = None


class _Room:
    """The connections that are open, the oldest first."""

    def __init__(self, limits: ConnectionLimits, log: RatedLog) -> None:
        self.limits = limits
        self.log = log
        self._open: dict[_Connection, None] = {}

    def enter(self, connection: _Connection) -> None:
        """Let a connection in: above the cap, in the place of the one that waited longest."""
        if len(self._open) >= self.limits.most:
            leaving = next((one for one in self._open if one.is_waiting), connection)
            self.log.say(
                logging.WARNING,
                "too many connections",
                "more than %d connections: one was closed",
                self.limits.most,
            )
            self.leave(leaving)
            leaving.abort()
            if leaving is connection:
                return
        self._open[connection] = None

    def leave(self, connection: _Connection) -> None:
        """Forget a connection."""
        self._open.pop(connection, None)


class _Listener(web.Server):
    """Creates connections of the class above."""

    def __init__(self, make: Callable[..., _Connection], *values: Any, **options: Any) -> None:
        super().__init__(*values, **options)
        self._make = make

    def __call__(self) -> web.RequestHandler:
        """Return the protocol of a new connection."""
        return self._make(self, loop=self._loop, **self._kwargs)


class WebRunner(web.AppRunner):
    """Runs an application on the listener above."""

    def __init__(self, app: web.Application, log: RatedLog, **options: Any) -> None:
        # A kilobyte unpacks to a megabyte on the event loop, for any path and before any limit; no
        # browser and no broker packs what it sends.
        super().__init__(
            app,
            keepalive_timeout=_IDLE_S,
            shutdown_timeout=_GRACE_S,
            auto_decompress=False,
            **options,
        )
        limits = app.get(CONNECTION_LIMITS, ConnectionLimits())
        self._new = partial(_Connection, _Room(limits, log), log)

    async def _make_server(self) -> web.Server:
        made = await super()._make_server()
        return _Listener(
            self._new, made.request_handler, request_factory=made.request_factory, **self._kwargs
        )
