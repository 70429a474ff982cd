"""Two bots in one chat of the simulated Telegram, and the market time that its page shows."""

from __future__ import annotations

from datetime import datetime

import pytest

from sandbox.clock import MarketClock, parse_clock
from tests.fakes.bot_api import Telegram, serve_telegram

GUEST = "7000000002:a-simulated_guest"


@pytest.fixture
async def telegram():
    async with serve_telegram() as server:
        yield server


async def test_a_guest_shares_a_chat_and_is_asked_for_its_own_commands(telegram: Telegram) -> None:
    """It reads along; its commands, its buttons and replies to it are its alone, and so are its messages."""
    host, guest = telegram.bot(), telegram.bot(GUEST)
    await host.ok("getMe")
    assert (await telegram.control("guests", token=GUEST, name="Demo"))[0] == 200
    await guest.ok("setMyCommands", commands=[{"command": "demo", "description": "Ask me"}])
    assert await guest.refused("sendMessage", chat_id=1001, text="early") == (
        "Bad Request: chat not found"
    )
    await telegram.say("/start")
    await telegram.say("/demo now")
    key = {"inline_keyboard": [[{"text": "Tap", "callback_data": "x"}]]}
    card = await guest.ok("sendMessage", chat_id=1001, text="card", reply_markup=key)
    await telegram.say("to you", reply_to=card["message_id"])
    place = {"chat_id": 1001, "message_id": card["message_id"]}
    await telegram.control("tap", **place, user_id=1001, text="Tap")
    heard = [one["message"]["text"] for one in await host.ok("getUpdates")]
    assert heard == ["/start"]
    mine = await guest.ok("getUpdates")
    assert [one.get("message", {}).get("text", "tap") for one in mine] == [
        "/start",
        "/demo now",
        "to you",
        "tap",
    ]
    assert await host.refused("editMessageText", **place, text="mine") == (
        "Bad Request: message can't be edited"
    )
    shown = {one["text"]: one for one in (await telegram.transcript())["messages"]}
    assert (shown["card"]["guest"], shown["card"]["name"]) == (True, "Demo")
    assert not shown["/start"]["guest"]


async def test_a_guest_is_none_of_itself(telegram: Telegram) -> None:
    """Nor is there one without a host, and a guest is no bot that a page offers."""
    assert (await telegram.control("guests", token=GUEST))[0] == 409
    host = telegram.bot()
    await host.ok("getMe")
    assert (await telegram.control("guests", token=host.token))[0] == 400
    await telegram.control("guests", token=GUEST)
    assert (await telegram.control("guests", token="7000000003:x", host=7000000002))[0] == 400


async def test_messages_keep_the_market_time_at_which_they_came() -> None:
    """A step of the market clock leaves older messages where they were; the API's dates are real."""
    clock = MarketClock(parse_clock("2026-11-20T09:10+05:30*0.001"))
    async with serve_telegram(market=clock) as telegram:
        await telegram.bot().ok("getMe")
        await telegram.say("before")
        clock.step(to="2026-11-20T14:55+05:30")
        await telegram.say("after")
        messages = (await telegram.transcript())["messages"]
        at = [datetime.fromtimestamp(one["market_at"], clock.now().tzinfo) for one in messages]
        assert [f"{one:%d %H:%M}" for one in at] == ["20 09:10", "20 14:55"]
        assert [one["date"] for one in messages] == [int(telegram.wall.seconds)] * 2
    async with serve_telegram() as real:
        await real.bot().ok("getMe")
        await real.say("now")
        assert (await real.transcript())["messages"][0]["market_at"] is None
