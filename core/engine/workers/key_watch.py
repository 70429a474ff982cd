"""Notifies when the keys that seal secrets are in danger, and when they are safe again (A06).

The controller goes on with the keys in its memory; what it would not have at its next start, a user
has to hear before.
"""

from __future__ import annotations

import secrets

from core.domain.notices.system import KeysInDanger, KeysSafe
from core.engine.orders.alarms import raise_trouble, replace_trouble, standing_troubles
from core.engine.outbox import Outbox
from core.ports.store import Store, StoreView
from core.ports.vault import KeptKeys

__all__ = ["KeyWatch"]

_TROUBLE = "keys"


class KeyWatch:
    """Asks for the trouble of the keys, and posts what has changed."""

    def __init__(self, store: Store, keys: KeptKeys, outbox: Outbox) -> None:
        self._store = store
        self._keys = keys
        self._outbox = outbox
        self._said: str | None = None

    async def tick(self) -> None:
        """Post the trouble once, and its end."""
        trouble = self._keys.trouble()
        if trouble == self._said:
            return
        if trouble:

            async def body(view: StoreView) -> None:
                await raise_trouble(view, self._outbox, KeysInDanger(trouble), _TROUBLE)

            await self._store.transaction(body, nonce=f"keys:{secrets.token_hex(8)}")
        elif _TROUBLE in await standing_troubles(self._store):  # said in an earlier life, perhaps
            await replace_trouble(self._store, self._outbox, _TROUBLE, KeysSafe())
        self._said = trouble
