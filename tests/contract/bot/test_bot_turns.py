"""A chat whose broker is slow: what is asked meanwhile is answered, what has an order keeps it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from core.adapters.fyers import FYERS
from core.domain.limits import LimitKind
from core.domain.mode import TradingMode
from core.domain.order import OrderRequest
from core.domain.outcome import WriteOutcome
from core.engine.control import closing
from core.engine.orders.gate import gate_at
from tests.fakes.bot_world import World, soon
from tests.fakes.views import a_position, an_account

pytestmark = [pytest.mark.dates, pytest.mark.row("E2")]

MAIN = an_account()
OTHER = an_account("fyers_bbbbbbbbbb", FYERS, "Second", is_default=False)
BOARD = "Funds "


class Slow:
    """A broker that answers reads of positions when it is let."""

    def __init__(self, world: World) -> None:
        self.world, self.asked, self.answers = world, 0, asyncio.Event()
        self.modes: list[TradingMode] = []
        self.account = world.at_broker(MAIN.broker_id)
        self._positions = self.account.positions

    def place_slowly(self) -> asyncio.Event:
        """Take the next order when it is let, and note the mode of then; return when it is there."""
        there, place = asyncio.Event(), self.account.place

        async def slowly(order: OrderRequest) -> WriteOutcome:
            there.set()
            await self.answers.wait()
            for _ in range(100):  # whoever does not wait for this acts before it
                await asyncio.sleep(0)
            gate = await gate_at(self.world.store, MAIN.broker_id)
            self.modes += [gate.mode] if gate else []
            return await place(order)

        self.account.place = slowly  # type: ignore[method-assign]
        return there

    async def begin(self) -> None:
        """Be slow from here on, and have nothing known that is fresh."""
        worker = self.world.wiring.pool.get(MAIN.broker_id)
        assert worker is not None
        self.account.positions = self._slow  # type: ignore[method-assign]
        worker.snapshot.funds_at = None

    async def _slow(self) -> Any:
        self.asked += 1
        await self.answers.wait()
        return await self._positions()


@asynccontextmanager
async def slow_broker(world: World) -> AsyncIterator[Slow]:
    """Start with two accounts; the first one's broker may be slow."""
    await world.connect(MAIN, OTHER)
    await world.hold(a_position(MAIN))
    await world.start()
    slow = Slow(world)
    yield slow
    slow.answers.set()
    await world.settled()


async def boards(world: World, *, after: int) -> list[str]:
    """Return the dashboards below a message."""
    return [one["text"] for one in await world.owner.messages(after=after) if BOARD in one["text"]]


@pytest.mark.parametrize(
    ("said", "answer"),
    [
        ("/orders", "Orders today"),
        ("pause all", "Set Paused for all accounts?"),
        ("/help", "/panic"),
    ],
)
async def test_the_next_command_is_answered_while_a_broker_is_waited_for(
    world: World, said: str, answer: str
) -> None:
    """Whatever it is; the dashboard comes when its broker has answered."""
    async with slow_broker(world) as slow:
        await slow.begin()
        asked = await world.owner.say("/dashboard")
        await soon(lambda: slow.asked)
        await world.owner.say(said)
        await world.owner.sees(answer)
        assert await boards(world, after=asked) == []
        slow.answers.set()
        await soon(lambda: boards(world, after=asked))


async def test_the_later_of_two_taps_on_one_card_has_the_last_word(world: World) -> None:
    """Who went on to another account is not thrown back when the slow one has answered."""
    async with slow_broker(world) as slow:
        await world.owner.say("/dashboard")
        card = await world.owner.sees(BOARD)
        await slow.begin()
        await world.owner.tap("Refresh")
        await soon(lambda: slow.asked)
        await world.owner.tap(OTHER.short_label)
        await world.owner.reads(card["id"], OTHER.label)
        slow.answers.set()
        await world.settled()
        assert OTHER.label in (await world.owner.reads(card["id"], BOARD))["text"]


async def test_a_typed_answer_belongs_to_the_question_before_it(world: World) -> None:
    """Both are handled beside the slow dashboard, one after the other."""
    async with slow_broker(world) as slow:
        await slow.begin()
        await world.owner.say("/dashboard")
        await soon(lambda: slow.asked)
        await world.owner.say("/limits")
        await world.owner.tap(MAIN.short_label)
        await world.owner.tap("Daily loss")
        await world.owner.say("12,345")
        await world.owner.sees("₹12,345", anywhere=True)
        limits = (await world.control.limits.view(MAIN.broker_id)).limits
        assert str(limits.of(LimitKind.DAILY_LOSS)) == "12345"


@pytest.mark.invariant("I9")
async def test_two_taps_of_one_confirmation_keep_their_order(world: World) -> None:
    """The second waits for the first, however slow its broker is, and finds it done."""
    async with slow_broker(world) as slow:
        await world.owner.say("/positions")
        await world.owner.tap("Close SBIN")
        asked = await world.owner.sees("Close this position on", anywhere=True)
        yes = await world.owner.button("Close SBIN now")
        await slow.begin()
        await world.owner.press(asked["id"], yes["data"])
        await soon(lambda: slow.asked)
        await world.owner.press(asked["id"], yes["data"])
        slow.answers.set()
        await soon(world.is_idle)
        assert (await world.owner.toasts()).count("Already done.") == 1
        assert len(slow.account.placed) == 1


@pytest.mark.invariant("I9")
@pytest.mark.row("C2")
async def test_behind_a_confirmed_close_only_changes_wait(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its exit is on its way to a slow broker: a question is asked at once, a pause comes after it."""
    monkeypatch.setattr(closing, "_ANSWER_S", 150.0)
    async with slow_broker(world) as slow:
        await world.owner.say("/positions")
        await world.owner.tap("Close SBIN")
        asked = await world.owner.sees("Close this position on", anywhere=True)
        yes = await world.owner.button("Close SBIN now")
        sending = slow.place_slowly()
        await world.owner.press(asked["id"], yes["data"])
        await sending.wait()

        said = await world.owner.say("pause all")
        question = await world.owner.sees("Set Paused for all accounts?", after=said)
        await world.owner.press(asked["id"], yes["data"])
        await soon(lambda: is_done_already(world))
        pause = await world.owner.button("Yes, set Paused")
        await world.owner.press(question["id"], pause["data"])
        await soon(lambda: are_answered(world))
        slow.answers.set()
        await world.owner.sees("All accounts: Paused", anywhere=True)
        assert (len(slow.account.placed), slow.modes) == (1, [TradingMode.NORMAL])


async def are_answered(world: World) -> bool:
    """Whether every tap so far was taken up."""
    seen = await world.telegram.transcript(world.owner.user_id)
    return all(one["answered"] for one in seen["toasts"])


async def is_done_already(world: World) -> bool:
    return "Already done." in await world.owner.toasts()
