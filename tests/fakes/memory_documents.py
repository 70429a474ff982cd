"""Documents as the servers treat them: values, filters, changes and validators, as pure functions.

Values go through BSON with the adapter's own codec, and validators and indexes are those that
``core.adapters.mongo.schema`` declares, so that what a server would refuse is refused here too.
"""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any

import bson

from core.adapters.mongo.codec import CODEC, change_operators
from core.adapters.mongo.schema import Collection, Index
from core.errors import StoreError
from core.ports.store import Change, Document

__all__ = ["changed", "copied", "kept", "matches", "refuse_broken", "sort_rows", "unique_keys"]


# --- values --------------------------------------------------------------------------------------


def kept(values: Mapping[str, Any]) -> Document:
    """Return ``values`` as they come back from a server."""
    return bson.decode(bson.encode(values, codec_options=CODEC), codec_options=CODEC)


def copied(value: Any) -> Any:
    """Return ``value`` with every dict and list of its own; the other values cannot change."""
    if isinstance(value, dict):
        return {name: copied(part) for name, part in value.items()}
    if isinstance(value, list):
        return [copied(part) for part in value]
    return value


def _value_at(document: Document, path: str) -> Any:
    """Return what stands at a dotted name; None when nothing does, as filters see it."""
    found: Any = document
    for part in path.split("."):
        if not isinstance(found, dict) or part not in found:
            return None
        found = found[part]
    return found


def _put(document: Document, path: str, value: Any) -> None:
    *parents, last = path.split(".")
    place: Any = document
    for part in parents:
        place = place.setdefault(part, {})
        if not isinstance(place, dict):
            raise StoreError(f"{path} cannot be set inside of {part}, which holds a value.")
    place[last] = value


# --- filters and order ---------------------------------------------------------------------------

# BSON compares values of one kind only, and sorts the kinds in this order.
_KINDS: tuple[tuple[type, ...], ...] = (
    (type(None),),
    (int, float, Decimal),
    (str,),
    (dict,),
    (list,),
    (bytes,),
    (bool,),
    (datetime,),
)


def _kind(value: Any) -> int:
    if isinstance(value, bool):
        return _KINDS.index((bool,))
    return next(rank for rank, types in enumerate(_KINDS) if isinstance(value, types))


_TYPES: Mapping[str, tuple[type, ...]] = {
    "string": (str,),
    "bool": (bool,),
    "date": (datetime,),
    "null": (type(None),),
    "int": (int,),
    "long": (int,),
    "object": (dict,),
}


def _is_type(value: Any, names: str | list[str]) -> bool:
    wanted = [names] if isinstance(names, str) else names
    types = tuple(kind for name in wanted for kind in _TYPES[name])
    return isinstance(value, types) and (not isinstance(value, bool) or bool in types)


def _same(found: Any, wanted: Any) -> bool:
    return _kind(found) == _kind(wanted) and bool(found == wanted)


def _range(compare: Callable[[Any, Any], bool]) -> Callable[[Any, Any], bool]:
    return lambda found, bound: _kind(found) == _kind(bound) and compare(found, bound)


_FILTERS: Mapping[str, Callable[[Any, Any], bool]] = {
    "$in": lambda found, wanted: any(_same(found, one) for one in wanted),
    "$nin": lambda found, wanted: not any(_same(found, one) for one in wanted),
    "$ne": lambda found, wanted: not _same(found, wanted),
    "$gt": _range(operator.gt),
    "$gte": _range(operator.ge),
    "$lt": _range(operator.lt),
    "$lte": _range(operator.le),
    "$type": _is_type,  # in partial indexes only
}


def matches(document: Document, where: Mapping[str, Any]) -> bool:
    """Tell whether a document meets a flat filter.

    Raises:
        ValueError: The filter is none of the port.
    """
    return all(_meets(_value_at(document, path), wanted) for path, wanted in where.items())


def _meets(found: Any, wanted: Any) -> bool:
    if not isinstance(wanted, dict) or not any(name.startswith("$") for name in wanted):
        parts = found if isinstance(found, list) else ()
        return _same(found, wanted) or any(_same(part, wanted) for part in parts)
    for name, operand in wanted.items():
        if name not in _FILTERS:
            raise ValueError(f"{name} is no filter of the port.")
        if not _FILTERS[name](found, operand):
            return False
    return True


def sort_rows(rows: list[Document], sort: Sequence[tuple[str, int]]) -> None:
    """Sort in place by (field, 1 or -1), the first field first."""

    def key(path: str) -> Callable[[Document], tuple[int, Any]]:
        return lambda row: (_kind(_value_at(row, path)), _value_at(row, path))

    for path, direction in reversed(sort):
        rows.sort(key=key(path), reverse=direction < 0)


# --- changes -------------------------------------------------------------------------------------


def changed(document: Document, change: Change, *, inserts: bool = False) -> Document:
    """Return the document after a change.

    Raises:
        ValueError: The change changes nothing, or holds a time without a zone.
        StoreError: It would change the ``_id``, or reach into a value.
    """
    parts = change_operators(change)
    after: Document = copied(document)
    for path, value in kept(parts.get("$set", {})).items():
        _put(after, path, value)
    for path, amount in parts.get("$inc", {}).items():
        _put(after, path, (_value_at(after, path) or 0) + amount)
    if inserts:
        for path, value in kept(parts.get("$setOnInsert", {})).items():
            _put(after, path, value)
    if after.get("_id") != document.get("_id", after.get("_id")):
        raise StoreError("An _id cannot be changed.")
    return after


# --- what the schema declares --------------------------------------------------------------------


def unique_keys(one: Collection, document: Document) -> Iterator[tuple[str, tuple[Any, ...]]]:
    """Return the name of each unique index that holds a document, with its key there."""
    yield "_id_", (document["_id"],)
    for each in one.indexes:
        if each.unique and _is_in(each, document):
            yield each.name, tuple(_value_at(document, path) for path, _ in each.keys)


def _is_in(each: Index, document: Document) -> bool:
    return each.where is None or matches(document, each.where)


_RULES: Mapping[str, Callable[[Any, Any], bool]] = {
    "bsonType": _is_type,
    "enum": lambda value, allowed: value in allowed,
    "minimum": lambda value, least: value >= least,
    "minLength": lambda value, least: len(value) >= least,
    "maxLength": lambda value, most: len(value) <= most,
    "pattern": lambda value, pattern: re.search(pattern, value) is not None,
    "required": lambda value, names: all(name in value for name in names),
    "properties": lambda value, fields: all(
        _keeps(value[name], rules) for name, rules in fields.items() if name in value
    ),
}


def _keeps(value: Any, rules: Mapping[str, Any]) -> bool:
    # bsonType first: the other rules are about values of that type.
    ordered = sorted(rules.items(), key=lambda rule: rule[0] != "bsonType")
    return all(_RULES[word](value, limit) for word, limit in ordered)


def refuse_broken(one: Collection, document: Document) -> None:
    """Raise ``StoreError`` for a document that its collection's validator does not let in."""
    if one.rules is not None and not _keeps(document, one.rules):
        raise StoreError(f"A document of {one.name} failed validation: {document['_id']}")
