"""Rows of a broker's answer that could not be read, beside those that could.

One unknown word in somebody else's row must not hide the rest of a day. What is left out is never
left out silently: each read carries it, and the user is told.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from core.domain.instrument import InstrumentId

__all__ = ["OddRow", "Rows", "odd_rows_of"]

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class OddRow:
    """One row that was left out.

    Attributes:
        reason: What about it cannot be read, for the user: ``product 'XYZ'``.
        broker_order_id: The order that the row is of, when it says one.
        tag: The tag that the row carries, when it carries one.
        instrument: What it is of, as far as that can be read.
    """

    reason: str
    broker_order_id: str | None = None
    tag: str | None = None
    instrument: InstrumentId | None = None


class Rows(list[T], Generic[T]):
    """The rows of a read; ``odd`` are those that were left out."""

    def __init__(self, rows: Iterable[T] = (), odd: Iterable[OddRow] = ()) -> None:
        super().__init__(rows)
        self.odd = tuple(odd)


def odd_rows_of(rows: Sequence[object]) -> tuple[OddRow, ...]:
    """Return what was left out of a read."""
    return rows.odd if isinstance(rows, Rows) else ()
