"""Who is served: list them, and serve somebody no more (G1).

Whoever is served no more gets no answer and no notice: what waits for their chat is dropped in the
commit that ends it, and so is every link of a login page, for they saw those.
"""

from __future__ import annotations

import secrets
from collections.abc import Collection

from core.domain.command import Command
from core.domain.notices.post import Post
from core.domain.notices.system import OwnerRemoved
from core.domain.owner import BotOwner, Way
from core.engine.accounts.login_links import end_all_links
from core.engine.outbox import Outbox, drop_waiting
from core.engine.users import owner_name, owners, remove_user, settle_owners
from core.errors import UserError
from core.ports.store import Document, Store, StoreView

__all__ = ["Owners", "end_service"]


async def end_service(view: StoreView, user_id: int) -> None:
    """Serve a user no more, and give them nothing of what waits for their chat."""
    await remove_user(view, user_id)
    await _forget(view, [user_id])


async def _forget(view: StoreView, chats: Collection[int]) -> None:
    """Drop what waits for chats (a private chat has its user's id), and what they could use."""
    for chat_id in chats:
        await drop_waiting(view, chat_id)
    await end_all_links(view)


class Owners:
    """Reads and removes owners."""

    def __init__(self, store: Store, outbox: Outbox) -> None:
        self._store = store
        self._outbox = outbox

    async def settle(self, listed: Collection[int]) -> None:
        """Serve those whom the settings list now, and no more those whom they listed before.

        Call it once the lease is held, before anything is answered or delivered.
        """

        async def body(view: StoreView) -> list[Document]:
            gone = await settle_owners(view, listed)
            if gone:
                await _forget(view, [int(row["_id"]) for row in gone])
            return gone

        await self._store.transaction(body, nonce=f"owners:{secrets.token_hex(8)}")

    async def all(self) -> list[BotOwner]:
        """Return who is served."""
        return await owners(self._store)

    async def removable(self, user_id: int) -> BotOwner:
        """Return an owner who can be removed from the chat, or raise ``UserError``."""
        return await _removable(self._store, user_id)

    async def remove(self, command: Command, user_id: int) -> None:
        """Serve a user no more, and tell the others.

        Raises:
            UserError: They are listed in the settings, not served, or the last.
            AlreadyDone: The command took effect before.
        """

        async def body(view: StoreView) -> None:
            owner = await _removable(view, user_id)
            by = await owner_name(view, command.user_id)
            await end_service(view, user_id)
            await self._outbox.post(view, Post(OwnerRemoved(user_id, owner.name, by)))

        await self._store.transaction(body, nonce=f"owner:{command.id}")


async def _removable(view: StoreView, user_id: int) -> BotOwner:
    known = await owners(view)
    found = next((one for one in known if one.user_id == user_id), None)
    if found is None:
        raise UserError(f"User {user_id} is not served; /owners lists who is.")
    if found.way is Way.LISTED:
        raise UserError(
            f"User {user_id} is listed in SAARTHI_OWNERS on the server: take the number out there "
            "and restart Saarthi."
        )
    if len(known) == 1:
        raise UserError("You are the only owner; without one nobody could use this bot.")
    return found
