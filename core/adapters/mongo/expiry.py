"""Removes what has outlived its expiry index, where the server does not.

The embedded server's own sweep reads every document of each such collection, each minute, and lets
nobody write meanwhile. The renewals of a lease alone are some hundred thousand nonces in the eight
days that they are kept: writes waited for seconds. So its sweep is off (``_embedded.py``), and a
controller removes a little at a time, by index. A mongod expires by itself.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from core.adapters.mongo.schema import COLLECTIONS, Collection
from core.ports.store import StoreView, parts

__all__ = ["Expiry"]

_LEAST_STEP, _MOST_STEP = timedelta(hours=1), timedelta(days=1)
"""The embedded server reads all that a filter finds, whatever the limit: an hour holds little."""
_STEPS = 30


@dataclass(slots=True)
class _Expiring:
    """How far a collection is through.

    Attributes:
        since: Nothing older is left.
        step: How much time the next question is for.
    """

    collection: str
    field: str
    kept: timedelta
    since: datetime | None = None
    step: timedelta = _LEAST_STEP


class Expiry:
    """Removes the oldest first, and remembers how far it came."""

    def __init__(self, store: StoreView, collections: Sequence[Collection] = COLLECTIONS) -> None:
        self._store = store
        self._places = [
            _Expiring(one.name, index.keys[0][0], timedelta(seconds=index.keep_s))
            for one in collections
            for index in one.indexes
            if index.keep_s is not None
        ]

    async def forget(self, now: datetime, first_at: datetime | None, most: int) -> int:
        """Remove at most so many documents of each collection; return how many went.

        Args:
            now: The time, real.
            first_at: When the installation began, if that is known.
            most: How many.
        """
        gone = 0
        for place in self._places:
            since = place.since or first_at or now - place.kept - _MOST_STEP
            gone += await self._forget(place, since, now - place.kept, most)
        return gone

    async def _forget(self, place: _Expiring, since: datetime, before: datetime, most: int) -> int:
        """Go on until something is removed, or nothing is left to look at."""
        for _ in range(_STEPS):
            until = min(before, since + place.step)
            if until <= since:
                break
            where = {place.field: {"$gte": since, "$lt": until}}
            rows = await self._store.find(place.collection, where, limit=most)
            for some in parts([row["_id"] for row in rows]):
                await self._store.delete(place.collection, {"_id": {"$in": list(some)}})
            if len(rows) < most:
                place.since = since = until
            if rows:
                place.step = _LEAST_STEP
                return len(rows)
            place.step = min(2 * place.step, _MOST_STEP)
        return 0
