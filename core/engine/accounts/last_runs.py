"""When a strategy last ran on each account: noted at once, written a moment later.

A run's orders leave in the moment after its commit, and a write of every account would be
committed between them. What a controller that ends has not written is that one moment of display;
the run itself is committed.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from datetime import datetime

from core.engine.accounts.accounts import Accounts
from core.errors import StoreError

__all__ = ["LastRuns"]


class LastRuns:
    """Notes runs, and writes what was noted at each ``tick``."""

    def __init__(self, accounts: Accounts) -> None:
        self._accounts = accounts
        self._noted: dict[str, datetime] = {}

    def note(self, broker_ids: Iterable[str], at: datetime) -> None:
        """Note a run on accounts at a real time."""
        self._noted.update(dict.fromkeys(broker_ids, at))

    async def tick(self) -> None:
        """Write what was noted; what the store does not take stays noted."""
        noted, self._noted = self._noted, {}
        by_time: defaultdict[datetime, list[str]] = defaultdict(list)
        for broker_id, at in noted.items():
            by_time[at].append(broker_id)
        try:
            for at, broker_ids in by_time.items():
                await self._accounts.mark_run(broker_ids, at)
        except StoreError:
            self._noted = noted | self._noted
            raise
