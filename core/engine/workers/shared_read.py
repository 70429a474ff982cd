"""One read of a broker for all who wait for a newer one."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

__all__ = ["SharedRead"]


class SharedRead:
    """Reads when called, one read at a time; who asks while one runs shares the next.

    What a read shows is as old as its beginning, so that one under way does not serve who asks now.
    """

    def __init__(self, read: Callable[[], Awaitable[object]]) -> None:
        self._read = read
        self._lock = asyncio.Lock()
        self._begun = 0
        self._ended = 0

    async def __call__(self) -> None:
        """Return after a read that began after this call; raises what it raises."""
        wanted = self._begun + 1
        async with self._lock:
            if self._ended >= wanted:
                return
            self._begun += 1
            number = self._begun
            await self._read()
            self._ended = number
