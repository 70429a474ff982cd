"""Nonces: one that was used is used at once, and written when its visit is over (I9)."""

from __future__ import annotations

from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import pytest

from bot.conversation.nonces import Nonces, NonceState
from bot.conversation.visit import Visit
from bot.views.verbs import Verb
from core.errors import StoreUnavailable
from tests.fakes.clock import ManualClock
from tests.fakes.counted_store import CountedStore

pytestmark = pytest.mark.invariant("I9")

AT = datetime(2026, 11, 23, 5, 0, tzinfo=UTC)


async def state_of(nonces: Nonces, nonce: str) -> NonceState:
    """Return what a tap on its button would find."""
    found = await nonces.find(nonce)
    assert found is not None
    return found.state


async def test_a_spent_nonce_is_used_before_that_is_written() -> None:
    """The next tap of the chat finds it used; several are written by one call."""
    store = CountedStore()
    nonces = Nonces(store, ManualClock(AT))
    issued = [await nonces.issue(Verb.CLOSE_POSITION, 1, 1, {}) for _ in range(3)]
    store.commands.clear()
    for one in issued[:2]:
        nonces.spend(one)
    assert [await state_of(nonces, one) for one in issued] == ["used", "used", "open"]
    await nonces.settle()
    await nonces.settle()
    assert store.commands["update nonces"] == 1
    another = Nonces(store, ManualClock(AT))
    assert [await state_of(another, one) for one in issued] == ["used", "used", "open"]


async def test_what_could_not_be_written_is_written_the_next_time() -> None:
    """The store is away when a visit ends: the row follows with a later one."""
    store = CountedStore()
    nonces = Nonces(store, ManualClock(AT))
    issued = [await nonces.issue(Verb.CLOSE_POSITION, 1, 1, {}) for _ in range(2)]
    nonces.spend(issued[0])
    store.database.is_away = True
    with pytest.raises(StoreUnavailable):
        await nonces.settle()
    store.database.is_away = False
    nonces.spend(issued[1])
    await nonces.settle()
    another = Nonces(store, ManualClock(AT))
    assert [await state_of(another, one) for one in issued] == ["used", "used"]


@pytest.mark.row("G3")
async def test_every_tap_on_one_button_is_one_command() -> None:
    """Its nonce names the command: an update that comes again, after a crash too, acts once."""
    store = CountedStore()
    nonces = Nonces(store, ManualClock(AT))
    nonce = await nonces.find(await nonces.issue(Verb.CLOSE_POSITION, 1, 1, {}))
    parts: Any = SimpleNamespace(parameters=SimpleNamespace(bot_id=7))
    bot: Any = None
    taps = [Visit(parts, bot, update_id, 1, 1, "Asha", nonce=nonce) for update_id in (5, 6)]
    assert nonce is not None and {one.command.id for one in taps} == {nonce.id}
    others = [Visit(parts, bot, update_id, 1, 1, "Asha") for update_id in (5, 6)]
    assert len({one.command.id for one in others}) == 2
