"""Kite's order updates: JSON text frames on the WebSocket of its ticks (facts/kite.md 8.2).

No subscription is needed: every order of the user arrives, from whatever platform. A binary frame
of one byte is the heartbeat; longer ones are ticks, which come only when they are asked for.
"""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import urlencode

from core.adapters.order_stream import Heard, Sign, json_frame
from core.ports.broker import Credentials
from core.ports.updates import OrderHint

__all__ = ["KiteDialect"]


class KiteDialect:
    """A ``Dialect``. Kite takes the token in the address."""

    greeting: tuple[str, ...] = ()
    is_ready_at_once = True
    ping: str | None = None
    beat_s = 2.5
    silence_s = 10.0

    def __init__(self, root: str, credentials: Credentials) -> None:
        self._root = root
        self._credentials = credentials

    def address(self) -> str:
        """Return the address, token included."""
        login = {
            "api_key": self._credentials.api_key,
            "access_token": self._credentials.access_token,
        }
        return f"{self._root.rstrip('/')}/?{urlencode(login)}"

    def headers(self) -> Mapping[str, str]:
        """Return the headers of the handshake."""
        return {"X-Kite-Version": "3"}

    def read(self, frame: str | bytes) -> Heard:
        """Return what a frame says."""
        if isinstance(frame, bytes):
            return Sign.PULSE
        found = json_frame(frame)
        if found.get("type") == "error":
            return Sign.TROUBLE
        if found.get("type") != "order":
            return Sign.PULSE
        order = found.get("data")
        if not isinstance(order, dict):
            return OrderHint()
        return OrderHint(_text(order.get("order_id")), _text(order.get("tag")))


def _text(value: object) -> str | None:
    return value if isinstance(value, str) and value else None
