"""Which slots are due: a pure function of schedule, session, market time and what was handled."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, time, timedelta

from core.domain.sessions import IST, Schedule, SessionWindow, slots_of

__all__ = ["DueSlot", "changed_since", "due_slots", "next_slot", "square_off_at"]


@dataclass(frozen=True, slots=True)
class DueSlot:
    """One slot to handle now.

    Attributes:
        may_enter: Within the schedule's grace; a later one only exits.
        missed: Older slots of today that were never handled and are skipped for good.
    """

    slot_at: datetime
    may_enter: bool
    missed: tuple[datetime, ...]


def due_slots(
    schedule: Schedule, window: SessionWindow, *, now: datetime, handled: datetime | None
) -> DueSlot | None:
    """Return the newest slot that is due, with those missed before it; None when none is.

    Only the newest is run: targets are a function of all bars up to the slot, so it contains what
    the older ones would have decided, and entries of the older ones are late anyway.
    """
    # A day begins with none handled: slots of an earlier day are never due, whatever was missed.
    # After a clock was set back, ``handled`` lies ahead and nothing runs twice (K01).
    day_start = datetime.combine(window.day, time(0, 0), IST)
    since = max(handled, day_start) if handled else day_start
    due = [slot for slot in slots_of(schedule, window) if since < slot <= now]
    # After the close nothing can be sent, so a late start must not report entries as dropped.
    if not due or now >= window.close_at:
        return None
    grace = timedelta(seconds=schedule.entry_grace_s)
    return DueSlot(due[-1], now - due[-1] <= grace, tuple(due[:-1]))


def changed_since(old: Schedule, *, now: datetime, handled: datetime | None) -> datetime:
    """Return from when on a schedule that is changed now has slots of its own.

    What lies before was no slot of the new one, and is neither run nor missed. A slot of the old
    one that is due at this very moment is not lost by the change, if the new one has it as well.
    """
    day_start = datetime.combine(now.astimezone(IST).date(), time(0, 0), IST)
    day = SessionWindow(day_start.date(), day_start, day_start + timedelta(days=1))
    newest = max((slot for slot in slots_of(old, day) if slot <= now), default=None)
    is_open = newest is not None and (handled is None or handled < newest)
    if newest is None or not is_open or now - newest > timedelta(seconds=old.entry_grace_s):
        return now
    return newest - timedelta(microseconds=1)


def square_off_at(schedule: Schedule, day: date, cut_off: time) -> datetime | None:
    """Return when to square off: the strategy's time or the broker's cut-off, the earlier."""
    if schedule.square_off is None:
        return None
    return datetime.combine(day, min(schedule.square_off, cut_off), IST)


def next_slot(schedule: Schedule, window: SessionWindow, now: datetime) -> datetime | None:
    """Return the first slot of the day after ``now``, or None."""
    return next((slot for slot in slots_of(schedule, window) if slot > now), None)
