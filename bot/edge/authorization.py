"""Authorizes every update: only listed users are served, in their private chat only (G1).

Anybody else gets no answer, not even a refusal, and is logged by user id. ``/pair CODE`` is the one
exception: with the code that the console printed at a first start, the sender becomes the owner.
The code is void after its first use or the tenth wrong attempt.
"""

from __future__ import annotations

import hmac
import logging
import secrets
from collections.abc import Iterable
from enum import StrEnum

from telegram import Chat, Update, User

from core.engine.stored_settings import read_setting, remove_setting, write_setting
from core.engine.users import is_owner, owner_ids, remember_owner
from core.ports.clock import Clock
from core.ports.store import Change, Store

__all__ = ["Authorization", "PairingResult", "pairing_code"]

_PAIRING = "pairing"
_TRIES = 10
_ALPHABET = "ABCDEFGHJKLMNPQRSTUVWXYZ23456789"
_LENGTH = 8
_FORGET_S = 1.0
_STRANGERS = 1000
_LOGGED = 50
_ONE_OF = 1000
_log = logging.getLogger(__name__)


async def pairing_code(store: Store, owners: Iterable[int]) -> str | None:
    """Return the code to print on the console, or None when the bot has an owner already.

    The same code is returned until it is used, so that a restart does not change what was printed;
    one that is void after wrong attempts is replaced.
    """
    if set(owners) or await owner_ids(store):
        return None
    row = await read_setting(store, _PAIRING)
    if row is not None and row["tries_left"] > 0:
        return str(row["code"])
    code = "".join(secrets.choice(_ALPHABET) for _ in range(_LENGTH))
    change = Change(set={"code": code, "tries_left": _TRIES})
    await write_setting(store, _PAIRING, change)
    return code


class PairingResult(StrEnum):
    """The result of a ``/pair``."""

    WELCOME = "welcome"
    WRONG = "wrong"
    CLOSED = "closed"


class Authorization:
    """Decides who is served."""

    def __init__(self, store: Store, clock: Clock, owners: frozenset[int]) -> None:
        self._store = store
        self._clock = clock
        self._owners = owners
        self._known: set[int] = set()
        self._listed: frozenset[int] = frozenset()
        self._looked_at: float | None = None
        self._strangers: dict[int, int] = {}

    async def is_wanted(self, update: Update) -> bool:
        """Return whether an update is worth storing: an owner's, or a try to become the first one.

        All strangers together cost one read a second at most, however many write.

        Raises:
            StoreError: It cannot be known.
        """
        user = update.effective_user
        if user is None:
            return False
        if user.id in self._owners or user.id in self._known:
            return True
        now = self._clock.monotonic()
        if self._looked_at is None or now - self._looked_at >= _FORGET_S:
            # Whoever becomes an owner later does so here, and is known at once.
            self._listed, self._looked_at = await self.owners(), now
        if user.id in self._listed or not (self._listed or self._known):
            return True
        self._refused(user.id)
        return False

    def _refused(self, user_id: int) -> None:
        if len(self._strangers) >= _STRANGERS:
            self._strangers.clear()
        times = self._strangers.get(user_id, 0)
        self._strangers[user_id] = times + 1
        if times < _LOGGED or times % _ONE_OF == 0:
            _log.warning("user %s is not an owner and is not served", user_id)

    async def admits(self, update: Update) -> bool:
        """Return whether this update is served, and record its sender."""
        user, chat = update.effective_user, update.effective_chat
        if user is None or chat is None or user.is_bot:
            return False
        if not await self._is_listed(user.id):
            _log.warning("user %s in chat %s is not an owner and is not served", user.id, chat.id)
            return False
        if chat.type != Chat.PRIVATE or chat.id != user.id:
            _log.warning("chat %s is not private and is not served", chat.id)
            return False
        if user.id not in self._known:
            await self.remember(user, chat)
        return True

    async def owners(self) -> frozenset[int]:
        """Return the user ids (private chats have the same) of all owners."""
        return self._owners | await owner_ids(self._store)

    async def remember(self, user: User, chat: Chat) -> None:
        """Write the person's row, so that notices know the chat."""
        fields = {"chat_id": chat.id, "name": user.full_name, "seen_at": self._clock.now()}
        await remember_owner(self._store, user.id, fields)
        self._known.add(user.id)

    async def pair(self, user: User, chat: Chat, attempt: str) -> PairingResult:
        """Try a pairing code; every try counts, the right one ends pairing."""
        row = await read_setting(self._store, _PAIRING)
        if row is None or await self.owners():
            return PairingResult.CLOSED
        one_less = Change(inc={"tries_left": -1})
        left = {"tries_left": {"$gt": 0}}
        if not await write_setting(self._store, _PAIRING, one_less, where=left):
            _log.warning("pairing is closed: too many wrong tries; restart to get a new code")
            return PairingResult.CLOSED
        if not hmac.compare_digest(str(row["code"]).encode(), attempt.strip().upper().encode()):
            _log.warning("wrong pairing code from user %s", user.id)
            return PairingResult.WRONG
        if not await remove_setting(self._store, _PAIRING, where={"code": row["code"]}):
            return PairingResult.CLOSED
        await self.remember(user, chat)
        _log.warning("user %s is the owner now", user.id)
        return PairingResult.WELCOME

    async def _is_listed(self, user_id: int) -> bool:
        if user_id in self._owners:
            return True
        return await is_owner(self._store, user_id)
