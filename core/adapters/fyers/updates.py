"""Fyers' order socket: a subscription, text pings, frames in raw names (facts/fyers.md 8.2).

Frames are of the whole account: orders of other apps and of the phone arrive too.
"""

from __future__ import annotations

import json
from collections.abc import Mapping

from core.adapters.fyers import mapping
from core.adapters.order_stream import Heard, Sign, json_frame
from core.ports.broker import Credentials
from core.ports.updates import OrderHint

__all__ = ["FyersDialect"]

_SUBSCRIBED = 1605
_TOPICS = ("orders", "trades", "positions")


class FyersDialect:
    """A ``Dialect``. Fyers takes the token in a header."""

    greeting: tuple[str, ...] = (
        json.dumps({"T": "SUB_ORD", "SLIST": list(_TOPICS), "SUB_T": 1}, separators=(",", ":")),
    )
    is_ready_at_once = False
    ping: str | None = "ping"
    beat_s = 10.0
    silence_s = 25.0

    def __init__(self, root: str, credentials: Credentials) -> None:
        self._root = root
        self._credentials = credentials

    def address(self) -> str:
        """Return the address."""
        return f"{self._root.rstrip('/')}/trade/v3"

    def headers(self) -> Mapping[str, str]:
        """Return the headers of the handshake, token included."""
        return {"authorization": f"{self._credentials.api_key}:{self._credentials.access_token}"}

    def read(self, frame: str | bytes) -> Heard:
        """Return what a frame says."""
        if isinstance(frame, bytes) or frame == "pong":
            return Sign.PULSE
        found = json_frame(frame)
        if found.get("s") == "error":
            return Sign.REFUSED if found.get("code") in mapping.DEAD_SESSION else Sign.TROUBLE
        if found.get("code") == _SUBSCRIBED:
            return Sign.READY
        for topic in _TOPICS:
            if topic in found:
                return _hint(topic, found[topic])
        return Sign.PULSE


def _hint(topic: str, row: object) -> OrderHint:
    # A position names no order; its id is that of the position.
    if not isinstance(row, dict) or topic == "positions":
        return OrderHint()
    return OrderHint(_text(row.get("id")), mapping.tag_of(_text(row.get("ordertag")) or ""))


def _text(value: object) -> str | None:
    return value if isinstance(value, str) and value else None
