"""One measured figure and its peer, and how figures are written and shown."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

__all__ = ["Figure", "table", "write"]


@dataclass(frozen=True)
class Figure:
    """What was measured.

    Attributes:
        peer: The same unit, of something that anybody can picture, from the same run: machines
            differ, the ratio of the two much less.
        peer_name: What the peer is.
    """

    value: float
    unit: str
    peer: float
    peer_name: str

    @property
    def ratio(self) -> float:
        """How many times the peer it is."""
        return self.value / self.peer


def write(figures: Mapping[str, Figure], path: Path) -> None:
    """Write the figures as JSON."""
    rows = {
        name: {
            "value": round(one.value, 4),
            "unit": one.unit,
            "peer": round(one.peer, 4),
            "ratio": round(one.ratio, 4),
        }
        for name, one in figures.items()
    }
    path.write_text(json.dumps(rows, indent=2) + "\n", encoding="utf-8")


def table(figures: Mapping[str, Figure]) -> str:
    """Return the figures for a user."""
    lines = [f"{'':<32} {'value':>9} {'peer':>9} {'ratio':>7}  unit  peer is"]
    lines += [
        f"{name:<32} {one.value:>9.2f} {one.peer:>9.2f} {one.ratio:>7.2f}  {one.unit:<4}  "
        f"{one.peer_name}"
        for name, one in figures.items()
    ]
    return "\n".join(lines) + "\n"
