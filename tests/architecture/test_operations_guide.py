"""The guide for operators is complete: every setting, every notice, every command."""

from __future__ import annotations

import re
from pathlib import Path

from pydantic import SecretStr

from console.cli import _COMMANDS
from core.config import setting_name, settings_with_defaults
from core.domain.notices.stored import KINDS

ROOT = Path(__file__).parents[2]
GUIDE = (ROOT / "docs" / "operations.md").read_text(encoding="utf-8")


def section(title: str) -> str:
    """Return the text under a heading, up to the next one of its rank."""
    _, _, rest = GUIDE.partition(f"\n## {title}\n")
    return rest.partition("\n## ")[0]


def cells(text: str) -> list[list[str]]:
    """Return the cells of the rows of tables whose first cell is code."""
    rows = [line.strip("|").split("|") for line in text.splitlines() if line.startswith("| `")]
    return [[cell.strip().strip("`") for cell in row] for row in rows]


def shown(default: object) -> str:
    """Return a default as the table writes it."""
    if default in (None, ()) or isinstance(default, SecretStr):
        return "none"
    return str(default)


def test_table_of_settings_is_complete() -> None:
    """Each stands there once, with both its names and its default; a broker's share a row."""
    rows = [[cell.split("`, `") for cell in row[:3]] for row in cells(section("Settings"))]
    told = [one for row in rows for one in zip(*row, strict=True)]
    known = settings_with_defaults()
    assert sorted(told) == sorted(
        (setting_name(name), name, shown(default)) for name, default in known.items()
    )


def test_every_notice_has_its_advice() -> None:
    """Each member of the union has one row, and no row names anything else."""
    rows = cells(section("Notices, and what to do"))
    assert sorted(row[0] for row in rows) == sorted(KINDS)
    assert all(len(row) == 3 and row[2] for row in rows)


def test_every_command_is_described() -> None:
    """No command of the program is missing."""
    told = set(re.findall(r"`saarthi ([a-z-]+)", section("Commands")))
    assert told == set(_COMMANDS)
