"""Supervision: no task dies silently (I13, P01), and losing the lease stops everything at once."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping

from core.domain.failures import why_failed
from core.errors import LeaseLost
from core.ports.clock import Clock

__all__ = ["Service", "Supervisor"]

_log = logging.getLogger(__name__)
_FIRST_PAUSE_S = 0.5
_LONGEST_PAUSE_S = 30.0
_HEALTHY_S = 60.0

Service = Callable[[], Awaitable[None]]


class Supervisor:
    """Keeps services running.

    A crash is logged, reported through ``on_crash`` and followed by a restart after a pause that
    grows. A service that returns is done.
    """

    def __init__(self, clock: Clock, on_crash: Callable[[str, Exception], Awaitable[None]]) -> None:
        self._clock = clock
        self._on_crash = on_crash
        self.troubles: dict[str, str] = {}

    async def keep(self, name: str, service: Service) -> None:
        """Run one service until it returns; raises only ``LeaseLost`` and cancellation."""
        pause = _FIRST_PAUSE_S
        while True:
            started = self._clock.monotonic()
            try:
                await service()
            except LeaseLost:
                raise
            except BaseExceptionGroup as group:
                if group.subgroup(LeaseLost) is not None:
                    raise LeaseLost(f"found by {name}") from group
                if not isinstance(group, ExceptionGroup):
                    raise
                await self._crashed(name, group)
            # The boundary of supervision: whatever a service raises must not take the others along.
            except Exception as error:  # noqa: BLE001 - see above
                await self._crashed(name, error)
            else:
                self.troubles.pop(name, None)
                return
            # One that ran well for a while has a new fault; only a crash loop waits longer and
            # longer.
            if self._clock.monotonic() - started > _HEALTHY_S:
                pause = _FIRST_PAUSE_S
            await self._clock.sleep(pause)
            pause = min(pause * 2, _LONGEST_PAUSE_S)

    async def _crashed(self, name: str, error: Exception) -> None:
        _log.error("service %s crashed", name, exc_info=error)
        while isinstance(error, ExceptionGroup):
            error = error.exceptions[0]
        self.troubles[name] = f"{name} stopped and is started again: {why_failed(error)}"
        await self._report(name, error)

    async def _report(self, name: str, error: Exception) -> None:
        try:
            await self._on_crash(name, error)
        # A failed report must not stop the restart: the store may be the very thing that is away.
        except Exception:  # noqa: BLE001 - see above
            _log.exception("the crash of %s could not be reported", name)

    async def run(self, services: Mapping[str, Service]) -> None:
        """Run all services beside one another until all return or the lease is lost."""
        async with asyncio.TaskGroup() as group:
            for name, service in services.items():
                group.create_task(self.keep(name, service), name=name)
