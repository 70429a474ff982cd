"""The order of handling: the updates of a chat one by one, different chats at the same time."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Any

from telegram import Update
from telegram.ext import BaseUpdateProcessor

from bot.edge.inbox import Inbox, InboxQueue
from bot.edge.turns import Turns
from core.errors import StoreError

__all__ = ["ChatProcessor"]

_AT_ONCE = 256
_log = logging.getLogger(__name__)


class ChatProcessor(BaseUpdateProcessor):
    """Handles each update in its turn, and marks handled ones in the inbox.

    What ``is_urgent`` names waits for urgent ones of its chat alone: a handler that waits for a
    broker must not hold it back. ``settle`` writes, beside the mark and behind the turn, what
    handlers left to be written.
    """

    def __init__(
        self,
        inbox: Inbox,
        queue: InboxQueue,
        turns: Turns,
        is_urgent: Callable[[Update], bool],
        settle: Callable[[], Awaitable[None]],
    ) -> None:
        super().__init__(_AT_ONCE)
        self._settle = settle
        self._inbox = inbox
        self._queue = queue
        self._turns = turns
        self._is_urgent = is_urgent

    async def initialize(self) -> None:
        """Do nothing: there is no resource to open."""

    async def shutdown(self) -> None:
        """Do nothing: there is no resource to close."""

    async def do_process_update(self, update: object, coroutine: Awaitable[Any]) -> None:
        """Handle one update when its chat is free."""
        if not isinstance(update, Update):
            await coroutine
            return
        chat = update.effective_chat
        chat_id, is_urgent = chat.id if chat else 0, self._is_urgent(update)
        async with self._turns.take(update.update_id, chat_id, is_urgent=is_urgent):
            await coroutine
        await self._finish(update.update_id)

    async def _finish(self, update_id: int) -> None:
        try:
            await asyncio.gather(self._inbox.finish(update_id), self._settle())
        except StoreError:
            # It stays in the inbox and is replayed; the id of its command prevents a second effect.
            _log.warning("update %s was handled but could not be marked", update_id)
        finally:
            self._queue.release(update_id)
