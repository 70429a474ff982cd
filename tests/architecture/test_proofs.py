"""What the list of proved rows says is true, and a mark that names nothing is an error."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

EXAMPLES = """
import pytest

@pytest.mark.row("A1", "A10")
@pytest.mark.invariant("I3")
def test_holds():
    pass

@pytest.mark.row("A2")
@pytest.mark.matrix("N07")
def test_breaks():
    assert False

@pytest.mark.row("A2")
def test_holds_in_part():
    pass

def test_names_nothing():
    pass
"""


@pytest.fixture
def suite(tmp_path: Path) -> Path:
    """A suite of its own with our settings and our conftest."""
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    (tmp_path / "tests").mkdir()
    shutil.copy(ROOT / "tests" / "conftest.py", tmp_path / "tests")
    (tmp_path / "tests" / "test_examples.py").write_text(EXAMPLES, encoding="utf-8")
    return tmp_path


def run(suite: Path, *arguments: str) -> str:
    result = subprocess.run(
        [sys.executable, "-P", "-m", "pytest", "-p", "no:cacheprovider", *arguments],
        cwd=suite,
        capture_output=True,
        text=True,
        check=False,
    )
    return result.stdout + result.stderr


@pytest.mark.parametrize("arguments", [("--rows",), ("-m", "row"), ("--rows", "-n", "2")])
def test_proved_rows_are_listed(suite: Path, arguments: tuple[str, ...]) -> None:
    """A row is proved when every test that names it passed; also with tests on both cores."""
    lines = run(suite, *arguments).splitlines()
    assert "rows proved (2): A1 A10" in lines
    assert "rows NOT proved: A2" in lines
    assert "invariants proved (1): I3" in lines
    assert "cases of the matrix NOT proved: N07" in lines


def test_mark_that_names_nothing_is_an_error(suite: Path) -> None:
    """A typing error in an id stops the run instead of proving a row that does not exist."""
    (suite / "tests" / "test_wrong.py").write_text(
        EXAMPLES.replace('row("A2")', 'row("A-2")'), encoding="utf-8"
    )
    assert "'A-2' is no row" in run(suite)


def test_without_the_question_nothing_is_listed(suite: Path) -> None:
    """An ordinary run ends as pytest does."""
    assert "proved" not in run(suite)
