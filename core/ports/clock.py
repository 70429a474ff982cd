"""The clock port: the only source of time in the product.

Two times exist. *Real* time drives deadlines, horizons, rates, leases, nonces and the ages of
Telegram updates. *Market* time drives slots, the calendar, candles and the life of tokens; in a
replay or a demo it runs elsewhere and faster (``SIM@WALL*SPEED``, interfaces.md).
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Protocol, runtime_checkable

from core.domain.host_clock import Offsets, certain_offset

__all__ = ["Clock", "ComparedClock", "clock_offset"]


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


@runtime_checkable
class ComparedClock(Protocol):
    """A clock that the transports compare with the brokers', by the ``Date`` of their answers."""

    def compare(
        self, peer: str, date: datetime, *, sent_at: datetime, answered_at: datetime
    ) -> None:
        """Note one answer: a peer's ``Date``, and our real times around it."""
        ...

    def offsets(self) -> Offsets:
        """Return the newest offsets of each peer, oldest first; none when nothing was compared."""
        ...


def clock_offset(clock: Clock) -> timedelta:
    """Return how far the brokers' clocks are certainly ahead of this one; 0 when nobody knows."""
    # Asked for each order: a look at what the protocol has is twenty times as dear.
    offsets = getattr(clock, "offsets", None)
    return certain_offset(offsets()) if offsets is not None else timedelta(0)
