"""The workers that run now, by account."""

from __future__ import annotations

from collections.abc import Callable

from core.engine.account_worker import AccountWorker, WorkerParts
from core.engine.desk import Desk
from core.engine.supervisor import Service

__all__ = ["Crew"]


class Crew:
    """The workers that run now, by account; with ``only``, for that account alone."""

    def __init__(
        self, parts: WorkerParts, desk: Callable[[str], Desk], only: str | None = None
    ) -> None:
        self._parts = parts
        self._desk = desk
        self._only = only
        self._workers: dict[str, AccountWorker] = {}

    def get(self, broker_id: str) -> AccountWorker | None:
        """Return an account's worker while it runs."""
        return self._workers.get(broker_id)

    def hint(self, broker_id: str) -> None:
        """Wake an account's worker, if it runs."""
        worker = self._workers.get(broker_id)
        if worker is not None:
            worker.wake()

    async def present(self) -> tuple[str, ...]:
        """Return the accounts that want a worker."""
        present = (account.broker_id for account in await self._parts.accounts.all())
        return tuple(one for one in present if self._only in {None, one})

    def service(self, broker_id: str) -> Service:
        """Return the service of one account's worker."""

        async def run() -> None:
            worker = AccountWorker(broker_id, self._desk(broker_id), self._parts)
            self._workers[broker_id] = worker
            try:
                await worker.run()
            finally:
                self._workers.pop(broker_id, None)

        return run
