"""The dated calendar: against two libraries, and by tables for what they do not know."""

from __future__ import annotations

import shutil
from datetime import date, datetime, time, timedelta
from importlib.resources import as_file, files
from pathlib import Path
from typing import Any

import exchange_calendars
import holidays
import pytest

from core.adapters.brokers import PROFILES
from core.adapters.calendar import TradingCalendar, _data
from core.adapters.fyers import FYERS
from core.adapters.zerodha import ZERODHA
from core.domain.broker_profile import BrokerProfile, unknown_broker
from core.domain.calendar_years import Confidence
from core.domain.instrument import Segment
from core.domain.sessions import IST
from core.ports.calendar import Calendar

pytestmark = [pytest.mark.dates, pytest.mark.row("D2")]

CALENDAR = TradingCalendar()
OTHER = unknown_broker("other")
"""A broker without cut-offs of its own."""
FIRST, LAST = date(2021, 1, 1), date(2026, 12, 31)
"""What is known from the exchange's own lists."""
DERIVED = 2027

# Weekdays on which ``holidays`` (NSE's yearly circulars) differs from what happened, and why.
MOVED_OR_ADDED = {
    date(2023, 6, 28): "Bakri Id was moved to the 29th by a later circular: the 28th traded",
    date(2023, 6, 29): "Bakri Id, moved from the 28th",
    date(2024, 1, 22): "declared two days before, for Ayodhya",
    date(2024, 5, 20): "polling day in Mumbai, declared in April",
    date(2024, 11, 20): "Maharashtra's election, declared in November",
    date(2026, 1, 15): "Maharashtra's municipal elections, declared in January",
}


def days(first: date = FIRST, last: date = LAST) -> list[date]:
    return [first + timedelta(days=index) for index in range((last - first).days + 1)]


def hours(day: str, segment: Segment, *, has_derivatives: bool = False) -> tuple[str, str] | None:
    window = CALENDAR.session(date.fromisoformat(day), segment, has_derivatives=has_derivatives)
    if window is None:
        return None
    assert window.day == window.open_at.date() == window.close_at.date()
    assert window.open_at.utcoffset() == window.close_at.utcoffset() == timedelta(minutes=330)
    return f"{window.open_at:%H:%M}", f"{window.close_at:%H:%M}"


def trades_all_day(day: date) -> bool:
    """Tell whether the cash market has an ordinary session on a weekday."""
    if (_data.load().special.get(("equity", day))) is not None:
        return day == date(2021, 2, 24)
    return CALENDAR.session(day, Segment.CASH, has_derivatives=False) is not None


@pytest.mark.filterwarnings("ignore:Series.values returning")  # exchange_calendars' own
def test_weekdays_agree_with_exchange_calendars():
    """On every weekday of six years BSE's calendar trades exactly when ours does."""
    known: Any = exchange_calendars.get_calendar(
        "XBOM", start=FIRST.isoformat(), end=LAST.isoformat()
    )
    assert known.last_session.date() == LAST
    theirs = {session.date() for session in known.sessions}
    weekdays = [day for day in days() if day.weekday() < 5]
    assert [day for day in weekdays if trades_all_day(day) != (day in theirs)] == []


def test_weekdays_agree_with_holidays_but_for_explained_days():
    """NSE's yearly circulars differ on the days that later circulars changed, and on no other."""
    theirs: Any = holidays.financial_holidays("XNSE", years=range(2021, 2027))
    weekdays = [day for day in days() if day.weekday() < 5]
    differing = {day for day in weekdays if trades_all_day(day) != (day not in theirs)}
    assert differing == set(MOVED_OR_ADDED)


def test_no_other_saturday_or_sunday_trades():
    """Of all weekend days those of the special sessions alone have one."""
    traded = []
    for day in days():
        try:
            window = CALENDAR.session(day, Segment.CASH, has_derivatives=True)
        except LookupError:
            continue
        if day.weekday() >= 5 and window is not None:
            traded.append(day.isoformat())
    assert traded == [
        "2023-11-12",
        "2024-01-20",
        "2024-03-02",
        "2024-05-18",
        "2025-02-01",
        "2026-02-01",
    ]


@pytest.mark.matrix("K04")
@pytest.mark.parametrize(
    ("day", "segment", "has_derivatives", "expected"),
    [
        ("2021-05-10", Segment.CASH, True, ("09:15", "15:30")),
        ("2021-05-13", Segment.CASH, True, None),
        ("2021-05-15", Segment.CASH, True, None),
        ("2021-11-04", Segment.CASH, True, ("18:15", "19:15")),
        ("2022-10-24", Segment.DERIVATIVES, True, ("18:15", "19:15")),
        ("2023-11-12", Segment.CASH, False, ("18:15", "19:15")),
        ("2024-01-20", Segment.CASH, False, ("09:15", "15:30")),
        ("2024-01-22", Segment.CASH, False, None),
        ("2024-03-02", Segment.CASH, False, ("09:15", "10:00")),
        ("2024-05-18", Segment.DERIVATIVES, False, ("09:15", "10:00")),
        ("2024-11-01", Segment.CASH, False, ("18:00", "19:00")),
        ("2025-02-01", Segment.CASH, False, ("09:15", "15:30")),
        ("2025-10-21", Segment.CASH, True, ("13:45", "14:45")),
        ("2026-02-01", Segment.CASH, True, ("09:15", "15:30")),
        ("2026-07-31", Segment.CASH, True, ("09:15", "15:30")),
        ("2026-07-31", Segment.DERIVATIVES, True, ("09:15", "15:30")),
        ("2026-08-03", Segment.CASH, True, ("09:15", "15:15")),
        ("2026-08-03", Segment.CASH, False, ("09:15", "15:30")),
        ("2026-08-03", Segment.DERIVATIVES, True, ("09:15", "15:40")),
        ("2026-08-03", Segment.DERIVATIVES, False, ("09:15", "15:40")),
        ("2026-08-03", Segment.INDEX, False, ("09:15", "15:30")),
        ("2026-11-24", Segment.CASH, True, None),
        ("2026-11-24", Segment.COMMODITY, False, ("17:00", "23:55")),
        ("2026-03-06", Segment.COMMODITY, False, ("09:00", "23:55")),
        ("2026-03-09", Segment.COMMODITY, False, ("09:00", "23:30")),
        ("2026-11-02", Segment.COMMODITY, False, ("09:00", "23:55")),
        ("2026-01-26", Segment.COMMODITY, False, None),
    ],
)
def test_hours_by_date(
    day: str, segment: Segment, has_derivatives: bool, expected: tuple[str, str] | None
):
    """Ordinary days, holidays, Muhurat, Saturdays, and both sides of each change of hours."""
    assert hours(day, segment, has_derivatives=has_derivatives) == expected


@pytest.mark.matrix("K04")
@pytest.mark.parametrize(
    ("day", "segment"),
    [
        ("2020-12-31", Segment.CASH),
        ("2028-01-01", Segment.CASH),
        ("2028-01-03", Segment.DERIVATIVES),
        ("2026-11-08", Segment.CASH),
        ("2027-10-29", Segment.CASH),
        ("2025-06-02", Segment.COMMODITY),
        ("2026-01-15", Segment.COMMODITY),
        ("2026-06-01", Segment.CURRENCY),
    ],
)
def test_an_unknown_date_is_said_to_be_unknown(day: str, segment: Segment):
    """Beyond the data, and where hours are not in it, the answer is an error and no guess."""
    with pytest.raises(LookupError):
        hours(day, segment)


@pytest.mark.row("D7")
@pytest.mark.parametrize(
    ("day", "broker", "segment", "expected"),
    [
        ("2021-05-10", ZERODHA, Segment.CASH, time(15, 0)),
        ("2026-08-03", FYERS, Segment.CASH, time(15, 0)),
        ("2026-08-03", OTHER, Segment.CASH, time(15, 0)),
        ("2026-08-03", ZERODHA, Segment.DERIVATIVES, time(15, 15)),
        ("2026-08-03", FYERS, Segment.DERIVATIVES, time(15, 5)),
        ("2026-08-03", OTHER, Segment.DERIVATIVES, time(15, 10)),
        ("2026-08-03", ZERODHA, Segment.COMMODITY, time(23, 0)),
        ("2025-10-21", ZERODHA, Segment.CASH, time(14, 30)),
        ("2024-03-02", FYERS, Segment.CASH, time(9, 50)),
    ],
)
def test_square_off_by_date_and_broker(
    day: str, broker: BrokerProfile, segment: Segment, expected: time
):
    """15:00 for cash at every broker, earlier on a short day, by broker for derivatives."""
    for has_derivatives in (True, False):
        found = CALENDAR.square_off(
            date.fromisoformat(day), broker, segment, has_derivatives=has_derivatives
        )
        assert found == expected


@pytest.mark.row("D7")
@pytest.mark.matrix("K04")
@pytest.mark.parametrize("day", ["2028-03-01", "2026-11-08"])
def test_an_exit_never_waits_for_data(day: str):
    """Where the day is unknown the latest known cut-off stands."""
    found = CALENDAR.square_off(
        date.fromisoformat(day), ZERODHA, Segment.CASH, has_derivatives=True
    )
    assert found == time(15, 0)


@pytest.mark.row("D7")
@pytest.mark.parametrize("segment", [Segment.CASH, Segment.DERIVATIVES, Segment.COMMODITY])
@pytest.mark.parametrize("broker", [*PROFILES, OTHER])
def test_the_square_off_lies_within_each_session(segment: Segment, broker: BrokerProfile):
    """On every known day there are ten minutes or more from the cut-off to the close."""
    for day in days():
        for has_derivatives in (True, False):
            try:
                window = CALENDAR.session(day, segment, has_derivatives=has_derivatives)
            except LookupError:
                continue
            if window is None:
                continue
            at = CALENDAR.square_off(day, broker, segment, has_derivatives=has_derivatives)
            cut_off = datetime.combine(day, at, IST)
            assert window.open_at < cut_off <= window.close_at - timedelta(minutes=10)


@pytest.mark.parametrize(
    ("after", "expected"),
    [
        ("2021-05-10 09:14", "2021-05-10 09:15"),
        ("2021-05-10 09:15", "2021-05-11 09:15"),
        ("2021-05-12 16:00", "2021-05-14 09:15"),
        ("2021-11-03 20:00", "2021-11-04 18:15"),
        ("2024-01-19 20:00", "2024-01-20 09:15"),
        ("2026-11-06 20:00", "2026-11-09 09:15"),
    ],
)
def test_the_next_session(after: str, expected: str):
    """The first open after a moment, over nights, holidays and special days."""
    moment = datetime.fromisoformat(after).replace(tzinfo=IST)
    window = CALENDAR.next_session(moment, Segment.CASH)
    assert f"{window.open_at:%Y-%m-%d %H:%M}" == expected


@pytest.mark.matrix("K04")
def test_there_is_no_next_session_beyond_the_data():
    """After the last known session the answer is an error."""
    calendar: Calendar = CALENDAR
    with pytest.raises(LookupError, match="2028-01-01"):
        calendar.next_session(datetime(2027, 12, 31, 16, 0, tzinfo=IST), Segment.CASH)


def test_how_far_the_data_reaches_is_told():
    """With how sure each year is, so that the set-up's check and the chat can warn."""
    years = CALENDAR.years(Segment.CASH)
    assert [one.year for one in years] == list(range(FIRST.year, DERIVED + 1))
    assert [one.year for one in years if one.confidence is Confidence.DERIVED] == [DERIVED]
    assert all(one.source and not one.is_added for one in years)
    assert CALENDAR.years(Segment.CURRENCY) == []


@pytest.mark.row("D7")
@pytest.mark.matrix("K04")
@pytest.mark.parametrize(
    ("day", "segment", "expected"),
    [
        ("2026-11-23", Segment.CASH, ("09:15", "15:15", False)),
        ("2026-11-24", Segment.CASH, None),
        ("2028-01-03", Segment.CASH, ("09:15", "15:15", True)),
        ("2028-01-03", Segment.DERIVATIVES, ("09:15", "15:40", True)),
        ("2028-01-01", Segment.CASH, None),
        ("2028-01-26", Segment.CASH, None),
        ("2026-11-08", Segment.CASH, None),
        ("2027-10-29", Segment.CASH, None),
        ("2026-01-15", Segment.COMMODITY, ("09:00", "23:55", True)),
        ("2028-01-03", Segment.CURRENCY, ("09:00", "17:00", True)),
    ],
    ids=[
        "a known day",
        "a known holiday",
        "an unknown weekday",
        "an unknown weekday of derivatives",
        "an unknown Saturday",
        "Republic Day of an unknown year",
        "Muhurat of unknown hours on a Sunday",
        "Muhurat of unknown hours on a holiday",
        "a weekday whose hours are unknown",
        "a segment without holidays",
    ],
)
def test_exits_have_a_session_on_every_day_that_may_trade(
    day: str, segment: Segment, expected: tuple[str, str, bool] | None
):
    """What is known stands; on a weekday that is not known the regular hours are assumed."""
    window = CALENDAR.exit_session(date.fromisoformat(day), segment, has_derivatives=True)
    found = window and (f"{window.open_at:%H:%M}", f"{window.close_at:%H:%M}", window.is_assumed)
    assert found == expected


@pytest.mark.matrix("K04")
def test_a_year_is_added_by_data_alone(tmp_path: Path):
    """With one line for the year and one for a holiday, the next year is known."""
    with as_file(files(_data.__package__)) as directory:
        for path in Path(directory).glob("*.csv"):
            shutil.copy(path, tmp_path)
    with (tmp_path / "years.csv").open("a") as file:
        file.write("equity,2028,published,NSE\n")
    with (tmp_path / "holidays.csv").open("a") as file:
        file.write("2028-01-26,equity,Republic Day\n")
    calendar = TradingCalendar(_data.read(tmp_path))
    assert calendar.session(date(2028, 1, 25), Segment.CASH, has_derivatives=True) is not None
    assert calendar.session(date(2028, 1, 26), Segment.CASH, has_derivatives=True) is None
