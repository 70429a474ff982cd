"""What goes wrong at a broker of the campaign: armed by a day's script, counted when it bites."""

from __future__ import annotations

from collections import Counter, defaultdict, deque
from collections.abc import Callable
from dataclasses import dataclass, field

__all__ = ["PLACE_TROUBLES", "READ_TROUBLES", "WRITE_TROUBLES", "Troubles"]

PLACE_TROUBLES = (
    "slow",
    "lost answer",
    "lost request",
    "late",
    "hidden",
    "refused",
    "throttled",
    "not sent",
    "rejected later",
    "rests",
    "part",
)
"""What may happen to the next placement; a ``lost tag`` as well, which only a user can answer."""

WRITE_TROUBLES = ("slow", "lost answer", "lost request", "refused", "throttled", "not sent")
"""What may happen to the next cancel or change; a cancel may also meet a fill (``fills``)."""

READ_TROUBLES = ("fails", "malformed", "hangs", "slow", "stale", "missing", "doubled")
"""What may happen to an endpoint for some seconds; positions may also be ``empty``."""


@dataclass
class Troubles:
    """The troubles of one account.

    Attributes:
        now: Seconds of the world's clock.
        bitten: How often each kind changed an answer.
    """

    now: Callable[[], float]
    bitten: Counter[str] = field(default_factory=Counter)
    note: Callable[[str], None] = lambda _what: None
    _reads: dict[str, tuple[str, float]] = field(default_factory=dict)
    _writes: defaultdict[str, deque[str]] = field(default_factory=lambda: defaultdict(deque))

    def read(self, endpoint: str, kind: str, seconds: float) -> None:
        """Let an endpoint misbehave for some seconds; ``*`` means all of them."""
        self.note(f"{endpoint} {kind} for {seconds:.0f} s")
        self._reads[endpoint] = (kind, self.now() + seconds)

    def write(self, action: str, kind: str) -> None:
        """Let the next ``place``, ``cancel`` or ``modify`` meet something."""
        self._writes[action].append(kind)

    def of_read(self, endpoint: str) -> str:
        """Return how an endpoint misbehaves now, or ''."""
        for name in (endpoint, "*"):
            kind, until = self._reads.get(name, ("", 0.0))
            if kind and self.now() < until:
                self.bitten[f"{endpoint} {kind}"] += 1
                return kind
        return ""

    def spoils(self, endpoint: str) -> bool:
        """Whether an endpoint misbehaves now; counts nothing."""
        return any(self.now() < self._reads.get(name, ("", 0.0))[1] for name in (endpoint, "*"))

    def of_write(self, action: str) -> str:
        """Take what the next write meets, or ''."""
        if not self._writes[action]:
            return ""
        kind = self._writes[action].popleft()
        self.bitten[f"{action} {kind}"] += 1
        self.note(f"{action} meets: {kind}")
        return kind

    def end(self) -> None:
        """End everything that is armed."""
        self._reads.clear()
        self._writes.clear()

    @property
    def is_calm(self) -> bool:
        """Whether nothing is armed."""
        reads = any(until > self.now() for _, until in self._reads.values())
        return not reads and not any(self._writes.values())
