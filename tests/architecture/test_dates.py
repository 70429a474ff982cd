"""No test depends on today: a literal date never meets the machine's clock.

A date that is written down ages; code that reads the machine's clock does not. A test that has both
passes until some morning. So a test module, with all modules of ``tests`` that it uses, has one or
the other; ``tests/fakes/clock.py`` is where both meet, in clocks whose market time a test chooses.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[2]
CLOCKS = "tests.fakes.clock"
ABOUT_CLOCKS = {
    "tests.unit.adapters.test_clock": "what clocks make of the machine's time is what it tests",
    "tests.unit.demo.test_stage": "a demo is taken up again days after a certain moment",
    "tests.unit.sandbox.test_clock": "what clocks make of the machine's time is what it tests",
}
"""Modules whose subject is the relation of the two; ``make test-dates`` runs them on many days."""
FIRST_YEAR = 2020
ISO_DATE = re.compile(r"20[2-9]\d-[01]\d-[0-3]\d")
READS = {
    "date.today",
    "datetime.now",
    "datetime.today",
    "datetime.utcnow",
    "time.gmtime",
    "time.localtime",
    "time.strftime",
    "time.time",
    "time.time_ns",
}
CLOCK_CLASS = "SystemClock"


def literal_dates(tree: ast.AST) -> Iterator[int]:
    """Yield the lines on which a date is written down, as numbers or as ISO text."""
    for node in ast.walk(tree):
        match node:
            case ast.Call(func=func, args=[ast.Constant(value=int(year)), *_]):
                if year >= FIRST_YEAR and _ending(func, 1) in {"date", "datetime"}:
                    yield node.lineno
            case ast.Constant(value=str(text)) if ISO_DATE.match(text):
                yield node.lineno


def real_clocks(tree: ast.AST) -> Iterator[int]:
    """Yield the lines on which the machine's date comes in.

    That is a call that asks for it, the product's real clock, and a class that is one: derived from
    it, with market time left as it is there.
    """
    for node in ast.walk(tree):
        match node:
            case ast.Call(func=func):
                if _ending(func, 2) in READS or _ending(func, 1) == CLOCK_CLASS:
                    yield node.lineno
            case ast.ClassDef(bases=bases, body=body):
                own = {one.name for one in body if isinstance(one, ast.FunctionDef)}
                if CLOCK_CLASS in {_ending(base, 1) for base in bases} and "market_now" not in own:
                    yield node.lineno


def _ending(expression: ast.expr, parts: int) -> str:
    """Return the last parts of a dotted name."""
    return ".".join(ast.unparse(expression).split(".")[-parts:])


def modules() -> dict[str, str]:
    """Return the sources of all modules of the tests by name."""
    paths = (ROOT / "tests").rglob("*.py")
    return {name_of(path): path.read_text(encoding="utf-8") for path in paths}


def name_of(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


@dataclass(frozen=True)
class Facts:
    """What one module holds."""

    uses: frozenset[str]
    dates: tuple[int, ...]
    clocks: tuple[int, ...]


def facts_of(source: str) -> Facts:
    tree = ast.parse(source)
    uses: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module:
            uses |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
        elif isinstance(node, ast.Import):
            uses |= {alias.name for alias in node.names}
    return Facts(frozenset(uses), tuple(literal_dates(tree)), tuple(real_clocks(tree)))


def used_by(name: str, facts: Mapping[str, Facts]) -> set[str]:
    """Return a module and those of the tests that it uses, the fixtures around it among them."""
    packages = [name.rsplit(".", depth)[0] for depth in range(1, name.count(".") + 1)]
    found, waiting = set(), {name, *(f"{package}.conftest" for package in packages)}
    while waiting:
        one = waiting.pop()
        if one in facts and one not in found:
            found.add(one)
            waiting |= facts[one].uses
    return found - {CLOCKS}


def meetings(sources: Mapping[str, str]) -> list[str]:
    """Return a line for each test module in which a literal date meets the machine's clock."""
    facts = {name: facts_of(source) for name, source in sources.items()}
    found = []
    for name in sorted(facts):
        if not name.rpartition(".")[2].startswith("test_"):
            continue
        used = sorted(used_by(name, facts))
        dates = [f"{one}:{line}" for one in used for line in facts[one].dates]
        clocks = [f"{one}:{line}" for one in used for line in facts[one].clocks]
        if dates and clocks:
            found.append(f"{name}: {dates[0]} beside {clocks[0]}")
    return found


@cache
def met() -> tuple[str, ...]:
    return tuple(meetings(modules()))


def test_no_literal_date_beside_a_real_clock() -> None:
    """A test that passes today passes on any other day."""
    assert [line for line in met() if line.partition(":")[0] not in ABOUT_CLOCKS] == []


def test_exceptions_are_needed() -> None:
    """A module that no longer has both is taken off the list."""
    assert set(ABOUT_CLOCKS) <= {line.partition(":")[0] for line in met()}


DATED = "SLOT = datetime(2026, 11, 23, 9, 31, tzinfo=IST)\n"
REAL = "queue = RunRequests(store, SystemClock())\n"


def test_date_beside_a_clock_is_found() -> None:
    """In every way in which one can be written, and the harmless kinds are let through."""
    dates = [
        DATED,
        "day = date(2027, 1, 1)\n",
        "day = datetime.date(2027, 1, 1)\n",
        'seen = "2026-11-23T10:00:00"\n',
    ]
    clocks = [
        REAL,
        "now = datetime.now(UTC)\n",
        "now = datetime.datetime.now(UTC)\n",
        "now = dt.datetime.now(UTC)\n",
        "today = date.today()\n",
        "now = time.time()\n",
        "class Shifted(clock.SystemClock):\n    pass\n",
    ]
    for date in dates:
        for clock in clocks:
            assert len(meetings({"tests.test_x": date + clock})) == 1, date + clock
    harmless = [
        DATED + "clock = ManualClock()\nuntil = time.monotonic() + 5\n",
        "born = date(1999, 12, 31)\n" + REAL,
        'price = "2026 rupees"\n' + REAL,
        DATED + "class Stepped(SystemClock):\n    def market_now(self): return SLOT\n",
    ]
    assert meetings({f"tests.test_{n}": source for n, source in enumerate(harmless)}) == []


def test_date_and_clock_are_found_in_different_modules() -> None:
    """One in a fixture, one in the test; both in what a test uses; a fixture of the folder."""
    split = {
        "tests.fakes.world": REAL,
        "tests.fakes.between": "from tests.fakes import world\n",
        "tests.unit.test_a": "from tests.fakes.world import queue\n" + DATED,
        "tests.unit.test_b": "from tests.fakes.between import world\n" + DATED,
        "tests.unit.test_c": "from tests.fakes.world import queue\n",
        "tests.e2e.conftest": REAL,
        "tests.e2e.deep.test_d": DATED,
        "tests.fakes.clock": DATED + REAL,
        "tests.unit.test_e": "from tests.fakes.clock import ManualClock\n" + DATED,
    }
    assert [line.partition(":")[0] for line in meetings(split)] == [
        "tests.e2e.deep.test_d",
        "tests.unit.test_a",
        "tests.unit.test_b",
    ]
