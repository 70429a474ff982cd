"""Documents as the servers treat them: values, filters, order and changes, as pure functions.

What is kept in memory must be what a server would give back: ``tests/contract`` holds these
functions to both servers.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import bson

from core.adapters.mongo.codec import CODEC, operators
from core.adapters.mongo.schema import Collection, Index
from core.errors import StoreError
from core.ports.store import Change, Document, SharedRow

__all__ = [
    "changed",
    "copied",
    "differ",
    "handed",
    "kept",
    "matches",
    "points",
    "shared",
    "sort_rows",
    "unique_keys",
    "value_at",
]

_KEPT = frozenset({str, bool, type(None), float, bytes})
_PLAIN = _KEPT | {int}
_HOLDERS = frozenset({dict, list})
"""Kinds of values that can change inside."""
_EXACT = frozenset({str, bool, int, bytes, datetime})
"""Kinds of values of which equal ones are the same."""
_DIGITS = 34  # of a Decimal128
_EXPONENT = 6000
_INT64 = 2**63


# --- values --------------------------------------------------------------------------------------


def kept(value: Any) -> Any:  # noqa: PLR0911 - a line a kind of value
    """Return ``value`` as it comes back from a server, with every dict and list of its own.

    Raises:
        ValueError: A time has no zone.
    """
    kind = type(value)
    if kind is int:
        return value if -_INT64 <= value < _INT64 else _through_bson(value)
    if kind in _PLAIN:
        return value
    if kind is datetime:
        return _moment(value)
    if kind is Decimal:
        return value if _is_short(value) else _through_bson(value)
    if kind is dict:
        return {
            name if type(name) is str else _name(name): part if type(part) in _KEPT else kept(part)
            for name, part in value.items()
        }
    if isinstance(value, Mapping):
        return {_name(name): kept(part) for name, part in value.items()}
    if isinstance(value, list | tuple):
        return [kept(part) for part in value]
    if isinstance(value, str):  # an enum of strings
        return str.__str__(value)
    return _through_bson(value)


def _is_short(value: Decimal) -> bool:
    """Whether a ``Decimal128`` holds it as it is."""
    _, digits, exponent = value.as_tuple()
    return isinstance(exponent, int) and len(digits) <= _DIGITS and abs(exponent) < _EXPONENT


def _name(name: object) -> str:
    if type(name) is str:
        return name
    if isinstance(name, str):
        return str.__str__(name)
    raise ValueError(f"{name!r} is no name of a field.")


def _moment(value: datetime) -> datetime:
    if value.tzinfo is None:
        raise ValueError(f"A datetime without a zone: {value.isoformat()}.")
    moment = value if value.tzinfo is UTC else value.astimezone(UTC)
    rest = moment.microsecond % 1000
    return moment.replace(microsecond=moment.microsecond - rest) if rest else moment


def _through_bson(value: Any) -> Any:
    coded = bson.encode({"value": value}, codec_options=CODEC)
    return bson.decode(coded, codec_options=CODEC)["value"]


def copied(value: Any) -> Any:
    """Return ``value`` with every dict and list of its own; the other values cannot change."""
    if type(value) is SharedRow:
        return dict(value)
    if type(value) is dict:
        return {
            name: copied(part) if type(part) in (dict, list) else part
            for name, part in value.items()
        }
    if type(value) is list:
        return [copied(part) for part in value]
    return value


def shared(document: Document) -> Document:
    """Return a document as one that can be shared, where no value of it can change."""
    if type(document) is SharedRow or not _HOLDERS.isdisjoint(map(type, document.values())):
        return document
    row = SharedRow(document)
    row.meaning = None
    return row


def handed(document: Document) -> Document:
    """Return a document for who reads it: itself where it is shared, a copy otherwise."""
    return document if type(document) is SharedRow else copied(document)


def differ(old: Any, new: Any) -> bool:
    """Whether a server would keep other bytes for a kept value than for the one of before.

    Equal is not enough where digits are kept: ``Decimal("1.0")`` is not ``Decimal("1.00")``.
    """
    if old is new:
        return False
    if type(old) is not type(new):
        return True
    return bool(old != new) if type(old) in _EXACT else repr(old) != repr(new)


def value_at(document: Document, path: str) -> Any:
    """Return what stands at a dotted name; None when nothing does, as filters see it."""
    if "." not in path:
        return document.get(path)
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
_KIND_OF: Mapping[type, int] = {one: rank for rank, types in enumerate(_KINDS) for one in types}
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
    return type(value) in {kind for name in wanted for kind in _TYPES[name]}


def _same(found: Any, wanted: Any) -> bool:
    return _KIND_OF[type(found)] == _KIND_OF[type(wanted)] and bool(found == wanted)


def _range(compare: Callable[[Any, Any], bool]) -> Callable[[Any, Any], bool]:
    return lambda found, bound: (
        _KIND_OF[type(found)] == _KIND_OF[type(bound)] and compare(found, bound)
    )


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


def _is_operators(wanted: Any) -> bool:
    return type(wanted) is dict and any(name.startswith("$") for name in wanted)


def matches(document: Document, where: Mapping[str, Any]) -> bool:
    """Tell whether a document meets a flat filter of kept values.

    Raises:
        ValueError: The filter is none of the port.
    """
    for path, wanted in where.items():
        found = document.get(path) if "." not in path else value_at(document, path)
        if type(wanted) is not dict:
            # Of one type, equal is the same; only numbers of two kinds need more.
            if found != wanted or (type(found) is not type(wanted) and not _same(found, wanted)):
                if type(found) is list and any(_same(part, wanted) for part in found):
                    continue
                return False
        elif not _is_operators(wanted):
            if not _same(found, wanted):
                return False
        elif not _meets(found, wanted):
            return False
    return True


def _meets(found: Any, wanted: Mapping[str, Any]) -> bool:
    for name, operand in wanted.items():
        if name not in _FILTERS:
            raise ValueError(f"{name} is no filter of the port.")
        if not _FILTERS[name](found, operand):
            return False
    return True


def points(wanted: Any) -> list[Any] | None:
    """Return the values that a filter on a field asks for, None when it asks for more than some."""
    if not _is_operators(wanted):
        return None if type(wanted) in (dict, list) else [wanted]
    several = wanted.get("$in")
    if several is None or any(type(one) in (dict, list) for one in several):
        return None
    return list(dict.fromkeys(several))


def sort_rows(rows: list[Document], sort: Sequence[tuple[str, int]]) -> None:
    """Sort in place by (field, 1 or -1), the first field first."""

    def key(path: str) -> Callable[[Document], tuple[int, Any]]:
        return lambda row: (_KIND_OF[type(value_at(row, path))], value_at(row, path))

    for path, direction in reversed(sort):
        rows.sort(key=key(path), reverse=direction < 0)


# --- changes -------------------------------------------------------------------------------------


def changed(document: Document, change: Change, *, inserts: bool = False) -> Document:
    """Return the document after a change.

    Raises:
        ValueError: The change changes nothing, or holds a time without a zone.
        StoreError: It would change the ``_id``, or reach into a value.
    """
    parts = operators(change)
    after: Document = copied(document)
    for path, value in parts.get("$set", {}).items():
        new = value if type(value) in _KEPT else kept(value)
        if "." in path:
            _put(after, path, new)
        else:
            after[path] = new
    for path, amount in parts.get("$inc", {}).items():
        _put(after, path, (value_at(after, path) or 0) + amount)
    if inserts:
        for path, value in parts.get("$setOnInsert", {}).items():
            _put(after, path, kept(value))
    if after.get("_id") != document.get("_id", after.get("_id")):
        raise StoreError("An _id cannot be changed.")
    return after


# --- what the schema declares --------------------------------------------------------------------


def unique_keys(one: Collection, document: Document) -> Iterator[tuple[Index, tuple[Any, ...]]]:
    """Return each unique index that holds a document, with its key there."""
    for each in one.indexes:
        if each.unique and (each.where is None or matches(document, each.where)):
            yield each, tuple(value_at(document, path) for path, _ in each.keys)
