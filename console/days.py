"""``saarthi calendar import``: adds years, holidays and special sessions from a file (K04)."""

from __future__ import annotations

import sys
from pathlib import Path

from core.bootstrap import import_days
from core.config import Settings

__all__ = ["run_import"]


def run_import(settings: Settings, file: Path) -> int:
    """Check a file and add its days; return the exit code.

    Raises:
        ConfigurationError: A sentence for each mistake; nothing was changed.
    """
    done = import_days(settings, file)
    years = "".join(f", the whole year {year}" for year in done.added_years)
    lines = [
        f"added {done.holidays} holiday(s) and {done.sessions} special session(s){years}",
        *(f"{one.year}  {one.confidence.value:<9}  {one.source}" for one in done.years),
        "a running controller uses them from now on",
    ]
    sys.stdout.write("\n".join(lines) + "\n")
    return 0
