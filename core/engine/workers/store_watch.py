"""Compares what the controller keeps of its store with the store itself (decision 22).

They never differ, unless there is a mistake in Saarthi or somebody wrote to the store by hand. Then
nothing may be entered on what was believed: entries stop on every account until a user sets NORMAL.
Exits and stops go on, upon what was read anew.
"""

from __future__ import annotations

import itertools
import logging
from collections.abc import Awaitable, Callable, Sequence

from core.domain.notices.post import Post
from core.domain.notices.system import MemoryDiffered
from core.engine.orders.gate import freeze_entries
from core.engine.outbox import Outbox
from core.ports.clock import Clock
from core.ports.store import ServedStore, StoreView

__all__ = ["StoreWatch"]

_log = logging.getLogger(__name__)
_SHOWN = 20
_AT_ONCE = 500
"""Documents that are compared in one look: what a day brings is compared over several."""


class StoreWatch:
    """Compares one collection at a time, a large one in parts.

    Args:
        store: The controller's store.
        clock: For the nonce.
        outbox: For the notice.
        ids: Returns the accounts.
        collections: What is compared, in turn.
    """

    def __init__(
        self,
        store: ServedStore,
        clock: Clock,
        outbox: Outbox,
        ids: Callable[[], Awaitable[Sequence[str]]],
        collections: Sequence[str],
    ) -> None:
        self._store = store
        self._clock = clock
        self._outbox = outbox
        self._ids = ids
        self._next = itertools.cycle(collections)

    async def tick(self) -> None:
        """Compare the next collection; stop entries and notify when it differs."""
        collection = next(self._next)
        found = await self._store.differences(collection, most=_AT_ONCE)
        if not found:
            return
        for line in found[:_SHOWN]:
            _log.error("memory and store differ: %s", line)
        broker_ids = await self._ids()

        async def body(view: StoreView) -> None:
            for broker_id in broker_ids:
                await freeze_entries(view, broker_id)
            await self._outbox.post(view, Post(MemoryDiffered(collection, len(found))))

        nonce = f"memory:{collection}|{self._clock.now().isoformat()}"
        await self._store.transaction(body, nonce=nonce)
