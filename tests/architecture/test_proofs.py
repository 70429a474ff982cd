"""What the list of proved rows says is true, and a mark that names nothing is an error."""

from __future__ import annotations

import os
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


SPECIFICATION = """
A table of fields is no table of rows: `| A9 |` in a text is none either.

| id | row |
|---|---|
| A1 | a row |
| A2 | another one |
| A10 | and one more |
| B7 | nobody has built this |

| field | meaning |
|---|---|
| `C3` | not an id |
"""


@pytest.fixture
def suite(tmp_path: Path) -> Path:
    """A suite of its own with our settings and our plugin."""
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    (tmp_path / "tests").mkdir()
    shutil.copy(ROOT / "tests" / "proofs.py", tmp_path / "tests" / "conftest.py")
    (tmp_path / "tests" / "test_examples.py").write_text(EXAMPLES, encoding="utf-8")
    return tmp_path


PLUGINS = ("pytest_asyncio.plugin", "pytest_timeout", "xdist.plugin")
"""Those that our settings speak to; loading all of them takes longer than the suite."""


def run(suite: Path, *arguments: str) -> str:
    plugins = [word for name in PLUGINS for word in ("-p", name)]
    result = subprocess.run(
        [sys.executable, "-P", "-m", "pytest", "-p", "no:cacheprovider", *plugins, *arguments],
        cwd=suite,
        env={**os.environ, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    return result.stdout + result.stderr


@pytest.fixture
def specification(suite: Path) -> Path:
    """The page of rows beside the suite."""
    (suite / "docs" / "spec").mkdir(parents=True)
    page = suite / "docs" / "spec" / "product.md"
    page.write_text(SPECIFICATION, encoding="utf-8")
    return page


@pytest.mark.parametrize("arguments", [("--rows",), ("-m", "row"), ("--rows", "-n", "2")])
def test_proved_rows_are_listed(suite: Path, arguments: tuple[str, ...]) -> None:
    """A row is proved when every test that names it passed; also with tests on both cores."""
    lines = run(suite, *arguments).splitlines()
    assert "rows proved (2): A1 A10" in lines
    assert "rows NOT proved: A2" in lines
    assert "invariants proved (1): I3" in lines
    assert "cases of the matrix NOT proved: N07" in lines


def test_row_without_a_proof_is_listed(suite: Path, specification: Path) -> None:
    """Every row of the specification that no test proves is named, and a broken one is not twice."""
    lines = run(suite, "--rows").splitlines()
    assert "rows proved (2): A1 A10" in lines
    assert "rows NOT proved: A2" in lines
    assert "rows without a proof in this run (1): B7" in lines
    assert not any(line.startswith("invariants without a proof") for line in lines)


def test_mark_of_a_row_that_is_not_specified_is_an_error(suite: Path, specification: Path) -> None:
    """A row that was renumbered or never written is not proved by accident."""
    (suite / "tests" / "test_wrong.py").write_text(
        EXAMPLES.replace('row("A2")', 'row("A9")'), encoding="utf-8"
    )
    assert "docs/spec/product.md has no row A9" in run(suite)


def test_mark_that_names_nothing_is_an_error(suite: Path) -> None:
    """A typing error in an id stops the run instead of proving a row that does not exist."""
    (suite / "tests" / "test_wrong.py").write_text(
        EXAMPLES.replace('row("A2")', 'row("A-2")'), encoding="utf-8"
    )
    assert "'A-2' is no row" in run(suite)


def test_without_the_question_nothing_is_listed(suite: Path) -> None:
    """An ordinary run ends as pytest does."""
    assert "proved" not in run(suite)
