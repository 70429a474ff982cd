"""Authorizes every update: only owners are served, in their private chat only (G1).

Who is an owner is decided in ``core.engine.users``; the store says it, for updates as for notices.
Anybody else gets no answer, not even a refusal. ``/pair CODE`` is the one exception
(``bot.edge.pairing``).
"""

from __future__ import annotations

import logging

from telegram import Chat, Update, User

from core.domain.plain_text import plain_line
from core.engine.users import is_owner, note_seen, owner_ids
from core.ports.clock import Clock
from core.ports.store import Store

__all__ = ["Authorization"]

_log = logging.getLogger(__name__)


class Authorization:
    """Decides who is served."""

    def __init__(self, store: Store, clock: Clock) -> None:
        self._store = store
        self._clock = clock
        self._seen: set[int] = set()

    async def admits(self, update: Update) -> bool:
        """Return whether this update is served, and record its sender."""
        user, chat = update.effective_user, update.effective_chat
        if user is None or chat is None or user.is_bot:
            return False
        if chat.type != Chat.PRIVATE or chat.id != user.id:
            return False
        if not await is_owner(self._store, user.id):
            _log.warning("user %s is not an owner and is not served", user.id)
            return False
        if user.id not in self._seen:
            await note_seen(self._store, user.id, self.fields_of(user, chat))
            self._seen.add(user.id)
        return True

    async def owners(self) -> frozenset[int]:
        """Return the user ids (private chats have the same) of all owners."""
        return await owner_ids(self._store)

    def fields_of(self, user: User, chat: Chat) -> dict[str, object]:
        """Return what is kept of a user, so that notices know the chat."""
        name = plain_line(user.full_name)
        return {"chat_id": chat.id, "name": name, "seen_at": self._clock.now()}
