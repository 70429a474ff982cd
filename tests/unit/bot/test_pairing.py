"""The first owner: the console shows the code, and one who sends it is let in (row G1)."""

from __future__ import annotations

import asyncio

import pytest
from telegram import Chat, User

from bot.edge.authorization import Authorization
from bot.edge.pairing import Pairing, PairingResult, pairing_code
from console import process
from core.engine.users import owner_ids
from tests.fakes.clock import ManualClock
from tests.fakes.memory_store import MemoryStore

pytestmark = pytest.mark.row("G1")


def person(user_id: int) -> tuple[User, Chat]:
    return User(user_id, "Asha", is_bot=False), Chat(user_id, "private")


def pairing_of(store: MemoryStore) -> Pairing:
    return Pairing(store, Authorization(store, ManualClock()))


async def code_of(store: MemoryStore) -> str:
    code = await pairing_code(store)
    assert code is not None
    return code


async def test_console_shows_the_code_until_there_is_an_owner(
    capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    """The same one at each start, never in the log; nothing once somebody has used it."""
    store, lines = MemoryStore(), []
    for _ in range(2):
        await process.show_pairing(store, process._tell)
        lines.append(capsys.readouterr().out)
    code = await code_of(store)
    assert lines == [f"No owner yet. Send this to the bot in Telegram:  /pair {code}\n"] * 2
    assert await pairing_of(store).pair(*person(7), code) is PairingResult.WELCOME
    await process.show_pairing(store, process._tell)
    assert capsys.readouterr().out == ""
    assert code not in caplog.text


async def test_of_two_who_send_it_at_once_one_is_the_owner() -> None:
    """Both messages came before either was handled."""
    store = MemoryStore()
    code, pairing = await code_of(store), pairing_of(store)
    results = await asyncio.gather(*(pairing.pair(*person(one), code) for one in (7, 8)))
    assert sorted(results) == [PairingResult.CLOSED, PairingResult.WELCOME]
    assert len(await owner_ids(store)) == 1


async def test_a_wrong_or_spent_code_lets_nobody_in() -> None:
    """A part of it, nothing, and the right one after the owner was removed again."""
    store = MemoryStore()
    code, pairing = await code_of(store), pairing_of(store)
    for wrong in (code[:-1], "", code[::-1] + "2"):
        assert await pairing.pair(*person(6), wrong) is PairingResult.WRONG
    assert await pairing.pair(*person(7), code.lower()) is PairingResult.WELCOME
    assert await pairing.pair(*person(6), code) is PairingResult.CLOSED
    assert await owner_ids(store) == {7}
    await store.delete("users", {"_id": "7"})
    assert await pairing.pair(*person(6), code) is PairingResult.CLOSED
    assert await code_of(store) != code
