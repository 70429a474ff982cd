"""Panic in the chat: the words, the question, the flood of strangers, a chat that waits (R2)."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from core.adapters.fyers import FYERS
from core.domain.account import TokenStatus
from core.domain.mode import TradingMode
from core.engine.outbox_sender import OutboxSender
from tests.fakes.bot_world import Person, World
from tests.fakes.views import a_position, an_account, an_order

pytestmark = [pytest.mark.dates, pytest.mark.row("R2")]

QUESTION = "Cancel and close everything"
MAIN = an_account()
OTHER = an_account("fyers_bbbbbbbbbb", FYERS, "Second", is_default=False)


async def two_accounts(world: World) -> None:
    """Connect two accounts: one holds a position and has an order, the other is paused."""
    await world.connect(MAIN, OTHER)
    await world.hold(a_position(MAIN))
    await world.order(an_order(MAIN))
    await world.start()


async def the_panic(world: World) -> dict[str, Any]:
    """Return the only panic."""
    (row,) = await world.rows("panics")
    return row


async def test_every_way_of_writing_it_leads_to_the_question(world: World) -> None:
    """The words in any case and with any marks, the command, and what a phone makes of it."""
    await two_accounts(world)
    last = 0
    for word in ("stop", "STOP!!", " Panic. ", "EXIT ALL", "exitall", "/panic", "/stop"):
        await world.owner.say(word)
        last = int((await world.owner.sees(QUESTION, after=last))["id"])
    await world.owner.say("please do not stop")
    await world.owner.sees("I did not understand that", after=last)


async def test_the_question_names_what_goes_and_what_stays(world: World) -> None:
    """Accounts with their positions and orders; holdings stay; one tap begins it."""
    await two_accounts(world)
    await world.owner.say("STOP")
    shown = await world.owner.sees(QUESTION)
    assert "I will close 1 position at the market price and cancel 1 working order" in shown["text"]
    assert f"☑ {MAIN.label}\n   1 position · 1 order\n" in shown["text"]
    assert f"☑ {OTHER.label}\n   nothing open\n" in shown["text"]
    assert "Not touched: delivery positions and holdings, with their stops." in shown["text"]
    await world.owner.tap("Close everything now (2 accounts)")
    await world.owner.sees("Confirmed")
    row = await the_panic(world)
    assert [line["broker_id"] for line in row["lines"]] == [MAIN.broker_id, OTHER.broker_id]
    assert (row["holdings"], row["is_global"]) == ([], True)
    assert await world.control.modes.global_mode() is TradingMode.EXIT_ONLY
    await world.settled()


async def test_accounts_are_left_out_and_holdings_chosen(world: World) -> None:
    """The buttons change the question in place; what is confirmed is what it shows."""
    await two_accounts(world)
    await world.owner.say("/panic")
    shown = await world.owner.sees(QUESTION)
    await world.owner.tap("☑ Second")
    await world.owner.reads(shown["id"], "on 1 account?")
    await world.owner.tap("Also holdings")
    await world.owner.reads(shown["id"], "Delivery positions and holdings are closed too")
    await world.owner.tap("Close everything now (1 account)")
    await world.owner.sees("Confirmed")
    row = await the_panic(world)
    assert [line["broker_id"] for line in row["lines"]] == [MAIN.broker_id]
    assert (row["holdings"], row["is_global"]) == ([MAIN.broker_id], False)
    assert await world.control.modes.global_mode() is TradingMode.NORMAL
    await world.owner.say("panic")
    await world.owner.sees("A panic runs already. Add 1 account to it?")
    await world.settled()


async def test_a_word_in_the_middle_of_another_question_is_no_answer_to_it(world: World) -> None:
    """A wizard that asks for a name is not given STOP; its question stays open."""
    await two_accounts(world)
    await world.owner.say("/add")
    await world.owner.tap("Zerodha")
    await world.owner.tap("Continue")
    await world.owner.sees("name")
    before = (await world.rows("prompts"))[0]["step"]
    await world.owner.say("Stop")
    await world.owner.sees(QUESTION)
    assert (await world.rows("prompts"))[0]["step"] == before
    await world.settled()


async def test_an_owner_is_heard_behind_a_flood_of_strangers(world: World) -> None:
    """Ninety messages before it: none is stored, and the question comes."""
    await two_accounts(world)
    strangers = [Person(world.telegram, 7000 + number) for number in range(6)]
    for number in range(90):
        await strangers[number % 6].say("STOP")
    await world.owner.say("STOP")
    await world.owner.sees(QUESTION)
    await world.settled()
    assert len(await world.rows("inbox")) == 1
    for stranger in strangers:
        assert [one for one in await stranger.messages() if one["from"] == "bot"] == []


async def test_a_chat_that_waits_for_a_broker_hears_a_panic(world: World) -> None:
    """A confirmed close at a hung account holds its chat; the word is answered beside it."""
    await two_accounts(world)
    hung = asyncio.Event()
    broker = world.at_broker(MAIN.broker_id)

    async def never() -> list[Any]:
        await hung.wait()
        return []

    await world.owner.say("/positions")
    await world.owner.tap("Close SBIN")
    broker.orders = broker.positions = never  # type: ignore[method-assign]
    await world.owner.tap("Close SBIN now", anywhere=True)
    asked = await world.owner.say("/orders")  # waits behind it
    await world.owner.say("STOP")
    shown = await world.owner.sees(QUESTION, after=asked)
    assert "on all accounts" in shown["text"]
    assert not any("Orders today" in one["text"] for one in await world.owner.messages())
    hung.set()
    await world.settled()


async def test_what_cannot_be_read_is_still_asked_about(world: World) -> None:
    """An account without a login, and one that was never read: both are named as that."""
    await world.connect(an_account(token_status=TokenStatus.EXPIRED))
    await world.start()
    await world.owner.say("stop")
    shown = await world.owner.sees(QUESTION)
    assert "not read yet today · needs a login" in shown["text"]
    await world.settled()


async def test_the_live_message_counts_to_the_end_and_says_how_to_come_back(world: World) -> None:
    """Confirmed in the chat: one message, which ends with what was closed, and the way back."""
    await two_accounts(world)
    wiring = world.wiring
    sender = OutboxSender(world.store, world.clock, wiring.outbox, world.bot.notifier)
    for service in (wiring.panics.run, sender.run):
        world.tasks.add(asyncio.create_task(service()))
    await world.owner.say("exit all")
    await world.owner.tap("Close everything now (2 accounts)")
    over = await world.owner.sees("PANIC is over · 2 of 2 flat")
    assert "closed 1 position" in over["text"] and "How to come back" in over["text"]
    assert "Before charges +" in over["text"], "the money of what was closed"
    cards = [one for one in await world.owner.messages() if "PANIC" in one["text"]]
    assert len(cards) == 1
    await world.owner.tap("🟢 Set all to Normal")
    await world.owner.tap("Yes, set all to Normal")
    await world.owner.sees("✅ All accounts: Normal", after=over["id"])
    assert [one.trading_mode for one in await world.control.accounts.all()] == [
        TradingMode.NORMAL
    ] * 2
    assert over["text"] == (await world.owner.reads(over["id"], "How to come back"))["text"]
    assert not [
        one for one in world.at_broker(MAIN.broker_id).position_list.values() if one.quantity
    ]
    await world.settled()
