"""Checks of what is outside: the Bot API, the public address, brokers' clocks, our own address."""

from __future__ import annotations

import asyncio
import ipaddress
import socket
from collections.abc import Sequence
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from urllib.parse import urlsplit

import httpx

from console.doctor.finding import Finding, fail, ok, warn
from console.doctor.machine import is_loopback, talks_to_real_brokers
from core.bootstrap import PROFILES
from core.config import Settings
from core.connection_failures import why_not_connected
from core.ports.clock import Clock

__all__ = ["bot_token", "clock_drift", "local_address", "public_address", "web_server"]

_TIMEOUT_S = 8.0
_BEGINNING = 64
_DRIFT_NOTICE_S = 2.0
_DRIFT_LIMIT_S = 30.0
_HALF_SECOND = 0.5


def client() -> httpx.AsyncClient:
    """Return a client without redirects and without settings from the environment."""
    return httpx.AsyncClient(timeout=_TIMEOUT_S, follow_redirects=False, trust_env=False)


def _why(error: Exception) -> str:
    if isinstance(error, httpx.TimeoutException):
        return "no answer in time"
    if isinstance(error, httpx.InvalidURL | httpx.UnsupportedProtocol):
        return "it is no web address"
    return why_not_connected(error)


async def _beginning(http: httpx.AsyncClient, address: str) -> tuple[int, str]:
    """Return the status of a page and how it begins: what answers there may be anybody's.

    Raises:
        httpx.HTTPError: Nothing answers.
        TimeoutError: Not in time.
    """
    body = b""
    async with asyncio.timeout(_TIMEOUT_S), http.stream("GET", address) as answer:
        async for part in answer.aiter_raw():  # what is packed stays packed
            body += part
            if len(body) >= _BEGINNING:
                break
    return answer.status_code, body[:_BEGINNING].decode(errors="replace")


async def bot_token(settings: Settings, http: httpx.AsyncClient) -> list[Finding]:
    """Ask the Bot API who the bot is; the token is never shown."""
    token = settings.telegram_token.get_secret_value()
    if not token:
        return []  # reported among the settings
    try:
        answer = await http.get(f"{settings.telegram_api}/bot{token}/getMe")
        found = answer.json()
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        text = f"{settings.telegram_api} does not answer: {_why(error)}"
        return [fail("bot token", text, "check the network, or SAARTHI_TELEGRAM_API")]
    except ValueError:
        text = f"{settings.telegram_api} does not answer as Telegram does"
        return [fail("bot token", text, "check the network, or SAARTHI_TELEGRAM_API")]
    if isinstance(found, dict) and found.get("ok") is True:
        return [ok("bot token", f"it is @{found['result'].get('username', '?')}")]
    text = f"Telegram refuses it (HTTP {answer.status_code})"
    return [fail("bot token", text, "copy it again from BotFather, or make a new one with /revoke")]


async def public_address(settings: Settings, http: httpx.AsyncClient) -> list[Finding]:
    """Check the public URL, and list the addresses for each broker's console."""
    if settings.public_url is None:
        text = "none: logins are completed by pasting the address into the chat"
        found = [ok("public URL", text + _tunnel(settings))]
    else:
        found = [*_form(settings), await _answers(settings.public_url, http)]
    return [*found, *redirects(settings)]


def _tunnel(settings: Settings) -> str:
    """Say how the last step goes by itself, where an SSH tunnel can lead here."""
    parts = urlsplit(settings.tunnel_url)
    if parts.scheme != "http":
        return ""
    there = f"{parts.port or 80}:127.0.0.1:{settings.listen_on[1]}"
    return f"; not where a browser has the tunnel ssh -N -L {there} to this machine"


def _form(settings: Settings) -> Sequence[Finding]:
    parts = urlsplit(settings.public_url or "")
    if parts.scheme == "https" or not talks_to_real_brokers(settings):
        return []
    return [
        fail(
            "public URL",
            f"{settings.public_url}: brokers redirect to https only",
            "put a reverse proxy with TLS in front, see docs/operations.md",
        )
    ]


async def _answers(root: str, http: httpx.AsyncClient) -> Finding:
    """Ask for our own health page under the public address."""
    start = "start saarthi run, and let the reverse proxy lead here, see docs/operations.md"
    try:
        status, text = await _beginning(http, f"{root}/healthz")
    except (httpx.HTTPError, httpx.InvalidURL, TimeoutError) as error:
        return warn("public URL", f"{root} does not answer: {_why(error)}", start)
    if text == "ok":
        return ok("public URL", f"{root} leads to the controller")
    if text == "unavailable":
        what = f"{root} leads to a controller that cannot work now"
        return warn("public URL", what, "see /health in the chat and the log")
    text = f"something else than Saarthi answers at {root} (HTTP {status})"
    return fail("public URL", text, start)


def redirects(settings: Settings) -> list[Finding]:
    """Return the addresses to enter in each broker's console."""
    root = settings.redirect_root
    found = [
        ok(
            "redirect URL",
            f"{root}{broker.callback_path}  (paste it into your app at {broker.console})",
        )
        for broker in PROFILES
    ]
    if settings.public_url is not None:
        found += [
            ok(
                "postback URL",
                f"{root}{broker.postback_path}  (if you like, in your app at {broker.console})",
            )
            for broker in PROFILES
            if broker.postback is not None
        ]
    return found


async def web_server(settings: Settings, http: httpx.AsyncClient) -> list[Finding]:
    """Check that the web server's address is ours or free."""
    host, port = settings.listen_on
    shown = "127.0.0.1" if host == "0.0.0.0" else host  # noqa: S104 - compared, nothing is bound
    try:
        answer = await _beginning(http, f"http://{shown}:{port}/healthz")
    except httpx.HTTPError:
        return [_free(host, port), *_exposed(host)]
    except TimeoutError:
        answer = (0, "")
    if answer == (HTTPStatus.OK, "ok"):
        return [ok("web server", f"the controller listens on {host}:{port}"), *_exposed(host)]
    if answer == (HTTPStatus.SERVICE_UNAVAILABLE, "unavailable"):
        text = f"the controller on {host}:{port} cannot work now: its store, its loop or the chat"
        return [warn("web server", text, "see /health in the chat and the log"), *_exposed(host)]
    text = f"another program listens on {host}:{port}"
    return [fail("web server", text, "name another port in SAARTHI_LISTEN")]


def _free(host: str, port: int) -> Finding:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host.strip("[]"), port))
        except OSError as error:
            text = f"cannot listen on {host}:{port} ({error.strerror})"
            return fail("web server", text, "name an address of this machine in SAARTHI_LISTEN")
    return ok("web server", f"{host}:{port} is free")


def _exposed(host: str) -> Sequence[Finding]:
    if is_loopback(host.strip("[]")):
        return []
    text = f"it listens on {host} without TLS"
    return [warn("web server", text, "listen on 127.0.0.1, behind a reverse proxy with TLS")]


async def clock_drift(settings: Settings, clock: Clock, http: httpx.AsyncClient) -> list[Finding]:
    """Compare the clock with each broker's ``Date`` header."""
    return [
        await _drift(broker.label, broker.addresses(settings.roots)[0], clock, http)
        for broker in PROFILES
    ]


async def _drift(name: str, root: str, clock: Clock, http: httpx.AsyncClient) -> Finding:
    asked = clock.now()
    try:
        async with http.stream("GET", f"{root}/") as answer:
            header = answer.headers.get("Date", "")
        answered = clock.now()
        theirs = _moment(header, clock)
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        text = f"{name} at {root} does not answer: {_why(error)}"
        return fail("clock", text, "check the network and the broker's status page")
    except ValueError:
        return warn("clock", f"{name} sends no time to compare with", "check it against NTP")
    middle = asked + (answered - asked) / 2
    # The header has whole seconds, so on average it is half a second early; and the answer was made
    # at some moment of the call. A drift within that doubt is not reported.
    doubt = _HALF_SECOND + (answered - asked).total_seconds() / 2
    drift = (middle - theirs).total_seconds() - _HALF_SECOND
    size = max(0.0, abs(drift) - doubt)
    side = "ahead of" if drift > 0 else "behind"
    text = f"this machine is {abs(drift):.1f} s {side} {name}"
    advice = "let chrony or systemd-timesyncd set the clock"
    if size > _DRIFT_LIMIT_S:
        return fail("clock", text, advice)
    if size > _DRIFT_NOTICE_S:
        return warn("clock", text, advice)
    return ok("clock", f"within {max(abs(drift), doubt):.1f} s of {name}")


def _moment(header: str, clock: Clock) -> datetime:
    """Return the real time of a ``Date`` header, which follows market time."""
    moment = parsedate_to_datetime(header)
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return clock.real_at(moment)


async def local_address(settings: Settings) -> list[Finding]:
    """Report the local address of calls; a datagram socket finds the route, nothing is sent."""
    host = urlsplit(PROFILES[0].addresses(settings.roots)[0]).hostname or ""
    loop = asyncio.get_running_loop()
    try:
        found = await loop.getaddrinfo(host, 443, type=socket.SOCK_DGRAM)
        family, kind, _, _, target = found[0]
        with socket.socket(family, kind) as probe:
            probe.connect(target)
            address = str(probe.getsockname()[0])
    except OSError as error:
        text = f"there is no route to {host} ({error.strerror})"
        return [fail("address", text, "check the network")]
    if ipaddress.ip_address(address).is_global:
        return [
            ok("address", f"calls leave from {address}; the broker's console must hold this one")
        ]
    if not talks_to_real_brokers(settings):
        return [ok("address", f"calls leave from {address}, to brokers on this machine")]
    return [
        warn(
            "address",
            f"calls leave from {address}, which is private: brokers see your router's address",
            "register that public address at each broker, and make sure that it is static",
        )
    ]
