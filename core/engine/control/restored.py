"""A store that was restored from a backup: what may not go on in it, and what brokers know (D04).

Owns the document ``restored`` of ``settings``: ``backup_at`` and ``at`` (real times), ``panic``
(whether one was running and is no more), ``is_told``, and ``waiting``, the accounts that were not
compared with their brokers yet.

The journal is older than what brokers know, so no strategy enters anything until a user has looked
and set NORMAL: every account is EXIT_ONLY. What the journal lacks is adopted as not placed by
Saarthi (``core.engine.orders.reconciliation``), under the id that its tag names, so that no id is
used a second time.
"""

from __future__ import annotations

import logging
import secrets
from collections.abc import Callable, Sequence
from datetime import datetime

from core.domain.identifiers import is_client_order_id
from core.domain.instrument import Product
from core.domain.notices.backups import RestoredCompared, StoreRestored
from core.domain.notices.post import Post
from core.domain.order import Purpose
from core.domain.panic import PanicEnd
from core.domain.views import PositionView
from core.engine.accounts.accounts import Accounts, live_ids
from core.engine.accounts.modes import let_only_exit
from core.engine.control.views import Views
from core.engine.orders.journal import Journal
from core.engine.orders.snapshot import Snapshot
from core.engine.outbox import Outbox
from core.engine.safeguards.panics import end_panic, running_panic
from core.engine.stored_settings import read_setting, remove_setting, write_setting
from core.engine.workers.account_worker import AccountWorker
from core.ports.clock import Clock
from core.ports.store import Change, Document, Store, StoreView

__all__ = ["RestoredWatch", "note_restored"]

_log = logging.getLogger(__name__)
_NAME = "restored"
_BY = "restore"


async def note_restored(store: Store, *, backup_at: datetime, at: datetime) -> bool:
    """Prepare a store that was just filled from a backup; return whether a panic was running.

    Every account may only exit until a user sets NORMAL; PAUSED stays. A panic is over: it would
    close what was bought since, and its user is told to send it again.
    """

    async def body(view: StoreView) -> bool:
        waiting = await live_ids(view)
        await let_only_exit(view, waiting, everywhere=False, at=at, by=_BY)
        panic = await running_panic(view)
        if panic is not None:
            await end_panic(view, panic.panic_id, PanicEnd.STOPPED, at=at, by=_BY)
        fields = {
            "backup_at": backup_at,
            "at": at,
            "panic": panic is not None,
            "is_told": False,
            "waiting": waiting,
        }
        await write_setting(view, _NAME, Change(set=fields))
        return panic is not None

    return await store.transaction(body, nonce=f"restored:{secrets.token_hex(12)}")


class RestoredWatch:
    """Says what was found in a restored store: at the first start, and for each account."""

    def __init__(
        self,
        store: Store,
        clock: Clock,
        outbox: Outbox,
        accounts: Accounts,
        journal: Journal,
        views: Views,
        worker: Callable[[str], AccountWorker | None],
    ) -> None:
        self._store = store
        self._clock = clock
        self._outbox = outbox
        self._accounts = accounts
        self._journal = journal
        self._views = views
        self._worker = worker
        self._is_over = False

    async def tick(self) -> None:
        """Say what can be said by now; most stores were never restored."""
        if self._is_over:
            return
        row = await read_setting(self._store, _NAME)
        if row is None:
            self._is_over = True
            return
        if not row["is_told"]:
            await self._tell(row)
        present = {account.broker_id for account in await self._accounts.all()}
        for broker_id in row["waiting"]:
            if broker_id not in present:
                await self._done(broker_id, None)
            elif (snapshot := self._complete(broker_id)) is not None:
                await self._done(broker_id, await self._compared(broker_id, snapshot))
        if not row["waiting"]:
            await remove_setting(self._store, _NAME)

    async def _tell(self, row: Document) -> None:
        notice = StoreRestored(row["backup_at"], len(row["waiting"]), had_panic=row["panic"])
        _log.warning("the store was restored from a backup of %s", row["backup_at"].isoformat())

        async def body(view: StoreView) -> None:
            await write_setting(view, _NAME, Change(set={"is_told": True}))
            await self._outbox.post(view, Post(notice))

        nonce = f"restored told:{row['at'].isoformat()}|{secrets.token_hex(4)}"
        await self._store.transaction(body, nonce=nonce)

    def _complete(self, broker_id: str) -> Snapshot | None:
        """Return what an account's broker shows, once orders and then positions were read."""
        worker = self._worker(broker_id)
        snapshot = worker.snapshot if worker is not None else None
        if snapshot is None or snapshot.orders_at is None or snapshot.positions_began_at is None:
            return None
        return snapshot if snapshot.positions_began_at >= snapshot.orders_at else None

    async def _compared(self, broker_id: str, snapshot: Snapshot) -> RestoredCompared:
        ours = 0
        for seen in snapshot.orders or ():
            if is_client_order_id(seen.tag):
                row = await self._journal.by_broker_id(broker_id, seen.broker_order_id)
                ours += row is not None and row.purpose is Purpose.EXTERNAL
        positions = await self._views.positions(broker_id)
        apart = tuple(text for one in positions if (text := _apart(one)))
        return RestoredCompared(broker_id, ours, apart)

    async def _done(self, broker_id: str, notice: RestoredCompared | None) -> None:
        async def body(view: StoreView) -> None:
            row = await read_setting(view, _NAME)
            if row is None or broker_id not in row["waiting"]:
                return
            left: Sequence[str] = [one for one in row["waiting"] if one != broker_id]
            await write_setting(view, _NAME, Change(set={"waiting": left}))
            if notice is not None:
                await self._outbox.post(view, Post(notice))

        if notice is not None:
            _log.warning(
                "restored, account %s: %d orders that Saarthi sent after the backup; apart: %s",
                broker_id,
                notice.orders,
                "; ".join(notice.apart) or "nothing",
            )
        await self._store.transaction(body, nonce=f"compared:{secrets.token_hex(12)}")


def _apart(position: PositionView) -> str:
    """Return how a position differs from what strategies hold of it, or ''.

    Of delivery the day's positions show the day's trades alone: those are among the orders.
    """
    if position.product is Product.CNC:
        return ""
    held = sum(position.owners.values())
    if held == position.quantity:
        return ""
    name = f"{position.instrument} {position.product.value}"
    said = f"{name} {position.quantity:+d}"
    return f"{said}, strategies {held:+d}" if held else said
