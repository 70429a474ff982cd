"""Rate limits as Kite counts them: by calendar windows of real time, refused requests too."""

from dataclasses import dataclass

from sandbox.clock import real_now

__all__ = ["KiteRateLimiter", "Limit"]


@dataclass(frozen=True)
class Limit:
    """At most ``count`` requests in each window of ``seconds``, aligned to the epoch."""

    count: int
    seconds: int


class KiteRateLimiter:
    """Counters by key and window."""

    def __init__(self) -> None:
        self._counts: dict[tuple[str, int], tuple[int, int]] = {}

    def admits(self, key: str, limits: tuple[Limit, ...]) -> bool:
        """Count a request and return whether it is within all limits."""
        now = real_now()
        admitted = True
        for limit in limits:
            window = int(now // limit.seconds)
            seen, count = self._counts.get((key, limit.seconds), (window, 0))
            count = count + 1 if seen == window else 1
            self._counts[key, limit.seconds] = (window, count)
            admitted = admitted and count <= limit.count
        return admitted

    def clear(self) -> None:
        """Forget all requests."""
        self._counts.clear()
