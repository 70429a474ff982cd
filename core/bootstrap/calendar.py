"""The calendar of an installation: what comes with the program and what its user added."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from core.adapters.calendar import FILE_NAME, TradingCalendar, import_file
from core.config import Settings
from core.domain.calendar_years import CalendarYear
from core.domain.instrument import Segment
from core.errors import ConfigurationError

__all__ = ["ImportedDays", "calendar_of", "import_days"]


@dataclass(frozen=True, slots=True)
class ImportedDays:
    """What an import did.

    Attributes:
        years: Every year that is known now, oldest first.
        added_years: Years of the file.
        holidays: How many holidays the file holds.
        sessions: How many special sessions the file holds.
    """

    years: Sequence[CalendarYear]
    added_years: Sequence[int]
    holidays: int
    sessions: int


def calendar_of(settings: Settings) -> TradingCalendar:
    """Return the calendar of an installation; it follows later imports by itself.

    Raises:
        ConfigurationError: The file with the added days has mistakes.
    """
    return TradingCalendar(added=settings.data_dir / FILE_NAME)


def import_days(settings: Settings, file: Path) -> ImportedDays:
    """Check a file of days and add them to what was added before; nothing is changed on a mistake.

    Raises:
        ConfigurationError: A sentence for each mistake.
    """
    try:
        added = import_file(file, settings.data_dir / FILE_NAME)
    except OSError as error:
        raise ConfigurationError(f"{error.filename or file}: {error.strerror}.") from None
    years = calendar_of(settings).years(Segment.CASH)
    return ImportedDays(years, sorted(added.years), len(added.holidays), len(added.sessions))
