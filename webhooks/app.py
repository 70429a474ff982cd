"""The web server: builds the application of all routes behind one guard, and serves it (G4)."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Final

from aiohttp import web

from core.domain.broker_profile import BrokerProfile
from core.errors import ConfigurationError
from core.ports.clock import Clock
from webhooks.connections import CONNECTION_LIMITS, ConnectionLimits, WebRunner
from webhooks.guard import RateLimit, SlidingWindow, access_log, guard, harden
from webhooks.health import Health
from webhooks.login import LoginPages, LoginService
from webhooks.peers import Peers
from webhooks.postbacks import AccountKeys, FaultyPeers, Postbacks
from webhooks.rated_log import RatedLog

__all__ = ["POSTBACKS", "WebParts", "WebServer", "build_app", "serve"]

_log = logging.getLogger(__name__)
_access_log = logging.getLogger("webhooks.access")
POSTBACKS: Final = web.AppKey("postbacks", Postbacks)
_LARGEST_BODY: Final = 64 * 1024
_LARGEST_PORT: Final = 65535


@dataclass(frozen=True, slots=True)
class WebParts:
    """The services that the server uses.

    Attributes:
        brokers: The brokers with a callback and a postback address here.
        hint: Makes the worker of an account read its broker soon.
        is_healthy: Returns whether the controller can work.
        chat_url: Returns the address that leads back into the chat, or '' while it is not known.
        trusted_proxies: Proxies elsewhere than on this machine, by address or network.
        connections: What connections may cost.
        postback_faults: How many postbacks of an address may be none.
    """

    logins: LoginService
    accounts: AccountKeys
    brokers: Sequence[BrokerProfile]
    hint: Callable[[str], None]
    is_healthy: Callable[[], Awaitable[bool]]
    clock: Clock
    chat_url: Callable[[], str] = str
    rate: RateLimit = field(default_factory=RateLimit)
    trusted_proxies: Sequence[str] = ()
    connections: ConnectionLimits = field(default_factory=ConnectionLimits)
    postback_faults: RateLimit = field(default_factory=RateLimit)


@dataclass(frozen=True, slots=True)
class _Edge:
    """What the application and its connections share."""

    peers: Peers
    log: RatedLog
    access: RatedLog


_EDGE: Final = web.AppKey("edge", _Edge)


def build_app(parts: WebParts) -> web.Application:
    """Build the application of all routes; ``app[POSTBACKS].counts`` counts the postbacks."""
    window = SlidingWindow(parts.rate, parts.clock)
    edge = _Edge(
        Peers(parts.trusted_proxies),
        RatedLog(_log, parts.clock),
        RatedLog(_access_log, parts.clock),
    )
    faults = SlidingWindow(parts.postback_faults, parts.clock)
    postbacks = Postbacks(
        parts.accounts,
        parts.brokers,
        parts.hint,
        parts.clock,
        FaultyPeers(edge.peers, faults),
        edge.log,
    )
    app = web.Application(
        middlewares=[guard(window, edge.peers, edge.log)], client_max_size=_LARGEST_BODY
    )
    app[_EDGE] = edge
    app[CONNECTION_LIMITS] = parts.connections
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


class WebServer:
    """The application on an address; starts and stops once."""

    def __init__(self, app: web.Application, host: str, port: int) -> None:
        self._host = host
        self._port = port
        edge = app[_EDGE]
        self._runner = WebRunner(
            app,
            edge.log,
            access_log_class=access_log(edge.peers, edge.access),
            access_log=_access_log,
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
    """Return a server of what ``build_app`` made for ``host:port``, not started yet.

    Raises:
        ConfigurationError: ``listen`` is not ``host:port``.
    """
    host, _, port = listen.rpartition(":")
    if not host or not port.isdecimal() or int(port) > _LARGEST_PORT:
        raise ConfigurationError(
            f"SAARTHI_LISTEN: found {listen!r}; expected host:port, like 127.0.0.1:8443."
        )
    return WebServer(app, host.strip("[]"), int(port))
