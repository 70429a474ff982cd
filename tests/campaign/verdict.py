"""What a world came to: figures of the table, and sentences about what is wrong."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

__all__ = ["GRACE_S", "REACTION_S", "Verdict"]

GRACE_S = 30.0
"""How long something held may be naked while the product is at work on it: a fill's turn, a read
that failed, a stop that is cancelled for an exit. What lasts longer has to be named in the chat."""
REACTION_S = 60.0
"""How long what a person or the broker did by hand may go unseen, while reads are spoilt."""


@dataclass
class Verdict:
    """What one world came to.

    Attributes:
        figures: The table's figures, by name; those of ``tests.campaign.table.BAD`` are to be 0.
        faults: Sentences about what is wrong.
    """

    figures: Counter[str] = field(default_factory=Counter)
    faults: list[str] = field(default_factory=list)
    story: list[str] = field(default_factory=list)

    def bad(self, figure: str, sentence: str, times: int = 1) -> None:
        """Count something that must not be."""
        self.figures[figure] += times
        self.faults.append(f"{figure}: {sentence}")
