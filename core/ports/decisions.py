"""The port of decisions: strategies decide outside of the controller, which they cannot hurt.

A strategy is the user's own code (issue "Fast", item 6): it may hang, crash, leak memory or end its
process. Contract:

* Each strategy decides by itself: whatever one does, another decides in its own time.
* ``decide`` returns or raises within ``within_s`` real seconds and a little. What still decides
  then is ended for good, and the next decision of the same strategy begins anew.
* What a strategy raises comes back as ``DecisionFailed`` with its text, nothing else of it does.
  ``was_ended`` says that it had to be ended, or that what it ran in ended under it. With neither
  this nor ``came_back`` it was not asked at all.
* Targets come back as plain values of the right types. Whether they make sense is for the engine to
  check (``core.domain.decision``).
* One decision of a strategy at a time: the engine's decider sees to that.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Protocol

from core.domain.target import Context, Target

__all__ = ["Decisions"]


class Decisions(Protocol):
    """Has strategies decide."""

    def expect(self, names: Iterable[str]) -> None:
        """Make ready for these strategies, in the background, and let go of all others."""
        ...

    async def decide(self, strategy: str, context: Context, within_s: float) -> Sequence[Target]:
        """Return what a strategy wants.

        Raises:
            DecisionFailed: It raised, did not decide in time, or ended.
        """
        ...

    async def run(self) -> None:
        """Keep ready what is expected, until cancelled; then end everything."""
        ...

    async def aclose(self) -> None:
        """End everything."""
        ...
