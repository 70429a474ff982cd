"""Days that a user adds: ``calendar.csv`` in the data directory, checked before it is believed.

The file has a header and three kinds of lines, all about the equity market (cash, index and
derivatives of NSE and BSE)::

    kind,date,open,close,square_off,text
    year,2027,,,,NSE circular of 11 December 2026
    holiday,2027-01-26,,,,Republic Day
    session,2027-10-29,18:00,19:00,18:45,Muhurat trading

A ``year`` says that its holidays and sessions in this file are all of them: what was known of that
year is replaced. Without it, single holidays and sessions are added to a year that is known. A
``square_off`` left out is a quarter of an hour before the close.
"""

from __future__ import annotations

import csv
import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime, time, timedelta
from pathlib import Path

from core.adapters.calendar._data import EQUITY, CalendarData, SpecialSession, load
from core.domain.calendar_years import CalendarYear, Confidence
from core.errors import ConfigurationError

__all__ = [
    "FILE_NAME",
    "NATIONAL_HOLIDAYS",
    "AddedDays",
    "add",
    "import_file",
    "parse",
    "read_file",
]

FILE_NAME = "calendar.csv"
NATIONAL_HOLIDAYS = {
    (1, 26): "Republic Day",
    (5, 1): "Maharashtra Day",
    (8, 15): "Independence Day",
    (10, 2): "Gandhi Jayanti",
    (12, 25): "Christmas Day",
}
"""Month and day on which the exchanges close every year when it is a weekday."""

_COLUMNS = ("kind", "date", "open", "close", "square_off", "text")
_HEADER = ",".join(_COLUMNS)
_FIRST_YEAR, _LAST_YEAR = 2021, 2099
_FEWEST, _MOST = 8, 25
_SATURDAY = 5
_SQUARE_OFF_BEFORE = timedelta(minutes=15)
_LEAST_BEFORE_CLOSE = timedelta(minutes=10)
_SIZE_LIMIT = 100_000


@dataclass(frozen=True, slots=True)
class AddedDays:
    """What a file adds."""

    years: dict[int, str] = field(default_factory=dict)
    holidays: dict[date, str] = field(default_factory=dict)
    sessions: dict[date, SpecialSession] = field(default_factory=dict)

    def over(self, older: AddedDays) -> AddedDays:
        """Return both together; a year of this one replaces what the older says of it."""
        kept_holidays = {d: n for d, n in older.holidays.items() if d.year not in self.years}
        kept_sessions = {
            d: s
            for d, s in older.sessions.items()
            if d.year not in self.years and d not in self.holidays
        }
        return AddedDays(
            older.years | self.years,
            kept_holidays | self.holidays,
            kept_sessions | self.sessions,
        )


def add(data: CalendarData, added: AddedDays) -> CalendarData:
    """Return the committed data with a user's days over it."""

    def stays(key: tuple[str, date]) -> bool:
        return key[0] != EQUITY or key[1].year not in added.years

    special = {
        key: value
        for key, value in data.special.items()
        if stays(key) and not (key[0] == EQUITY and key[1] in added.holidays)
    }
    years = {
        (EQUITY, year): CalendarYear(year, Confidence.PUBLISHED, source, is_added=True)
        for year, source in added.years.items()
    }
    holidays = {key: name for key, name in data.holidays.items() if stays(key)}
    return replace(
        data,
        years={**data.years, **years},
        holidays={**holidays, **{(EQUITY, day): name for day, name in added.holidays.items()}},
        special={**special, **{(EQUITY, day): one for day, one in added.sessions.items()}},
    )


def read_file(path: Path, known: CalendarData) -> AddedDays:
    """Read and check a file; one that does not exist adds nothing.

    Raises:
        ConfigurationError: A sentence for each mistake, each with its line; or it cannot be read.
    """
    try:
        size = path.stat().st_size
        if size > _SIZE_LIMIT:
            raise ConfigurationError(
                f"{path}: found {size:,} bytes; expected a list of days, under {_SIZE_LIMIT:,}."
            )
        text = path.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        return AddedDays()
    except OSError as error:
        found = f"found what cannot be read ({error.strerror})"
        raise ConfigurationError(f"{path}: {found}; expected a CSV file of days.") from None
    except UnicodeDecodeError:
        raise ConfigurationError(f"{path}: found no UTF-8 text; expected a CSV file.") from None
    added, mistakes = parse(text, {year for market, year in known.years if market == EQUITY})
    if mistakes:
        raise ConfigurationError("\n".join(f"{path}: {mistake}" for mistake in mistakes))
    return added


def import_file(path: Path, installed: Path) -> AddedDays:
    """Check a file and add its days to the installed ones; return what the file holds.

    Raises:
        ConfigurationError: A sentence for each mistake in either file; nothing was changed.
        OSError: The installed one cannot be written.
    """
    if not path.exists():
        raise ConfigurationError(f"{path}: found no such file; expected a CSV file of days.")
    before = read_file(installed, load())
    added = read_file(path, add(load(), before))
    _write(installed, added.over(before))
    return added


def _write(path: Path, added: AddedDays) -> None:
    """Put days into a file, all or nothing; it belongs to whom the directory belongs to."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.new")
    draft.unlink(missing_ok=True)
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerows([_COLUMNS, *_lines(added)])
        file.flush()
        os.fsync(file.fileno())
        if os.geteuid() == 0:  # root imports for a service that runs as a user of its own
            owner = path.parent.stat()
            os.fchown(file.fileno(), owner.st_uid, owner.st_gid)
    draft.replace(path)


def _lines(added: AddedDays) -> Iterator[Sequence[str]]:
    for year, source in sorted(added.years.items()):
        yield "year", str(year), "", "", "", source
    for day, name in sorted(added.holidays.items()):
        yield "holiday", day.isoformat(), "", "", "", name
    for day, one in sorted(added.sessions.items()):
        times = (f"{at:%H:%M}" if at else "" for at in (one.open, one.close, one.square_off))
        yield "session", day.isoformat(), *times, one.note


# --- checking ------------------------------------------------------------------------------------


def parse(text: str, known_years: Iterable[int]) -> tuple[AddedDays, list[str]]:
    """Return what a text adds, and a sentence for each mistake in it."""
    added, mistakes = AddedDays(), _Mistakes()
    lines = list(csv.reader(text.splitlines()))
    rows = [
        (number, row) for number, row in enumerate(lines, 1) if any(cell.strip() for cell in row)
    ]
    if not rows or [cell.strip() for cell in rows[0][1]] != list(_COLUMNS):
        found = ",".join(rows[0][1])[:60] if rows else "nothing"
        mistakes.at(rows[0][0] if rows else 1, f"found {found!r}", f"the header {_HEADER}")
        return added, mistakes.sentences
    for number, row in rows[1:]:
        _read_row(number, [cell.strip() for cell in row], added, mistakes)
    if not rows[1:]:
        mistakes.at(rows[0][0], "found no line after the header", "a year, holiday or session")
    _check_whole(added, set(known_years), mistakes)
    return added, mistakes.sentences


class _Mistakes:
    """Collects one sentence a mistake."""

    def __init__(self) -> None:
        self.sentences: list[str] = []

    def at(self, line: int, found: str, expected: str) -> None:
        self.sentences.append(f"line {line}: {found}; expected {expected}.")

    def about(self, found: str, expected: str) -> None:
        self.sentences.append(f"{found}; expected {expected}.")


def _read_row(number: int, row: list[str], added: AddedDays, mistakes: _Mistakes) -> None:
    if len(row) != len(_COLUMNS):
        mistakes.at(number, f"found {len(row)} columns", f"{len(_COLUMNS)}: {_HEADER}")
        return
    kind, text = row[0], row[5]
    reader = {"year": _read_year, "holiday": _read_holiday, "session": _read_session}.get(kind)
    if reader is None:
        mistakes.at(number, f"found the kind {kind!r}", "year, holiday or session")
    elif not text:
        wanted = "where the list comes from" if kind == "year" else "a name"
        mistakes.at(number, "found no text in the last column", wanted)
    else:
        reader(number, row, added, mistakes)


def _read_year(number: int, row: list[str], added: AddedDays, mistakes: _Mistakes) -> None:
    text = row[1]
    if not (text.isdecimal() and _FIRST_YEAR <= int(text) <= _LAST_YEAR):
        mistakes.at(number, f"found the year {text!r}", f"{_FIRST_YEAR} to {_LAST_YEAR}")
    elif int(text) in added.years:
        mistakes.at(number, f"found the year {text} twice", "each year once")
    elif not _has_times(number, row, mistakes):
        added.years[int(text)] = row[5]


def _read_holiday(number: int, row: list[str], added: AddedDays, mistakes: _Mistakes) -> None:
    day = _day(number, row[1], mistakes)
    if day is None or _has_times(number, row, mistakes):
        return
    if day.weekday() >= _SATURDAY:
        found = f"found a holiday on {day:%A, %d %b %Y}"
        mistakes.at(number, found, "a weekday: weekends are closed anyway, leave it out")
    elif day in added.holidays:
        mistakes.at(number, f"found the holiday {day} twice", "each day once")
    else:
        added.holidays[day] = row[5]


def _read_session(number: int, row: list[str], added: AddedDays, mistakes: _Mistakes) -> None:
    day = _day(number, row[1], mistakes)
    opens = _time(number, "open", row[2], mistakes)
    closes = _time(number, "close", row[3], mistakes)
    if day is None or opens is None or closes is None:
        return
    ends = datetime.combine(day, closes)
    if opens >= closes:
        mistakes.at(number, f"found {opens:%H:%M} to {closes:%H:%M}", "a close after the open")
        return
    flat = _time(number, "square_off", row[4], mistakes) if row[4] else None
    if row[4] and flat is None:
        return
    flat = flat or max(opens, (ends - _SQUARE_OFF_BEFORE).time())
    if not opens < flat <= (ends - _LEAST_BEFORE_CLOSE).time():
        mistakes.at(
            number,
            f"found the square-off {flat:%H:%M} in a session {opens:%H:%M} to {closes:%H:%M}",
            "a time after the open and ten minutes or more before the close",
        )
    elif day in added.sessions:
        mistakes.at(number, f"found the session {day} twice", "each day once")
    else:
        added.sessions[day] = SpecialSession(opens, closes, flat, row[5])


def _has_times(number: int, row: list[str], mistakes: _Mistakes) -> bool:
    if any(row[2:5]):
        mistakes.at(number, f"found times beside a {row[0]}", "none: only a session has times")
        return True
    return False


def _day(number: int, text: str, mistakes: _Mistakes) -> date | None:
    try:
        day = datetime.strptime(text, "%Y-%m-%d").date()  # noqa: DTZ007 - a date has no zone
    except ValueError:
        mistakes.at(number, f"found the date {text!r}", "a day like 2027-01-26")
        return None
    if not _FIRST_YEAR <= day.year <= _LAST_YEAR:
        mistakes.at(number, f"found the date {text!r}", f"a year {_FIRST_YEAR} to {_LAST_YEAR}")
        return None
    return day


def _time(number: int, column: str, text: str, mistakes: _Mistakes) -> time | None:
    try:
        return datetime.strptime(text, "%H:%M").time()  # noqa: DTZ007 - Indian time, as all here
    except ValueError:
        mistakes.at(number, f"found the {column} {text!r}", "a time like 18:15")
        return None


def _check_whole(added: AddedDays, known_years: set[int], mistakes: _Mistakes) -> None:
    known = known_years | set(added.years)
    for day in sorted({*added.holidays, *added.sessions}):
        if day.year not in known:
            known.add(day.year)
            mistakes.about(
                f"found {day}, but nothing else is known of {day.year}",
                f"a line 'year,{day.year},,,,SOURCE' with the whole list of that year",
            )
    for year in sorted(added.years):
        _check_year(year, added, mistakes)


def _check_year(year: int, added: AddedDays, mistakes: _Mistakes) -> None:
    count = sum(day.year == year for day in added.holidays)
    if not _FEWEST <= count <= _MOST:
        mistakes.about(
            f"found {count} holidays of {year}",
            f"{_FEWEST} to {_MOST}, every weekday of the exchange's list",
        )
    for (month, number), name in NATIONAL_HOLIDAYS.items():
        day = date(year, month, number)
        if day.weekday() < _SATURDAY and day not in added.holidays:
            mistakes.about(
                f"found no holiday on {day:%A, %d %b %Y}",
                f"one: the exchanges close on {name}",
            )
