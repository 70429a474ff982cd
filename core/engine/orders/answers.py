"""Answers of brokers to one decision on many accounts: all are taken before one is written down.

They come in one moment. Writing one down costs more than taking it, so that the last of fifty
would wait for the journal of forty-nine; written together they share a commit as well.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager

from core.ports.clock import Clock

__all__ = ["BurstAnswers"]

_BURST_S = 0.1
"""How long an answer may take and still be waited for by what is done for other orders."""
_WAIT_S = 0.015
"""How long an answer is kept from the journal at most: a broker that is slow delays no other."""


class BurstAnswers:
    """Of all accounts."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._open = 0
        self._left_at = 0.0
        self._all: asyncio.Event | None = None

    @property
    def is_near(self) -> bool:
        """Whether answers to orders that left just now are still to come."""
        return self._open > 0 and 0 <= self._clock.monotonic() - self._left_at < _BURST_S

    @contextmanager
    def expected(self) -> Iterator[None]:
        """Count an order as one without an answer, while it has none."""
        self._open += 1
        self._left_at = self._clock.monotonic()
        try:
            yield
        finally:
            self._open -= 1
            if not self._open:
                self._end()

    async def taken(self) -> None:
        """Wait for the answers to the orders that left with one that has its answer."""
        if not self.is_near:
            await asyncio.sleep(0)  # take those that have come
            return
        if self._all is None:
            self._all = asyncio.Event()
            # Of the loop and not of the market: it is about what the loop has to do first.
            asyncio.get_running_loop().call_later(_WAIT_S, self._end, self._all)
        await self._all.wait()

    def _end(self, which: asyncio.Event | None = None) -> None:
        if self._all is not None and which in {None, self._all}:
            self._all.set()
            self._all = None
