"""The durable inbox: an update is stored before it is confirmed to Telegram (T05).

The payload can hold a secret that a user just typed: it is sealed until the update is handled, and
cleared then. Rows that were not handled are replayed at the next start, so an update is handled at
least once; its effect happens at most once, because its id is the id of the control command.
"""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from typing import Any

from telegram import Bot, Update

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


class Inbox:
    """Stores the updates of one bot until they are handled."""

    def __init__(self, store: Store, vault: Vault, clock: Clock, bot_id: int) -> None:
        self._store = store
        self._vault = vault
        self._clock = clock
        self._bot_id = bot_id

    async def keep(self, update: Update) -> bool:
        """Store an update; False when it was handled before.

        Raises:
            StoreError: It could not be stored, so Telegram must deliver it again.
        """
        row: Document = {
            "_id": self._id(update.update_id),
            "bot_id": self._bot_id,
            "update_id": update.update_id,
            "payload": self._vault.seal(update.to_json()),
            "received_at": self._clock.now(),
            "state": _NEW,
            "attempts": 0,
        }
        try:
            await self._store.insert(_COLLECTION, row)
        except DuplicateKey:
            known = await self._store.get(_COLLECTION, row["_id"])
            return known is not None and known["state"] == _NEW
        return True

    async def begin(self, update_id: int) -> float:
        """Count an attempt; return the seconds since the update arrived."""
        key = self._id(update_id)
        await self._store.update(_COLLECTION, {"_id": key}, Change(inc={"attempts": 1}))
        row = await self._store.get(_COLLECTION, key)
        if row is None:
            return 0.0
        received_at: datetime = row["received_at"]
        return (self._clock.now() - received_at).total_seconds()

    async def finish(self, update_id: int) -> None:
        """Mark an update handled and clear its payload."""
        change = Change(set={"state": _DONE, "payload": ""})
        await self._store.update(_COLLECTION, {"_id": self._id(update_id)}, change)

    async def waiting(self, bot: Bot) -> list[Update]:
        """Return the updates that were stored and never handled, oldest first."""
        where = {"state": _NEW, "bot_id": self._bot_id}
        rows = await self._store.find(_COLLECTION, where, sort=[("received_at", 1)])
        updates = []
        for row in sorted(rows, key=lambda row: (row["received_at"], row["update_id"])):
            update = await self._read(row, bot)
            if update is not None:
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
        return Update.de_json(data, bot)

    def _id(self, update_id: int) -> str:
        return f"{self._bot_id}:{update_id}"


class InboxQueue(asyncio.Queue[object]):
    """The application's update queue; ``put`` returns only when the update is stored.

    What ``is_wanted`` refuses is dropped before it costs a write: a thousand messages of strangers
    must not stand between an owner and a panic (row R2).
    """

    def __init__(self, inbox: Inbox, is_wanted: Callable[[Update], Awaitable[bool]]) -> None:
        super().__init__()
        self._inbox = inbox
        self._is_wanted = is_wanted
        self._held: set[int] = set()

    async def put(self, item: object) -> None:
        """Store an update and queue it once; anything else passes through."""
        if not isinstance(item, Update):
            self.put_nowait(item)
            return
        if await self._is_wanted(item) and await self._inbox.keep(item):
            self.replay(item)

    def replay(self, update: Update) -> None:
        """Queue an update that is stored already."""
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
