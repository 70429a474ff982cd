"""The name of an exception's class is for the log: no text that a user reads is made of one."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[2]
PACKAGES = ("bot", "console", "core", "webhooks")
LOGS = {"_log", "log", "_rated"}
NOT_TOLD = {
    "bot/edge/http.py": "what the library raises again, and the log says",
    "bot/notices/notifier.py": "why a row of the outbox waits, which no view shows",
    "core/adapters/broker_connections.py": "an exception that broker_http says in words",
    "core/adapters/paper/broker.py": "compared, so that it is logged once",
    "core/engine/runs/scheduler.py": "a nonce: each failure of a day is told once",
}
"""Files that name a class outside a log, and what for."""


def is_name_of_class(node: ast.AST) -> bool:
    """Whether an expression is ``type(error).__name__``, or the like of it."""
    return (
        isinstance(node, ast.Attribute)
        and node.attr in {"__name__", "__qualname__"}
        and isinstance(node.value, ast.Call)
        and isinstance(node.value.func, ast.Name)
        and node.value.func.id == "type"
        and isinstance(node.value.args[0], ast.Name)
        and node.value.args[0].id in {"error", "exc", "failure", "failed"}
    )


def is_logged(node: ast.AST) -> bool:
    """Whether a call writes to a log."""
    if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)):
        return False
    whose = node.func.value
    return (whose.id if isinstance(whose, ast.Name) else getattr(whose, "attr", "")) in LOGS


def told(node: ast.AST, statement: ast.AST | None = None) -> Iterator[ast.AST]:
    """Yield the statements below a node in which a class is named outside a log."""
    for child in ast.iter_child_nodes(node):
        if is_logged(child):
            continue
        own = child if isinstance(child, ast.stmt) else statement
        if is_name_of_class(child) and own is not None:
            yield own
        else:
            yield from told(child, own)


def test_no_user_reads_the_name_of_an_exception() -> None:
    """Why something failed is said in words (``core.domain.failures``)."""
    found: dict[str, list[str]] = {}
    for path in (one for package in PACKAGES for one in (ROOT / package).rglob("*.py")):
        text = path.read_text(encoding="utf-8")
        if "type(" in text and (naming := [ast.unparse(one) for one in told(ast.parse(text))]):
            found[str(path.relative_to(ROOT))] = naming
    assert found.keys() - NOT_TOLD.keys() == set(), found
    assert NOT_TOLD.keys() - found.keys() == set(), "nothing is named there any more"
