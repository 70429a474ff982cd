"""The campaign's table: what was done, and what must be 0."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

__all__ = ["BAD", "table_of"]

DONE = (
    "worlds",
    "kills",
    "faults",
    "commands",
    "notices",
    "orders intended",
    "orders placed",
    "positions asked about",
    "limits set or removed",
    "entries denied",
    "daily losses",
    "guards fired",
    "panics",
    "questions answered",
    "invariants checked",
)
BAD = (
    "orders duplicated",
    "orders lost",
    "orders unknown to the journal",
    "positions wrong",
    "seconds unprotected without a notice",
    "notices lost",
    "commands lost or doubled",
    "invariants broken",
    "stops taken away in vain",
    "stops passed by",
    "storms of orders",
    "limits passed",
    "guards fired twice or not closed",
    "locks loosened",
    "panics not finished",
    "not at rest",
    "worlds broken",
)
PARTS = {"crash": "each call", "day": "random days", "processes": "processes"}


def table_of(parts: Mapping[str, Counter[str]]) -> Sequence[str]:
    """Return the lines of the table, a column for each part and one for all."""
    names = [name for name in PARTS if name in parts]
    total: Counter[str] = sum((parts[name] for name in names), Counter())
    columns = [*(parts[name] for name in names), total]
    heads = [*(PARTS[name] for name in names), "all"]
    lines = [
        f"| {'':38} | " + " | ".join(f"{head:>11}" for head in heads) + " |",
        f"|{'-' * 40}|" + "|".join("-" * 12 + ":" for _ in heads) + "|",
    ]
    for figure in (*DONE, *BAD):
        cells = " | ".join(f"{column[figure]:>11}" for column in columns)
        lines.append(f"| {figure:38} | {cells} |")
    return lines
