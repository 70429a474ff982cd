"""Rate limits as a broker counts them: on real time, refused requests too."""

from collections import deque
from dataclasses import dataclass

from sandbox.clock import real_now

__all__ = ["Limit", "RateLimiter"]


@dataclass(frozen=True)
class Limit:
    """At most ``count`` requests in any ``seconds``."""

    count: int
    seconds: float


class RateLimiter:
    """Sliding windows by key."""

    def __init__(self) -> None:
        self._seen: dict[str, deque[float]] = {}

    def hit(self, key: str, limits: tuple[Limit, ...]) -> float | None:
        """Count a request; return None when it is within all limits, else seconds to wait."""
        now = real_now()
        seen = self._seen.setdefault(key, deque())
        longest = max(limit.seconds for limit in limits)
        while seen and seen[0] <= now - longest:
            seen.popleft()
        seen.append(now)
        waits = [_wait(seen, limit, now) for limit in limits]
        worst = max(waits)
        return worst if worst > 0 else None

    def clear(self) -> None:
        """Forget all requests."""
        self._seen.clear()


def _wait(seen: deque[float], limit: Limit, now: float) -> float:
    if len(seen) <= limit.count:
        return 0.0
    # The request that must leave the window before one more fits.
    leaving = seen[-limit.count - 1]
    return max(0.0, leaving + limit.seconds - now)
