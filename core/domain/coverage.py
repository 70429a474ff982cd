"""From when to when a stream was heard: which minutes of an instrument are whole. Pure."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime

from core.domain.minute_bars import MINUTE

__all__ = ["Coverage"]


@dataclass(slots=True)
class Coverage:
    """Spans of market time in which nothing of one instrument can have been missed.

    Attributes:
        since: The beginning of the span that goes on, None while nothing is heard.
        spans: Those that are over, oldest first.
    """

    since: datetime | None = None
    spans: list[tuple[datetime, datetime]] = field(default_factory=list)

    def begin(self, at: datetime) -> None:
        """Hear the instrument from now on; no change where it is heard already."""
        if self.since is None:
            self.since = at

    def end(self, at: datetime) -> None:
        """Hear it no longer: what came after ``at`` is not known."""
        if self.since is not None and at > self.since:
            self.spans.append((self.since, at))
        self.since = None

    def has(self, start: datetime) -> bool:
        """Whether the minute that starts then was heard from its first instant to its last."""
        if self.since is not None and self.since <= start:
            return True
        return any(since <= start and start + MINUTE <= until for since, until in self.spans)
