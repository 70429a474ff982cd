"""Which slots are due: the newest alone, once, and entries only in time."""

from __future__ import annotations

from datetime import date, datetime, time, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.domain.due import changed_since, due_slots, next_slot, square_off_at
from core.domain.sessions import IST, Schedule, SessionWindow, slots_of

pytestmark = [pytest.mark.dates, pytest.mark.row("D2")]

DAY = date(2021, 5, 12)
SCHEDULE = Schedule(time(9, 30), time(14, 59), 5)


def at(clock: str, day: date = DAY) -> datetime:
    return datetime.combine(day, time.fromisoformat(clock), IST)


WINDOW = SessionWindow(DAY, at("09:15"), at("15:30"))


def due(now: str, handled: str | None):
    done = at(handled) if handled else None
    found = due_slots(SCHEDULE, WINDOW, now=at(now), handled=done)
    if found is None:
        return None
    missed = [f"{slot:%H:%M}" for slot in found.missed]
    return f"{found.slot_at:%H:%M}", found.may_enter, missed


@pytest.mark.parametrize(
    ("now", "handled", "expected"),
    [
        ("09:29:59", None, None),
        ("09:30", None, ("09:30", True, [])),
        ("09:31", None, ("09:30", True, [])),
        ("09:31:01", None, ("09:30", False, [])),
        ("09:34", "09:30", None),
        ("09:35", "09:30", ("09:35", True, [])),
        ("09:46", "09:30", ("09:45", True, ["09:35", "09:40"])),
        ("09:47", "09:30", ("09:45", False, ["09:35", "09:40"])),
        ("14:55", "14:50", ("14:55", True, [])),
        ("15:29", "14:55", None),
        ("15:29", "14:50", ("14:55", False, [])),
        ("15:30", "14:50", None),
    ],
)
def test_the_newest_unhandled_slot_is_due(
    now: str, handled: str | None, expected: tuple[str, bool, list[str]] | None
):
    """The newest slot stands for those before it; a minute late it enters nothing any more."""
    assert due(now, handled) == expected


def test_what_was_handled_yesterday_hides_nothing_today():
    """A controller that slept over night starts the day afresh, and misses nothing of yesterday."""
    yesterday = at("14:55", DAY - timedelta(days=1))
    found = due_slots(SCHEDULE, WINDOW, now=at("09:30"), handled=yesterday)
    assert found is not None
    assert (found.slot_at, found.missed) == (at("09:30"), ())


def test_a_clock_set_back_runs_no_slot_again():
    """After a step back in time nothing is due until what was handled has passed."""
    assert due("09:40", "10:00") is None
    assert due("10:04", "10:00") is None
    assert due("10:05", "10:00") == ("10:05", True, [])


@given(st.lists(st.integers(0, 8 * 3600), min_size=1, max_size=40))
def test_no_slot_is_ever_due_twice(seconds: list[int]):
    """Whenever the alarm clock wakes, each slot is run or missed at most once."""
    handled: datetime | None = None
    seen: list[datetime] = []
    for second in sorted(seconds):
        now = at("09:00") + timedelta(seconds=second)
        found = due_slots(SCHEDULE, WINDOW, now=now, handled=handled)
        if found is not None:
            seen += [*found.missed, found.slot_at]
            handled = found.slot_at
    assert len(seen) == len(set(seen))
    assert seen == list(slots_of(SCHEDULE, WINDOW))[: len(seen)]


@pytest.mark.row("D7")
@pytest.mark.parametrize(
    ("wanted", "cut_off", "begin"),
    [("15:00", "15:00", "15:00"), ("14:30", "15:00", "14:30"), ("15:15", "15:00", "15:00")],
)
def test_the_earlier_of_strategy_and_broker_begins_the_square_off(
    wanted: str, cut_off: str, begin: str
):
    """A strategy may be flat before the broker's cut-off, never after it."""
    schedule = Schedule(time(9, 30), time(14, 59), 5, square_off=time.fromisoformat(wanted))
    assert square_off_at(schedule, DAY, time.fromisoformat(cut_off)) == at(begin)


def test_a_strategy_that_holds_over_night_is_not_squared_off():
    """Without a square-off time there is none."""
    schedule = Schedule(time(9, 30), time(14, 59), 5, square_off=None)
    assert square_off_at(schedule, DAY, time(15, 0)) is None


@pytest.mark.parametrize(
    ("now", "expected"),
    [("09:00", "09:30"), ("09:30", "09:35"), ("14:54", "14:55"), ("14:55", None)],
)
def test_the_next_slot_lies_ahead(now: str, expected: str | None):
    """The next slot of the day, after this very moment."""
    found = next_slot(SCHEDULE, WINDOW, at(now))
    assert (f"{found:%H:%M}" if found else None) == expected


@pytest.mark.parametrize(
    ("now", "handled", "since"),
    [
        ("10:20", "10:00", "10:20"),
        ("10:00:10", "10:00", "10:00:10"),
        ("10:00:10", "09:30", "09:59:59.999999"),
        ("10:01:10", "09:30", "10:01:10"),
        ("09:10", None, "09:10"),
    ],
    ids=["long after", "just run", "due and not run yet", "too late", "before the first"],
)
def test_a_changed_schedule_begins_at_its_change(now: str, handled: str | None, since: str):
    """No slot of before is its own, but one that was due under the old one at that moment."""
    old = Schedule(time(9, 30), time(14, 59), 30)
    done = at(handled) if handled else None
    assert changed_since(old, now=at(now), handled=done) == at(since)
