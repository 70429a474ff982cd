"""When bars close."""

from __future__ import annotations

from datetime import datetime, timedelta

from core.domain.broker import Candle

__all__ = ["bar_close"]


def bar_close(candle: Candle, minutes: int) -> datetime:
    """Return the instant at which a bar of that length closes."""
    return candle.start + timedelta(minutes=minutes)
