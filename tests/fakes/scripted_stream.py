"""A stream of order updates in a test's hand."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime

from core.ports.updates import OrderHint, UpdatesState, UpdatesStatus

__all__ = ["ScriptedStream"]


class ScriptedStream:
    """An ``OrderUpdates`` that lives from the start.

    Attributes:
        runs: How often it was run, and how often that was ended from outside.
    """

    def __init__(self) -> None:
        self.status = UpdatesStatus(UpdatesState.LIVE, datetime(2026, 11, 23, tzinfo=UTC))
        self.runs = 0
        self.ended = 0
        self.trouble: Exception | None = None
        self._hint: Callable[[OrderHint], None] | None = None

    async def run(self, hint: Callable[[OrderHint], None]) -> None:
        self.runs += 1
        self._hint = hint
        try:
            if self.trouble is not None:
                raise self.trouble
            await asyncio.Event().wait()
        finally:
            self.ended += 1

    def say(self, times: int = 1) -> None:
        """Give hints."""
        assert self._hint is not None, "nobody listens"
        for _ in range(times):
            self._hint(OrderHint("2401"))

    def fall(self, why: str = "the connection was closed (1006)") -> None:
        """Go down; without the hint that follows."""
        at = datetime(2026, 11, 23, 4, 31, tzinfo=UTC)
        self.status = UpdatesStatus(UpdatesState.DOWN, at, why)
