"""Links of login pages: one an account until it is connected. Owns ``login_links`` (B1)."""

from __future__ import annotations

from datetime import datetime

from core.ports.store import StoreView

__all__ = ["account_of_link", "add_link", "end_all_links", "end_links", "link_of"]

_LINKS = "login_links"


async def link_of(view: StoreView, broker_id: str) -> str | None:
    """Return the secret part of an account's login page, or None where there is no page."""
    rows = await view.find(_LINKS, {"broker_id": broker_id}, limit=1)
    return str(rows[0]["_id"]) if rows else None


async def add_link(view: StoreView, link: str, broker_id: str, *, at: datetime) -> None:
    """Make a login page for an account."""
    await view.insert(_LINKS, {"_id": link, "broker_id": broker_id, "created_at": at})


async def account_of_link(view: StoreView, link: str) -> str | None:
    """Return the broker_id that a login page belongs to, or None for a page that is none."""
    row = await view.get(_LINKS, link)
    return str(row["broker_id"]) if row else None


async def end_links(view: StoreView, broker_id: str) -> None:
    """End an account's login pages: it is connected now, or disconnected."""
    await view.delete(_LINKS, {"broker_id": broker_id})


async def end_all_links(view: StoreView) -> None:
    """End every login page: somebody who saw their addresses is served no more."""
    await view.delete(_LINKS, {})
