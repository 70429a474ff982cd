"""Request rates of one app at one broker, kept as sliding windows (invariant I11).

A leaky bucket lets almost twice its rate into one second (aiolimiter: 19 for a limit of 10), so
every limit here is a true sliding window over the times of the requests that were let through. A
limit names the buckets that share it; a share reserved for orders is a second, lower limit that
covers only the reads.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from enum import StrEnum

from core.errors import SaarthiError
from core.ports.clock import Clock

__all__ = ["EVERYTHING", "ORDERS", "READS", "Bucket", "Limit", "RateExceeded", "Throttle"]


class Bucket(StrEnum):
    """Kinds of request that a broker counts apart."""

    ORDERS = "orders"
    QUOTES = "quotes"
    HISTORICAL = "historical"
    OTHER = "other"


READS = frozenset({Bucket.QUOTES, Bucket.HISTORICAL, Bucket.OTHER})
"""Everything that is not an order."""
ORDERS = frozenset({Bucket.ORDERS})
EVERYTHING = READS | ORDERS


@dataclass(frozen=True, slots=True)
class Limit:
    """At most ``count`` requests of ``buckets`` together within any ``seconds``."""

    buckets: frozenset[Bucket]
    count: int
    seconds: float


class RateExceeded(SaarthiError):
    """The next free place lies beyond the caller's deadline; nothing was sent.

    Attributes:
        wait_s: Seconds until the next free place.
    """

    def __init__(self, bucket: Bucket, wait_s: float) -> None:
        super().__init__(f"the rate limit for {bucket} leaves no place for {wait_s:.1f} s")
        self.wait_s = wait_s


class _Window:
    """One limit and the times of what it let through."""

    __slots__ = ("_times", "limit")

    def __init__(self, limit: Limit) -> None:
        self.limit = limit
        self._times: deque[float] = deque(maxlen=limit.count)

    def wait(self, now: float) -> float:
        """Return seconds until one more fits."""
        if len(self._times) < self.limit.count:
            return 0.0
        return self._times[0] + self.limit.seconds - now

    def record(self, now: float) -> None:
        """Count one more; the oldest, which no longer matters, falls out."""
        self._times.append(now)

    def forget(self, at: float) -> None:
        """Count one less."""
        with suppress(ValueError):
            self._times.remove(at)


class Throttle:
    """Lets requests through at the pace that every limit allows, in order within a bucket.

    One instance belongs to one app (API key) for the life of the process: the broker's count goes
    on over a new login, so ours must as well.
    """

    def __init__(self, clock: Clock, limits: Sequence[Limit]) -> None:
        self._clock = clock
        windows = [_Window(limit) for limit in limits]
        self._windows = {
            bucket: [window for window in windows if bucket in window.limit.buckets]
            for bucket in Bucket
        }
        self._paused_until = dict.fromkeys(Bucket, 0.0)
        self._turns = {bucket: asyncio.Lock() for bucket in Bucket}

    async def acquire(self, bucket: Bucket, deadline: float) -> float:
        """Wait for a place and take it; return the time that it is counted at.

        Args:
            bucket: What is going to be sent.
            deadline: The ``Clock.monotonic`` time by which it must have left.

        Raises:
            RateExceeded: No place is free before the deadline.
        """
        async with self._turns[bucket]:
            while (wait := self._wait(bucket)) > 0:
                # At once, not at the deadline: an order that is held early can be sent later, and
                # one that waits here would keep the account's lock (I7).
                if self._clock.monotonic() + wait > deadline:
                    raise RateExceeded(bucket, wait)
                await self._clock.sleep(wait)
            now = self._clock.monotonic()
            for window in self._windows[bucket]:
                window.record(now)
            return now

    def give_back(self, bucket: Bucket, at: float) -> None:
        """Free the place that was taken at a time: nothing was sent."""
        for window in self._windows[bucket]:
            window.forget(at)

    def pause(self, buckets: Iterable[Bucket], seconds: float) -> None:
        """Let nothing of ``buckets`` through for ``seconds``, as a 429's Retry-After asks."""
        until = self._clock.monotonic() + seconds
        for bucket in buckets:
            self._paused_until[bucket] = max(self._paused_until[bucket], until)

    def _wait(self, bucket: Bucket) -> float:
        now = self._clock.monotonic()
        waits = [window.wait(now) for window in self._windows[bucket]]
        return max([self._paused_until[bucket] - now, *waits])
