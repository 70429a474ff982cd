"""Writes that several tasks want at the same moment, made by one call."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

__all__ = ["Grouped"]

_LARGEST = 100
T = TypeVar("T")


@dataclass(eq=False, slots=True)
class _Entry(Generic[T]):
    item: T
    is_done: bool = False
    failure: Exception | None = None


class Grouped(Generic[T]):
    """Gathers what arrives while a call is under way, and gives it to the next one.

    Nobody waits for a group to fill: the first call goes at once. Who arrives first makes the call
    for all of the group; when that task is cancelled, the call is made again for the others, so
    what it does must bear that.

    Args:
        act: Does it for all of a group; what it raises is raised to each of them.
    """

    def __init__(self, act: Callable[[Sequence[T]], Awaitable[None]]) -> None:
        self._act = act
        self._waiting: list[_Entry[T]] = []
        self._turn = asyncio.Lock()

    async def add(self, item: T) -> None:
        """Return when a call has done it for ``item``."""
        entry = _Entry(item)
        self._waiting.append(entry)
        async with self._turn:
            while not entry.is_done:
                await self._act_on_some()
        if entry.failure is not None:
            raise entry.failure

    async def _act_on_some(self) -> None:
        """Act on what waits, the oldest first."""
        group = self._waiting[:_LARGEST]
        failure: Exception | None = None
        try:
            await self._act([entry.item for entry in group])
        except Exception as error:  # noqa: BLE001 - raised to each of the group
            failure = error
        del self._waiting[: len(group)]
        for entry in group:
            entry.is_done, entry.failure = True, failure
