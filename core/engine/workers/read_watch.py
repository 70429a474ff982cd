"""Tells when an account's broker cannot be read for a while, and when it can again: once each.

A read that fails for a second is nothing to tell. For longer, whatever the chat shows of the
account is old, and somebody has to know (row R8). A login that ended has a notice of its own.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from datetime import datetime, timedelta

from core.domain.notices.accounts import AccountReadable
from core.domain.notices.post import Post, unreadable_card, unreadable_removal
from core.engine.cards import has_card
from core.engine.outbox import Outbox
from core.engine.users import owner_chats
from core.errors import AlreadyDone, StoreError
from core.ports.clock import Clock
from core.ports.store import Store, StoreView

__all__ = ["ReadWatch"]

_log = logging.getLogger(__name__)
_PATIENCE = timedelta(seconds=15)


class ReadWatch:
    """Watches the reads of one account.

    ``is_market_open``: outside the session a broker may rest, and nobody is woken for it.
    """

    def __init__(
        self,
        broker_id: str,
        *,
        store: Store,
        clock: Clock,
        outbox: Outbox,
        is_market_open: Callable[[], bool],
    ) -> None:
        self._broker_id = broker_id
        self._store = store
        self._clock = clock
        self._outbox = outbox
        self._is_market_open = is_market_open
        self._since: datetime | None = None
        self._is_told: bool | None = None

    async def failed(self, reason: str) -> None:
        """Note a read that failed; notify the user when that has gone on for a while."""
        now = self._clock.now()
        if self._since is None:
            self._since = now
        if now - self._since < _PATIENCE or not self._is_market_open():
            return
        try:
            if await self._was_told():
                return
            since = self._clock.market_at(self._since)
            post = unreadable_card(self._broker_id, reason, since)
            await self._post_once(f"unreadable:{self._broker_id}|{self._since.isoformat()}", post)
        except StoreError as error:
            # The next failed read tries again; that the store is away is told by itself.
            _log.warning("account %s: %s", self._broker_id, error)
        else:
            self._is_told = True

    async def succeeded(self) -> None:
        """Note that everything due could be read."""
        since, self._since = self._since, None
        if not await self._was_told():
            return
        now = self._clock.now()
        seconds = int((now - since).total_seconds()) if since else 0
        removal = unreadable_removal(self._broker_id)
        news = Post(AccountReadable(self._broker_id, seconds))
        await self._post_once(f"readable:{self._broker_id}|{now.isoformat()}", removal, news)
        self._is_told = False

    def login_ended(self) -> None:
        """Forget failed reads: nothing can be read without a login, and that is told elsewhere."""
        self._since = None

    async def _was_told(self) -> bool:
        """Whether the chat was told that the account cannot be read, in an earlier life too."""
        if self._is_told is None:
            key = unreadable_removal(self._broker_id).key or ""
            chats = await owner_chats(self._store)
            self._is_told = any([await has_card(self._store, chat, key) for chat in chats])
        return self._is_told

    async def _post_once(self, nonce: str, *posts: Post) -> None:
        async def body(view: StoreView) -> None:
            for post in posts:
                await self._outbox.post(view, post)

        try:
            await self._store.transaction(body, nonce=nonce)
        except AlreadyDone:
            return
