"""What the card of a run says of positions that are unprotected, and may say for too long (R6)."""

from __future__ import annotations

from dataclasses import dataclass

from core.domain.views import RunView

__all__ = ["BareLine", "bare_lines"]


@dataclass(frozen=True, slots=True)
class BareLine:
    """A line that says of a position of a run that it is unprotected, or waits for its stop.

    Attributes:
        run_id: The run.
        broker_id: The account.
        ledger: The key of the position's ledger.
    """

    run_id: str
    broker_id: str
    ledger: str


def bare_lines(*runs: RunView) -> tuple[BareLine, ...]:
    """Return what a card of these runs says of what is unprotected."""
    found: list[BareLine] = []
    for run in runs:
        found += [BareLine(run.run_id, one.broker_id, key) for one in run.lines for key in one.bare]
        found += bare_lines(*run.parts)
    return tuple(found)
