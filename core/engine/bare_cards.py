"""Cards that say of a position that it is unprotected: what the chats show of that now.

Collection ``bare_cards`` (``chat_id|key``, as ``cards``): ``chat_id``, ``key``, ``kind`` and
``data`` of what the card shows, ``lines`` (of each :class:`core.domain.bare_lines.BareLine` its
fields). A card that says nothing of the kind has no document. Whether the lines are still so is
for ``orders/card_watch.py``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict

from core.domain.bare_lines import BareLine
from core.domain.notices.post import Delivery, Post
from core.domain.notices.stored import from_document
from core.engine.cards import card_id
from core.engine.gathering import is_amendment
from core.ports.store import Change, Document, StoreView

__all__ = ["amendment", "bare_cards", "forget_bare", "keep_bare"]

_BARE = "bare_cards"


async def bare_cards(view: StoreView) -> list[tuple[Document, frozenset[BareLine]]]:
    """Return the cards that say so, each with its lines."""
    rows = await view.find(_BARE, {})
    return [(row, frozenset(BareLine(**one) for one in row["lines"])) for row in rows]


async def amendment(view: StoreView, chat_id: int, key: str) -> Post | None:
    """Return the post that puts a card right; None where it says nothing that could be wrong.

    It shows what the card shows now: other runs may have joined it since, and a result in its place
    has nothing to put right.
    """
    row = await view.get(_BARE, card_id(chat_id, key))
    return Post(from_document(row), Delivery.AMEND, key, chat_id) if row else None


async def keep_bare(view: StoreView, row: Document, bare: Sequence[BareLine]) -> None:
    """Keep what a card says that was delivered just now, by its row of the outbox."""
    _id = card_id(row["chat_id"], row["key"])
    before = await view.get(_BARE, _id)
    if not bare:
        if before is not None:
            await view.delete(_BARE, {"_id": _id})
        return
    shown = before if is_amendment(row) else row
    if shown is None:
        return
    fields: Document = {name: shown[name] for name in ("chat_id", "key", "kind", "data")}
    fields["lines"] = [asdict(one) for one in bare]
    if before is None or any(before[name] != value for name, value in fields.items()):
        await view.update(_BARE, {"_id": _id}, Change(set=fields), upsert=True)


async def forget_bare(view: StoreView, chat_id: int, key: str) -> None:
    """Forget what a card says: nobody can edit it any more."""
    await view.delete(_BARE, {"_id": card_id(chat_id, key)})
