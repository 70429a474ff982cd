"""How many reads of an account hints may cause."""

from __future__ import annotations

from core.ports.clock import Clock

__all__ = ["HintBudget"]


class HintBudget:
    """A few reads at once, then one a second: what polling costs an account with open orders.

    So a broker that pushes a frame for each of a thousand fills, or somebody who trades in its app,
    leaves the rates of reads and orders as they were (facts/kite.md 10, facts/fyers.md 10).
    """

    def __init__(self, clock: Clock, *, at_once: int = 4, a_second: float = 1.0) -> None:
        self._clock = clock
        self._most = float(at_once)
        self._rate = a_second
        self._left = float(at_once)
        self._at = clock.monotonic()

    async def take(self) -> None:
        """Take the next read, when it is due."""
        self._refill()
        if self._left < 1.0:
            await self._clock.sleep((1.0 - self._left) / self._rate)
            self._refill()
        self._left -= 1.0

    def _refill(self) -> None:
        now = self._clock.monotonic()
        self._left = min(self._most, self._left + (now - self._at) * self._rate)
        self._at = now
