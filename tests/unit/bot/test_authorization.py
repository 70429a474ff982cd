"""The gate in front of every stored update: it may have waited, and its sender may be gone (G1)."""

from __future__ import annotations

from typing import Any

import pytest
from telegram import Bot, Update

from bot.edge.authorization import Authorization
from core.engine.users import remove_user
from tests.fakes.clock import ManualClock
from tests.fakes.memory_store import MemoryStore

pytestmark = pytest.mark.row("G1")

OWNER, STRANGER, GROUP = 1001, 6666, -500
BOT = Bot("7000000001:a-simulated_token")


def written(user_id: int, *, chat: int = 0, is_bot: bool = False, is_tap: bool = False) -> Update:
    """Return a message or a tap of a user, in their private chat unless another is named."""
    kind = "private" if not chat else "group"
    sender = {"id": user_id, "is_bot": is_bot, "first_name": "Asha"}
    message: dict[str, Any] = {
        "message_id": 1,
        "date": 1,
        "chat": {"id": chat or user_id, "type": kind, "title": "Friends"},
    }
    body: dict[str, Any] = {"message": {**message, "from": sender, "text": "/panic"}}
    if is_tap:
        query = {"id": "1", "from": sender, "chat_instance": "1", "data": "v1:x"}
        body = {"callback_query": {**query, "message": message}}
    update = Update.de_json({"update_id": 1, **body}, BOT)
    assert update is not None
    return update


@pytest.fixture
async def store() -> MemoryStore:
    found = MemoryStore()
    await found.insert("users", {"_id": str(OWNER), "user_id": OWNER, "role": "owner"})
    return found


@pytest.mark.parametrize("is_tap", [False, True])
async def test_only_an_owner_in_their_own_chat_is_served(
    store: MemoryStore, *, is_tap: bool
) -> None:
    """No stranger, no bot, and no owner in a group, whether by a message or by a button."""
    gate = Authorization(store, ManualClock())
    assert await gate.admits(written(OWNER, is_tap=is_tap))
    assert not await gate.admits(written(STRANGER, is_tap=is_tap))
    assert not await gate.admits(written(OWNER, chat=GROUP, is_tap=is_tap))
    assert not await gate.admits(written(OWNER, is_bot=True, is_tap=is_tap))
    assert [row["_id"] for row in await store.find("users", {})] == [str(OWNER)]


async def test_who_was_removed_is_out_with_what_they_had_sent(store: MemoryStore) -> None:
    """The update came while they were an owner and waited; it is not served any more."""
    gate = Authorization(store, ManualClock())
    waited = written(OWNER)
    assert await gate.admits(waited)
    await remove_user(store, OWNER)
    assert not await gate.admits(waited)
