"""Who is heard at the edge: strangers cost next to nothing, however many there are (row R2)."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import pytest
from telegram import Chat, Message, Update, User

from bot.edge.authorization import Authorization
from core.ports.store import Document
from tests.fakes.clock import ManualClock
from tests.fakes.memory_store import MemoryStore

pytestmark = pytest.mark.row("R2")

OWNER = 4711
AT = datetime(2026, 11, 23, 5, 0, tzinfo=UTC)


class Counted(MemoryStore):
    """A store that counts reads."""

    reads = 0

    async def get(self, collection: str, key: str) -> Document | None:
        self.reads += 1
        return await super().get(collection, key)

    async def find(self, collection: str, where: Mapping[str, Any], **more: Any) -> list[Document]:
        self.reads += 1
        return await super().find(collection, where, **more)


def said(user_id: int) -> Update:
    """Return a message of a user in their private chat."""
    user = User(user_id, "Asha", is_bot=False)
    message = Message(1, AT, Chat(user_id, "private"), from_user=user, text="STOP")
    return Update(user_id, message=message)


async def test_a_thousand_strangers_cost_one_read() -> None:
    """Each writes once; none is stored, and the owner behind them is."""
    store, clock = Counted(), ManualClock(AT)
    await store.insert("users", {"_id": str(OWNER), "user_id": OWNER, "role": "owner"})
    gate = Authorization(store, clock, frozenset())
    assert not [n for n in range(1000) if await gate.is_wanted(said(100_000 + n))]
    assert store.reads == 1
    assert await gate.is_wanted(said(OWNER))


async def test_anybody_is_heard_while_nobody_is_the_owner() -> None:
    """One of them may have the code; who becomes the owner ends that at once."""
    gate = Authorization(Counted(), ManualClock(AT), frozenset())
    first, second = said(1), said(2)
    assert await gate.is_wanted(first) and await gate.is_wanted(second)
    assert first.effective_user is not None and first.effective_chat is not None
    await gate.remember(first.effective_user, first.effective_chat)
    assert await gate.is_wanted(first)
    assert not await gate.is_wanted(second)
