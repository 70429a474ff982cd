"""Runs that a user asked for: filed in the store, run once, with their result (D5, D6, I9).

Collection ``run_requests`` (``_id`` is the run id): ``strategy``, ``slot_at``, ``only`` (a
broker_id or None), ``state`` (filed, running, done), ``result``, ``filed_at``. ``saarthi live``
files here too when another process holds the lease, and reads the result. What a crash left running
is run again: the unique run id makes that harmless.
"""

from __future__ import annotations

import asyncio
import logging
from datetime import datetime, timedelta

from core.domain.sessions import IST, trading_day
from core.engine.runs.plan import RunRequest
from core.engine.runs.runner import Runner
from core.errors import SaarthiError
from core.ports.clock import Clock
from core.ports.store import Change, Document, Store, StoreView, parts

__all__ = ["REQUESTS", "RunRequests", "forget_requests"]

REQUESTS = "run_requests"
_LOOK_S = 1.0
_ON_TIME = timedelta(seconds=60)
_log = logging.getLogger(__name__)


async def forget_requests(view: StoreView, since: datetime, until: datetime) -> int:
    """Remove the requests of a time that were carried out; return how many."""
    where = {"state": "done", "filed_at": {"$gte": since, "$lt": until}}
    ids = [row["_id"] for row in await view.find(REQUESTS, where)]
    return sum([await view.delete(REQUESTS, {"_id": {"$in": some}}) for some in parts(ids)])


class RunRequests:
    """Files requested runs and runs them, one after another."""

    def __init__(self, store: Store, clock: Clock) -> None:
        self._store = store
        self._clock = clock
        self._wake = asyncio.Event()

    async def file(self, view: StoreView, request: RunRequest) -> None:
        """File a run, inside the transaction of the command that asks for it."""
        row = {
            "_id": request.run_id,
            "strategy": request.strategy,
            "slot_at": request.slot_at,
            "only": request.only,
            "state": "filed",
            "result": "",
            "filed_at": self._clock.now(),
        }
        await view.insert(REQUESTS, row)

    def wake(self) -> None:
        """Look at once: something was filed, and its transaction has committed."""
        self._wake.set()

    async def result(self, run_id: str) -> str | None:
        """Return the result line of a finished run, None before its end."""
        row = await self._store.get(REQUESTS, run_id)
        return row["result"] if row and row["state"] == "done" else None

    async def withdraw(self, run_id: str) -> bool:
        """Delete a filed run; return whether it was still waiting."""
        return await self._store.delete(REQUESTS, {"_id": run_id, "state": "filed"}) == 1

    async def work(self, runner: Runner, only: str | None = None) -> None:
        """Run what is filed, oldest first, for ever; with ``only``, what is for that account."""
        where = {"state": {"$in": ["filed", "running"]}, **({"only": only} if only else {})}
        while True:
            self._wake.clear()
            rows = await self._store.find(REQUESTS, where, sort=[("filed_at", 1)])
            for row in rows:
                begun = Change(set={"state": "running"})
                if await self._store.update(REQUESTS, {"_id": row["_id"]}, begun) != 1:
                    continue  # withdrawn since it was read
                result = await self._run(runner, row)
                done = Change(set={"state": "done", "result": result})
                await self._store.update(REQUESTS, {"_id": row["_id"]}, done)
            try:
                async with asyncio.timeout(_LOOK_S):
                    await self._wake.wait()
            except TimeoutError:
                continue

    async def _run(self, runner: Runner, row: Document) -> str:
        """Run one request; what was filed too long ago (a crash lay between) enters nothing."""
        slot_at = row["slot_at"].astimezone(IST)
        if trading_day(slot_at) != trading_day(self._clock.market_now()):
            return "too late: it was asked for on another day, nothing was run"
        # The user asked for the prices of that moment, not for those after an outage.
        is_on_time = self._clock.now() - row["filed_at"] <= _ON_TIME
        request = RunRequest(
            row["_id"], row["strategy"], slot_at, may_enter=is_on_time, only=row["only"]
        )
        try:
            return await runner.run(request)
        except SaarthiError as error:
            _log.error("run %s failed: %s", request.run_id, error)
            return f"failed: {error}"
