"""The clock port: the only source of time in the product.

Two times exist. *Real* time drives deadlines, horizons, rates, leases, nonces and the ages of
Telegram updates. *Market* time drives slots, the calendar, candles and the life of tokens; in a
replay or a demo it runs elsewhere and faster (``SIM@WALL*SPEED``, interfaces.md).
"""

from __future__ import annotations

from datetime import datetime
from typing import Protocol

__all__ = ["Clock"]


class Clock(Protocol):
    """Real and market time, and waiting on them."""

    def now(self) -> datetime:
        """Return real time, aware, UTC."""
        ...

    def monotonic(self) -> float:
        """Return seconds that never step backwards, for deadlines and rates."""
        ...

    def market_now(self) -> datetime:
        """Return market time, aware, Asia/Kolkata."""
        ...

    def real_at(self, market: datetime) -> datetime:
        """Return the real time (UTC) at which market time will be ``market``."""
        ...

    def market_at(self, real: datetime) -> datetime:
        """Return the market time (IST) at the real time ``real``."""
        ...

    async def sleep(self, seconds: float) -> None:
        """Wait for real seconds."""
        ...
