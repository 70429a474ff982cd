"""The morning round: one card of all logins, brought up to date by each that completes (B9)."""

from __future__ import annotations

import pytest

from core.domain.notices.logins import MorningRound
from core.domain.notices.post import MORNING_ROUND_KEY, Delivery
from core.engine.cards import adopt_card
from core.errors import AlreadyDone
from core.ports.store import Document
from tests.fakes.clock import ManualClock
from tests.fakes.memory_engine import CHAT, MemoryEngine

pytestmark = pytest.mark.row("B9")


async def rounds(engine: MemoryEngine) -> list[Document]:
    """Return what was posted of it, oldest first."""
    rows = await engine.store.find("outbox", {"chat_id": CHAT}, sort=[("seq", 1)])
    return [row for row in rows if row["kind"] == MorningRound.kind]


async def test_it_is_posted_once_for_each_time_it_is_asked_for() -> None:
    """As a new message in the chat that asked; a command that is delivered again posts none."""
    engine = await MemoryEngine(ManualClock()).owned()
    await engine.connect(logged_in=False)
    command = engine.command()
    await engine.control.logins.start_round(command)
    with pytest.raises(AlreadyDone):
        await engine.control.logins.start_round(command)
    (row,) = await rounds(engine)
    assert (row["key"], row["delivery"]) == (MORNING_ROUND_KEY, Delivery.REPLACE.value)
    await engine.control.logins.start_round(engine.command())
    assert len(await rounds(engine)) == 2


async def test_each_login_that_completes_edits_the_card_where_one_stands() -> None:
    """Two accounts, two ticks; a chat that did not ask for the round hears nothing of it."""
    engine = await MemoryEngine(ManualClock()).owned()
    first = await engine.connect("First", logged_in=False)
    second = await engine.connect("Second", logged_in=False)
    third = await engine.connect("Third", logged_in=False)
    await engine.log_in(first)
    assert await rounds(engine) == []
    await engine.control.logins.start_round(engine.command())
    await adopt_card(engine.store, CHAT, MORNING_ROUND_KEY, 7, engine.clock.now())
    for done, account in enumerate((second, third), 1):
        await engine.log_in(account)
        edits = (await rounds(engine))[1:]
        assert [row["delivery"] for row in edits] == [Delivery.EDIT.value] * done
