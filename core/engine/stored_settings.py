"""What can be changed while the controller runs. Owns the collection ``settings``.

One document a setting, by its name as ``_id``. What is in it belongs to the module that names it:
the global mode, the data account, an account's capital, the standing token warning, the pairing
code, what was said of the calendar.
"""

from __future__ import annotations

from typing import Any

from core.ports.store import Change, Document, StoreView

__all__ = ["read_setting", "read_settings", "remove_setting", "write_setting"]

_SETTINGS = "settings"


async def read_setting(view: StoreView, name: str) -> Document | None:
    """Return a setting's document, or None where it was never set."""
    return await view.get(_SETTINGS, name)


async def read_settings(view: StoreView) -> dict[str, Document]:
    """Return every setting's document by name."""
    return {row["_id"]: row for row in await view.find(_SETTINGS, {})}


async def write_setting(
    view: StoreView, name: str, change: Change, *, where: dict[str, Any] | None = None
) -> bool:
    """Change a setting, made where it is not there yet.

    Args:
        view: The store, or the transaction of what changes it.
        name: Which setting.
        change: What becomes of its document.
        where: What its document must hold; then nothing is made, and False says that it did not.
    """
    matched = await view.update(
        _SETTINGS, {"_id": name, **(where or {})}, change, upsert=where is None
    )
    return matched == 1


async def remove_setting(
    view: StoreView, name: str, *, where: dict[str, Any] | None = None
) -> bool:
    """Remove a setting; return whether it was there, and held what ``where`` says."""
    return await view.delete(_SETTINGS, {"_id": name, **(where or {})}) == 1
