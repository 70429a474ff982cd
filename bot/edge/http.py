"""The HTTP client under the Telegram library: aiohttp, which costs a third of the CPU of httpx.

What a caller sees is what the library's own client shows: a time-out is ``TimedOut``, everything
else that happens on the wire is ``NetworkError``, nothing is sent twice. An error names no address:
the token is part of it (I12).
"""

from __future__ import annotations

import json
import os
import ssl
from contextlib import suppress
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, TypeVar
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

import aiohttp
import certifi
from telegram import Update
from telegram._utils.defaultvalue import DefaultValue
from telegram.error import NetworkError, TelegramError, TimedOut
from telegram.request import BaseRequest, RequestData
from yarl import URL

from bot.edge.backlog import Backlog

__all__ = ["AiohttpRequest", "PollRequest", "Timeouts"]

_JSON = {"Content-Type": "application/json"}
_KEEPALIVE_S = 5.0
"""How long a connection may rest. A server that has closed one meanwhile would not have read what
is sent on it, and a message is not sent twice."""
_NOTHING_NEW = b'{"ok": true, "result": []}'
_SHOWS = ("/sendMessage", "/editMessageText")
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Timeouts:
    """Seconds, as the library names them."""

    connect: float = 5.0
    pool: float = 5.0
    read: float = 5.0
    write: float = 5.0


class AiohttpRequest(BaseRequest):
    """One pool of connections to one Bot API.

    Args:
        root: The root of the Bot API: it decides whether a proxy of the environment is used.
        connections: The most at once; who finds none free waits.
        timeouts: Of calls that do not name their own.
    """

    def __init__(self, root: str, *, connections: int, timeouts: Timeouts) -> None:
        self._root = root
        self._connections = connections
        self._timeouts = timeouts
        self._session: aiohttp.ClientSession | None = None

    @property
    def read_timeout(self) -> float:
        """The time-out of reading that holds where a call names none."""
        return self._timeouts.read

    async def initialize(self) -> None:
        """Open the pool; it connects when something is sent."""
        if self._session is not None and not self._session.closed:
            return
        secure = urlsplit(self._root).scheme == "https"
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(
                limit=self._connections,
                keepalive_timeout=_KEEPALIVE_S,
                ssl=_certificates() if secure else True,
            ),
            cookie_jar=aiohttp.DummyCookieJar(),
            headers={"User-Agent": self.USER_AGENT},
            proxy=_proxy(self._root),
            trust_env=False,  # looked up once, above; netrc is for nobody
        )

    async def shutdown(self) -> None:
        """Close every connection."""
        if self._session is not None:
            await self._session.close()

    async def do_request(
        self,
        url: str,
        method: str,
        request_data: RequestData | None = None,
        read_timeout: Any = BaseRequest.DEFAULT_NONE,
        write_timeout: Any = BaseRequest.DEFAULT_NONE,
        connect_timeout: Any = BaseRequest.DEFAULT_NONE,
        pool_timeout: Any = BaseRequest.DEFAULT_NONE,
    ) -> tuple[int, bytes]:
        """Send a request once; return the status and the body of its answer.

        Raises:
            TimedOut: There was no free connection, no connection, or no answer in time.
            NetworkError: Anything else went wrong on the way.
        """
        if self._session is None or self._session.closed:
            raise RuntimeError("the HTTP client of the bot is not open")
        given = self._timeouts
        connect = _or(connect_timeout, given.connect)
        pool = _or(pool_timeout, given.pool)
        read = _or(read_timeout, given.read)
        write = _or(write_timeout, given.write)
        parts = (connect, pool, read, write)
        timeout = aiohttp.ClientTimeout(
            total=None if None in parts else sum(part for part in parts if part is not None),
            connect=None if connect is None or pool is None else connect + pool,
            sock_connect=connect,
            sock_read=read,
        )
        try:
            async with self._session.request(
                method,
                URL(url, encoded=True),
                allow_redirects=False,
                timeout=timeout,
                **_body(request_data),
            ) as answer:
                status, body = answer.status, await answer.read()
        # Never from the error itself: some hold the address, and with it the token.
        except TimeoutError:
            raise TimedOut from None
        except aiohttp.ClientError as error:
            raise NetworkError(_said(error)) from None
        return status, _brief(body) if url.endswith(_SHOWS) else body


class PollRequest(AiohttpRequest):
    """The pool of polling. It keeps the updates of the last poll as Telegram wrote them.

    The library is given none of them: it parses all or nothing, and writes what it could not parse
    into the log.
    """

    def __init__(self, root: str, *, timeouts: Timeouts) -> None:
        super().__init__(root, connections=2, timeouts=timeouts)
        self._body = b""
        self._by_id: dict[int, object] = {}
        self._backlog: Backlog | None = None

    async def shutdown(self) -> None:
        """Close every connection."""
        if self._backlog is not None:
            self._backlog.close()
        await super().shutdown()

    async def do_request(self, url: str, *given: Any, **named: Any) -> tuple[int, bytes]:
        """Poll (see the base class)."""
        self._body = b""
        if self._backlog is None and _proxy(self._root) is None:
            secure = urlsplit(url).scheme == "https"
            self._backlog = Backlog(URL(url, encoded=True), _certificates() if secure else None)
        status, body = await super().do_request(url, *given, **named)
        if status != HTTPStatus.OK:
            return status, body
        self._body = body
        return status, _NOTHING_NEW

    async def take_more(self, offset: int) -> bool:
        """Poll once more for what waits already, and tell whether it came.

        The library stands in no such poll: between an owner and fifty of them that takes as long as
        all the rest. It hears of one that fails when it polls itself, with the same offset.
        """
        self._body = b""
        if self._backlog is None:
            return False
        body = await self._backlog.poll(offset)
        self._body = body or b""
        return body is not None

    def body(self) -> bytes:
        """Return what the last poll brought, as it came."""
        return self._body

    def written(self) -> list[object]:
        """Return the updates of the last poll, in their order.

        Raises:
            TelegramError: The answer is none.
        """
        self._by_id = {}
        try:
            answer = json.loads(self._body)
            updates = answer["result"] if answer["ok"] is True else None
        except (ValueError, KeyError, TypeError, RecursionError):
            updates = None
        if not isinstance(updates, list):
            raise TelegramError("what a poll brought is no answer")
        with suppress(KeyError, TypeError):
            self._by_id = {one["update_id"]: one for one in updates}
        return updates

    def text_of(self, update: Update) -> str:
        """Return an update as JSON; an older one from its object, which takes far longer."""
        written = self._by_id.get(update.update_id)
        return update.to_json() if written is None else json.dumps(written)


def _brief(body: bytes) -> bytes:
    """Return the answer to a message that was shown, without what we sent ourselves.

    Nobody here reads more than its id, and the library would make objects of its whole text and
    keyboard, which takes longer than all else that it does for a tap.
    """
    try:
        answer = json.loads(body)
        shown = answer["result"]
        answer["result"] = {name: shown[name] for name in ("message_id", "date", "chat")}
    except (ValueError, KeyError, TypeError):
        return body
    return json.dumps(answer).encode()


def _body(request_data: RequestData | None) -> dict[str, Any]:
    """Return the body of a request: JSON, or a form where files are sent."""
    if request_data is None:
        return {}
    if not request_data.contains_files:
        return {"data": request_data.json_payload, "headers": _JSON}
    form = aiohttp.FormData()
    for name, value in request_data.json_parameters.items():
        form.add_field(name, value)
    for name, (filename, content, kind) in request_data.multipart_data.items():
        form.add_field(name, content, filename=filename, content_type=kind)
    return {"data": form}


def _said(error: aiohttp.ClientError) -> str:
    """Name an error; of its words only those that can hold no address of a request."""
    name = f"aiohttp.{type(error).__name__}"
    if isinstance(error, aiohttp.ClientOSError) and error.errno:
        return f"{name}: {os.strerror(error.errno)}"
    return name


def _or(given: T | DefaultValue[Any], default: T) -> T:
    return default if isinstance(given, DefaultValue) else given


def _proxy(root: str) -> str | None:
    """Return the proxy that the environment names for an address."""
    parts = urlsplit(root)
    if not parts.hostname or proxy_bypass(parts.hostname):
        return None
    proxies = getproxies()
    return proxies.get(parts.scheme) or proxies.get("all")


def _certificates() -> ssl.SSLContext:
    """Trust the authorities that the environment names, else those of certifi."""
    file, directory = os.environ.get("SSL_CERT_FILE"), os.environ.get("SSL_CERT_DIR")
    if file or directory:
        return ssl.create_default_context(cafile=file, capath=directory)
    return ssl.create_default_context(cafile=certifi.where())
