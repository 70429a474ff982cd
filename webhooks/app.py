"""The web server: builds the application of all routes behind one guard, and serves it (G4)."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Final

from aiohttp import web

from core.domain.broker_profile import BrokerProfile
from core.errors import ConfigurationError
from core.ports.clock import Clock
from webhooks.guard import AccessLog, RateLimit, SlidingWindow, guard, harden
from webhooks.health import Health
from webhooks.login import LoginPages, LoginService
from webhooks.postbacks import AccountKeys, Postbacks

__all__ = ["POSTBACKS", "WebParts", "WebServer", "build_app", "serve"]

_log = logging.getLogger(__name__)
_access_log = logging.getLogger("webhooks.access")
POSTBACKS: Final = web.AppKey("postbacks", Postbacks)
_LARGEST_BODY: Final = 64 * 1024
_IDLE_S: Final = 20.0
_GRACE_S: Final = 5.0
_LARGEST_PORT: Final = 65535


@dataclass(frozen=True, slots=True)
class WebParts:
    """The services that the server uses.

    Attributes:
        brokers: The brokers with a callback and a postback address here.
        hint: Makes the worker of an account read its broker soon.
        is_healthy: Returns whether the controller can work.
        chat_url: Address that leads back into the chat, or empty.
    """

    logins: LoginService
    accounts: AccountKeys
    brokers: Sequence[BrokerProfile]
    hint: Callable[[str], None]
    is_healthy: Callable[[], Awaitable[bool]]
    clock: Clock
    chat_url: str = ""
    rate: RateLimit = field(default_factory=RateLimit)


def build_app(parts: WebParts) -> web.Application:
    """Build the application of all routes; ``app[POSTBACKS].counts`` counts the postbacks."""
    window = SlidingWindow(parts.rate, parts.clock)
    postbacks = Postbacks(parts.accounts, parts.brokers, parts.hint, parts.clock)
    app = web.Application(middlewares=[guard(window)], client_max_size=_LARGEST_BODY)
    app[POSTBACKS] = postbacks
    app.on_response_prepare.append(harden)
    app.add_routes(
        [
            *LoginPages(parts.logins, parts.brokers, chat_url=parts.chat_url).routes(),
            *postbacks.routes(),
            *Health(parts.is_healthy).routes(),
        ]
    )
    return app


class _Connection(web.RequestHandler):
    """A connection that answers malformed HTTP with a bare status and logs none of its bytes."""

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = HTTPStatus.INTERNAL_SERVER_ERROR,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        """Answer, and close."""
        del request, message
        _log.warning("a request could not be read (%s)", type(exc).__name__)
        answer = web.Response(status=status, text=HTTPStatus(status).phrase)
        answer.headers["Server"] = ""
        answer.force_close()
        return answer


class _Listener(web.Server):
    """Creates connections of the class above."""

    def __call__(self) -> web.RequestHandler:
        """Return the protocol of a new connection."""
        return _Connection(self, loop=self._loop, **self._kwargs)


class _Runner(web.AppRunner):
    """Runs the application on the listener above."""

    async def _make_server(self) -> web.Server:
        made = await super()._make_server()
        return _Listener(made.request_handler, request_factory=made.request_factory, **self._kwargs)


class WebServer:
    """The application on an address; starts and stops once."""

    def __init__(self, app: web.Application, host: str, port: int) -> None:
        self._host = host
        self._port = port
        self._runner = _Runner(
            app,
            access_log_class=AccessLog,
            access_log=_access_log,
            keepalive_timeout=_IDLE_S,
            shutdown_timeout=_GRACE_S,
        )

    @property
    def port(self) -> int:
        """The port that it listens on; of use when a free one was asked for with 0."""
        return int(self._runner.addresses[0][1])

    async def start(self) -> None:
        """Listen.

        Raises:
            ConfigurationError: The address cannot be listened on.
        """
        await self._runner.setup()
        try:
            await web.TCPSite(self._runner, self._host, self._port).start()
        except OSError as error:
            await self._runner.cleanup()
            raise ConfigurationError(
                f"SAARTHI_LISTEN: cannot listen on {self._host}:{self._port} ({error.strerror}); "
                "expected an address of this machine and a free port."
            ) from error
        _log.info("web server on %s:%s", self._host, self.port)

    async def stop(self) -> None:
        """Stop listening, let open requests end within a few seconds."""
        await self._runner.cleanup()


def serve(app: web.Application, listen: str) -> WebServer:
    """Return a server of ``app`` for ``host:port``, not started yet.

    Raises:
        ConfigurationError: ``listen`` is not ``host:port``.
    """
    host, _, port = listen.rpartition(":")
    if not host or not port.isdecimal() or int(port) > _LARGEST_PORT:
        raise ConfigurationError(
            f"SAARTHI_LISTEN: found {listen!r}; expected host:port, like 127.0.0.1:8443."
        )
    return WebServer(app, host.strip("[]"), int(port))
