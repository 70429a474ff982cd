"""How long after the end of a second its last ticks come, as a stream has shown of late. Pure.

Ticks are stamped with whole seconds, so how late one came is not known to less than a second. But
what is stamped with a second and comes after its end was on its way as that second ended. A bar
ends with a second too: what those before it show of their ends holds for its own. Of ticks that are
all made in the middle of their seconds nothing is seen there; these come long after their stamps,
every one, and a tick is never later than it comes after its stamp. All is by the clock of who hears
it, however wrong that is.
"""

from __future__ import annotations

from collections import deque
from typing import Final

__all__ = ["SecondEnds"]

_SHOWN_FOR_S: Final = 60
_AT_LEAST: Final = 30
"""Seconds of these in which something was heard: in fewer, perhaps nothing was made at an end."""


class SecondEnds:
    """What one stream shows: of each second, the latest tick by its end and the newest by stamp."""

    def __init__(self) -> None:
        self._shown: deque[tuple[int, float, float]] = deque()

    def begin(self) -> None:
        """Forget what was shown: a new connection may take another way."""
        self._shown.clear()

    def hear(self, now: float, after_end_s: float, after_stamp_s: float) -> None:
        """Take a frame.

        Args:
            now: When it came, seconds of a clock that never steps back.
            after_end_s: How long before that the second of its oldest tick had ended; below zero
                where it had not.
            after_stamp_s: How long before that was the stamp of its newest tick.
        """
        second = int(now)
        if self._shown and self._shown[-1][0] == second:
            _, latest_s, least_s = self._shown.pop()
            after_end_s, after_stamp_s = max(after_end_s, latest_s), min(after_stamp_s, least_s)
        self._shown.append((second, after_end_s, after_stamp_s))
        self._forget(now)

    def longest_s(self, now: float) -> float | None:
        """Return how long after a second's end its ticks may come; None while too few are known."""
        self._forget(now)
        if len(self._shown) < _AT_LEAST:
            return None
        latest_s = max(after_end_s for _, after_end_s, _ in self._shown)
        least_s = min(after_stamp_s for _, _, after_stamp_s in self._shown)
        return max(0.0, latest_s, least_s)

    def _forget(self, now: float) -> None:
        while self._shown and now - self._shown[0][0] > _SHOWN_FOR_S:
            self._shown.popleft()
