"""APScheduler as an alarm clock: it wakes ticks and decides nothing (architecture.md)."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC

from apscheduler.schedulers.asyncio import AsyncIOScheduler

__all__ = ["run_ticks"]

_log = logging.getLogger(__name__)

Tick = Callable[[], Awaitable[None]]


async def run_ticks(ticks: Mapping[str, tuple[float, Tick]]) -> None:
    """Call each tick every so many real seconds until cancelled, never two of one at a time.

    A tick that raises is logged and called again at its next time: what is due stays due until it
    was handled, because that is in the store.

    Args:
        ticks: Seconds and the coroutine function, by name.
    """
    scheduler = AsyncIOScheduler(
        timezone=UTC,
        # The default grace of one second would silently skip a tick that is late (facts 4.1).
        job_defaults={"misfire_grace_time": None, "coalesce": True, "max_instances": 1},
    )
    for name, (seconds, tick) in ticks.items():
        scheduler.add_job(_guarded(name, tick), "interval", seconds=seconds, id=name)
    scheduler.start()
    try:
        await asyncio.Event().wait()
    finally:
        scheduler.shutdown(wait=False)


def _guarded(name: str, tick: Tick) -> Tick:
    async def call() -> None:
        try:
            await tick()
        except asyncio.CancelledError:
            _log.debug("tick %s was cut short by the end", name)  # APScheduler would log a crash
        # A boundary: one failing tick must not end the alarm clock of all others.
        except Exception:  # noqa: BLE001 - see above
            _log.exception("tick %s failed", name)

    return call
