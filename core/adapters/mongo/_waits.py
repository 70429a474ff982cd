"""The driver's wait on its pool's condition, made safe against a cancellation (case C13).

Before Python 3.12 ``asyncio.wait_for`` runs what it waits for in a task of its own. A cancellation
at the moment of its time-out leaves that task behind: it takes the pool's lock again when it can,
and nobody releases it. Every later call of that client then waits for ever, closing it too, so a
controller that is asked to stop while its store is away would not end. ``asyncio.timeout`` waits in
the caller's own task; from 3.12 on ``asyncio.wait_for`` is made of it.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Awaitable
from typing import TypeVar

import pymongo.lock

__all__ = ["mend_waits"]

T = TypeVar("T")


async def _wait_for(awaitable: Awaitable[T], timeout: float | None) -> T:  # noqa: ASYNC109 - its place
    """Do what ``asyncio.wait_for`` does from Python 3.12 on."""
    async with asyncio.timeout(timeout):
        return await awaitable


def mend_waits() -> None:
    """Have the driver wait so; it looks the function up in this module each time it waits."""
    if sys.version_info < (3, 12):
        vars(pymongo.lock)["wait_for"] = _wait_for
