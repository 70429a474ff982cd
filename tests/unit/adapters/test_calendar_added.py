"""Days that a user adds: what counts, what is refused and how, and that a running process follows."""

from __future__ import annotations

import logging
import os
from datetime import date, datetime, time
from pathlib import Path

import pytest

from core.adapters.calendar import FILE_NAME, TradingCalendar, _data, import_file
from core.adapters.calendar.added import AddedDays, add, parse
from core.adapters.fyers import FYERS
from core.domain.calendar_years import Confidence
from core.domain.instrument import Segment
from core.domain.sessions import IST
from core.errors import ConfigurationError
from tests.fakes.log_lines import lines_of

pytestmark = [pytest.mark.dates, pytest.mark.matrix("K04")]

HEADER = "kind,date,open,close,square_off,text\n"
KNOWN = [year for market, year in _data.load().years if market == "equity"]
YEAR = 2028
WHOLE = HEADER + (
    f"year,{YEAR},,,,NSE circular of December {YEAR - 1}\n"
    f"holiday,{YEAR}-01-26,,,,Republic Day\n"
    f"holiday,{YEAR}-02-23,,,,Maha Shivaratri\n"
    f"holiday,{YEAR}-04-14,,,,Good Friday\n"
    f"holiday,{YEAR}-05-01,,,,Maharashtra Day\n"
    f"holiday,{YEAR}-08-15,,,,Independence Day\n"
    f"holiday,{YEAR}-10-02,,,,Gandhi Jayanti\n"
    f"holiday,{YEAR}-10-17,,,,Diwali Laxmi Pujan\n"
    f"holiday,{YEAR}-12-25,,,,Christmas\n"
    f"session,{YEAR}-10-17,18:00,19:00,,Muhurat trading\n"
)


def days_of(text: str) -> AddedDays:
    added, mistakes = parse(text, [*KNOWN, YEAR])
    assert mistakes == []
    return added


def calendar_with(*texts: str) -> TradingCalendar:
    """Return the calendar with files that were imported one after the other."""
    added = AddedDays()
    for text in texts:
        added = days_of(text).over(added)
    return TradingCalendar(add(_data.load(), added))


def hours(calendar: TradingCalendar, day: str) -> str:
    window = calendar.session(date.fromisoformat(day), Segment.CASH, has_derivatives=True)
    return f"{window.open_at:%H:%M} to {window.close_at:%H:%M}" if window else "closed"


def test_whole_year_is_added() -> None:
    """Its weekdays trade, its holidays do not, its Muhurat has hours, and it counts as published."""
    calendar = calendar_with(WHOLE)
    assert hours(calendar, f"{YEAR}-01-25") == "09:15 to 15:15"
    assert hours(calendar, f"{YEAR}-01-26") == "closed"
    assert hours(calendar, f"{YEAR}-10-17") == "18:00 to 19:00"
    year = calendar.years(Segment.CASH)[-1]
    assert (year.year, year.confidence, year.is_added) == (YEAR, Confidence.PUBLISHED, True)
    assert year.source == f"NSE circular of December {YEAR - 1}"


def test_square_off_of_an_added_session_is_a_quarter_of_an_hour_before_its_close() -> None:
    """Unless the line says when."""
    said = WHOLE.replace("18:00,19:00,,", "18:00,19:00,18:30,")
    day = date(YEAR, 10, 17)
    for text, expected in ((WHOLE, time(18, 45)), (said, time(18, 30))):
        found = calendar_with(text).square_off(day, FYERS, Segment.CASH, has_derivatives=True)
        assert found == expected


def test_hours_of_a_known_session_are_added() -> None:
    """The Muhurat session of a shipped year gets its hours; the rest of that year stays."""
    calendar = calendar_with(HEADER + "session,2026-11-08,18:00,19:00,18:40,Muhurat trading\n")
    assert hours(calendar, "2026-11-08") == "18:00 to 19:00"
    assert hours(calendar, "2026-11-24") == "closed"
    year = next(one for one in calendar.years(Segment.CASH) if one.year == 2026)
    assert not year.is_added


def test_holiday_is_added_to_a_known_year() -> None:
    """An election day, declared late."""
    calendar = calendar_with(HEADER + "holiday,2027-02-03,,,,Election\n")
    assert hours(calendar, "2027-02-03") == "closed"
    assert hours(calendar, "2027-02-04") == "09:15 to 15:15"


def test_whole_year_replaces_what_was_derived() -> None:
    """A derived holiday that the exchange's list does not have is a trading day."""
    names = ("01-26", "02-17", "03-08", "03-22", "03-26", "04-14", "05-18", "06-17", "11-01")
    text = HEADER + "year,2027,,,,NSE\n"
    text += "".join(f"holiday,2027-{name},,,,as listed\n" for name in names)
    assert hours(TradingCalendar(), "2027-06-16") == "closed"
    calendar = calendar_with(text)
    assert hours(calendar, "2027-06-16") == "09:15 to 15:15"
    assert hours(calendar, "2027-06-17") == "closed"
    assert hours(calendar, "2027-10-29") == "09:15 to 15:15"
    assert {one.confidence for one in calendar.years(Segment.CASH)} == {Confidence.PUBLISHED}


def test_later_file_adds_to_an_earlier_one() -> None:
    """The year first, the hours of its Muhurat when they are announced; a new list replaces all."""
    later = HEADER + f"session,{YEAR}-10-17,18:15,19:15,,Muhurat trading\n"
    assert hours(calendar_with(WHOLE, later), f"{YEAR}-10-17") == "18:15 to 19:15"
    assert hours(calendar_with(WHOLE, later), f"{YEAR}-01-26") == "closed"
    assert hours(calendar_with(WHOLE, later, WHOLE), f"{YEAR}-10-17") == "18:00 to 19:00"
    called_off = HEADER + f"holiday,{YEAR}-10-17,,,,no Muhurat\n"
    assert hours(calendar_with(WHOLE, called_off), f"{YEAR}-10-17") == "closed"


@pytest.mark.parametrize(
    ("line", "sentence"),
    [
        ("vacation,2027-02-03,,,,x", "line 2: found the kind 'vacation'; expected year, holiday"),
        ("holiday,2027-02-03,x", "line 2: found 3 columns; expected 6: kind,date,open"),
        ("holiday,3 Feb 2027,,,,x", "line 2: found the date '3 Feb 2027'; expected a day like"),
        ("holiday,2027-02-30,,,,x", "line 2: found the date '2027-02-30'; expected a day like"),
        ("holiday,1927-02-03,,,,x", "found the date '1927-02-03'; expected a year 2021 to 2099"),
        ("holiday,2027-02-03,,,,", "line 2: found no text in the last column; expected a name"),
        ("holiday,2027-02-06,,,,x", "found a holiday on Saturday, 06 Feb 2027; expected a weekday"),
        ("holiday,2027-02-03,09:15,,,x", "line 2: found times beside a holiday; expected none"),
        (
            "holiday,2031-02-03,,,,x",
            "found 2031-02-03, but nothing else is known of 2031; expected",
        ),
        ("year,27,,,,NSE", "line 2: found the year '27'; expected 2021 to 2099"),
        ("year,2028,,,,", "line 2: found no text in the last column; expected where the list"),
        ("year,2028,,,,NSE", "found 0 holidays of 2028; expected 8 to 25, every weekday"),
        ("year,2028,,,,NSE", "found no holiday on Wednesday, 26 Jan 2028; expected one: the"),
        ("session,2027-02-06,,15:30,,x", "line 2: found the open ''; expected a time like 18:15"),
        ("session,2027-02-06,9.15,15:30,,x", "line 2: found the open '9.15'; expected a time"),
        ("session,2027-02-06,09:15,25:30,,x", "line 2: found the close '25:30'; expected a time"),
        ("session,2027-02-06,15:30,09:15,,x", "found 15:30 to 09:15; expected a close after"),
        ("session,2027-02-06,09:15,15:30,noon,x", "found the square_off 'noon'; expected a time"),
        ("session,2027-02-06,09:15,15:30,15:25,x", "found the square-off 15:25 in a session 09:15"),
        ("session,2027-02-06,09:15,09:25,,x", "found the square-off 09:15 in a session 09:15"),
    ],
)
def test_each_mistake_is_one_sentence(line: str, sentence: str) -> None:
    """With its line, what was found and what is expected."""
    _, mistakes = parse(f"{HEADER}{line}\n", KNOWN)
    assert [one for one in mistakes if sentence in one], mistakes
    assert all("; expected " in one and one.endswith(".") for one in mistakes)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", "line 1: found 'nothing'; expected the header kind,date,open,close,square_off,text."),
        ("date,name\n", "line 1: found 'date,name'; expected the header kind,date"),
        (HEADER, "line 1: found no line after the header; expected a year, holiday or session."),
    ],
)
def test_text_that_is_no_such_file(text: str, sentence: str) -> None:
    """Nothing is guessed from other columns."""
    _, mistakes = parse(text, KNOWN)
    assert len(mistakes) == 1
    assert mistakes[0].startswith(sentence)


def test_every_mistake_is_told_at_once() -> None:
    """A user corrects a file once, not line by line; a day given twice is one of them."""
    text = WHOLE + f"holiday,{YEAR}-01-26,,,,again\nyear,{YEAR},,,,again\nhuh,,,,,x\n"
    text += f"session,{YEAR}-10-17,18:00,19:00,,again\n"
    _, mistakes = parse(text, KNOWN)
    assert [one.partition(";")[0] for one in mistakes] == [
        f"line 12: found the holiday {YEAR}-01-26 twice",
        f"line 13: found the year {YEAR} twice",
        "line 14: found the kind 'huh'",
        f"line 15: found the session {YEAR}-10-17 twice",
    ]


# --- the file in the data directory --------------------------------------------------------------


def written(path: Path, text: str) -> Path:
    path.write_text(text, encoding="utf-8")
    return path


def test_import_adds_to_what_is_installed(tmp_path: Path) -> None:
    """Only the owner can read the file, and spreadsheets' marks and blank lines do no harm."""
    installed = tmp_path / "data" / FILE_NAME
    import_file(written(tmp_path / "year.csv", f"\ufeff{WHOLE}\n\n"), installed)
    later = HEADER + f"session,{YEAR}-10-17,18:15,19:15,18:50,Muhurat trading\n"
    import_file(written(tmp_path / "hours.csv", later), installed)

    calendar = TradingCalendar(added=installed)
    assert hours(calendar, f"{YEAR}-10-17") == "18:15 to 19:15"
    assert hours(calendar, f"{YEAR}-12-25") == "closed"
    assert installed.stat().st_mode & 0o777 == 0o600
    assert [path.name for path in installed.parent.iterdir()] == [FILE_NAME]


def test_import_of_a_wrong_file_changes_nothing(tmp_path: Path) -> None:
    """Neither a mistake, nor a file that is no text, nor one that is not there."""
    installed = tmp_path / FILE_NAME
    import_file(written(tmp_path / "year.csv", WHOLE), installed)
    before = installed.read_bytes()
    (tmp_path / "picture.csv").write_bytes(b"\xff\xd8\xff\xe0")
    (tmp_path / "folder.csv").mkdir()
    wrong = {
        written(tmp_path / "wrong.csv", HEADER + "holiday,soon,,,,x\n"): "found the date 'soon'",
        tmp_path / "picture.csv": "found no UTF-8 text",
        tmp_path / "none.csv": "found no such file",
        written(tmp_path / "long.csv", WHOLE * 300): "expected a list of days",
        tmp_path / "folder.csv": "found what cannot be read .Is a directory.; expected a CSV file",
    }
    for path, sentence in wrong.items():
        with pytest.raises(ConfigurationError, match=sentence) as refused:
            import_file(path, installed)
        assert str(refused.value).startswith(str(path))
    assert installed.read_bytes() == before


def test_import_by_root_is_for_the_service(tmp_path: Path) -> None:
    """A file that only root can read would be no use to a service that runs as another user."""
    if os.geteuid() != 0:
        pytest.skip("only root can give files away")
    data = tmp_path / "data"
    data.mkdir(mode=0o700)
    os.chown(data, 65534, 65534)
    import_file(written(tmp_path / "year.csv", WHOLE), data / FILE_NAME)
    installed = (data / FILE_NAME).stat()
    assert (installed.st_uid, installed.st_gid, installed.st_mode & 0o777) == (65534, 65534, 0o600)


def test_running_calendar_follows_the_file(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """An import counts at once; a file that was broken by hand leaves what was known, logged once."""
    installed = tmp_path / FILE_NAME
    calendar = TradingCalendar(added=installed)
    with pytest.raises(LookupError):
        hours(calendar, f"{YEAR}-01-25")
    import_file(written(tmp_path / "year.csv", WHOLE), installed)
    assert hours(calendar, f"{YEAR}-01-25") == "09:15 to 15:15"
    upcoming = calendar.next_session(datetime(YEAR - 1, 12, 31, 16, tzinfo=IST), Segment.CASH)
    assert upcoming.day == date(YEAR, 1, 3)

    with caplog.at_level(logging.ERROR):
        installed.write_text("broken")
        assert hours(calendar, f"{YEAR}-01-25") == "09:15 to 15:15"
        assert hours(calendar, f"{YEAR}-01-26") == "closed"
    assert len(lines_of(caplog, "core")) == 1

    installed.unlink()
    with pytest.raises(LookupError):
        hours(calendar, f"{YEAR}-01-25")


def test_start_with_a_broken_file_is_refused(tmp_path: Path) -> None:
    """Whoever starts it is there to read the sentence."""
    with pytest.raises(ConfigurationError, match="expected the header"):
        TradingCalendar(added=written(tmp_path / FILE_NAME, "broken"))
