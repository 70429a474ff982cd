"""Has a backup made each evening, while nothing trades (docs/operations.md, Backup)."""

from __future__ import annotations

import logging
from datetime import UTC, datetime, timedelta

from core.domain.backup import BackupKind, last_evening
from core.domain.notices.backups import BackupMissed
from core.engine.accounts.accounts import Accounts
from core.engine.orders.alarms import end_trouble, raise_trouble
from core.engine.orders.market_hours import MarketHours
from core.engine.outbox import Outbox
from core.errors import AlreadyDone, BackupFailed
from core.ports.backups import Backups
from core.ports.clock import Clock
from core.ports.store import Store, StoreView

__all__ = ["NightlyBackup"]

_log = logging.getLogger(__name__)
_AGAIN = timedelta(hours=1)
_TROUBLE = "backup"


class NightlyBackup:
    """Makes one when there is none since the last evening, in real time.

    Args:
        store: For the notice.
        clock: Real time says whether one is due.
        outbox: For the notice.
        accounts: Without any there is nothing to keep.
        hours: While an exchange is open, orders have the store and the processor.
        backups: The folder; None where this installation keeps none.
    """

    def __init__(
        self,
        store: Store,
        clock: Clock,
        outbox: Outbox,
        accounts: Accounts,
        hours: MarketHours,
        backups: Backups | None,
    ) -> None:
        self._store = store
        self._clock = clock
        self._outbox = outbox
        self._accounts = accounts
        self._hours = hours
        self._backups = backups
        self._again_at = datetime.min.replace(tzinfo=UTC)

    async def tick(self) -> None:
        """Make the backup that is due; a failure is said once an evening and tried again hourly."""
        now = self._clock.now()
        if self._backups is None or now < self._again_at or self._hours.is_any_open():
            return
        evening = last_evening(now)
        newest = self._backups.newest()
        if newest is not None and newest.made_at >= evening:
            await self._made()  # by hand, or by an earlier life
            return
        if not await self._accounts.ids():
            return
        try:
            await self._backups.take(BackupKind.NIGHTLY)
        except BackupFailed as error:
            _log.error("the backup could not be made: %s", error)
            self._again_at = now + _AGAIN
            notice = BackupMissed(str(error), newest.made_at if newest else None)
            await self._say(notice, evening)
        else:
            await self._made()

    async def _made(self) -> None:
        await end_trouble(self._store, self._outbox, _TROUBLE, "it is made now")

    async def _say(self, notice: BackupMissed, evening: datetime) -> None:
        async def body(view: StoreView) -> None:
            await raise_trouble(view, self._outbox, notice, _TROUBLE)

        try:
            await self._store.transaction(body, nonce=f"backup missed:{evening.isoformat()}")
        except AlreadyDone:
            return
