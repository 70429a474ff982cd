"""Single-use nonces behind the buttons that change something for good (G3).

A row of ``nonces`` records what the button would do, for whom and until when. The nonce is
also the id of the control command, so the command's own transaction makes it take effect at most
once, whatever happens to the row (I9, O01).
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from bot.views.verbs import Verb
from core.errors import StoreError
from core.ports.clock import Clock
from core.ports.store import Change, Document, Store

__all__ = ["Nonce", "NonceState", "Nonces"]

_COLLECTION = "nonces"
_LIFETIME_S = 300
_REMEMBERED = 10_000


class NonceState(StrEnum):
    """The state of a nonce."""

    OPEN = "open"
    USED = "used"


@dataclass(frozen=True, slots=True)
class Nonce:
    """One row: what a button would do."""

    id: str
    chat_id: int
    user_id: int
    verb: str
    args: Mapping[str, Any]
    expires_at: datetime
    state: NonceState

    def is_for(self, verb: Verb, chat_id: int, user_id: int) -> bool:
        """Return whether this button was issued to this user in this chat."""
        return (self.verb, self.chat_id, self.user_id) == (verb, chat_id, user_id)


class Nonces:
    """Issues nonces, and reads what each was issued for."""

    def __init__(self, store: Store, clock: Clock) -> None:
        self._store = store
        self._clock = clock
        self._used: set[str] = set()
        self._unwritten: list[str] = []

    async def issue(
        self,
        verb: Verb,
        chat_id: int,
        user_id: int,
        args: Mapping[str, Any],
        *,
        lifetime_s: float = _LIFETIME_S,
    ) -> str:
        """Return a new nonce for one effect."""
        nonce = secrets.token_urlsafe(12)
        row: Document = {
            "_id": nonce,
            "chat_id": chat_id,
            "user_id": user_id,
            "verb": verb.value,
            "args": dict(args),
            "expires_at": self._clock.now() + timedelta(seconds=lifetime_s),
            "state": NonceState.OPEN.value,
        }
        await self._store.insert(_COLLECTION, row)
        return nonce

    async def find(self, nonce: str) -> Nonce | None:
        """Return the row, or None for a nonce that was never issued or is already deleted."""
        row = await self._store.get(_COLLECTION, nonce)
        if row is None:
            return None
        return Nonce(
            id=row["_id"],
            chat_id=row["chat_id"],
            user_id=row["user_id"],
            verb=row["verb"],
            args=row["args"],
            expires_at=row["expires_at"],
            state=NonceState.USED if nonce in self._used else NonceState(row["state"]),
        )

    def is_expired(self, nonce: Nonce) -> bool:
        """Return whether the nonce has expired."""
        return self._clock.now() > nonce.expires_at

    def spend(self, nonce: str) -> None:
        """Hold it for used from now on; ``settle`` writes that."""
        if len(self._used) >= _REMEMBERED:
            self._used.clear()
        self._used.add(nonce)
        self._unwritten.append(nonce)

    async def settle(self) -> None:
        """Write which nonces were used, those of other visits too.

        Raises:
            StoreError: They are written the next time. Until then the row alone would let a tap
                through after a restart, which the command's own transaction stops.
        """
        some, self._unwritten = self._unwritten, []
        if not some:
            return
        change = Change(set={"state": NonceState.USED.value})
        try:
            await self._store.update(_COLLECTION, {"_id": {"$in": some}}, change, many=True)
        except StoreError:
            self._unwritten += some
            raise
