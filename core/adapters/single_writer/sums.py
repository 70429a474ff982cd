"""What documents add up to, kept while they move: a look costs no walk over all of them."""

from __future__ import annotations

import asyncio
from collections import OrderedDict, defaultdict
from collections.abc import Hashable, Iterable, Mapping
from typing import Any

from core.ports.store import Document, Tally

__all__ = ["Sums"]

_AT_ONCE = 100
"""So many documents are counted before others go on."""
_MOST = 1024

_Added = tuple[Hashable, Hashable, int]
_Totals = defaultdict[Hashable, dict[Hashable, int]]


class _Sum:
    """What the documents of one filter add up to; ``waiting`` are those not counted yet."""

    __slots__ = ("totals", "waiting")

    def __init__(self, waiting: Iterable[str]) -> None:
        self.totals: _Totals = defaultdict(dict)
        self.waiting = dict.fromkeys(waiting)

    def add(self, added: Iterable[_Added], sign: int) -> None:
        for heading, place, number in added:
            under = self.totals[heading]
            left = under.get(place, 0) + sign * number
            if left:
                under[place] = left
                continue
            under.pop(place, None)
            if not under:
                del self.totals[heading]


class Sums:
    """Of one shelf: for each tally and the fields that its filters name, by their values."""

    __slots__ = ("_held",)

    def __init__(self) -> None:
        self._held: dict[tuple[Tally, tuple[str, ...]], OrderedDict[tuple[Any, ...], _Sum]] = {}

    def move(self, key: str, old: Document | None, new: Document | None) -> None:
        """Note that a document takes another's place; None says that there is none."""
        added: dict[tuple[Tally, int], list[_Added]] = {}
        for (tally, names), held in self._held.items():
            for row, sign in ((old, -1), (new, 1)):
                one = None if row is None else held.get(tuple(map(row.get, names)))
                # One that waits is counted as it is when its turn comes.
                if row is None or one is None or key in one.waiting:
                    continue
                if (tally, sign) not in added:
                    added[tally, sign] = list(tally.of(row))
                one.add(added[tally, sign], sign)

    async def count(
        self,
        tally: Tally,
        where: Mapping[str, Any],
        docs: Mapping[str, Document | None],
        candidates: Iterable[str],
    ) -> None:
        """Add up a filter's documents, once and in pieces; from then on ``move`` keeps the sum.

        Args:
            tally: What they add up to.
            where: A filter of texts.
            docs: All documents, as they stand when each is counted.
            candidates: Ids of documents among which are all that match.
        """
        names, wanted = tuple(where), tuple(where.values())
        held = self._held.setdefault((tally, names), OrderedDict())
        if wanted in held:
            held.move_to_end(wanted)
        else:
            held[wanted] = _Sum(candidates)
            while len(held) > _MOST:
                held.popitem(last=False)
        one = held[wanted]
        while one.waiting and held.get(wanted) is one:
            for key in [key for key, _ in zip(one.waiting, range(_AT_ONCE), strict=False)]:
                del one.waiting[key]
                row = docs.get(key)
                if row is not None and tuple(map(row.get, names)) == wanted:
                    one.add(tally.of(row), 1)
            if one.waiting:
                await asyncio.sleep(0)

    def under(
        self, tally: Tally, where: Mapping[str, Any], heading: Hashable
    ) -> dict[Hashable, int] | None:
        """Return what was added up under a heading; None where it was not, or not yet."""
        held = self._held.get((tally, tuple(where)))
        one = held.get(tuple(where.values())) if held is not None else None
        if one is None or one.waiting:
            return None
        return dict(one.totals.get(heading, {}))
