"""A test that wants to see the broker now waits for its rate, as the product does."""

from __future__ import annotations

import asyncio

from core.engine.workers.account_worker import AccountWorker

__all__ = ["refreshed"]

_PATIENCE_S = 150.0
_PAUSE_S = 1.0
_COMES_LATER = (
    "Too many requests",
    "request limit reached",
    "the rate limit for",
    "did not answer in time",
)
"""What a read says that is only too early, or slow on a busy machine: both simulators, our throttle,
and the worker itself."""


async def refreshed(worker: AccountWorker) -> str:
    """Read a worker's broker once more, however often it was read just now.

    Returns:
        What else went wrong, or ''.
    """
    async with asyncio.timeout(_PATIENCE_S):
        while True:
            said = await worker.refresh()
            if not any(words in said for words in _COMES_LATER):
                return said
            await asyncio.sleep(_PAUSE_S)
