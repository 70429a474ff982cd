"""Rate limits of one app: 10 a second, 200 a minute, 100,000 a day, and the block for the day.

Rates run on real time, the day is the market's. Windows slide, which is the strictest reading of
the documents. A minute that overflows is one breach however many calls were refused in it; the
third breach of a day shuts the app out until the next one.
"""

import math
from collections import deque
from collections.abc import Callable
from datetime import date

from sandbox.fyers.responses import FyersError

__all__ = ["FyersRateLimiter", "limited"]

PER_SECOND = 10
PER_MINUTE = 200
PER_DAY = 100_000
BREACHES_A_DAY = 3
MINUTE_S = 60.0


class FyersRateLimiter:
    """Counts the calls of one app and refuses those above the limits.

    Attributes:
        breaches: Minutes of the current day that overflowed.
    """

    def __init__(self, monotonic: Callable[[], float]) -> None:
        self._monotonic = monotonic
        self._calls: deque[float] = deque()
        self._day: date | None = None
        self._today = 0
        self._breached_at = -math.inf
        self.breaches = 0

    def admit(self, today: date) -> None:
        """Count one call.

        Raises:
            FyersError: With status 429 when the call is above a limit; it is not counted then.
        """
        if today != self._day:
            self._day, self._today, self.breaches = today, 0, 0
            self._breached_at = -math.inf
        if self.breaches >= BREACHES_A_DAY:
            raise limited("You are blocked for the day: request limit breached 3 times", MINUTE_S)
        now = self._monotonic()
        while self._calls and now - self._calls[0] >= MINUTE_S:
            self._calls.popleft()
        self._check_minute(now)
        self._check_second(now)
        if self._today >= PER_DAY:
            raise limited("request limit reached for the day", MINUTE_S)
        self._today += 1
        self._calls.append(now)

    def _check_minute(self, now: float) -> None:
        if len(self._calls) < PER_MINUTE:
            return
        if now - self._breached_at >= MINUTE_S:
            self._breached_at = now
            self.breaches += 1
        raise limited("request limit reached", self._calls[-PER_MINUTE] + MINUTE_S - now)

    def _check_second(self, now: float) -> None:
        if len(self._calls) >= PER_SECOND and now - self._calls[-PER_SECOND] < 1.0:
            raise limited("request limit reached", self._calls[-PER_SECOND] + 1.0 - now)


def limited(message: str, wait_s: float) -> FyersError:
    """Return the refusal of a call that is one too many, with the time to wait."""
    wait_ms = max(1, math.ceil(wait_s * 1000))
    headers = {"Retry-After": str(math.ceil(wait_ms / 1000)), "X-Retry-After-Ms": str(wait_ms)}
    return FyersError(-429, message, status=429, headers=headers)
