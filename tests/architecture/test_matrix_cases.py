"""Each case of the fault matrix has a test that is marked with it, or a line that says why not."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable, Iterator
from pathlib import Path

ROOT = Path(__file__).parents[2]
HEADING = "## Cases of the matrix without a test of their own"
CASE = re.compile(r"(?!I)[A-Z]\d{2}")


def specified(text: str) -> set[str]:
    """Return the cases of the specification's tables."""
    return {
        name
        for name in re.findall(r"^\| *([A-Z]\d\d) *\|", text, re.MULTILINE)
        if CASE.fullmatch(name)
    }


def marked(texts: Iterable[str]) -> Iterator[str]:
    """Yield the cases that tests are marked with."""
    for text in texts:
        for node in ast.walk(ast.parse(text)):
            if (
                isinstance(node, ast.Call)
                and isinstance(node.func, ast.Attribute)
                and node.func.attr == "matrix"
            ):
                yield from (str(a.value) for a in node.args if isinstance(a, ast.Constant))


def excused(page: str) -> set[str]:
    """Return the cases that the page of reliability names as not tried, with a reason each."""
    rows = re.findall(
        r"^\| (?:case )?([A-Z0-9, ]+) \| (.+) \|$", page.partition(HEADING)[2], re.MULTILINE
    )
    return {name for names, why in rows if why.strip() for name in CASE.findall(names)}


def test_every_case_has_a_test_or_a_reason() -> None:
    """No case of the matrix is forgotten, and none is excused that a test holds."""
    cases = specified((ROOT / "docs/spec/reliability.md").read_text(encoding="utf-8"))
    tests = (ROOT / "tests").rglob("test_*.py")
    held = set(marked(path.read_text(encoding="utf-8") for path in tests))
    reasons = excused((ROOT / "docs/reliability.md").read_text(encoding="utf-8"))
    assert not cases - held - reasons
    assert not reasons & held
    assert not reasons - cases


def test_planted_gaps_are_found() -> None:
    """A case without a test or a reason is found, and so is a reason that is empty."""
    assert specified("| N01 | x |\n| I1 | y |\n| Z99 | z |") == {"N01", "Z99"}
    assert set(marked(['@pytest.mark.matrix("N01")\ndef test(): ...'])) == {"N01"}
    assert excused(f"{HEADING}\n\n| K01, K03 | told |\n| X01 |  |") == {"K01", "K03"}
