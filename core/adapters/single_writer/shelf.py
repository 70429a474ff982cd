"""Documents of one collection in memory, found by the fields that its indexes name."""

from __future__ import annotations

from collections.abc import Collection as Several
from collections.abc import Iterable, Mapping
from typing import Any

from core.adapters.mongo.schema import Collection
from core.adapters.single_writer.documents import points
from core.adapters.single_writer.sums import Sums
from core.ports.store import Document, Tally

__all__ = ["Layer", "Shelf", "fields_of"]

_UNHASHABLE = (dict, list)
_FEW = 4


def fields_of(collection: Collection) -> frozenset[str]:
    """Return the fields by which a collection's documents are looked up; a list is no key."""
    indexes = [index for index in collection.indexes if not index.is_of_lists]
    indexed = (field for index in indexes for field, _ in index.keys)
    return frozenset((*indexed, *collection.found_by))


class Shelf:
    """Documents by ``_id``; one that was removed may stand there as None.

    A document here is never written into: a change puts another one in its place. So that a
    document is the same object as before says that it has not changed. Fields are indexed, alone or
    as they are asked for together, when that is done first among more than a few documents: most of
    what a transaction writes is never asked for.
    """

    __slots__ = ("_fields", "_index", "_places", "docs", "sums")

    def __init__(self, fields: frozenset[str], asked: Iterable[tuple[str, ...]] = ()) -> None:
        """Begin without a document.

        Args:
            fields: By which documents are looked up.
            asked: Those of them that are asked for together where documents become many: indexed
                from the first on, for later it would stop the loop.
        """
        self.docs: dict[str, Document | None] = {}
        self.sums = Sums()
        self._fields = fields
        self._index: dict[str, dict[Any, dict[str, None]]] = {
            names[0]: {} for names in asked if len(names) == 1
        }
        self._places: dict[tuple[str, ...], dict[tuple[Any, ...], dict[str, None]]] = {
            names: {} for names in asked
        }

    def put(self, key: str, new: Document | None) -> None:
        """Put a document in its place; None says that there is none."""
        old = self.docs.get(key)
        self.docs[key] = new
        self._move(key, old, new)
        self.sums.move(key, old, new)
        for field, held in self._index.items():
            before = None if old is None else old.get(field)
            after = None if new is None else new.get(field)
            if old is not None and new is not None and before is after:
                continue
            if old is not None and type(before) not in _UNHASHABLE:
                place = held.get(before)
                if place is not None:
                    place.pop(key, None)
                    if not place:
                        del held[before]
            if new is not None and type(after) not in _UNHASHABLE:
                held.setdefault(after, {})[key] = None

    def _move(self, key: str, old: Document | None, new: Document | None) -> None:
        for names, places in self._places.items():
            left = None if old is None else tuple(map(old.get, names))
            taken = None if new is None else tuple(map(new.get, names))
            if left == taken:
                continue
            if left is not None and _is_text(left):
                del places[left][key]
                if not places[left]:
                    del places[left]
            if taken is not None and _is_text(taken):
                places.setdefault(taken, {})[key] = None

    def drop(self, key: str) -> None:
        """Forget a document."""
        if key in self.docs:
            self.put(key, None)
            del self.docs[key]

    def exactly(self, where: Mapping[str, Any]) -> Several[str] | None:
        """Return the ids of what a filter matches, None when it is no plain one.

        Plain is a filter that wants texts in indexed fields alone, among more than a few documents.
        """
        names, wanted = tuple(where), tuple(where.values())
        if len(self.docs) <= _FEW or not _is_text(wanted):
            return None
        places = self._places.get(names)
        if places is None:
            if not names or not self._fields.issuperset(names):
                return None
            places = self._places[names] = {}
            for key, row in self.docs.items():
                found = None if row is None else tuple(map(row.get, names))
                if found is not None and _is_text(found):
                    places.setdefault(found, {})[key] = None
        return places.get(wanted, ())

    def values_of(self, field: str) -> Iterable[Any]:
        """Return the values that documents have in an indexed field."""
        return list(self._indexed(field))

    def count(self, where: Mapping[str, Any]) -> int | None:
        """Return how many documents a plain filter matches, None when it is none (``exactly``)."""
        found = self.exactly(where)
        return None if found is None else len(found)

    async def add_up(self, tally: Tally, where: Mapping[str, Any]) -> bool:
        """Have a sum of what a plain filter matches; return whether there is one.

        A filter is plain that wants texts in indexed fields alone.
        """
        if not (_is_text(tuple(where.values())) and self._fields.issuperset(where)):
            return False
        exact = self.exactly(where)
        await self.sums.count(tally, where, self.docs, self.docs if exact is None else exact)
        return True

    def candidates(self, where: Mapping[str, Any]) -> Iterable[str]:
        """Return ids of documents among which are all that a filter matches."""
        best: Iterable[str] = self.docs
        fewest = len(self.docs)
        for field, wanted in where.items():
            is_key = field == "_id"
            if not is_key and (field not in self._fields or fewest <= _FEW):
                continue
            values = points(wanted)
            if values is None:
                continue
            if is_key:
                return [one for one in values if one in self.docs]
            held = self._indexed(field)
            places = [held[value] for value in values if value in held]
            count = sum(map(len, places))
            if count <= fewest:
                fewest = count
                best = places[0] if len(places) == 1 else [key for one in places for key in one]
        return best

    def _indexed(self, field: str) -> dict[Any, dict[str, None]]:
        """Return the ids of documents by the value of a field."""
        held = self._index.get(field)
        if held is None:
            held = self._index[field] = {}
            for key, row in self.docs.items():
                value = None if row is None else row.get(field)
                if row is not None and type(value) not in _UNHASHABLE:
                    held.setdefault(value, {})[key] = None
        return held


def _is_text(values: tuple[Any, ...]) -> bool:
    """Whether all are texts, so that equal ones are the same to a server."""
    return all(type(one) is str for one in values)


class Layer(Shelf):
    """What was written over other documents of a collection.

    Attributes:
        bases: What stood below each document when it was first written, by ``_id``.
    """

    __slots__ = ("bases",)

    def __init__(self, fields: frozenset[str]) -> None:
        super().__init__(fields)
        self.bases: dict[str, Document | None] = {}

    def write(self, key: str, new: Document | None, base: Document | None) -> None:
        """Write a document over what stands below."""
        self.bases.setdefault(key, base)
        self.put(key, new)
