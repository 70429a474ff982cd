"""Who is served: those whom the settings list, and those who paired and were not removed (G1)."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from core.domain.notices.system import OwnerRemoved
from core.domain.owner import Way
from core.engine.control.owners import Owners
from core.engine.users import (
    is_owner,
    note_seen,
    owner_chats,
    owner_ids,
    owners,
    remove_user,
    settle_owners,
)
from core.errors import UserError
from core.ports.store import Change
from tests.fakes.clock import ManualClock
from tests.fakes.memory_engine import MemoryEngine
from tests.fakes.memory_store import MemoryStore

pytestmark = pytest.mark.row("G1")

ASHA, RAVI, GITA, MEENA = 1, 2, 3, 4


async def known(store: MemoryStore, user_id: int, **fields: Any) -> None:
    """Let a user have been served before."""
    row = {"_id": str(user_id), "user_id": user_id, "role": "owner", **fields}
    await store.insert("users", row)


async def test_the_settings_decide_about_those_whom_they_listed() -> None:
    """Who paired stays, whatever is listed; who was removed comes back only by the list."""
    store = MemoryStore()
    await known(store, ASHA, by="listed")
    await known(store, RAVI, by="pairing")
    await known(store, GITA, by="pairing", role="removed")
    gone = await settle_owners(store, {MEENA})
    assert [row["_id"] for row in gone] == [str(ASHA)]
    assert await owner_ids(store) == {RAVI, MEENA}
    assert await settle_owners(store, {MEENA}) == [], "said once"
    assert await settle_owners(store, {MEENA, GITA}) == []
    assert await owner_ids(store) == {RAVI, GITA, MEENA}
    gone = await settle_owners(store, set())
    assert sorted(row["_id"] for row in gone) == [str(GITA), str(MEENA)]
    assert await owner_ids(store) == {RAVI}


@pytest.mark.parametrize("listed", [set(), {MEENA}])
async def test_a_row_of_an_earlier_version_does_not_outlive_a_list(listed: set[int]) -> None:
    """It does not say how its user came in: with nobody listed they can only have paired."""
    store = MemoryStore()
    await known(store, ASHA)
    ways = {one.user_id: one.way for one in await owners(store, listed)}
    await settle_owners(store, listed)
    if listed:
        assert ways == {MEENA: Way.LISTED}
        assert await owner_ids(store) == {MEENA}
    else:
        assert ways == {ASHA: Way.PAIRING}
        assert await owner_ids(store) == {ASHA}


async def test_nobody_becomes_an_owner_by_writing() -> None:
    """Where somebody can be reached is kept of owners alone, and of those who wrote."""
    store = MemoryStore()
    await known(store, ASHA, by="listed")
    await known(store, RAVI, by="pairing")
    await remove_user(store, RAVI)
    for user_id in (ASHA, RAVI, GITA):
        await note_seen(store, user_id, {"chat_id": user_id})
    assert [await is_owner(store, one) for one in (ASHA, RAVI, GITA)] == [True, False, False]
    assert await owner_chats(store) == [ASHA]
    await known(store, MEENA, by="listed")
    assert await owner_chats(store) == [ASHA], "who never wrote has no chat yet"


async def two_owners() -> MemoryEngine:
    """Return an engine of two who paired, each with a notice that waits and a page of a login."""
    engine = MemoryEngine(ManualClock())
    for user_id, name in ((ASHA, "Asha"), (RAVI, "Ravi")):
        await known(engine.store, user_id, by="pairing", chat_id=user_id, name=name)
        row = {"_id": f"n{user_id}", "chat_id": user_id, "state": "WAITING", "key": None}
        await engine.store.insert("outbox", {**row, "kind": "x", "seq": user_id})
    await engine.store.insert("login_links", {"_id": "link", "broker_id": "zerodha_x"})
    return engine


async def test_who_is_removed_keeps_nothing_and_the_others_are_told() -> None:
    """What waits for their chat is dropped, and the pages whose addresses they know are ended."""
    engine = await two_owners()
    service = Owners(engine.store, engine.wiring.outbox)
    await service.remove(engine.command(), RAVI)
    assert await owner_ids(engine.store) == {ASHA}
    states = {row["_id"]: row["state"] for row in await engine.store.find("outbox", {})}
    assert (states["n1"], states["n2"]) == ("WAITING", "TOLD")
    assert await engine.store.find("login_links", {}) == []
    told = await engine.store.find("outbox", {"kind": OwnerRemoved.kind})
    assert [row["chat_id"] for row in told] == [ASHA]
    with pytest.raises(UserError, match="is not served"):
        await service.remove(engine.command(), RAVI)
    with pytest.raises(UserError, match="only owner"):
        await service.remove(engine.command(), ASHA)


async def test_who_is_taken_off_the_list_keeps_nothing() -> None:
    """The same at a start, for those whom the settings list no more."""
    engine = await two_owners()
    service = Owners(engine.store, engine.wiring.outbox)
    await engine.store.update("users", {"_id": str(RAVI)}, Change(set={"by": "listed"}))
    with pytest.raises(UserError, match="listed in SAARTHI_OWNERS"):
        await service.remove(engine.command(), RAVI)
    await service.settle({RAVI})
    assert await engine.store.find("login_links", {}) != [], "nobody went"
    await service.settle(set())
    assert [one.user_id for one in await service.all()] == [ASHA]
    states = {row["_id"]: row["state"] for row in await engine.store.find("outbox", {})}
    assert (states["n1"], states["n2"]) == ("WAITING", "TOLD")
    assert await engine.store.find("login_links", {}) == []


async def test_of_two_who_remove_each_other_one_stays() -> None:
    """Both tapped in the same moment: without an owner nobody could use the bot."""
    engine = await two_owners()
    service = Owners(engine.store, engine.wiring.outbox)
    ends = await asyncio.gather(
        service.remove(engine.command(), RAVI),
        service.remove(engine.command(), ASHA),
        return_exceptions=True,
    )
    assert len(await owner_ids(engine.store)) == 1
    assert sum(isinstance(one, UserError) for one in ends) == 1
