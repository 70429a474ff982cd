"""Documents that somebody else kept locked lately: an account whose rows conflict delays no other.

A server refuses a transaction that meets another's write at once, and whoever repeats it with all
who commit with it makes them wait too. What an account alone owns (``Rule.is_own``) is therefore
asked for by itself when a commit was refused, each document by a command of its own in one
transaction that is taken back: the one that is refused names who is in trouble, and all others
commit again without it, at once. It is remembered: what writes it is committed only after such a
look has found it free, by itself, when nobody else waits; and no run takes its entries along
(``ServedStore.contended``). Where no look finds it, the group is tried in halves, until the one in
trouble is alone.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Mapping, Sequence

from core.adapters.mongo._view import backoff_s
from core.adapters.single_writer.memory import Memory
from core.adapters.single_writer.shelf import Layer
from core.errors import GivenUp, StoreError, TransactionConflict
from core.ports.store import Batch, BulkView, Change, Condition, Store

__all__ = ["Contention", "Patience"]

_REMEMBERED_S = 600.0
_MOST_OWN = 2
"""What writes more of them is no one account's: all of them would be under suspicion."""
_MOST_WAITS = 20
_MOST_LOOKS = 8
"""Accounts in trouble at once that are found one after another; more are found by halves."""
_LOOKED = "seq"

_Place = tuple[str, str]


class Contention:
    """What is under suspicion, and how long one waits for others."""

    def __init__(self, memory: Memory, base: Store) -> None:
        self._memory = memory
        self._base = base
        self._until: dict[_Place, float] = {}

    def note(self, layers: Mapping[str, Layer]) -> None:
        """Take note of what a transaction wrote that was refused when it was alone."""
        own = self._own(layers)
        if len(own) <= _MOST_OWN:
            self._suspect(*own)

    def suspects(self, layers: Mapping[str, Layer]) -> list[_Place]:
        """Return what a transaction writes that was contended lately."""
        return [one for one in self._own(layers) if one in self._until] if self._until else []

    def documents(self, collection: str) -> frozenset[str]:
        """Return the ids of documents that were contended lately."""
        now = asyncio.get_running_loop().time()
        for key in [key for key, until in self._until.items() if until < now]:
            del self._until[key]
        return frozenset(key for name, key in self._until if name == collection)

    async def find(self, layers: Mapping[str, Layer], error: TransactionConflict) -> bool:
        """Find, and remember, what is locked of what a refused commit wrote; return whether any is.

        Nothing else may be committed meanwhile: it would meet these looks.
        """
        own = self._own(layers)
        if error.met is not None:
            collection, ids = error.met
            own = [one for one in own if one[0] == collection and one[1] in ids]
            if len(own) == 1:
                self._suspect(*own)
                return True
        found = False
        for _ in range(_MOST_LOOKS):
            locked = await self.first_locked(own)
            if locked is None:
                break
            found = True
            self._suspect(locked)
            own = own[own.index(locked) + 1 :]
        return found

    async def first_locked(self, places: Sequence[_Place]) -> _Place | None:
        """Return the first of some documents that somebody else keeps locked, if it is known.

        It writes each of them in a transaction that is taken back.
        """
        if not places:
            return None
        change = Change(inc={_LOOKED: 1})  # one that changes nothing would meet no lock
        (collection, key), *rest = places
        condition = Condition(collection, {"_id": key}, change)
        batches = [(name, Batch(changes=[(one, change)])) for name, one in rest]

        async def body(view: BulkView) -> None:
            try:
                await view.apply_all(condition, batches)
            except TransactionConflict as error:
                raise GivenUp("It is locked.") from error
            raise GivenUp("It is free.")

        try:
            await self._base.transaction(body, nonce=f"look:{secrets.token_hex(12)}")
        except GivenUp as error:
            met = error.__cause__.met if isinstance(error.__cause__, TransactionConflict) else None
            if met is not None and len(met[1]) == 1:
                return met[0], met[1][0]
            return places[0] if error.__cause__ is not None and len(places) == 1 else None
        except StoreError:
            return None  # whoever commits next learns what is wrong
        return None

    def _suspect(self, *places: _Place) -> None:
        until = asyncio.get_running_loop().time() + _REMEMBERED_S
        self._until.update(dict.fromkeys(places, until))

    def _own(self, layers: Mapping[str, Layer]) -> list[_Place]:
        return [
            (name, key)
            for name, layer in layers.items()
            if self._memory.rule(name).is_own
            for key, base in layer.bases.items()
            if base is not None
        ]


class Patience:
    """How often one transaction has stood back for others, and was refused.

    Attributes:
        most: With how many it may be committed.
    """

    def __init__(self, most: int) -> None:
        self.most = most
        self._waits = 0
        self._refusals = 0

    def lets_others_go(self) -> bool:
        """Whether it stands back once more; not for ever."""
        self._waits += 1
        return self._waits <= _MOST_WAITS

    async def after_refusal(self) -> None:
        """Wait before the next try: a little longer each time, up to a tenth of a second."""
        self._refusals += 1
        await asyncio.sleep(backoff_s(self._refusals))
