"""The end of sending: what is on its way is heard out, and nothing else is begun (case C12)."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Collection
from contextlib import asynccontextmanager, suppress

__all__ = ["Ending"]


class Ending:
    """Lets a controller that was asked to stop leave no order of unknown fate behind.

    Args:
        in_flight: Orders that are committed and not answered, or about to be committed.

    Attributes:
        has_begun: Whether nothing else is sent.
    """

    def __init__(self, in_flight: Collection[str]) -> None:
        self._in_flight = in_flight
        self._writes = 0
        self._moved = asyncio.Event()
        self.has_begun = False

    @asynccontextmanager
    async def write(self) -> AsyncIterator[None]:
        """Hold a write open, from before its commit until its answer is written down.

        Once the end has begun it waits for ever: the process is over in a moment, and the next
        controller works out what is still to be done.
        """
        if self.has_begun:
            await asyncio.Event().wait()
        self._writes += 1
        try:
            yield
        finally:
            self._writes -= 1
            self.moved()

    def moved(self) -> None:
        """Look again whether all has been heard out."""
        self._moved.set()

    async def begin(self, *, within_s: float) -> None:
        """Begin nothing else; return when all is heard out, or the time is over."""
        self.has_begun = True
        with suppress(TimeoutError):
            async with asyncio.timeout(within_s):
                while self._writes or self._in_flight:
                    self._moved.clear()
                    await self._moved.wait()
