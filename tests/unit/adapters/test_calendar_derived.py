"""The derived year: its festivals follow the rules that the published years follow.

A tithi is a twelfth of the moon's way from the sun in steps of 12 degrees, 30 to a month. Which one
makes the festival, and at which hour of the day it must stand, is read off the exchange's lists of
2021 to 2026; the derived year is then held to the same rules.
"""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from math import radians, sin

import pytest

from core.adapters.calendar import _data
from core.adapters.calendar.added import NATIONAL_HOLIDAYS
from core.domain.sessions import IST

DERIVED = 2027
RULES = {
    "Holi": (15, 0, 6),
    "Ram Navami": (9, 12, 12),
    "Mahavir Jayanti": (13, 6, 6),
    "Ganesh Chaturthi": (4, 12, 12),
    "Dussehra": (10, 12, 15),
    "Diwali Balipratipada": (1, 6, 12),
    "Guru Nanak Jayanti": (15, 6, 15),
}
"""The tithi of a festival, and between which hours of its day it stands at some time."""
HOLIDAYS = [
    (day, name) for (market, day), name in _data.load().holidays.items() if market == "equity"
]
MOON = (  # Meeus, Astronomical Algorithms, chapter 47: the larger terms of the moon's longitude
    (6288774, 0, 0, 1, 0),
    (1274027, 2, 0, -1, 0),
    (658314, 2, 0, 0, 0),
    (213618, 0, 0, 2, 0),
    (-185116, 0, 1, 0, 0),
    (-114332, 0, 0, 0, 2),
    (58793, 2, 0, -2, 0),
    (57066, 2, -1, -1, 0),
    (53322, 2, 0, 1, 0),
    (45758, 2, -1, 0, 0),
    (-40923, 0, 1, -1, 0),
    (-34720, 1, 0, 0, 0),
    (-30383, 0, 1, 1, 0),
    (15327, 2, 0, 0, -2),
)


def elongation(moment: datetime) -> float:
    """Return how far the moon stands from the sun in degrees, true to a few hundredths."""
    t = (moment - datetime(2000, 1, 1, 12, tzinfo=UTC)) / timedelta(days=36525)
    anomaly = 357.52911 + 35999.05029 * t
    equation = 1.914602 * sin(radians(anomaly)) + 0.019993 * sin(radians(2 * anomaly))
    sun = 280.46646 + 36000.76983 * t + equation - 0.00569
    arguments = (
        297.8501921 + 445267.1114034 * t,
        anomaly,
        134.9633964 + 477198.8675055 * t,
        93.2720950 + 483202.0175233 * t,
    )
    moon = 218.3164477 + 481267.88123421 * t
    for size, *factors in MOON:
        angle = sum(f * a for f, a in zip(factors, arguments, strict=True))
        moon += size / 1e6 * sin(radians(angle))
    return (moon - sun) % 360


def tithi(day: date, hour: int) -> int:
    """Return the tithi at an hour of an Indian day: 15 ends at full moon, 30 at new moon."""
    return int(elongation(datetime(day.year, day.month, day.day, hour, tzinfo=IST)) // 12) + 1


def follows(day: date, name: str) -> bool:
    number, first, last = RULES[name]
    return number in {tithi(day, hour) for hour in range(first, last + 1)}


def test_tithi_is_that_of_known_eclipses() -> None:
    """A lunar eclipse is at full moon, a solar one at new moon, to the quarter of an hour."""
    lunar = datetime(2025, 9, 7, 18, 9, tzinfo=UTC)
    solar = datetime(2027, 8, 2, 10, 5, tzinfo=UTC)
    assert abs(elongation(lunar) - 180) < 0.15
    assert min(elongation(solar), 360 - elongation(solar)) < 0.15


@pytest.mark.row("D2")
@pytest.mark.matrix("K04")
@pytest.mark.parametrize(("day", "name"), [one for one in HOLIDAYS if one[1] in RULES], ids=str)
def test_festivals_stand_on_their_tithi(day: date, name: str) -> None:
    """In every published year, and so in the derived one."""
    assert follows(day, name)


@pytest.mark.row("D2")
@pytest.mark.matrix("K04")
def test_festivals_that_fall_on_a_weekend_are_left_out() -> None:
    """Each festival of the derived year is on the list, or its day is a Saturday or Sunday."""
    told = {name for day, name in HOLIDAYS if day.year == DERIVED}
    weekends = {
        "Ganesh Chaturthi": date(2027, 9, 4),
        "Dussehra": date(2027, 10, 9),
        "Diwali Balipratipada": date(2027, 10, 30),
        "Guru Nanak Jayanti": date(2027, 11, 14),
    }
    assert told | set(weekends) >= set(RULES)
    assert told & set(weekends) == set()
    assert all(day.weekday() >= 5 and follows(day, name) for name, day in weekends.items())


@pytest.mark.row("D2")
@pytest.mark.matrix("K04")
def test_fixed_holidays_are_complete() -> None:
    """Each national holiday on a weekday, in every year of the data, and Ambedkar's of late."""
    years = [year for market, year in _data.load().years if market == "equity"]
    closed = {day for day, _ in HOLIDAYS}
    for year in years:
        fixed = {date(year, month, number) for month, number in NATIONAL_HOLIDAYS}
        assert {day for day in fixed if day.weekday() < 5} <= closed
    assert date(DERIVED, 4, 14) in closed


@pytest.mark.row("D2")
@pytest.mark.matrix("K04")
@pytest.mark.parametrize(
    ("name", "day_of_month"), [("Id-ul-Fitr", 1), ("Bakri Id", 10), ("Muharram", 10)]
)
def test_islamic_holidays_are_a_day_off_at_most(name: str, day_of_month: int) -> None:
    """A month begins a day or two after the new moon, when the crescent is seen in India."""
    (day,) = (day for day, told in HOLIDAYS if day.year == DERIVED and told.startswith(name))
    first = day - timedelta(days=day_of_month - 1)
    evening = datetime(first.year, first.month, first.day, 18, 45, tzinfo=IST) - timedelta(days=1)
    hours_since_new_moon = elongation(evening) / 360 * 29.53 * 24
    assert 14 < hours_since_new_moon < 48
