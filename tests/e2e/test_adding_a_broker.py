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

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

GUIDE = ROOT / "docs" / "adding-a-broker.md"
FOLDERS = {"tests/toy/adapter": "core/adapters/toy", "tests/toy/simulator": "sandbox/toy"}
MOST_LINES = 4
PYTEST = ("-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "no:randomly")
PAGES = (
    "test_architecture_page.py",
    "test_broker_names.py",
    "test_citations.py",
    "test_operations_guide.py",
    "test_repository.py",
)
"""What holds the pages and the code to one another, and finds a broker's name in code of others."""
LINT_IMPORTS = Path(sys.executable).with_name("lint-imports")


def files() -> list[str]:
    """Return the paths of this repository's files."""
    listed = subprocess.run(
        ["git", "ls-files", "-co", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    return [path for path in listed.stdout.splitlines() if (ROOT / path).is_file()]


def changes(repository: Path) -> list[str]:
    """Return the lines in which files of ours differ there, each with its ``+`` or ``-``."""
    found = []
    for path in files():
        ours, theirs = (ROOT / path).read_bytes(), (repository / path).read_bytes()
        if ours != theirs:
            lines = difflib.ndiff(ours.decode().splitlines(), theirs.decode().splitlines())
            found += [line for line in lines if line[0] in "+-"]
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
    for path in files():
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / path, tmp_path / path)
    for source, target in FOLDERS.items():
        shutil.copytree(tmp_path / source, tmp_path / target)
        for module in (tmp_path / target).glob("*.py"):
            name, old = target.replace("/", "."), source.replace("/", ".")
            module.write_text(module.read_text(encoding="utf-8").replace(old, name))
    for path, lines in insertions():
        place = tmp_path / path
        place.write_text(insert(place.read_text(encoding="utf-8"), lines), encoding="utf-8")
    for arguments in (["init", "-q"], ["add", "-A"]):
        subprocess.run(["git", *arguments], cwd=tmp_path, check=True)
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
    """Outside of its two folders a broker adds four lines at most, and nothing else is missed."""
    found = changes(repository)
    assert 0 < len(found) <= MOST_LINES
    assert all(line[0] == "+" for line in found)
    run(repository, str(LINT_IMPORTS), "--no-cache")
    run(repository, *PYTEST, *(f"tests/architecture/{name}" for name in PAGES))


def test_added_broker_works(repository: Path) -> None:
    """Its wizard, its login, an order and its addresses work, and its profile is whole."""
    run(repository, *PYTEST, "tests/toy/journey.py", "tests/unit/adapters/test_broker_profiles.py")
