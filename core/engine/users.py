"""The users who are served, and their chats. Owns the collection ``users``.

A document a Telegram user (``_id`` is the user id as text): ``user_id``, ``chat_id``, ``name``,
``role`` (owner, or removed), ``by`` (how they came in: listed, or pairing) and ``seen_at``.

Who is served is decided in one place, ``is_admitted``: whoever the settings list now, or whoever
paired and was not removed since. ``settle_owners`` writes that decision into ``role`` at each start
of the controller, and ``role`` is what updates, notices and views read.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from core.domain.owner import BotOwner, Way
from core.ports.store import Change, Document, StoreView

__all__ = [
    "admit_paired",
    "is_admitted",
    "is_owner",
    "known_users",
    "note_seen",
    "owner_chats",
    "owner_ids",
    "owner_name",
    "owners",
    "remove_paired",
    "remove_user",
    "settle_owners",
]

_USERS = "users"
_OWNER = "owner"
_REMOVED = "removed"


def is_admitted(row: Document, listed: Collection[int]) -> bool:
    """Whether a user is served: listed now, or paired and not removed."""
    if int(row["_id"]) in listed:
        return True
    return row.get("role") == _OWNER and _way(row, listed) is Way.PAIRING


def _way(row: Document, listed: Collection[int]) -> Way:
    """Return how a user came in.

    Rows of earlier versions do not say. There one could pair only while nobody was listed; who is
    not listed in a list that there is now must not stay for that.
    """
    if int(row["_id"]) in listed:
        return Way.LISTED
    if "by" in row:
        return Way(row["by"])
    return Way.LISTED if listed else Way.PAIRING


async def known_users(view: StoreView) -> list[Document]:
    """Return the rows of all who were ever served, in the order of their ids."""
    return sorted(await view.find(_USERS, {}), key=lambda row: int(row["_id"]))


async def owners(view: StoreView, listed: Collection[int] | None = None) -> list[BotOwner]:
    """Return who is served, in the order of their ids.

    Args:
        view: The store.
        listed: Who the settings list now, where that may not be settled yet; None reads what was
            settled.
    """
    rows = {int(row["_id"]): row for row in await known_users(view)}
    for user_id in listed or ():
        rows.setdefault(user_id, {"_id": str(user_id)})
    found = []
    for user_id, row in sorted(rows.items()):
        if row.get("role") == _OWNER if listed is None else is_admitted(row, listed):
            way, name = _way(row, listed or ()), str(row.get("name") or "")
            found.append(BotOwner(user_id, way, row.get("chat_id"), name, row.get("seen_at")))
    return found


async def owner_ids(view: StoreView) -> frozenset[int]:
    """Return the user ids of the owners."""
    return frozenset(int(row["_id"]) for row in await view.find(_USERS, {"role": _OWNER}))


async def owner_chats(view: StoreView) -> list[int]:
    """Return the chats of the owners who have one, in ascending order."""
    rows = await view.find(_USERS, {"role": _OWNER})
    return sorted({row["chat_id"] for row in rows if row.get("chat_id") is not None})


async def is_owner(view: StoreView, user_id: int) -> bool:
    """Whether a user is served."""
    row = await view.get(_USERS, str(user_id))
    return row is not None and row.get("role") == _OWNER


async def owner_name(view: StoreView, user_id: int) -> str:
    """Return how an owner is called in Telegram, for the other owners to read."""
    row = await view.get(_USERS, str(user_id))
    return str((row or {}).get("name") or "a user")


async def settle_owners(view: StoreView, listed: Collection[int]) -> list[Document]:
    """Write who is served by the settings of now; return the rows of those who are not any more."""
    rows = {int(row["_id"]): row for row in await known_users(view)}
    gone = []
    for row in rows.values():
        admitted = is_admitted(row, listed)
        if not admitted and row.get("role") == _OWNER:
            gone.append(row)
        wanted = {
            "role": _OWNER if admitted else _REMOVED,
            "by": _way(row, listed).value,
        }
        if any(row.get(name) != value for name, value in wanted.items()):
            await view.update(_USERS, {"_id": row["_id"]}, Change(set=wanted))
    for user_id in sorted(set(listed) - set(rows)):
        row = {"_id": str(user_id), "user_id": user_id, "role": _OWNER, "by": Way.LISTED.value}
        await view.insert(_USERS, row)
    return gone


async def admit_paired(view: StoreView, user_id: int, fields: Mapping[str, Any]) -> None:
    """Let a user in who sent the pairing code."""
    come = {"user_id": user_id, "role": _OWNER, "by": Way.PAIRING.value, **fields}
    await view.update(_USERS, {"_id": str(user_id)}, Change(set=come), upsert=True)


async def note_seen(view: StoreView, user_id: int, fields: Mapping[str, Any]) -> None:
    """Write where an owner can be reached; nobody becomes one by it."""
    where = {"_id": str(user_id), "role": _OWNER}
    await view.update(_USERS, where, Change(set=fields))


async def remove_paired(view: StoreView, listed: Collection[int]) -> list[BotOwner]:
    """Serve nobody more whom the settings do not list; return who they were."""
    gone = [one for one in await owners(view) if one.user_id not in listed]
    for one in gone:
        await remove_user(view, one.user_id)
    return gone


async def remove_user(view: StoreView, user_id: int) -> None:
    """Serve a user no more."""
    where = {"_id": str(user_id), "role": _OWNER}
    await view.update(_USERS, where, Change(set={"role": _REMOVED}))
