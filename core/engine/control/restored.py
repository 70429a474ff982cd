"""A store that was restored from a backup: what may not go on in it, and what brokers know (D04).

Owns the document ``restored`` of ``settings``: ``backup_at`` and ``at`` (real times), ``panic``
(whether one was running and is no more), ``is_told``, ``waiting``, the accounts that were not
compared with their brokers yet, and the names of the paired owners who are ``kept`` or ``dropped``.

The journal is older than what brokers know, so no strategy enters anything until a user has looked
and set NORMAL: every account is EXIT_ONLY. What the journal lacks is adopted as not placed by
Saarthi (``core.engine.orders.reconciliation``), under the id that its tag names, so that no id is
used a second time; a stop whose tag proves whose it is stays the stop of its ledger. No close and
no round trip goes on, no login page opens, and an owner who paired is served on only where whoever
restores says so: they may have been removed since.
"""

from __future__ import annotations

import logging
import secrets
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from datetime import datetime

from core.domain.exits import held_quantity
from core.domain.identifiers import is_client_order_id
from core.domain.instrument import InstrumentId, Product
from core.domain.notices.backups import RestoredCompared, StoreRestored
from core.domain.notices.post import Post
from core.domain.order import Purpose
from core.domain.owner import BotOwner
from core.domain.panic import PanicEnd
from core.domain.regained import is_regained
from core.domain.views import PositionView
from core.engine.accounts.accounts import Accounts, live_ids
from core.engine.accounts.login_links import end_all_links
from core.engine.accounts.modes import let_only_exit
from core.engine.control.views import Views
from core.engine.orders.journal import Journal
from core.engine.orders.limits import limits_at, put_trip
from core.engine.orders.restored_goals import end_closes
from core.engine.orders.snapshot import Snapshot
from core.engine.outbox import Outbox, drop_waiting
from core.engine.safeguards.panics import end_panic, running_panic
from core.engine.stored_settings import read_setting, remove_setting, write_setting
from core.engine.users import owner_chats, owners, remove_paired
from core.engine.workers.account_worker import AccountWorker
from core.ports.clock import Clock
from core.ports.store import Change, Document, Store, StoreView

__all__ = ["Prepared", "RestoredWatch", "note_restored"]

_log = logging.getLogger(__name__)
_NAME = "restored"
_BY = "restore"
_PAIRING = "pairing"


@dataclass(frozen=True, slots=True)
class Prepared:
    """What was found in a store that was just filled from a backup.

    Attributes:
        had_panic: A panic was running in it; it is over.
        kept: Owners who paired and are served on.
        dropped: Owners who paired, or were listed then, and are served no more.
    """

    had_panic: bool
    kept: tuple[BotOwner, ...] = ()
    dropped: tuple[BotOwner, ...] = ()


async def note_restored(
    store: Store,
    *,
    backup_at: datetime,
    at: datetime,
    listed: Collection[int] = (),
    keeps_owners: bool = False,
) -> Prepared:
    """Prepare a store that was just filled from a backup.

    Every account may only exit until a user sets NORMAL; PAUSED stays. A panic is over, and so is
    every close: it would close what was bought since, and its user is told to send it again.

    Args:
        store: What was filled.
        backup_at: Of when the backup is.
        at: Real time.
        listed: Owners by the settings of now.
        keeps_owners: Whoever restores wants those served on who paired before the backup.
    """

    async def body(view: StoreView) -> Prepared:
        waiting = await live_ids(view)
        await let_only_exit(view, waiting, everywhere=False, at=at, by=_BY)
        panic = await running_panic(view)
        if panic is not None:
            await end_panic(view, panic.panic_id, PanicEnd.STOPPED, at=at, by=_BY)
        await end_closes(view, at=at)
        for broker_id in waiting:
            if (await limits_at(view, broker_id)).trip is not None:
                await put_trip(view, broker_id, None)
        # Links and a code may have been revoked or used since, and owners removed.
        await end_all_links(view)
        await remove_setting(view, _PAIRING)
        dropped = [] if keeps_owners else await remove_paired(view, listed)
        for one in dropped:
            await drop_waiting(view, one.user_id)
        kept = [one for one in await owners(view) if one.user_id not in listed]
        fields = {
            "backup_at": backup_at,
            "at": at,
            "panic": panic is not None,
            "is_told": False,
            "waiting": waiting,
            "kept": [_name_of(one) for one in kept],
            "dropped": [_name_of(one) for one in dropped],
        }
        await write_setting(view, _NAME, Change(set=fields))
        return Prepared(panic is not None, tuple(kept), tuple(dropped))

    return await store.transaction(body, nonce=f"restored:{secrets.token_hex(12)}")


def _name_of(owner: BotOwner) -> str:
    return owner.name or f"user {owner.user_id}"


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
        if not await owner_chats(self._store):
            return  # nobody would hear it: the first owner pairs after the start
        if not row["is_told"]:
            await self._tell(row)
        present = {account.broker_id for account in await self._accounts.all()}
        for broker_id in row["waiting"]:
            if broker_id not in present:
                await self._done(broker_id, None)
            elif (snapshot := await self._complete(broker_id)) is not None:
                await self._done(broker_id, await self._compared(broker_id, snapshot))
        if not row["waiting"]:
            await remove_setting(self._store, _NAME)

    async def _tell(self, row: Document) -> None:
        notice = StoreRestored(
            row["backup_at"],
            len(row["waiting"]),
            had_panic=row["panic"],
            kept=tuple(row.get("kept", ())),
            dropped=tuple(row.get("dropped", ())),
        )
        _log.warning("the store was restored from a backup of %s", row["backup_at"].isoformat())

        async def body(view: StoreView) -> None:
            await write_setting(view, _NAME, Change(set={"is_told": True}))
            await self._outbox.post(view, Post(notice))

        nonce = f"restored told:{row['at'].isoformat()}|{secrets.token_hex(4)}"
        await self._store.transaction(body, nonce=nonce)

    async def _complete(self, broker_id: str) -> Snapshot | None:
        """Return what an account's broker shows, once orders and then positions were read.

        Where a strategy holds shares of delivery, with the holdings: positions do not show those.
        """
        worker = self._worker(broker_id)
        snapshot = worker.snapshot if worker is not None else None
        if snapshot is None or snapshot.orders_at is None or snapshot.positions_began_at is None:
            return None
        if snapshot.holdings is None and await self._delivery(broker_id):
            return None
        return snapshot if snapshot.positions_began_at >= snapshot.orders_at else None

    async def _delivery(self, broker_id: str) -> dict[InstrumentId, int]:
        """Return the shares of delivery that strategies hold."""
        held: dict[InstrumentId, int] = {}
        for one in await self._journal.ledgers(broker_id):
            if one.product is Product.CNC and one.quantity:
                held[one.instrument] = held.get(one.instrument, 0) + one.quantity
        return held

    async def _compared(self, broker_id: str, snapshot: Snapshot) -> RestoredCompared:
        ours, stops = 0, 0
        for seen in snapshot.orders or ():
            if is_client_order_id(seen.tag):
                row = await self._journal.by_broker_id(broker_id, seen.broker_order_id)
                ours += row is not None and row.purpose is Purpose.EXTERNAL
                stops += row is not None and is_regained(row)
        positions = await self._views.positions(broker_id)
        apart = [text for one in positions if (text := _apart(one))]
        for instrument, units in (await self._delivery(broker_id)).items():
            read = (snapshot.positions or (), snapshot.holdings or ())
            # Pledged shares cannot be sold, and are held.
            there = held_quantity(instrument, Product.CNC, *read) + sum(
                one.pledged_quantity
                for one in read[1]
                if instrument == one.instrument or instrument in one.names
            )
            if there < units:
                apart.append(f"{instrument} CNC {there:+d}, strategies {units:+d}")
        return RestoredCompared(broker_id, ours, tuple(apart), stops)

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

    Of delivery the day's positions show the day's trades alone: holdings say the rest.
    """
    if position.product is Product.CNC:
        return ""
    held = sum(position.owners.values())
    if held == position.quantity:
        return ""
    name = f"{position.instrument} {position.product.value}"
    said = f"{name} {position.quantity:+d}"
    return f"{said}, strategies {held:+d}" if held else said
