"""The market clock: simulated Indian market time, driven by real time.

A clock is written ``SIM@WALL*SPEED``: market time was ``SIM`` when real time was ``WALL`` and runs
``SPEED`` times as fast. Both times are ISO 8601; without a zone they are IST. ``@WALL`` may be left
out (the anchor is then the start of the process) and so may ``*SPEED`` (1). Because the anchor is
written out, the clock goes on over a restart. ``step`` moves it forward, and may let it stand there
for a while; the sum of the steps is kept by the caller in the sandbox's state.

Only market time runs on this clock. Deadlines, rates and code lifetimes stay on real time.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone
from email.utils import format_datetime

__all__ = ["IST", "ClockError", "ClockSpec", "MarketClock", "http_date", "parse_clock", "real_now"]

IST = timezone(timedelta(hours=5, minutes=30), "IST")
MIN_SPEED = 0.001
MAX_SPEED = 60.0


class ClockError(ValueError):
    """A clock text or step that cannot be used; the message is one line for the user."""


def real_now() -> float:
    """Return real time as seconds since the epoch."""
    return time.time()


def _aware(text: str) -> datetime:
    try:
        moment = datetime.fromisoformat(text.strip())
    except ValueError as error:
        raise ClockError(f"not an ISO time: {text!r}") from error
    return (moment if moment.tzinfo else moment.replace(tzinfo=IST)).astimezone(IST)


@dataclass(frozen=True)
class ClockSpec:
    """A parsed ``SIM@WALL*SPEED``.

    Attributes:
        sim: Market time at the anchor, IST aware.
        wall: Real time at the anchor, IST aware.
        speed: Market seconds in a real second, 0.001 to 60.
    """

    sim: datetime
    wall: datetime
    speed: float = 1.0

    def format(self) -> str:
        """Write the clock as ``SIM@WALL*SPEED``, readable by ``parse_clock``."""
        return f"{self.sim.isoformat()}@{self.wall.isoformat()}*{self.speed:g}"


def parse_clock(text: str, *, wall: datetime | None = None) -> ClockSpec:
    """Parse ``SIM@WALL*SPEED``.

    Args:
        text: The clock; ``@WALL`` and ``*SPEED`` are optional.
        wall: The real time used when ``@WALL`` is missing; now by default.

    Raises:
        ClockError: A part is not an ISO time, or SPEED is not a number in 0.001..60.
    """
    rest, star, speed_text = text.partition("*")
    sim_text, at, wall_text = rest.partition("@")
    try:
        speed = float(speed_text) if star else 1.0
    except ValueError as error:
        raise ClockError(f"speed is not a number: {speed_text!r}") from error
    if not MIN_SPEED <= speed <= MAX_SPEED:
        raise ClockError(f"speed must be from {MIN_SPEED:g} to {MAX_SPEED:g}, not {speed_text}")
    anchor = _aware(wall_text) if at else (wall or datetime.fromtimestamp(real_now(), IST))
    return ClockSpec(_aware(sim_text), anchor, speed)


class MarketClock:
    """Gives market time.

    Args:
        spec: The anchor and speed; market time equals real time when None.
        stepped: What earlier steps moved it by.
        stands_until: Real time (seconds since the epoch) until which market time stands still.
    """

    def __init__(
        self,
        spec: ClockSpec | None = None,
        stepped: timedelta = timedelta(),
        stands_until: float = 0.0,
    ) -> None:
        start = datetime.fromtimestamp(real_now(), IST)
        self.is_simulated = spec is not None
        self.spec = spec or ClockSpec(start, start)
        self.stepped = stepped
        self.stands_until = stands_until

    @property
    def stands_s(self) -> float:
        """Real seconds for which market time still stands."""
        return max(0.0, self.stands_until - real_now())

    @property
    def speed(self) -> float:
        """Market seconds in a real second."""
        return self.spec.speed

    def now(self) -> datetime:
        """Return market time, IST aware."""
        return self._unstepped() + self.stepped

    def _unstepped(self) -> datetime:
        elapsed = max(real_now(), self.stands_until) - self.spec.wall.timestamp()
        return self.spec.sim + timedelta(seconds=elapsed * self.spec.speed)

    def step(
        self, *, to: str | None = None, by: float | None = None, stands_s: float = 0.0
    ) -> datetime:
        """Move the clock forward, to an ISO time or by market seconds, and return the new time.

        Args:
            to: The new market time.
            by: Market seconds.
            stands_s: Real seconds for which it stands there before it goes on at its speed.

        Raises:
            ClockError: Neither or both are given, or the step leads back in time.
        """
        if (to is None) == (by is None):
            raise ClockError("give either 'to' (ISO time) or 'by' (seconds)")
        now = self.now()
        delta = _aware(to) - now if to is not None else timedelta(seconds=float(by or 0))
        if delta < timedelta():
            raise ClockError("the market clock only steps forward")
        self.stands_until = real_now() + stands_s if stands_s > 0 else 0.0
        self.stepped = now + delta - self._unstepped()
        return now + delta

    def anchored(self) -> ClockSpec:
        """Return the clock with its steps folded in, for another process to follow."""
        return ClockSpec(self.spec.sim + self.stepped, self.spec.wall, self.spec.speed)


def http_date(moment: datetime) -> str:
    """Write a moment as the value of an HTTP ``Date`` header."""
    return format_datetime(moment.astimezone(UTC), usegmt=True)
