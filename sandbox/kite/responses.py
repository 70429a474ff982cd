"""Kite's envelopes: success, errors by type, and the texts that clients are known to match on."""

import json
from typing import Any

from aiohttp import web

__all__ = ["KiteError", "error_reply", "refused", "success"]

STATUS = {
    "TokenException": 403,
    "PermissionException": 403,
    "UserException": 403,
    "InputException": 400,
    "MarginException": 400,
    "HoldingException": 400,
    "OrderException": 400,
    "NetworkException": 503,
    "DataException": 502,
    "GeneralException": 500,
}
_REFUSALS = {
    "input": "InputException",
    "margin": "MarginException",
    "holding": "HoldingException",
    "order": "OrderException",
}
BAD_TOKEN = "Incorrect `api_key` or `access_token`."
BAD_REQUEST_TOKEN = "Token is invalid or has expired."
BAD_CHECKSUM = "Invalid `checksum`."
NO_PERMISSION = "Insufficient permission for that call."
TOO_MANY = "Too many requests"
NO_PROTECTION = (
    "Market orders without market protection are not allowed via API. "
    "Please set market protection or use a Limit order."
)


class KiteError(Exception):
    """An error reply; ``status`` follows from the type unless given."""

    def __init__(self, error_type: str, message: str, status: int | None = None) -> None:
        super().__init__(message)
        self.error_type = error_type
        self.message = message
        self.status = status or STATUS[error_type]


def refused(kind: str, message: str) -> KiteError:
    """Translate a refusal of the exchange."""
    return KiteError(_REFUSALS[kind], message)


def success(data: Any) -> web.Response:
    """Wrap data as Kite does."""
    return web.json_response({"status": "success", "data": _plain(data)})


def _plain(data: Any) -> Any:
    """Write whole numbers without a fraction, as the server's language does: 72, not 72.0."""
    if isinstance(data, dict):
        return {name: _plain(value) for name, value in data.items()}
    if isinstance(data, list):
        return [_plain(value) for value in data]
    return int(data) if isinstance(data, float) and data.is_integer() else data


def error_reply(error: KiteError) -> web.Response:
    """Write an error as Kite does."""
    body = {
        "status": "error",
        "message": error.message,
        "data": None,
        "error_type": error.error_type,
    }
    return web.Response(status=error.status, text=json.dumps(body), content_type="application/json")
