"""Notifies when the keys that seal secrets are in danger, and when they are safe again (A06).

The controller goes on with the keys in its memory; what it would not have at its next start, a user
has to hear before.
"""

from __future__ import annotations

from core.domain.notices.post import trouble_card
from core.domain.notices.system import KeysInDanger, KeysSafe
from core.engine.outbox import Outbox
from core.ports.store import Store
from core.ports.vault import KeptKeys

__all__ = ["KeyWatch"]


class KeyWatch:
    """Asks for the trouble of the keys, and posts what has changed."""

    def __init__(self, store: Store, keys: KeptKeys, outbox: Outbox) -> None:
        self._store = store
        self._keys = keys
        self._outbox = outbox
        self._said = ""

    async def tick(self) -> None:
        """Post the trouble once, and its end."""
        trouble = self._keys.trouble()
        if trouble == self._said:
            return
        await self._outbox.post_alone(
            self._store, trouble_card(KeysInDanger(trouble) if trouble else KeysSafe(), "keys")
        )
        self._said = trouble
