"""What a user sees while an answer takes long: a slow broker must not look like silence."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable
from typing import TypeVar

__all__ = ["WAITING", "unless_soon"]

_log = logging.getLogger(__name__)
T = TypeVar("T")

WAITING = "⏳ One moment: what you asked for takes longer than usual."


async def unless_soon(
    work: Callable[[], Awaitable[T]], after_s: float, say: Callable[[], Awaitable[None]]
) -> T:
    """Return what ``work`` returns; call ``say`` once if that takes longer than some seconds.

    Args:
        work: What the user waits for.
        after_s: Real seconds; 0 says nothing however long it takes.
        say: Tells the user; where that fails, the work goes on all the same.
    """
    if not after_s:
        return await work()
    done, failure = asyncio.Event(), None
    async with asyncio.TaskGroup() as group:
        group.create_task(_unless(done, after_s, say))
        try:
            found = await work()
        except Exception as error:  # noqa: BLE001 - raised again below, and not as a group
            failure = error
        done.set()
    if failure is not None:
        raise failure
    return found


async def _unless(done: asyncio.Event, after_s: float, say: Callable[[], Awaitable[None]]) -> None:
    """Say it unless the work is done by then; what is being said is said to its end."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(after_s):
            await done.wait()
    if done.is_set():
        return
    try:
        await say()
    except Exception as error:  # noqa: BLE001 - it must not end what the user waits for
        _log.info("that it takes long was not said: %s", type(error).__name__)
