"""What one run means for one account: goals and entries, worked out without I/O (product.md D3)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal

from core.domain.instrument import Instrument
from core.domain.listing import untradable
from core.domain.sizing import units_for
from core.domain.target import Direction, Target
from core.domain.views import AssignmentView, SizeKind

__all__ = ["AccountState", "Leg", "plan_leg"]


@dataclass(frozen=True, slots=True)
class AccountState:
    """What one account holds, wants and may do in one instrument when a run is planned.

    Attributes:
        held: The strategy's signed units.
        wanted: Signed units of the present goal, 0 when there is none.
        is_closing: Whether today's goal is already to hold nothing: an exit is under way.
        run_id: The run that set the present goal, or this one.
        working_entry: Whether an entry of the strategy in this instrument may still fill.
        largest_order: The largest quantity of one order, when known.
        why_not: Says why an entry of so many units is not let through, or ''; 0 units ask about
            an entry that has no size yet.
        is_acted_on: Whether an entry was decided here before on this very signal.
        has_list: Whether the broker's instruments are known at all.
    """

    held: int
    wanted: int
    is_closing: bool
    working_entry: bool
    why_not: Callable[[int], str]
    run_id: str
    capital: Decimal | None
    price: Decimal
    instrument: Instrument | None
    largest_order: int | None = None
    is_acted_on: bool = False
    has_list: bool = True


@dataclass(frozen=True, slots=True)
class Leg:
    """One target on one account.

    Attributes:
        goal: Signed units wanted from now on.
        entry: Signed units to enter with, 0 for none.
        note: Why nothing, or less than the user typed, is entered for the target, or ''.
    """

    goal: int
    entry: int
    note: str


def plan_leg(
    target: Target,
    assignment: AssignmentView,
    current: AccountState,
    *,
    slot_at: datetime,
    fresh_for: timedelta,
) -> Leg:
    """Return the goal and the entry of one target on one account.

    A goal in the direction already held keeps its size: size changes wait for the next entry. An
    entry needs a fresh signal: an account that joins late, or whose entry came to nothing, waits.
    So does a position that is being closed, by a user too: an old signal does not keep it. A signal
    enters once: after a stop, or a user's own close, another run does not enter on it again.
    """
    direction = int(target.direction)
    is_fresh = slot_at - target.signal_at < fresh_for and not current.is_acted_on
    if target.direction is Direction.FLAT:
        return Leg(0, 0, "")
    # Before what is held: of an entry that has filled in part, the rest may still come, and a goal
    # of what has filled would sell it as it does.
    if current.working_entry and current.wanted * direction > 0:
        return Leg(current.wanted, 0, "")
    if current.held * direction > 0:
        # While an exit is under way, only a new signal takes it back, and only if an entry would be
        # allowed: to stop an exit in EXIT_ONLY would be an entry in all but name (C3).
        is_kept = not current.is_closing or (is_fresh and not current.why_not(0))
        return Leg(current.held if is_kept else 0, 0, "")
    # No note: at every later slot the same target is old here, and a note makes a card of the run.
    if not is_fresh:
        return Leg(0, 0, "")
    if reason := current.why_not(0):
        return Leg(0, 0, reason)
    return _entry(target, assignment, current, slot_at)


def _entry(
    target: Target, assignment: AssignmentView, current: AccountState, slot_at: datetime
) -> Leg:
    """Return the entry that the assignment's size asks for, or why there is none."""
    if current.instrument is None:
        if not current.has_list:
            return Leg(0, 0, "the broker's list of instruments is not loaded yet: not entered")
        return Leg(0, 0, f"{target.instrument} is not in this broker's instruments")
    if reason := untradable(current.instrument, slot_at.date()):
        return Leg(0, 0, f"{target.instrument} {reason}: not entered")
    if current.instrument.is_stale:
        return Leg(0, 0, "today's list of instruments could not be loaded, entries wait for it")
    units = units_for(
        assignment.size_kind,
        assignment.size_value,
        assignment.multiplier,
        price=current.price,
        capital=current.capital,
        lot_size=current.instrument.lot_size,
    )
    if units == 0:
        return Leg(0, 0, _no_size(assignment, current))
    if reason := current.why_not(units):
        return Leg(0, 0, reason)
    note = _rounded(target, assignment, units, current.instrument.lot_size)
    return Leg(units * int(target.direction), units * int(target.direction), note)


def _no_size(assignment: AssignmentView, current: AccountState) -> str:
    is_share = assignment.size_kind is SizeKind.CAPITAL_SHARE
    if is_share and current.capital is None:
        return "its capital is not known yet today, so no size can be worked out"
    lot = current.instrument.lot_size if current.instrument else 1
    if is_share or lot == 1:
        return "its size does not buy one lot"
    asked = _asked(assignment)
    return f"its size of {asked} does not buy one lot, which is {lot}"


def _rounded(target: Target, assignment: AssignmentView, units: int, lot: int) -> str:
    """Return what to say of a number that a user typed and that is not whole lots, or ''."""
    if assignment.size_kind is not SizeKind.QUANTITY or _asked(assignment) == str(units):
        return ""
    lots = f"whole lots of {lot}" if lot > 1 else "whole units"
    return f"{target.instrument}: {units} instead of {_asked(assignment)}, in {lots}"


def _asked(assignment: AssignmentView) -> str:
    return f"{(assignment.size_value * assignment.multiplier).normalize():f}"
