"""A store below a controller whose every command is a moment at which a test can act.

``Watch`` sees a commit as one call; here each read and each write of a transaction's body is one, too.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, cast

from core.adapters.single_writer.body import apply_in_turn
from core.ports.store import Batch, BulkView, Condition, ServedStore

__all__ = ["COMMITTED", "Commands", "commanded"]

_COMMANDS = frozenset({"get", "find", "insert", "update", "delete", "apply"})
COMMITTED = "committed"
"""The moment after a commit, before anybody has heard of it."""


async def _nothing() -> None:
    return None


@dataclass
class Commands:
    """Counts commands, and acts before one of them; after a commit is a moment of its own.

    Attributes:
        at: The number of the moment, from 1; 0 never acts.
        act: Awaited at that moment; what it raises, the command raises.
        latest: Answers come back late by fewer passes of the loop than this, some more, some less.
        is_dead: From now on no command goes through: the process counts as killed.
        moments: The names of those that were met.
    """

    at: int = 0
    act: Callable[[], Awaitable[None]] = _nothing
    latest: int = 1
    is_dead: bool = False
    moments: list[str] = field(default_factory=list)
    struck: asyncio.Event = field(default_factory=asyncio.Event)

    async def meet(self, name: str) -> None:
        """Be at a moment."""
        if self.is_dead:
            await asyncio.Event().wait()
        self.moments.append(name)
        if len(self.moments) == self.at:
            self.struck.set()
            await self.act()

    async def die(self) -> None:
        """Be dead from now on, as far as anybody outside can tell."""
        self.is_dead = True
        await asyncio.Event().wait()


class _View:
    """Commands of a store, or of a transaction of it."""

    def __init__(self, inner: Any, commands: Commands) -> None:
        self._inner = inner
        self._commands = commands

    def __getattr__(self, name: str) -> Any:
        member = getattr(self._inner, name)
        if name not in _COMMANDS:
            return member

        async def call(collection: str, *arguments: Any, **named: Any) -> Any:
            await self._commands.meet(f"{name} {collection}")
            answer = await member(collection, *arguments, **named)
            for _ in range(len(self._commands.moments) * 7 % self._commands.latest):
                await asyncio.sleep(0)
            return answer

        return call


class _Body(_View):
    async def apply_all(self, condition: Condition, batches: Sequence[tuple[str, Batch]]) -> None:
        # One after another here: a server takes each collection's by a command of its own.
        await apply_in_turn(cast("BulkView", self), condition, batches)


class _Store(_View):
    async def transaction(self, body: Callable[[Any], Awaitable[Any]], *, nonce: str) -> Any:
        async def counted(view: BulkView) -> Any:
            value = await body(_Body(view, self._commands))
            await self._commands.meet("commit")
            return value

        await self._commands.meet("begin")
        value = await self._inner.transaction(counted, nonce=nonce)
        await self._commands.meet(COMMITTED)
        return value


def commanded(store: ServedStore, commands: Commands) -> Any:
    """Return a store whose commands are moments."""
    return _Store(store, commands)
