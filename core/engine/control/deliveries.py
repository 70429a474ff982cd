"""Notices that could not be delivered, given to a chat at its next visit (row H5)."""

from __future__ import annotations

from core.engine.outbox import Outbox, dead_letters
from core.errors import AlreadyDone
from core.ports.store import Store, StoreView

__all__ = ["Deliveries"]


class Deliveries:
    """Repeats what could not be delivered."""

    def __init__(self, store: Store, outbox: Outbox) -> None:
        self._store = store
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
