"""The pool of account workers: one supervised task per account, as accounts come and go."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable

from core.engine.accounts.accounts import Accounts
from core.engine.orders.lanes import Lane
from core.engine.workers.account_worker import AccountWorker
from core.engine.workers.supervisor import Supervisor
from core.errors import StoreError
from core.ports.clock import Clock

__all__ = ["WorkerPool"]

_log = logging.getLogger(__name__)
_LOOK_S = 1.0


class WorkerPool:
    """Starts and ends the workers of all accounts, or with ``only`` of that account alone.

    ``new_worker`` makes the worker of an account, anew after each crash.

    Attributes:
        looked_at: When it last looked for accounts, by the clock's ``monotonic``; None before.
    """

    def __init__(
        self,
        clock: Clock,
        accounts: Accounts,
        supervisor: Supervisor,
        new_worker: Callable[[str], AccountWorker],
        only: str | None = None,
    ) -> None:
        self._clock = clock
        self._accounts = accounts
        self._supervisor = supervisor
        self._new_worker = new_worker
        self._only = only
        self._workers: dict[str, AccountWorker] = {}
        self.looked_at: float | None = None
        self._changed = asyncio.Event()

    def get(self, broker_id: str) -> AccountWorker | None:
        """Return an account's worker while it runs."""
        return self._workers.get(broker_id)

    def turns(self) -> dict[str, float | None]:
        """Return since when each running worker's turn lasts, None between turns."""
        return {broker_id: worker.turn_since for broker_id, worker in self._workers.items()}

    def wake(self, broker_id: str) -> None:
        """Let an account's worker, if it runs, take its next turn now."""
        worker = self._workers.get(broker_id)
        if worker is not None:
            worker.wake()

    def lanes(self, broker_ids: Iterable[str]) -> dict[str, Lane]:
        """Take the lanes of those accounts that can send at this moment."""
        found: dict[str, Lane] = {}
        for broker_id in broker_ids:
            worker = self._workers.get(broker_id)
            lane = worker.take_lane() if worker is not None else None
            if lane is not None:
                found[broker_id] = lane
        return found

    def look_ahead(self, broker_id: str) -> None:
        """Read what an account holds, for exits that may be decided in a moment."""
        worker = self._workers.get(broker_id)
        if worker is not None:
            worker.look_ahead()

    def accounts_changed(self) -> None:
        """Look at the list of accounts now."""
        self._changed.set()

    async def run(self) -> None:
        """Start a task for each account that has none."""
        running: set[str] = set()
        async with asyncio.TaskGroup() as group:
            while True:
                self._changed.clear()
                self.looked_at = self._clock.monotonic()
                for broker_id in await self._present():
                    if broker_id not in running:
                        running.add(broker_id)
                        group.create_task(self._keep(broker_id, running), name=broker_id)
                try:
                    async with asyncio.timeout(_LOOK_S):
                        await self._changed.wait()
                except TimeoutError:
                    continue

    async def _present(self) -> tuple[str, ...]:
        """Return the accounts that need a worker; none while the store cannot be reached."""
        try:
            accounts = await self._accounts.all()
        except StoreError as error:
            # Workers that run already keep running: they need this list only to start.
            _log.warning("the accounts cannot be listed: %s", error)
            return ()
        return tuple(a.broker_id for a in accounts if self._only in {None, a.broker_id})

    async def _keep(self, broker_id: str, running: set[str]) -> None:
        try:
            await self._supervisor.keep(broker_id, lambda: self._run_worker(broker_id))
        finally:
            running.discard(broker_id)

    async def _run_worker(self, broker_id: str) -> None:
        worker = self._new_worker(broker_id)
        self._workers[broker_id] = worker
        try:
            await worker.run()
        finally:
            self._workers.pop(broker_id, None)
