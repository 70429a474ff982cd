"""The clocks: the machine's own, and one whose market time runs elsewhere and faster.

``SIM@WALL*SPEED`` (interfaces.md, "Time") says: market time was ``SIM`` when real time was ``WALL``
and has gone ``SPEED`` times as fast since. The mapping is a pure function of real time, so it
survives a restart, and every process that was given the same text shows the same market time.
Several of these, separated by ``;``, are a clock that was moved ahead: each holds from its WALL on,
so that what happened before keeps its time.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from types import MappingProxyType
from zoneinfo import ZoneInfo

from core.domain.host_clock import READINGS, Offsets, offset_at
from core.errors import ConfigurationError
from core.ports.clock import Clock

__all__ = ["MARKET_ZONE", "SimulatedClock", "SteppedClock", "SystemClock", "clock_from_setting"]

MARKET_ZONE = ZoneInfo("Asia/Kolkata")
"""The exchanges' own zone; a time in the setting without an offset is meant in it."""

_MAX_SPEED = 60.0
_COMPARED_FOR_S = 600.0
_EXPECTED = (
    "expected SIM@WALL*SPEED with ISO times and a speed above 0 and up to 60, "
    "like 2026-11-20T09:10:00+05:30@2026-11-23T10:00:00+05:30*10"
)


class SystemClock:
    """Real time and market time are the same; a ``ComparedClock`` too."""

    _seen: Mapping[str, tuple[tuple[float, timedelta], ...]] = MappingProxyType({})

    def now(self) -> datetime:
        """Return real time, aware, UTC."""
        return datetime.now(UTC)

    def monotonic(self) -> float:
        """Return seconds that never step backwards."""
        return time.monotonic()

    def market_now(self) -> datetime:
        """Return market time, aware, Asia/Kolkata."""
        return self.now().astimezone(MARKET_ZONE)

    def real_at(self, market: datetime) -> datetime:
        """Return the real time (UTC) at which market time will be ``market``."""
        return market.astimezone(UTC)

    def market_at(self, real: datetime) -> datetime:
        """Return the market time (IST) at the real time ``real``."""
        return real.astimezone(MARKET_ZONE)

    async def sleep(self, seconds: float) -> None:
        """Wait for real seconds."""
        await asyncio.sleep(seconds)

    def compare(
        self, peer: str, date: datetime, *, sent_at: datetime, answered_at: datetime
    ) -> None:
        """Note what a peer's answer shows about this clock, if it came soon enough."""
        by_market = offset_at(date, self.market_at(sent_at), self.market_at(answered_at))
        if by_market is None:
            return
        # Where market time is another (a demo, a replay), a peer that tells real time is right too.
        by_real = offset_at(date, sent_at, answered_at)
        offset = by_market if by_real is None else min(by_market, by_real, key=abs)
        newest = (*self._seen.get(peer, ()), (self.monotonic(), offset))
        self._seen = {**self._seen, peer: newest[-READINGS:]}

    def offsets(self) -> Offsets:
        """Return each peer's newest offsets; one that was not heard of for a while is left out."""
        since = self.monotonic() - _COMPARED_FOR_S
        return {
            peer: [offset for at, offset in seen if at >= since]
            for peer, seen in self._seen.items()
            if seen[-1][0] >= since
        }


class SimulatedClock(SystemClock):
    """Real time is the machine's; market time was ``sim`` at ``wall`` and runs ``speed`` fold."""

    def __init__(self, sim: datetime, wall: datetime, speed: float) -> None:
        if sim.tzinfo is None or wall.tzinfo is None:
            raise ConfigurationError("A simulated clock needs aware times for SIM and WALL.")
        if not 0 < speed <= _MAX_SPEED:
            raise ConfigurationError(f"Clock speed: found {speed}; expected above 0 and up to 60.")
        self._sim = self.since_market = sim.astimezone(UTC)
        self._wall = self.since = wall.astimezone(UTC)
        self._speed = speed

    def market_now(self) -> datetime:
        """Return market time, aware, Asia/Kolkata."""
        return self.market_at(self.now())

    def market_at(self, real: datetime) -> datetime:
        """Return the market time (IST) at the real time ``real``."""
        return (self._sim + (real - self._wall) * self._speed).astimezone(MARKET_ZONE)

    def real_at(self, market: datetime) -> datetime:
        """Return the real time (UTC) at which market time will be ``market``."""
        return self._wall + (market.astimezone(UTC) - self._sim) / self._speed


class SteppedClock(SimulatedClock):
    """A simulated clock that was moved ahead, once or more often."""

    def __init__(self, parts: Sequence[SimulatedClock]) -> None:
        times = [(one.since, one.since_market) for one in parts]
        if any(late[0] <= early[0] or late[1] <= early[1] for early, late in pairwise(times)):
            raise ConfigurationError(
                "SAARTHI_CLOCK: found steps back; expected later SIM and WALL."
            )
        self._parts = tuple(parts)
        self.since, self.since_market = times[0]

    def market_at(self, real: datetime) -> datetime:
        """Return the market time (IST) at the real time ``real``."""
        begun = [one for one in self._parts if one.since <= real]
        return (begun or self._parts)[-1 if begun else 0].market_at(real)

    def real_at(self, market: datetime) -> datetime:
        """Return when market time will be ``market``; what was stepped over is at its step."""
        begun = [one for one in self._parts if one.since_market <= market]
        if not begun:
            return self._parts[0].real_at(market)
        later = self._parts[len(begun) :]
        found = begun[-1].real_at(market)
        return min(found, later[0].since) if later else found


def clock_from_setting(text: str | None) -> Clock:
    """Return the clock that ``SAARTHI_CLOCK`` asks for: the machine's when it is unset or empty.

    Raises:
        ConfigurationError: The text is not ``SIM@WALL*SPEED``.
    """
    if text is None or not text.strip():
        return SystemClock()
    parts = [_simulated(part) for part in text.split(";") if part.strip()]
    return parts[0] if len(parts) == 1 else SteppedClock(parts)


def _simulated(text: str) -> SimulatedClock:
    sim, at, rest = text.strip().partition("@")
    wall, star, speed = rest.rpartition("*")
    if not at or not star:
        raise ConfigurationError(f"SAARTHI_CLOCK: found {text!r}; {_EXPECTED}.")
    return SimulatedClock(
        _time(sim, "SIM", text), _time(wall, "WALL", text), _speed_of(speed, text)
    )


def _time(part: str, name: str, text: str) -> datetime:
    try:
        found = datetime.fromisoformat(part.strip())
    except ValueError:
        raise ConfigurationError(
            f"SAARTHI_CLOCK: found {name} {part!r} in {text!r}; {_EXPECTED}."
        ) from None
    aware = found if found.tzinfo is not None else found.replace(tzinfo=MARKET_ZONE)
    try:
        # A year near the end of what a datetime holds cannot be moved to another zone.
        return aware.astimezone(UTC) + timedelta(0)
    except OverflowError:
        raise ConfigurationError(
            f"SAARTHI_CLOCK: found {name} {part!r} in {text!r}; {_EXPECTED}."
        ) from None


def _speed_of(part: str, text: str) -> float:
    try:
        speed = float(part)
    except ValueError:
        speed = math.nan
    if not 0 < speed <= _MAX_SPEED:
        raise ConfigurationError(f"SAARTHI_CLOCK: found speed {part!r} in {text!r}; {_EXPECTED}.")
    return speed
