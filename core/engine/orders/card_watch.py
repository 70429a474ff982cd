"""Puts cards right that say of a position that it is unprotected, once that is over (R6, E1).

The order that ends it is another run's, the user's or a panic's, whose steps bring their own card
up to date and not this one. So each turn of the account looks what the cards say of it, and posts
an edit that never comes as a message: what ended it has been told.
"""

from __future__ import annotations

import secrets
from collections.abc import Sequence

from core.domain.bare_lines import BareLine
from core.domain.notices.post import Delivery, Post
from core.domain.notices.stored import from_document
from core.engine.bare_cards import bare_cards, forget_bare
from core.engine.orders.protections import Standing
from core.engine.outbox import Outbox, is_on_its_way
from core.engine.users import owner_chats
from core.ports.store import Document, Store, StoreView

__all__ = ["amend_cards", "put_cards_right"]


async def put_cards_right(
    store: Store, outbox: Outbox, broker_id: str, standings: Sequence[Standing]
) -> bool:
    """Have the cards edited that say of an account what is over; return whether there was any.

    Args:
        store: The store.
        outbox: For the edits.
        broker_id: The account.
        standings: How each of its ledgers stands that holds something.
    """
    true = frozenset(one.bare_line for one in standings if one.bare_line is not None)
    wrong = await _wrong(store, broker_id, true)
    # One edit that is on its way shows all that has come to its end by then, on any account.
    if any([not await is_on_its_way(store, row["chat_id"], row["key"]) for row in wrong]):

        async def body(view: StoreView) -> None:
            await amend_cards(view, outbox, broker_id, true)

        await store.transaction(body, nonce=f"amend:{secrets.token_hex(8)}")
    return bool(wrong)


async def amend_cards(
    view: StoreView, outbox: Outbox, broker_id: str, true: frozenset[BareLine] = frozenset()
) -> None:
    """Have the cards edited that say of an account what is not true, in the caller's transaction.

    Args:
        view: The caller's transaction.
        outbox: For the edits.
        broker_id: The account.
        true: What may be said of it.
    """
    chats = await owner_chats(view)
    for row in await _wrong(view, broker_id, true):
        chat_id, key = row["chat_id"], row["key"]
        if chat_id not in chats:
            await forget_bare(view, chat_id, key)
        elif not await is_on_its_way(view, chat_id, key):
            await outbox.post(view, Post(from_document(row), Delivery.AMEND, key, chat_id))


async def _wrong(view: StoreView, broker_id: str, true: frozenset[BareLine]) -> list[Document]:
    """Return the cards that say of an account what is not true."""
    return [
        row
        for row, lines in await bare_cards(view)
        if any(one.broker_id == broker_id for one in lines - true)
    ]
