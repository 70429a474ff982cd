"""The durable inbox: an update is stored before it is confirmed to Telegram (T05).

The payload can hold a secret that a user just typed: it is sealed until the update is handled, and
cleared then. Rows that were not handled are replayed at the next start, so an update is handled at
least once; its effect happens at most once, because its id is the id of the control command.
"""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from telegram import Bot, Update

from bot.edge.grouped import Grouped
from core.errors import DuplicateKey, VaultError
from core.ports.clock import Clock
from core.ports.store import Change, Document, Store
from core.ports.vault import Vault

__all__ = ["Inbox", "InboxQueue"]

_COLLECTION = "inbox"
_NEW = "new"
_DONE = "done"
_ATTEMPTS = 3
_KEEP = timedelta(days=9)
_log = logging.getLogger(__name__)


@dataclass(slots=True)
class _Arrival:
    """An update that is not handled yet.

    Attributes:
        is_counted: Its row counts the attempt that is to come.
        stored: Tells whether it was stored, once that is known; None where it was from the start.
    """

    received_at: datetime
    is_counted: bool = True
    stored: asyncio.Future[bool] | None = None


class Inbox:
    """Stores the updates of one bot until they are handled.

    Args:
        store: Where.
        vault: Seals what users typed.
        clock: For the times of arrival.
        bot_id: The bot's own user id.
        text_of: Returns an update as JSON.
    """

    def __init__(
        self,
        store: Store,
        vault: Vault,
        clock: Clock,
        bot_id: int,
        text_of: Callable[[Update], str] = Update.to_json,
    ) -> None:
        self._text_of = text_of
        self._store = store
        self._vault = vault
        self._clock = clock
        self._bot_id = bot_id
        self._arrivals: dict[int, _Arrival] = {}
        self._handled: set[int] = set()
        self._finishing = Grouped(self._finish)

    def arrive(self, update: Update) -> bool:
        """Take note of an update that is about to be stored; False when it is handled already."""
        key = update.update_id
        if key in self._handled:
            return False
        present = self._arrivals.get(key)
        if present is None or (present.stored is not None and present.stored.done()):
            received_at = present.received_at if present else self._clock.now()
            stored = asyncio.get_running_loop().create_future()
            self._arrivals[key] = _Arrival(received_at, stored=stored)
        return True

    async def keep(self, updates: Sequence[Update]) -> list[Update]:
        """Store updates by one call; return those that were not handled before.

        Raises:
            StoreError: Not all could be stored, so Telegram must deliver them again.
        """
        new = [update for update in updates if self.arrive(update)]
        late = {update.update_id for update in updates} & self._handled
        try:
            if late:
                await self._finish(sorted(late))
                self._handled -= late
            found = await self._insert(new) if new else []
        except BaseException:
            self._tell(new, is_stored=False)
            raise
        self._tell(new, is_stored=True)
        return found

    def _tell(self, updates: Sequence[Update], *, is_stored: bool) -> None:
        for update in updates:
            arrival = self._arrivals.get(update.update_id)
            if arrival and arrival.stored and not arrival.stored.done():
                arrival.stored.set_result(is_stored)

    async def _insert(self, updates: Sequence[Update]) -> list[Update]:
        rows = [self._row(one, self._arrivals[one.update_id].received_at) for one in updates]
        try:
            await self._store.insert(_COLLECTION, *rows)
        except DuplicateKey:
            kept = [(update, await self._insert_again(update)) for update in updates]
            return [update for update, is_new in kept if is_new]
        return list(updates)

    async def _insert_again(self, update: Update) -> bool:
        """Store an update that may be stored; False when it was handled."""
        arrival = self._arrivals[update.update_id]
        try:
            await self._store.insert(_COLLECTION, self._row(update, arrival.received_at))
        except DuplicateKey:
            known = await self._store.get(_COLLECTION, self._id(update.update_id))
            if known is None or known["state"] != _NEW:
                return False
            arrival.received_at = known["received_at"]
        return True

    def _row(self, update: Update, now: datetime) -> Document:
        """Return the row of an update; it counts the attempt that follows at once."""
        return {
            "_id": self._id(update.update_id),
            "bot_id": self._bot_id,
            "update_id": update.update_id,
            "payload": self._vault.seal(self._text_of(update)),
            "received_at": now,
            "state": _NEW,
            "attempts": 1,
        }

    async def begin(self, update_id: int) -> float:
        """Count an attempt, unless its row does; return the seconds since the update arrived."""
        arrival = self._arrivals.get(update_id)
        if arrival is None:
            return 0.0
        if not arrival.is_counted:
            key = self._id(update_id)
            await self._store.update(_COLLECTION, {"_id": key}, Change(inc={"attempts": 1}))
        return (self._clock.now() - arrival.received_at).total_seconds()

    async def finish(self, update_id: int) -> None:
        """Mark an update handled and clear its payload, with those that end at the same time.

        One that is still being stored is waited for.
        """
        arrival = self._arrivals.get(update_id)
        is_stored = arrival is None or arrival.stored is None or await arrival.stored
        self._arrivals.pop(update_id, None)
        if is_stored:
            await self._finishing.add(update_id)
        else:
            # Telegram delivers it again: it is marked then, and not handled a second time.
            self._handled.add(update_id)

    async def _finish(self, update_ids: Sequence[int]) -> None:
        change = Change(set={"state": _DONE, "payload": ""})
        where = {"_id": {"$in": [self._id(one) for one in update_ids]}}
        await self._store.update(_COLLECTION, where, change, many=True)

    async def waiting(self, bot: Bot) -> list[Update]:
        """Return the updates that were stored and never handled, oldest first."""
        where = {"state": _NEW, "bot_id": self._bot_id}
        rows = await self._store.find(_COLLECTION, where, sort=[("received_at", 1)])
        updates = []
        for row in sorted(rows, key=lambda row: (row["received_at"], row["update_id"])):
            update = await self._read(row, bot)
            if update is not None:
                arrival = _Arrival(row["received_at"], is_counted=False)
                self._arrivals[update.update_id] = arrival
                updates.append(update)
        return updates

    async def clean(self) -> None:
        """Delete rows so old that Telegram cannot deliver them again."""
        old = self._clock.now() - _KEEP
        await self._store.delete(_COLLECTION, {"received_at": {"$lt": old}})

    async def _read(self, row: Document, bot: Bot) -> Update | None:
        """Open a row; one that cannot be opened, or failed too often, is skipped for good."""
        if row["attempts"] >= _ATTEMPTS:
            _log.error("update %s was abandoned after %s attempts", row["_id"], row["attempts"])
            await self.finish(row["update_id"])
            return None
        try:
            data: dict[str, Any] = json.loads(self._vault.open(row["payload"]))
        except VaultError:
            _log.error("update %s cannot be read with the present key", row["_id"])
            await self.finish(row["update_id"])
            return None
        try:
            return Update.de_json(data, bot)
        except Exception as error:  # noqa: BLE001 - whatever the library makes of old data
            _log.error("update %s cannot be read: %s", row["_id"], type(error).__name__)
            await self.finish(row["update_id"])
            return None

    def _id(self, update_id: int) -> str:
        return f"{self._bot_id}:{update_id}"


class InboxQueue(asyncio.Queue[object]):
    """The application's update queue; ``keep`` returns only when the updates are stored.

    What ``starts_at_once`` names is handled while it is being stored, unless something that is not
    stands before it in its chat: whatever the handler does is bound to the update's id or nonce,
    so one that is delivered again after a crash has no second effect.
    """

    def __init__(
        self,
        inbox: Inbox,
        starts_at_once: Callable[[Update], bool],
    ) -> None:
        super().__init__()
        self._inbox = inbox
        self._starts_at_once = starts_at_once
        self._held: set[int] = set()

    async def keep(self, updates: Sequence[Update], *, are_fresh: bool) -> None:
        """Store updates and queue each once.

        Args:
            updates: In the order of Telegram.
            are_fresh: No earlier process can have handled any of them.
        """
        if are_fresh:
            self._start(updates)
        for update in await self._inbox.keep(updates):
            self.replay(update)

    def _start(self, updates: Sequence[Update]) -> None:
        behind: set[int | None] = set()
        for update in updates:
            chat_id = update.effective_chat.id if update.effective_chat else None
            if chat_id in behind or not self._starts_at_once(update):
                behind.add(chat_id)
            elif self._inbox.arrive(update):
                self.replay(update)

    def replay(self, update: Update) -> None:
        """Queue an update, unless it is queued or being handled."""
        if update.update_id not in self._held:
            self._held.add(update.update_id)
            self.put_nowait(update)

    def release(self, update_id: int) -> None:
        """Drop the mark of an update that was handled."""
        self._held.discard(update_id)

    def abandon(self) -> None:
        """Empty the queue at a stop: its updates are stored and replayed at the next start."""
        while not self.empty():
            self.get_nowait()
            self.task_done()
