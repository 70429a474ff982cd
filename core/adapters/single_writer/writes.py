"""A number that rises with all that is written; each collection has that of its last change."""

from __future__ import annotations

from collections.abc import Container, Iterable

__all__ = ["WriteNumbers"]


class WriteNumbers:
    """Of one writer.

    Attributes:
        number: Rises when a commit begins, when it has landed, and when it has failed.
    """

    def __init__(self) -> None:
        self.number = 0
        self._changes: dict[str, int] = {}

    def of(self, collection: str) -> int:
        """Return the number of a collection's last change."""
        return self._changes.get(collection, 0)

    def beside(self, others: Container[str]) -> int:
        """Return the number of the last change of any collection but these."""
        return max((at for name, at in self._changes.items() if name not in others), default=0)

    def note(self, collections: Iterable[str]) -> None:
        """Note that these change."""
        self.number += 1
        self._changes.update(dict.fromkeys(collections, self.number))
