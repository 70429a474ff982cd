"""The envelope of Fyers: `s`, `code`, `message` and payload keys at the top level.

A handler returns a payload or raises `FyersError`; both become JSON here. The documentation does
not say with which HTTP status a refused order comes back: 400 is used for everything that is
neither a session (401), a permission (403) nor a rate (429).
"""

from collections.abc import Mapping
from typing import Any

from aiohttp import web

__all__ = ["FyersError", "error_body", "ok"]


class FyersError(Exception):
    """An error that the broker answers with; the request was definitely refused.

    Attributes:
        code: Fyers' number, negative.
        message: Fyers' text.
        status: The HTTP status that goes with it.
        extra: Further top level keys, such as `id` of a row that exists although it was refused.
        headers: Further HTTP headers.
    """

    def __init__(
        self,
        code: int,
        message: str,
        *,
        status: int = 400,
        extra: Mapping[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.status = status
        self.extra = dict(extra or {})
        self.headers = dict(headers or {})

    def body(self) -> dict[str, Any]:
        """Return the JSON object of this error."""
        return {"s": "error", "code": self.code, "message": self.message, **self.extra}

    def response(self) -> web.Response:
        """Return the HTTP answer of this error."""
        return web.json_response(self.body(), status=self.status, headers=self.headers)


def ok(code: int = 200, message: str = "", **payload: Any) -> dict[str, Any]:
    """Return a success envelope."""
    return {"s": "ok", "code": code, "message": message, **payload}


def error_body(code: int, message: str, **payload: Any) -> dict[str, Any]:
    """Return an error envelope that travels inside another answer, such as in a basket."""
    return {"s": "error", "code": code, "message": message, **payload}
