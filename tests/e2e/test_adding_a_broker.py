"""docs/adding-a-broker.md is true: a broker is two folders and the lines that it names."""

from __future__ import annotations

import difflib
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.fakes.sandbox_process import ROOT

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

GUIDE = ROOT / "docs" / "adding-a-broker.md"
FOLDERS = {"tests/toy/adapter": "core/adapters/toy", "tests/toy/simulator": "sandbox/toy"}
MOST_LINES = 4
LINT_IMPORTS = Path(sys.executable).with_name("lint-imports")


def files_of(root: Path) -> dict[str, str]:
    """Return the texts of a repository's files, by path."""
    listed = subprocess.run(
        ["git", "ls-files", "-co", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    found = {}
    for path in listed.stdout.splitlines():
        try:
            found[path] = (root / path).read_text(encoding="utf-8")
        except (UnicodeDecodeError, FileNotFoundError):
            continue
    return found


def insertions() -> list[tuple[str, list[str]]]:
    """Return the guide's lines elsewhere: each block's file, and its lines as in a diff."""
    text = GUIDE.read_text(encoding="utf-8")
    blocks = re.findall(r"^```diff\n\+\+\+ (\S+)\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    return [(path, body.splitlines()) for path, body in blocks]


def insert(text: str, lines: list[str]) -> str:
    """Apply a block: its context must be in the text, once."""
    before = "".join(f"{line[1:]}\n" for line in lines if line[0] == " ")
    after = "".join(f"{line[1:]}\n" for line in lines)
    assert {line[0] for line in lines} == {" ", "+"}
    assert text.count(before) == 1, before
    return text.replace(before, after)


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """A copy of this repository to which Toy was added as the guide says."""
    for path, text in files_of(ROOT).items():
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text(text, encoding="utf-8")
    for source, target in FOLDERS.items():
        shutil.copytree(tmp_path / source, tmp_path / target)
        for module in (tmp_path / target).glob("*.py"):
            name, old = target.replace("/", "."), source.replace("/", ".")
            module.write_text(module.read_text(encoding="utf-8").replace(old, name))
    for path, lines in insertions():
        place = tmp_path / path
        place.write_text(insert(place.read_text(encoding="utf-8"), lines), encoding="utf-8")
    return tmp_path


def run(repository: Path, *command: str) -> None:
    """Run a tool on the copy and on none of this repository's own packages."""
    done = subprocess.run(
        [sys.executable, "-P", *command],
        cwd=repository,
        env={**os.environ, "PYTHONPATH": str(repository)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-3000:]


def test_broker_costs_four_lines_elsewhere(repository: Path) -> None:
    """Outside of its two folders a broker adds four lines at most, and changes none."""
    changes = [
        line
        for path, text in files_of(ROOT).items()
        for line in difflib.ndiff(
            text.splitlines(), (repository / path).read_text(encoding="utf-8").splitlines()
        )
        if line[0] in "+-" and text != (repository / path).read_text(encoding="utf-8")
    ]
    assert len(changes) <= MOST_LINES
    assert all(line[0] == "+" for line in changes)
    run(repository, str(LINT_IMPORTS), "--no-cache")


def test_added_broker_works(repository: Path) -> None:
    """Its wizard, its login, an order and its addresses work; the guides and profiles are whole."""
    run(
        repository,
        *("-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "no:randomly"),
        "tests/toy/journey.py",
        "tests/unit/adapters/test_broker_profiles.py",
        "tests/architecture/test_operations_guide.py::test_table_of_settings_is_complete",
    )
