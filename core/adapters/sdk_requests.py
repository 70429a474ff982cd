"""What an SDK would send: the request is taken from it before it can send anything.

``RequestCapture`` takes the place of an SDK's ``requests.Session``. The request that the SDK hands
to it is written down and unwinds the SDK, before it can send, retry, follow, parse or log.

``requests`` prepares anything that its callers may think of, in 0.1 ms; the SDKs hand over an
address, a few headers and a form or a text. These are prepared here, byte for byte as ``requests``
does it (``tests/unit/adapters/test_sdk_requests.py`` compares); whatever is not of this kind goes
the long way through ``requests``.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, NoReturn
from urllib.parse import quote_plus

import requests
from requests.utils import default_headers

__all__ = ["Outgoing", "RequestCapture", "capture", "outgoing"]

_PLAIN_PATH = re.compile(
    r"https?://[a-z0-9.:\[\]-]+(?:/(?!\.)(?:[\w.~!$&'()*+,;=:@-]|%[0-9A-F]{2})*)+", re.ASCII
)
"""An address in which nothing is to be quoted and no step leads back."""
_PLAIN_QUERY = re.compile(r"(?:[\w.~!$&'()*+,;=:@/?-]|%[0-9A-F]{2})*", re.ASCII)
_UNRESERVED = re.compile(r"[\w.~-]*", re.ASCII)
_PLAIN_NUMBERS = frozenset({int, bool, float})
_BODYLESS = frozenset({"GET", "HEAD"})
_FORM = "application/x-www-form-urlencoded"
_DEFAULTS = {str(name): str(value) for name, value in default_headers().items()}
_LOWER_DEFAULTS = frozenset(name.lower() for name in _DEFAULTS)
_PLAIN_KEYWORDS = frozenset(
    # ``requests`` acts on these when it sends, and nothing is sent here.
    {"json", "verify", "allow_redirects", "timeout", "proxies"}
)


@dataclass(frozen=True, slots=True)
class Outgoing:
    """One request, ready to be written."""

    method: str
    url: str
    headers: Mapping[str, str]
    body: bytes


class _Captured(BaseException):
    """Carries the request out of the SDK.

    A ``BaseException``, since the Fyers SDK swallows every ``Exception`` and goes on.
    """

    def __init__(self, request: Outgoing) -> None:
        super().__init__()
        self.request = request


class RequestCapture(requests.Session):
    """Takes the place of an SDK's session: keeps the request that it built, and sends nothing."""

    def __init__(self) -> None:
        super().__init__()
        self.trust_env = False  # netrc would replace the broker's Authorization header

    def request(  # type: ignore[override] # the caller gets no response, ever
        self,
        method: str | bytes,
        url: str | bytes,
        params: Any = None,
        data: Any = None,
        headers: Any = None,
        **keywords: Any,
    ) -> NoReturn:
        """Unwind the SDK with the request that it asks for."""
        query = None if params is None else _form(params)
        body = data if isinstance(data, str) or data is None else _form(data)
        if (
            (query is None) is not (params is None)
            or (body is None) is not (data is None)
            or not isinstance(headers, dict)
            or not all(map(_is_plain_header, headers, headers.values()))
            or keywords.get("json") is not None
            or not keywords.keys() <= _PLAIN_KEYWORDS
            or not _is_plain_url(url)
        ):
            super().request(method, url, params=params, data=data, headers=headers, **keywords)
            raise ValueError("the session sent a request")  # ``send`` below never returns
        address, verb = str(url), str(method).upper()
        if query:
            address += ("&" if "?" in address else "?") + query
        sent = {**_DEFAULTS, **headers}
        content = body.encode() if body else b""
        if content and not isinstance(data, str):
            sent.setdefault("Content-Type", _FORM)
        if content or verb not in _BODYLESS:
            sent["Content-Length"] = str(len(content))
        raise _Captured(Outgoing(verb, self.moved(address), sent, content))

    def send(self, request: requests.PreparedRequest, **_kwargs: Any) -> NoReturn:
        """Unwind the SDK with the request that ``requests`` prepared."""
        prepared = outgoing(request)
        url = self.moved(prepared.url)
        raise _Captured(Outgoing(prepared.method, url, prepared.headers, prepared.body))

    def moved(self, url: str) -> str:
        """Return the address at which the request shall arrive."""
        return url


def capture(call: Callable[[], object]) -> Outgoing:
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


def outgoing(request: requests.PreparedRequest) -> Outgoing:
    """Return what ``requests`` prepared."""
    headers = {str(name): str(value) for name, value in request.headers.items()}
    body = request.body or b""
    return Outgoing(
        request.method or "GET",
        request.url or "",
        headers,
        body.encode() if isinstance(body, str) else bytes(body),
    )


def _is_plain_url(url: object) -> bool:
    if not isinstance(url, str):
        return False
    path, question, query = url.partition("?")
    return _is_plain_path(path) and (not question or _PLAIN_QUERY.fullmatch(query) is not None)


@lru_cache(maxsize=256)
def _is_plain_path(path: str) -> bool:
    return _PLAIN_PATH.fullmatch(path) is not None


def _is_plain_header(name: object, value: object) -> bool:
    """Whether a header stands for itself and, in the same letters, for the session's own."""
    return (
        isinstance(name, str)
        and isinstance(value, str)
        and (name in _DEFAULTS or name.lower() not in _LOWER_DEFAULTS)
    )


def _form(values: object) -> str | None:
    """Return a form of names and values; None when it is none of the kind that SDKs build."""
    if not isinstance(values, dict):
        return None
    parts = []
    for name, value in values.items():
        kind = type(value)
        if kind is str:
            parts.append(f"{_quoted(name)}={_quoted(value)}")
        elif kind in _PLAIN_NUMBERS:
            parts.append(f"{_quoted(name)}={_quoted(str(value))}")
        elif kind in {list, tuple} and all(isinstance(one, str) for one in value):
            parts += [f"{_quoted(name)}={_quoted(one)}" for one in value]
        elif value is not None:
            return None
    return "&".join(parts)


def _quoted(text: str) -> str:
    if text.isascii() and text.isalnum():
        return text
    return text if _UNRESERVED.fullmatch(text) else quote_plus(text)
