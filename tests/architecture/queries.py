"""Every query of the program, read out of its source: which collection, by which fields."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

__all__ = ["Query", "queries_of"]

STORE_CALLS = {"find", "total", "update", "delete"}
RANGES = {"$gt", "$gte", "$lt", "$lte"}
UNSELECTIVE = {"$ne", "$nin"}


@dataclass(frozen=True)
class Query:
    """One query.

    Attributes:
        collection: Its name; '' where the source does not show it.
        equal: Fields that equal a value or one of several.
        ranges: Fields within a range.
        is_read: Whether its filter could be read at all.
    """

    place: str
    collection: str
    equal: frozenset[str] = frozenset()
    ranges: frozenset[str] = frozenset()
    is_read: bool = True


def queries_of(place: str, text: str) -> Iterator[Query]:
    """Return every query of a module, in the order of its source."""
    tree = ast.parse(text)
    constants = {
        target.id: node.value.value
        for node in tree.body
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Constant)
        for target in node.targets
        if isinstance(target, ast.Name)
    }
    for function in ast.walk(tree):
        if isinstance(function, ast.AsyncFunctionDef | ast.FunctionDef):
            filters = _filters_of(function)
            for call in _own_calls(function):
                for where in _either(call.args[1], filters):
                    yield _query(f"{place}:{call.lineno}", call.args[0], where, constants)


def _own_calls(function: ast.AST) -> Iterator[ast.Call]:
    """Return the store calls of a function, those of functions inside it left to these."""
    waiting = list(ast.iter_child_nodes(function))
    while waiting:
        node = waiting.pop(0)
        if isinstance(node, ast.AsyncFunctionDef | ast.FunctionDef):
            continue
        waiting += ast.iter_child_nodes(node)
        if (
            isinstance(node, ast.Call)
            and isinstance(node.func, ast.Attribute)
            and node.func.attr in STORE_CALLS
            and len(node.args) > 1
        ):
            yield node


def _filters_of(function: ast.AST) -> dict[str, ast.expr]:
    """Return the filters that a function gives names to."""
    found: dict[str, ast.expr] = {}
    for node in ast.walk(function):
        if isinstance(node, ast.Assign | ast.AnnAssign) and isinstance(
            node.value, ast.Dict | ast.IfExp
        ):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            found |= {one.id: node.value for one in targets if isinstance(one, ast.Name)}
    return found


def _either(where: ast.expr, filters: Mapping[str, ast.expr]) -> list[ast.expr]:
    """Return what a filter may be: that which its name stands for, and each branch of a choice."""
    if isinstance(where, ast.Name) and where.id in filters:
        where = filters[where.id]
    return [where.body, where.orelse] if isinstance(where, ast.IfExp) else [where]


def _query(place: str, target: ast.expr, where: ast.expr, constants: Mapping[str, object]) -> Query:
    name: object = target.value if isinstance(target, ast.Constant) else None
    if isinstance(target, ast.Name):
        name = constants.get(target.id)
    if not isinstance(where, ast.Dict):
        return Query(place, str(name or ""), is_read=False)
    equal, ranges = set(), set()
    for key, value in zip(where.keys, where.values, strict=True):
        if not isinstance(key, ast.Constant):
            continue  # further fields, which only narrow what the others find
        words = _words(value)
        if words & RANGES:
            ranges.add(str(key.value))
        elif not words & UNSELECTIVE:
            equal.add(str(key.value))
    return Query(place, str(name or ""), frozenset(equal), frozenset(ranges))


def _words(value: ast.expr) -> set[str]:
    keys = value.keys if isinstance(value, ast.Dict) else []
    return {str(one.value) for one in keys if isinstance(one, ast.Constant)}
