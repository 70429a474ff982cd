"""Contradictions of positions and fills that were seen, and how often (in memory)."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from core.domain.truth import Key

__all__ = ["Gap", "Gaps"]

_LOOKS = 3
_APART = timedelta(seconds=4)


@dataclass(frozen=True, slots=True)
class Gap:
    """What fills and positions say of one (instrument, product), signed units."""

    by_fills: int
    by_positions: int

    def __bool__(self) -> bool:
        """Whether they differ."""
        return self.by_fills != self.by_positions


@dataclass(slots=True)
class _Seen:
    gap: Gap
    first_at: datetime
    last_at: datetime
    looks: int = 1


class Gaps:
    """Counts looks: a contradiction is certain when it was seen alike often enough.

    A fill that only one of two reads shows yet looks like a contradiction too; the looks must be
    some seconds apart, and any look without it, or with other figures, starts the count anew.
    """

    def __init__(self) -> None:
        self._seen: dict[tuple[str, Key], _Seen] = {}

    def at(self, broker_id: str, key: Key) -> Gap | None:
        """Return the contradiction that the last look showed, None when it showed none."""
        seen = self._seen.get((broker_id, key))
        return seen.gap if seen else None

    def has_any(self, broker_id: str) -> bool:
        """Whether the last look at an account showed a contradiction."""
        return any(place == broker_id for place, _ in self._seen)

    def saw(self, broker_id: str, key: Key, gap: Gap, at: datetime) -> bool:
        """Count a look; return whether its contradiction is certain now."""
        place = (broker_id, key)
        if not gap:
            self._seen.pop(place, None)
            return False
        known = self._seen.get(place)
        # Looks lie close together: one that is far ahead is of a clock that was set back since.
        if known is None or known.gap != gap or known.last_at - at > _APART:
            self._seen[place] = _Seen(gap, at, at)
            return False
        if at - known.last_at >= _APART:
            known.looks += 1
            known.last_at = at
        return known.looks >= _LOOKS

    def forget(self, broker_id: str, key: Key) -> None:
        """Let the next look at a position be the first."""
        self._seen.pop((broker_id, key), None)

    def lasts(self, broker_id: str, key: Key, gap: Gap, *, since: datetime) -> bool:
        """Whether this contradiction had been seen before ``since``.

        The orders that were read since then do not explain it, so it is no fill on its way.
        """
        known = self._seen.get((broker_id, key))
        return known is not None and known.gap == gap and known.first_at < since
