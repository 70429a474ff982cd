"""Links of login pages. Owns ``login_links`` (B1, row B11).

``_id`` is the link's secret part; ``broker_id``, ``created_at``. The chat's own buttons lead to one
link an account, which lives until the account is connected. A link that was made for the account's
holder has ``ends_at`` besides: it survives logins, until that moment or until it is revoked.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from core.ports.store import Document, StoreView

__all__ = [
    "SharedLink",
    "account_of_link",
    "add_link",
    "end_all_links",
    "end_every_link_of",
    "end_link",
    "end_links",
    "is_open",
    "is_there",
    "link_of",
    "shared_links_of",
]

_LINKS = "login_links"


@dataclass(frozen=True, slots=True)
class SharedLink:
    """A link that the holder of an account was given.

    Attributes:
        link: Its secret part.
    """

    link: str
    broker_id: str
    created_at: datetime
    ends_at: datetime


def _is_shared(row: Document) -> bool:
    return row.get("ends_at") is not None


def _has_ended(row: Document, now: datetime) -> bool:
    return _is_shared(row) and bool(row["ends_at"] <= now)


async def link_of(view: StoreView, broker_id: str) -> str | None:
    """Return the secret part of an account's own login page, or None where there is no page."""
    rows = await view.find(_LINKS, {"broker_id": broker_id})
    return next((str(row["_id"]) for row in rows if not _is_shared(row)), None)


async def shared_links_of(view: StoreView, broker_id: str, now: datetime) -> list[SharedLink]:
    """Return the open links that were given away for an account, the newest first."""
    rows = await view.find(_LINKS, {"broker_id": broker_id}, sort=[("created_at", -1)])
    return [
        SharedLink(str(row["_id"]), broker_id, row["created_at"], row["ends_at"])
        for row in rows
        if _is_shared(row) and not _has_ended(row, now)
    ]


async def add_link(
    view: StoreView,
    link: str,
    broker_id: str,
    *,
    at: datetime,
    ends_at: datetime | None = None,
) -> None:
    """Make a login page for an account; with an end it is one to give away."""
    row: Document = {"_id": link, "broker_id": broker_id, "created_at": at}
    if ends_at is not None:
        row["ends_at"] = ends_at
        for old in await view.find(_LINKS, {"broker_id": broker_id}):
            if _has_ended(old, at):
                await view.delete(_LINKS, {"_id": old["_id"]})
    await view.insert(_LINKS, row)


async def account_of_link(view: StoreView, link: str, now: datetime) -> tuple[str, bool] | None:
    """Return the broker_id that a login page belongs to, and whether it was given away, or None."""
    row = await view.get(_LINKS, link)
    if row is None or _has_ended(row, now):
        return None
    return str(row["broker_id"]), _is_shared(row)


async def is_open(view: StoreView, link: str, now: datetime) -> bool:
    """Whether a login page can be opened."""
    return await account_of_link(view, link, now) is not None


async def is_there(view: StoreView, link: str) -> bool:
    """Whether a login page was not revoked; one that reached its end is there a while longer."""
    return await view.get(_LINKS, link) is not None


async def end_link(view: StoreView, link: str) -> None:
    """Revoke one link."""
    await view.delete(_LINKS, {"_id": link})


async def end_links(view: StoreView, broker_id: str) -> None:
    """End an account's own login page: it is connected now."""
    for row in await view.find(_LINKS, {"broker_id": broker_id}):
        if not _is_shared(row):
            await view.delete(_LINKS, {"_id": row["_id"]})


async def end_every_link_of(view: StoreView, broker_id: str) -> None:
    """End every login page of an account: it is disconnected."""
    await view.delete(_LINKS, {"broker_id": broker_id})


async def end_all_links(view: StoreView) -> None:
    """End every login page: somebody who saw their addresses is served no more."""
    await view.delete(_LINKS, {})
