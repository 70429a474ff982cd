"""Messages of a chat that others continue: what could not be delivered, and logins (H5, B5)."""

from __future__ import annotations

from core.domain.notices.post import login_key
from core.engine.cards import adopt_card, message_of
from core.engine.outbox import Outbox, dead_letters
from core.errors import AlreadyDone
from core.ports.clock import Clock
from core.ports.store import Store, StoreView

__all__ = ["Deliveries"]


class Deliveries:
    """Repeats what could not be delivered, and lets messages that ask for a login go with it."""

    def __init__(self, store: Store, clock: Clock, outbox: Outbox) -> None:
        self._store = store
        self._clock = clock
        self._outbox = outbox

    async def repeat(self, chat_id: int) -> None:
        """Queue a chat's dead letters once more; call it whenever somebody writes there or taps."""
        dead = await dead_letters(self._store, chat_id)
        if not dead:
            return

        async def body(view: StoreView) -> None:
            await self._outbox.repeat_undelivered(view, dead)

        newest = dead[-1]
        nonce = f"repeat:{newest['_id']}#{newest.get('repeats', 0)}"
        try:
            await self._store.transaction(body, nonce=nonce)
        except AlreadyDone:
            return

    async def asked_for_login(self, chat_id: int, broker_id: str, message_id: int) -> int | None:
        """Note a message with a login button: it is removed once the account is logged in.

        Return the message that asked before, for the caller to remove: one asks at a time.
        """
        key, now = login_key(broker_id), self._clock.now()
        before = await message_of(self._store, chat_id, key)
        await adopt_card(self._store, chat_id, key, message_id, now)
        return None if before == message_id else before
