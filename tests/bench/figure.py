"""One measured figure and its peer, and how figures are written and shown."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

__all__ = ["Figure", "kept", "read", "table", "write"]


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
        return self.value / self.peer if self.peer else math.nan


def write(figures: Mapping[str, Figure], path: Path) -> None:
    """Write the figures as JSON."""
    rows = {
        name: {
            "value": _number(one.value),
            "unit": one.unit,
            "peer": _number(one.peer),
            "ratio": _number(one.ratio),
        }
        for name, one in figures.items()
    }
    path.write_text(json.dumps(rows, indent=2) + "\n", encoding="utf-8")


def kept(figures: Mapping[str, Figure]) -> str:
    """Return the figures as text that ``read`` takes, exactly."""
    return json.dumps({name: asdict(one) for name, one in figures.items()})


def read(path: Path) -> dict[str, Figure]:
    """Return what ``kept`` wrote."""
    rows = json.loads(path.read_text(encoding="utf-8"))
    return {name: Figure(**row) for name, row in rows.items()}


def _number(value: float) -> float | None:
    """Return a number that JSON knows; what could not be measured has none."""
    return round(value, 4) if math.isfinite(value) else None


def table(figures: Mapping[str, Figure]) -> str:
    """Return the figures for a user."""
    lines = [f"{'':<42} {'value':>9} {'peer':>9} {'ratio':>7}  unit  peer is"]
    lines += [
        f"{name:<42} {one.value:>9.2f} {one.peer:>9.2f} {one.ratio:>7.2f}  {one.unit:<4}  "
        f"{one.peer_name}"
        for name, one in figures.items()
    ]
    return "\n".join(lines) + "\n"
