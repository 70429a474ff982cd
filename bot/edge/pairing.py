"""Pairing: while there is no owner, who sends the console's code becomes the first (G1).

A code has 40 random bits, and nobody is heard after a few wrong ones: closing it for all would let
any stranger lock the owner out. A wrong code costs neither a write nor an answer.
"""

from __future__ import annotations

import hmac
import logging
import re
import secrets
from collections import OrderedDict
from collections.abc import Mapping
from enum import StrEnum
from typing import Any

from telegram import Chat, User

from bot.edge.authorization import Authorization
from core.engine.stored_settings import read_setting, remove_setting, write_setting
from core.engine.users import admit_paired, owner_ids
from core.ports.store import Change, Store, StoreView

__all__ = ["Pairing", "PairingResult", "pairing_code"]

_PAIRING = "pairing"
_TRIES = 5
_SENDERS = 10_000
_ALPHABET = "ABCDEFGHJKLMNPQRSTUVWXYZ23456789"
_LENGTH = 8
_COMMAND = re.compile(r"/pair(?:@\w+)?\s+(\S{1,64})\s*", re.IGNORECASE)
_log = logging.getLogger(__name__)


async def pairing_code(store: Store) -> str | None:
    """Return the code to print on the console, or None when the bot has an owner already.

    The same code is returned until it is used, so that a restart does not change what was printed.
    """
    if await owner_ids(store):
        return None
    row = await read_setting(store, _PAIRING)
    if row is not None:
        return str(row["code"])
    code = "".join(secrets.choice(_ALPHABET) for _ in range(_LENGTH))
    await write_setting(store, _PAIRING, Change(set={"code": code}))
    return code


class PairingResult(StrEnum):
    """The result of a ``/pair``."""

    WELCOME = "welcome"
    WRONG = "wrong"
    CLOSED = "closed"


class Pairing:
    """Compares codes, and lets the first owner in."""

    def __init__(self, store: Store, gate: Authorization) -> None:
        self._store = store
        self._gate = gate
        self._wrong: OrderedDict[int, int] = OrderedDict()

    async def may_begin(self, user_id: int, message: Mapping[str, Any]) -> bool:
        """Return whether a stranger's message, as Telegram wrote it, holds the right code.

        Call it only while there is no owner.
        """
        text = message.get("text")
        found = _COMMAND.fullmatch(text) if isinstance(text, str) else None
        if found is None or self._wrong.get(user_id, 0) >= _TRIES:
            return False
        row = await read_setting(self._store, _PAIRING)
        if row is not None and _is_same(str(row["code"]), found[1]):
            return True
        self._wrong[user_id] = self._wrong.get(user_id, 0) + 1
        self._wrong.move_to_end(user_id)
        if len(self._wrong) > _SENDERS:
            self._wrong.popitem(last=False)
        return False

    async def pair(self, user: User, chat: Chat, attempt: str) -> PairingResult:
        """Try a code; the right one ends pairing and makes its sender the owner, in one commit."""
        row = await read_setting(self._store, _PAIRING)
        if row is None or await owner_ids(self._store):
            return PairingResult.CLOSED
        if not _is_same(str(row["code"]), attempt.strip()):
            return PairingResult.WRONG

        async def body(view: StoreView) -> bool:
            if await owner_ids(view):
                return False
            if not await remove_setting(view, _PAIRING, where={"code": row["code"]}):
                return False
            await admit_paired(view, user.id, self._gate.fields_of(user, chat))
            return True

        nonce = f"pair:{secrets.token_hex(8)}"
        if not await self._store.transaction(body, nonce=nonce):
            return PairingResult.CLOSED
        _log.warning("user %s is the owner now", user.id)
        return PairingResult.WELCOME


def _is_same(code: str, attempt: str) -> bool:
    return hmac.compare_digest(code.encode(), attempt.upper().encode())
