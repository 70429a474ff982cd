"""Each collection has one owner: its name stands in one module, and others call its functions."""

from __future__ import annotations

import ast
from collections.abc import Iterable

from core.adapters.mongo.schema import COLLECTIONS
from tests.architecture.test_repository import modules

STORE_CALLS = {"get", "find", "insert", "total", "update", "delete"}
NAMES = [one.name for one in COLLECTIONS]
DRIVERS = ("bot", "console", "core", "webhooks")


def named(text: str, collections: Iterable[str]) -> set[str]:
    """Return the collections that a module names: to the store, or in a constant of its own."""
    known, found = set(collections), set()
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            is_store = node.func.attr in STORE_CALLS and node.args
            values = [node.args[0]] if is_store else []
        elif isinstance(node, ast.Assign) and all(isinstance(t, ast.Name) for t in node.targets):
            values = [node.value]
        else:
            continue
        found |= {v.value for v in values if isinstance(v, ast.Constant) and v.value in known}
    return found


def owners() -> dict[str, list[str]]:
    """Return for each collection the modules that name it, the store's own adapter left out."""
    found: dict[str, list[str]] = {name: [] for name in NAMES}
    for place, text in modules(*DRIVERS):
        if not place.startswith("core/adapters/"):
            for name in named(text, NAMES):
                found[name].append(place)
    return found


def test_each_collection_has_one_owner() -> None:
    """Who reads or writes a collection past its owner would need to know what is in its rows."""
    shared = {name: places for name, places in owners().items() if len(places) > 1}
    assert shared == {}


def test_second_owner_is_found() -> None:
    """The search sees a name given to the store and one in a constant, and no other text."""
    known = ["orders", "goals"]
    assert named('await view.find("orders", {})', known) == {"orders"}
    assert named('_GOALS = "goals"', known) == {"goals"}
    assert named('title = f"orders"; rows["orders"]; button("goals")', known) == set()
