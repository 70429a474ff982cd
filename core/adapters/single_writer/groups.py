"""Transactions that commit as one: what they wrote, in the order in which a server takes it."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import Enum, auto
from typing import Any

from core.adapters.mongo.schema import Collection
from core.adapters.single_writer.documents import differ, unique_keys
from core.adapters.single_writer.fence import DoneBefore, WrittenOutside
from core.adapters.single_writer.memory import Memory
from core.adapters.single_writer.rules import Newest
from core.adapters.single_writer.shelf import Layer, Shelf
from core.errors import (
    AlreadyDone,
    GivenUp,
    LeaseLost,
    StaleWrite,
    StoreUnavailable,
    TransactionConflict,
)
from core.ports.store import Batch, BulkView, Change, Condition, Document, Store

__all__ = ["MOST_MEMBERS", "Group", "Member", "Outcome", "answer_to", "batches", "write_once"]

MOST_MEMBERS = 256
_MOST_DOCUMENTS = 600
"""The embedded server writes some 500 documents a second, and a commit has eight."""


class Outcome(Enum):
    """What came of a member's group."""

    LANDED = auto()
    RERUN = auto()
    """What it was worked out upon did not commit."""
    SMALLER = auto()
    """A member of its group was refused; they run again in halves, so that it is known which."""
    CONTENDED = auto()
    """It was alone, and met a write of somebody else's."""


@dataclass(eq=False, slots=True)
class Member:
    """One transaction that is ready to be committed.

    Attributes:
        ended: Its outcome, or the error to raise.
        group_size: How many there were in its group.
    """

    nonce: str | None
    ended: asyncio.Future[Outcome | Exception]
    group_size: int = 0


@dataclass(eq=False, slots=True)
class Group:
    """Transactions that are committed together, with what they wrote."""

    key: str = field(default_factory=lambda: f"group:{secrets.token_hex(12)}")
    layers: dict[str, Layer] = field(default_factory=dict)
    members: list[Member] = field(default_factory=list)
    most: int = MOST_MEMBERS
    is_closed: bool = False
    ended: asyncio.Event = field(default_factory=asyncio.Event)
    has_landed: bool = False

    @property
    def is_full(self) -> bool:
        """Whether nobody else may join."""
        if self.is_closed or len(self.members) >= self.most:
            return True
        return sum(len(layer.docs) for layer in self.layers.values()) >= _MOST_DOCUMENTS

    def join(self, member: Member, layers: Mapping[str, Layer]) -> None:
        """Take in a transaction that saw what this group wrote before."""
        self.members.append(member)
        for collection, written in layers.items():
            mine = self.layers.get(collection)
            if mine is None:
                self.layers[collection] = written
                continue
            for key, new in written.docs.items():
                mine.write(key, new, written.bases[key])

    def trim(self, memory: Memory, *, is_alone: bool) -> None:
        """Leave out what is needless beside what else is committed.

        Args:
            memory: What has landed; nothing is committed before this group now.
            is_alone: Whether no other process can write to the server without saying so.
        """
        for collection, layer in self.layers.items():
            rule = memory.rule(collection)
            if rule.newest is not None:
                _keep_newest(layer, rule.newest)
            if rule.counter and is_alone:
                _leave_counts_out(layer, rule.counter, memory.shelf(collection))

    def nonces(self, now: datetime) -> list[Document]:
        """Return what remembers that the members' transactions are committed."""
        return [
            {"_id": member.nonce, "by": self.key, "run": 0, "at": now}
            for member in self.members
            if member.nonce is not None
        ]

    def end(self, outcome: Outcome | Exception) -> None:
        """Answer all members."""
        self.has_landed = outcome is Outcome.LANDED
        self.ended.set()
        for member in self.members:
            member.group_size = len(self.members)
            if not member.ended.done():
                member.ended.set_result(outcome)


def answer_to(group: Group, error: Exception) -> Outcome | Exception:
    """Return what the members of a group hear whose commit was refused."""
    if isinstance(error, LeaseLost | StoreUnavailable):
        return error
    if isinstance(error, WrittenOutside):
        return Outcome.RERUN
    if len(group.members) > 1:
        return Outcome.SMALLER
    if isinstance(error, StaleWrite):
        return Outcome.RERUN
    if isinstance(error, DoneBefore):
        return AlreadyDone("This was done before.")
    return Outcome.CONTENDED if isinstance(error, TransactionConflict) else error


async def write_once(
    base: Store, nonce: str, condition: Condition, writes: Sequence[tuple[str, Batch]]
) -> None:
    """Commit writes under a condition; what meets another's write is not tried again.

    Raises:
        TransactionConflict: Somebody else writes one of the documents.
    """

    async def body(view: BulkView) -> None:
        try:
            await view.apply_all(condition, writes)
        except TransactionConflict as error:
            # Not again with all who are in it: who meets another's write is found first.
            raise GivenUp("Another's write is under way.") from error

    try:
        await base.transaction(body, nonce=nonce)
    except GivenUp as error:
        raise error.__cause__ or error from None


def batches(group: Group, schemas: Mapping[str, Collection]) -> Iterator[tuple[str, Batch]]:
    """Return what a group writes, by collection, leaving out what comes to nothing."""
    for collection, layer in group.layers.items():
        batch = Batch()
        moved: list[tuple[Document, Document]] = []
        for key, new in layer.docs.items():
            base = layer.bases[key]
            if base is None and new is not None:
                batch.inserts.append(new)
            elif base is not None and new is not None and base.keys() - new.keys():
                batch.removals.append(key)  # one of the same id was removed before
                batch.inserts.append(new)
            elif base is not None and new is None:
                batch.removals.append(key)
            elif base is not None and new is not None:
                moved.append((base, new))
        schema = schemas.get(collection)
        batch.changes.extend(_in_order(moved, schema))
        if batch.inserts or batch.changes or batch.removals:
            yield collection, batch


def _in_order(
    moved: list[tuple[Document, Document]], schema: Collection | None
) -> Iterator[tuple[str, Change]]:
    """Return changes in an order in which no unique value stands in two documents at once.

    Inside one transaction a server checks each write by itself: who gives a value up goes before
    who takes it, and where two exchange theirs, one is blank between.
    """
    changes = [(base, new, _difference(base, new)) for base, new in moved]
    if schema is None or not any(one.unique for one in schema.indexes):
        yield from ((new["_id"], Change(set=fields)) for _, new, fields in changes if fields)
        return
    given: dict[tuple[str, tuple[Any, ...]], str] = {}
    taken: dict[str, list[tuple[str, tuple[Any, ...]]]] = {}
    for base, new, _ in changes:
        before = {(index.name, key) for index, key in unique_keys(schema, base)}
        after = {(index.name, key) for index, key in unique_keys(schema, new)}
        given.update(dict.fromkeys(before - after, str(new["_id"])))
        taken[new["_id"]] = list(after - before)
    waits = {key for key, wants in taken.items() if any(one in given for one in wants)}
    for base, new, _ in changes:
        if new["_id"] in waits and any(owner == new["_id"] for owner in given.values()):
            blank = {
                path: None
                for index, key in unique_keys(schema, base)
                if given.get((index.name, key)) == new["_id"]
                for path, _ in index.keys
                if base.get(path) != new.get(path)
            }
            yield new["_id"], Change(set=blank)
    for is_waiting in (False, True):
        for _, new, fields in changes:
            if fields and (new["_id"] in waits) is is_waiting:
                yield new["_id"], Change(set=fields)


def _difference(base: Document, new: Document) -> Document:
    return {
        name: value for name, value in new.items() if name not in base or differ(base[name], value)
    }


def _leave_counts_out(layer: Layer, counter: str, landed: Shelf) -> None:
    """Send nothing of documents of which nothing but a counter was raised.

    Memory gets an equal document in the place of each, so that whoever has read it runs again.
    """
    for key, new in list(layer.docs.items()):
        base, stands = layer.bases[key], landed.docs.get(key)
        if base is None or new is None or stands is None or base.keys() - new.keys():
            continue
        if _difference(base, new).keys() <= {counter}:
            # Not the base: that has what a group before this one counted, which was left out, too.
            layer.bases[key] = stands
            layer.put(key, dict(stands))


def _keep_newest(layer: Layer, rule: Newest) -> None:
    """Leave out new documents that a newer one, committed with them, stands for."""
    newest: dict[tuple[Any, ...], str] = {}
    for key, new in list(layer.docs.items()):
        if new is None or layer.bases[key] is not None:
            continue
        if any(new.get(name) not in values for name, values in rule.only.items()):
            continue
        place = tuple(new.get(name) for name in rule.fields)
        older, newest[place] = newest.get(place), key
        if older is not None:
            layer.drop(older)
            del layer.bases[older]
