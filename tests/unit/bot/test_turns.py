"""Turns: the updates of a chat one by one, and looks at brokers beside them (row E2)."""

from __future__ import annotations

import asyncio
from contextlib import suppress

import pytest

from bot.edge.turns import Turns
from core.errors import UserError

pytestmark = pytest.mark.row("E2")
CHAT, CARD = 7, 40


class Bed:
    """Turns, what was done in which order, and a broker that answers when it is let."""

    def __init__(self) -> None:
        self.turns = Turns()
        self.done: list[str] = []
        self.asked = 0
        self.answers = asyncio.Event()
        self.is_asked = asyncio.Event()

    async def look(self) -> str:
        self.asked += 1
        self.is_asked.set()
        await self.answers.wait()
        return "seen"

    async def looking(self, number: int, what: str = "main") -> None:
        async with self.turns.take(number, CHAT, is_urgent=False):
            self.done.append(f"{number} asks")
            found = await self.turns.of(number).give_away(what, self.look)
            may = self.turns.of(number).may_draw(CARD)
            self.done.append(f"{number} {found}" if may else f"{number} is late")

    async def plain(self, number: int) -> None:
        async with self.turns.take(number, CHAT, is_urgent=False):
            self.done.append(f"{number} begins")
            await asyncio.sleep(0)
            self.turns.of(number).may_draw(CARD)
            self.done.append(f"{number} ends")


async def test_a_look_lets_others_go_on_and_shows_in_a_turn_of_its_own() -> None:
    """What comes while it waits is handled one by one."""
    bed = Bed()
    async with asyncio.TaskGroup() as group:
        group.create_task(bed.looking(1))
        group.create_task(bed.plain(2))
        third = group.create_task(bed.plain(3))
        await third
        bed.answers.set()
    assert bed.done == ["1 asks", "2 begins", "2 ends", "3 begins", "3 ends", "1 is late"]


async def test_what_was_asked_before_has_not_the_last_word_later() -> None:
    """Two looks for one card: the later one's is shown, whichever broker answers first."""
    bed = Bed()
    async with asyncio.TaskGroup() as group:
        group.create_task(bed.looking(1, "slow"))
        group.create_task(bed.looking(2, "other"))
        await bed.is_asked.wait()
        bed.answers.set()
    assert bed.done[-2:] == ["1 seen", "2 seen"]


async def test_looks_at_one_account_ask_one_after_the_other() -> None:
    """Who taps Refresh ten times asks a hung broker once."""
    bed = Bed()
    async with asyncio.TaskGroup() as group:
        for number in range(1, 11):
            group.create_task(bed.looking(number))
        await bed.is_asked.wait()
        await asyncio.sleep(0)
        assert bed.asked == 1
        bed.answers.set()


async def test_a_look_that_fails_fails_in_its_turn() -> None:
    """The next one waits for what is said about it."""
    bed, seen = Bed(), []

    async def refuse() -> None:
        raise UserError("no")

    async with bed.turns.take(1, CHAT, is_urgent=False):
        try:
            await bed.turns.of(1).give_away("main", refuse)
        except UserError:
            seen.append(bed.turns.of(1)._is_mine)
    assert seen == [True]


async def test_a_look_that_is_cancelled_leaves_the_chat_free() -> None:
    """At a stop nothing waits for a turn that nobody needs."""
    bed = Bed()
    task = asyncio.create_task(bed.looking(1))
    await bed.is_asked.wait()
    async with bed.turns.take(2, CHAT, is_urgent=False):
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
        assert task.cancelled()
    await bed.plain(3)


async def test_a_look_that_waits_for_its_turn_again_has_not_the_last_word() -> None:
    """Its broker has answered while a later tap is handled: what that shows stays."""
    bed = Bed()
    async with asyncio.TaskGroup() as group:
        group.create_task(bed.looking(1))
        await bed.is_asked.wait()
        async with bed.turns.take(2, CHAT, is_urgent=False):
            bed.answers.set()
            for _ in range(5):
                await asyncio.sleep(0)
            assert bed.turns.of(2).may_draw(CARD)
    assert bed.done == ["1 asks", "1 is late"]


@pytest.mark.row("R2")
async def test_a_look_does_not_draw_over_a_panic() -> None:
    """It has a turn of its own, past all others; its question must not go when a broker answers."""
    bed = Bed()
    async with asyncio.TaskGroup() as group:
        group.create_task(bed.looking(1))
        await bed.is_asked.wait()
        async with bed.turns.take(2, CHAT, is_urgent=True):
            assert bed.turns.of(2).may_draw(CARD)
        bed.answers.set()
    assert bed.done == ["1 asks", "1 is late"]


@pytest.mark.invariant("I9")
@pytest.mark.row("R2")
async def test_after_a_change_that_gave_its_turn_away_comes_the_next_change() -> None:
    """A look goes past it, and what is urgent; a change waits until it has come to its end."""
    bed = Bed()

    async def acting() -> None:
        async with bed.turns.take(1, CHAT, is_urgent=False):
            await bed.turns.of(1).give_away_acting("close", bed.look)

    async def changing(number: int, *, is_urgent: bool = False) -> None:
        async with bed.turns.take(number, CHAT, is_urgent=is_urgent):
            await bed.turns.of(number).after_acts()
            bed.done.append(f"{number} changes")

    async with asyncio.TaskGroup() as group:
        group.create_task(acting())
        await bed.is_asked.wait()
        await bed.plain(2)
        group.create_task(changing(3, is_urgent=True))
        waiting = group.create_task(changing(4))
        for _ in range(10):
            await asyncio.sleep(0)
        before, is_waiting = list(bed.done), not waiting.done()
        bed.answers.set()
    assert (before, is_waiting) == (["2 begins", "2 ends", "3 changes"], True)
    assert bed.done[-1] == "4 changes"
