"""Code that is not a broker's own names no broker: what differs between them is in the profiles."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

from core.adapters.brokers import PROFILES

ROOT = Path(__file__).parents[2]
PACKAGES = ("bot", "console", "core", "strategy", "webhooks")
NAMES = sorted({name.lower() for one in PROFILES for name in (one.name, one.label, one.api_name)})
NAMED = re.compile("|".join(NAMES), re.IGNORECASE)
ALLOWED = {
    "console/cli.py": "an example in the help",
    "console/demo/launcher.py": "the story is played with these two",
    "core/adapters/brokers.py": "registers them",
}


def words_of(tree: ast.AST) -> Iterator[tuple[int, str]]:
    """Yield every name and text of a module but its docstrings and comments, with its line."""
    prose = {
        id(node.value)
        for node in ast.walk(tree)
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
    }
    for node in ast.walk(tree):
        line = getattr(node, "lineno", 0)
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            if id(node) not in prose:
                yield line, node.value
        elif isinstance(node, ast.Name):
            yield line, node.id
        elif isinstance(node, ast.Attribute):
            yield line, node.attr
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            yield line, node.name
        elif isinstance(node, ast.arg | ast.keyword) and node.arg:
            yield line, node.arg
        elif isinstance(node, ast.ImportFrom):
            yield line, node.module or ""


def named_in(source: str) -> list[int]:
    if not NAMED.search(source):
        return []
    return [line for line, word in words_of(ast.parse(source)) if NAMED.search(word)]


def test_brokers_are_named_in_their_own_folders_alone() -> None:
    """A sentence, a branch or a table about one broker belongs into its profile."""
    homes = tuple(f"core/adapters/{broker}/" for broker in PROFILES)
    found = [
        f"{path.relative_to(ROOT)}:{line}"
        for package in PACKAGES
        for path in sorted((ROOT / package).rglob("*.py"))
        if not str(path.relative_to(ROOT)).startswith(homes)
        and str(path.relative_to(ROOT)) not in ALLOWED
        for line in named_in(path.read_text(encoding="utf-8"))
    ]
    assert found == []


def test_names_are_found_in_code_and_not_in_prose() -> None:
    """Each way to name a broker is seen; a reference in a docstring or comment is none."""
    for source in (
        "if kind is FYERS: pass",
        "text = f'as at Zerodha {x}'",
        "def kite_order(): pass",
        "from core.adapters.fyers import X",
        "build(kite_api=1)",
        "settings.kite_api",
    ):
        assert named_in(source) == [1]
    assert named_in('"""As facts/kite.md says."""\nx = 1  # Fyers too\n') == []
