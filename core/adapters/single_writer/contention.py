"""Documents that somebody else kept locked lately: an account whose rows conflict delays no other.

A server refuses a transaction that meets another's write at once, and whoever repeats it with all
who commit with it makes them wait too. So a group is tried once, then in halves, until the one in
trouble is alone. What an account alone owns (``Rule.is_own``) is remembered: what writes it goes by
itself, when nobody else waits, and no run takes its entries along (``ServedStore.contended``).
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

from core.adapters.mongo._view import backoff_s
from core.adapters.single_writer.memory import Memory
from core.adapters.single_writer.shelf import Layer

__all__ = ["Contention", "Patience"]

_REMEMBERED_S = 600.0
_MOST_OWN = 2
"""What writes more of them is no one account's: all of them would be under suspicion."""
_MOST_WAITS = 20


class Contention:
    """What is under suspicion, and how long one waits for others."""

    def __init__(self, memory: Memory) -> None:
        self._memory = memory
        self._until: dict[tuple[str, str], float] = {}

    def note(self, layers: Mapping[str, Layer]) -> None:
        """Take note of what a transaction wrote that was refused when it was alone."""
        own = self._own(layers)
        if len(own) <= _MOST_OWN:
            until = asyncio.get_running_loop().time() + _REMEMBERED_S
            self._until.update(dict.fromkeys(own, until))

    def concerns(self, layers: Mapping[str, Layer]) -> bool:
        """Whether a transaction writes what was contended lately."""
        return bool(self._until) and any(one in self._until for one in self._own(layers))

    def documents(self, collection: str) -> frozenset[str]:
        """Return the ids of documents that were contended lately."""
        now = asyncio.get_running_loop().time()
        for key in [key for key, until in self._until.items() if until < now]:
            del self._until[key]
        return frozenset(key for name, key in self._until if name == collection)

    def _own(self, layers: Mapping[str, Layer]) -> list[tuple[str, str]]:
        return [
            (name, key)
            for name, layer in layers.items()
            if self._memory.rule(name).is_own
            for key in layer.docs
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
