"""What the tests prove: the ids that their marks name, and the list at the end of a run.

A test names what it proves with ``@pytest.mark.row("A3")``, ``invariant("I3")`` or
``matrix("N07")``; the ids stand in the tables of ``docs/spec``. ``pytest --rows`` (or
``pytest -m row``) ends with the list of what was proved, and of what no test of the run proved.
A plugin of ``conftest.py``, with few imports, because its own tests start pytest again and again.
"""

from __future__ import annotations

import re
from collections import defaultdict
from pathlib import Path
from typing import Any

import pytest

PROOFS = {
    "row": re.compile(r"[A-HPRS]\d{1,2}"),
    "invariant": re.compile(r"I\d{1,2}"),
    "matrix": re.compile(r"(?!I)[A-Z]\d{2}"),
}
PAGES = {"row": "product.md", "invariant": "reliability.md", "matrix": "reliability.md"}
SPECIFICATION = Path(__file__).parents[1] / "docs" / "spec"
TITLES = {"row": "rows", "invariant": "invariants", "matrix": "cases of the matrix"}


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--rows", action="store_true", help="list the rows, invariants and cases that were proved"
    )


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Hand each test's proofs to its report, and refuse a mark that names nothing."""
    known = {kind: specified(kind) for kind in PROOFS}
    for item in items:
        for kind, pattern in PROOFS.items():
            for mark in item.iter_markers(kind):
                if not mark.args or mark.kwargs:
                    message = f"{item.nodeid}: {kind} takes ids, such as {pattern.pattern}"
                    raise pytest.UsageError(message)
                for name in mark.args:
                    if not pattern.fullmatch(name):
                        message = f"{item.nodeid}: {name!r} is no {kind} ({pattern.pattern})"
                        raise pytest.UsageError(message)
                    if known[kind] and name not in known[kind]:
                        message = f"{item.nodeid}: docs/spec/{PAGES[kind]} has no {kind} {name}"
                        raise pytest.UsageError(message)
                    item.user_properties.append((kind, name))


def specified(kind: str) -> set[str]:
    """Return the ids of a kind: the first cells of the specification's tables."""
    page = SPECIFICATION / PAGES[kind]
    if not page.is_file():
        return set()
    cells = re.findall(r"^\| *([A-Z]\d+) *\|", page.read_text(encoding="utf-8"), re.MULTILINE)
    return {cell for cell in cells if PROOFS[kind].fullmatch(cell)}


def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    asked = config.getoption("markexpr", "")
    if not (config.getoption("--rows") or any(kind in asked for kind in PROOFS)):
        return
    proved = _proofs(terminalreporter.stats.get("passed", []))
    refuted = _proofs(
        terminalreporter.stats.get("failed", []) + terminalreporter.stats.get("error", [])
    )
    for kind, title in TITLES.items():
        names = sorted(proved[kind] - refuted[kind], key=_natural)
        if names:
            terminalreporter.write_line(f"{title} proved ({len(names)}): {' '.join(names)}")
        if refuted[kind]:
            broken = " ".join(sorted(refuted[kind], key=_natural))
            terminalreporter.write_line(f"{title} NOT proved: {broken}")
        if missing := sorted(specified(kind) - proved[kind] - refuted[kind], key=_natural):
            terminalreporter.write_line(
                f"{title} without a proof in this run ({len(missing)}): {' '.join(missing)}"
            )


def _proofs(reports: list[Any]) -> defaultdict[str, set[str]]:
    found: defaultdict[str, set[str]] = defaultdict(set)
    for report in reports:
        for kind, name in getattr(report, "user_properties", ()):
            found[kind].add(name)
    return found


def _natural(name: str) -> tuple[str, int]:
    return name[0], int(name[1:])
