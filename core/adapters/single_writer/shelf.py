"""Documents of one collection in memory, found by the fields that its indexes name."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from core.adapters.mongo.schema import Collection
from core.adapters.single_writer.documents import points
from core.ports.store import Document

__all__ = ["Layer", "Shelf", "fields_of"]

_UNHASHABLE = (dict, list)


def fields_of(collection: Collection) -> frozenset[str]:
    """Return the fields by which a collection's documents are looked up."""
    return frozenset(field for index in collection.indexes for field, _ in index.keys)


class Shelf:
    """Documents by ``_id``; one that was removed may stand there as None.

    A document here is never written into: a change puts another one in its place. So that a
    document is the same object as before says that it has not changed.
    """

    __slots__ = ("_index", "docs")

    def __init__(self, fields: Iterable[str]) -> None:
        self.docs: dict[str, Document | None] = {}
        self._index: dict[str, dict[Any, dict[str, None]]] = {field: {} for field in fields}

    def put(self, key: str, new: Document | None) -> None:
        """Put a document in its place; None says that there is none."""
        old = self.docs.get(key)
        self.docs[key] = new
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

    def drop(self, key: str) -> None:
        """Forget a document."""
        if key in self.docs:
            self.put(key, None)
            del self.docs[key]

    def candidates(self, where: Mapping[str, Any]) -> Iterable[str]:
        """Return ids of documents among which are all that a filter matches."""
        best: Iterable[str] = self.docs
        fewest = len(self.docs)
        for field, wanted in where.items():
            is_key = field == "_id"
            if not is_key and field not in self._index:
                continue
            values = points(wanted)
            if values is None:
                continue
            if is_key:
                return [one for one in values if one in self.docs]
            held = self._index[field]
            places = [held[value] for value in values if value in held]
            count = sum(map(len, places))
            if count <= fewest:
                fewest = count
                best = places[0] if len(places) == 1 else [key for one in places for key in one]
        return best


class Layer(Shelf):
    """What was written over other documents of a collection.

    Attributes:
        bases: What stood below each document when it was first written, by ``_id``.
    """

    __slots__ = ("bases",)

    def __init__(self, fields: Iterable[str]) -> None:
        super().__init__(fields)
        self.bases: dict[str, Document | None] = {}

    def write(self, key: str, new: Document | None, base: Document | None) -> None:
        """Write a document over what stands below."""
        self.bases.setdefault(key, base)
        self.put(key, new)
