"""What the chat has to say about the calendar, and when."""

from __future__ import annotations

from datetime import date

import pytest

from core.domain.calendar_years import (
    CalendarYear,
    Confidence,
    DerivedYear,
    EndsSoon,
    known_until,
    reminders,
)

pytestmark = [pytest.mark.dates, pytest.mark.matrix("K04")]

PUBLISHED = [CalendarYear(year, Confidence.PUBLISHED, "NSE") for year in (2025, 2026)]
DERIVED = CalendarYear(2027, Confidence.DERIVED, "the moon")


@pytest.mark.parametrize(
    ("years", "today", "expected"),
    [
        ((2025, 2026), date(2025, 3, 1), date(2026, 12, 31)),
        ((2025, 2026), date(2026, 12, 31), date(2026, 12, 31)),
        ((2025, 2026), date(2027, 1, 1), None),
        ((2025, 2027), date(2025, 3, 1), date(2025, 12, 31)),
        ((2025, 2027), date(2026, 3, 1), None),
        ((), date(2026, 3, 1), None),
    ],
    ids=["two years", "the last day", "a day later", "a gap", "in the gap", "nothing"],
)
def test_days_are_known_up_to_the_first_gap(
    years: tuple[int, ...], today: date, expected: date | None
) -> None:
    """A year beyond a gap does not make the gap known."""
    known = [CalendarYear(year, Confidence.PUBLISHED, "NSE") for year in years]
    assert known_until(known, today) == expected


@pytest.mark.parametrize(
    ("today", "step", "left"),
    [
        (date(2026, 11, 30), None, 31),
        (date(2026, 12, 1), 30, 30),
        (date(2026, 12, 23), 30, 8),
        (date(2026, 12, 24), 7, 7),
        (date(2026, 12, 29), 7, 2),
        (date(2026, 12, 30), 1, 1),
        (date(2026, 12, 31), 1, 0),
        (date(2027, 1, 1), None, 0),
    ],
)
def test_end_is_said_at_thirty_seven_and_one_day(today: date, step: int | None, left: int) -> None:
    """The nearest step alone; beyond the end each unknown day speaks for itself."""
    expected = () if step is None else (EndsSoon(date(2026, 12, 31), left, step),)
    assert reminders(PUBLISHED, today) == expected


@pytest.mark.parametrize(
    ("today", "is_due"),
    [
        (date(2026, 12, 16), False),
        (date(2026, 12, 17), True),
        (date(2027, 5, 1), True),
        (date(2028, 1, 1), False),
    ],
)
def test_derived_year_is_named_once_its_list_should_be_out(today: date, is_due: bool) -> None:
    """From mid-December on and all through the year; not in the years before and after."""
    expected = (DerivedYear(DERIVED),) if is_due else ()
    assert reminders([*PUBLISHED, DERIVED], today) == expected


def test_published_list_ends_the_reminder_of_a_derived_year() -> None:
    """Once the list is imported nothing is left to say, until the end of that year is near."""
    imported = CalendarYear(2027, Confidence.PUBLISHED, "NSE", is_added=True)
    assert reminders([*PUBLISHED, imported], date(2026, 12, 20)) == ()
    assert reminders([*PUBLISHED, imported], date(2027, 12, 28)) == (
        EndsSoon(date(2027, 12, 31), 3, 7),
    )
