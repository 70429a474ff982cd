"""Prices of a campaign's day: a walk that depends on the seed and the time alone."""

from __future__ import annotations

import random
from collections.abc import Sequence
from datetime import datetime, timedelta
from decimal import Decimal

from core.domain.broker import Candle
from core.domain.instrument import InstrumentId

__all__ = ["Market"]

_STEP_S = 5
_TICK = Decimal("0.05")
_DAY_S = 8 * 3600


class Market:
    """One walk for each instrument, from the morning of the day on.

    Args:
        seed: Which day.
        opens: When the walks begin (IST), before the world does.
        bases: First price of each instrument, rupees.
        unrest: Largest step in five seconds, as a share of the price.

    Attributes:
        limits: Lower and upper circuit limit, where a quote names them.
    """

    def __init__(
        self, seed: int, opens: datetime, bases: dict[InstrumentId, int], unrest: float = 0.0012
    ) -> None:
        self._opens = opens
        self.limits: dict[InstrumentId, tuple[Decimal, Decimal]] = {}
        self._halted: datetime | None = None
        self._walks = {
            name: _walk(random.Random(f"{seed}|{name}"), base, unrest)
            for name, base in bases.items()
        }

    @property
    def instruments(self) -> Sequence[InstrumentId]:
        """What is traded."""
        return tuple(self._walks)

    def price(self, instrument: InstrumentId, at: datetime) -> Decimal:
        """Return the last price at a moment."""
        return self._walks[instrument][self._step(at)]

    def move(self, instrument: InstrumentId, since: datetime, share: str) -> None:
        """Let the price be another from a moment on, as by news."""
        walk, first = self._walks[instrument], self._step(since)
        for n in range(first, len(walk)):
            walk[n] = (walk[n] * Decimal(share) / _TICK).quantize(Decimal(1)) * _TICK

    def halt(self, at: datetime) -> None:
        """Let no price move any more."""
        self._halted = self._halted or at

    def _step(self, at: datetime) -> int:
        at = min(at, self._halted or at)
        step = int((at - self._opens).total_seconds()) // _STEP_S
        return max(0, min(step, _DAY_S // _STEP_S - 1))

    def candles(
        self, instrument: InstrumentId, start: datetime, end: datetime, minutes: int
    ) -> list[Candle]:
        """Return closed bars with start <= bar start and bar end <= end."""
        step = timedelta(minutes=minutes)
        first = start
        while first < self._opens:  # bars lie on the grid of the session, whenever the day begins
            first += step
        found = []
        while first + step <= end:
            begin, end_at = self._step(first), self._step(first + step)
            walk = self._walks[instrument][begin : max(begin + 1, end_at)]
            found.append(Candle(first, walk[0], max(walk), min(walk), walk[-1], 1000))
            first += step
        return found


def _walk(chance: random.Random, base: int, unrest: float) -> list[Decimal]:
    price, found = float(base), []
    for _ in range(_DAY_S // _STEP_S):
        # Drawn back to the base, so that no day leaves the band of the instrument.
        drift = (base - price) / base * 0.02
        price *= 1 + drift * unrest + chance.uniform(-unrest, unrest)
        price = min(max(price, base * 0.92), base * 1.08)
        found.append((Decimal(price) / _TICK).quantize(Decimal(1)) * _TICK)
    return found
