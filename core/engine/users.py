"""The users who are served, and their chats. Owns the collection ``users``.

A document a Telegram user (``_id`` is the user id as text): ``user_id``, ``chat_id``, ``name``,
``role`` (owner) and ``seen_at``.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from core.ports.store import Change, StoreView

__all__ = ["is_owner", "owner_chats", "owner_ids", "owner_name", "remember_owner"]

_USERS = "users"
_OWNER = "owner"


async def owner_ids(view: StoreView) -> frozenset[int]:
    """Return the user ids of the owners that the store knows; the settings may name more."""
    return frozenset(row["user_id"] for row in await view.find(_USERS, {"role": _OWNER}))


async def owner_chats(view: StoreView) -> list[int]:
    """Return the chats of the owners who have one, in ascending order."""
    rows = await view.find(_USERS, {"role": _OWNER})
    return sorted({row["chat_id"] for row in rows if row.get("chat_id") is not None})


async def is_owner(view: StoreView, user_id: int) -> bool:
    """Whether the store knows a user as an owner."""
    row = await view.get(_USERS, str(user_id))
    return row is not None and row.get("role") == _OWNER


async def owner_name(view: StoreView, user_id: int) -> str:
    """Return how an owner is called in Telegram, for the other owners to read."""
    row = await view.get(_USERS, str(user_id))
    return str((row or {}).get("name") or "a user")


async def remember_owner(view: StoreView, user_id: int, fields: Mapping[str, Any]) -> None:
    """Write an owner's row, so that notices know the chat."""
    change = Change(set={"user_id": user_id, "role": _OWNER, **fields})
    await view.update(_USERS, {"_id": str(user_id)}, change, upsert=True)
