"""The Telegram simulator's updates: polls, conflicts, ages, webhooks, restarts and faults."""

from __future__ import annotations

import asyncio
import sqlite3
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import web

from tests.fakes.bot_api import TOKEN, BotClient, Telegram, Wall, serve_telegram, violations

OTHER_POLL = (
    "Conflict: terminated by other getUpdates request; make sure that only one bot instance is"
    " running"
)


@pytest.fixture
async def telegram() -> AsyncIterator[Telegram]:
    async with serve_telegram() as server:
        yield server


@pytest.fixture
async def bot(telegram: Telegram) -> BotClient:
    client = telegram.bot()
    await client.ok("getMe")
    return client


async def until(condition: Any, deadline_s: float = 60.0) -> None:
    """Wait until a condition holds."""
    async with asyncio.timeout(deadline_s):
        while not condition():
            await asyncio.sleep(0.005)


def waits(telegram: Telegram) -> bool:
    """Tell whether a long poll is being held."""
    return telegram.sim.queues[TOKEN]._poll is not None


async def test_an_update_stays_until_a_larger_offset_confirms_it(
    telegram: Telegram, bot: BotClient
):
    """Polling again without a larger offset gives the same updates; a larger one ends them."""
    for text in ("a", "b", "c"):
        await telegram.say(text)
    first = await bot.ok("getUpdates", limit=2)
    assert [update["message"]["text"] for update in first] == ["a", "b"]
    ids = [update["update_id"] for update in first]
    assert ids[1] == ids[0] + 1
    telegram.wall.seconds += 1
    rest = await bot.ok("getUpdates", offset=ids[1] + 1)
    assert [update["message"]["text"] for update in rest] == ["c"]
    assert (await bot.ok("getWebhookInfo"))["pending_update_count"] == 1
    far = await bot.ok("getUpdates", offset=ids[1] + 1000)
    assert [update["message"]["text"] for update in far] == ["c"]


async def test_a_negative_offset_keeps_the_last_and_forgets_the_rest(
    telegram: Telegram, bot: BotClient
):
    """`offset=-1` is how a bot skips its backlog."""
    for text in ("a", "b", "c"):
        await telegram.say(text)
    found = await bot.ok("getUpdates", offset=-1)
    assert [update["message"]["text"] for update in found] == ["c"]
    assert (await bot.ok("getWebhookInfo"))["pending_update_count"] == 1


async def test_a_long_poll_wakes_with_the_first_update(telegram: Telegram, bot: BotClient):
    """A held poll is answered as soon as a user writes, and empty at its time-out."""
    poll = asyncio.create_task(bot.ok("getUpdates", timeout=50))
    await until(lambda: waits(telegram))
    started = time.monotonic()
    await telegram.say("now")
    assert [update["message"]["text"] for update in await poll] == ["now"]
    assert time.monotonic() - started < 40
    telegram.wall.seconds += 10
    update_id = telegram.sim.queues[TOKEN].pending[0].update_id
    assert await bot.ok("getUpdates", offset=update_id + 1, timeout=1) == []


async def test_the_older_of_two_polls_is_ended(telegram: Telegram, bot: BotClient):
    """Two instances exclude each other, and the older request is told so."""
    older = asyncio.create_task(bot.refused("getUpdates", timeout=20))
    await until(lambda: waits(telegram))
    newer = asyncio.create_task(bot.ok("getUpdates", timeout=20))
    assert await older == OTHER_POLL
    await telegram.say("x")
    assert len(await newer) == 1


async def test_a_webhook_and_a_poll_exclude_each_other(telegram: Telegram, bot: BotClient):
    """A new webhook ends a poll and forbids others; it may not be set twice in a second."""
    poll = asyncio.create_task(bot.refused("getUpdates", timeout=20))
    await until(lambda: waits(telegram))
    url = "http://127.0.0.1:9/hook"
    first = await bot.call("setWebhook", url=url)
    assert first["description"] == "Webhook was set"
    assert await poll == "Conflict: terminated by setWebhook request"
    assert (await bot.refused("getUpdates")).startswith(
        "Conflict: can't use getUpdates method while webhook is active"
    )
    hasty = await bot.call("setWebhook", url=url)
    assert hasty["parameters"] == {"retry_after": 1}
    telegram.wall.seconds += 2
    again = await bot.call("setWebhook", url=url)
    assert again["description"] == "Webhook is already set"
    assert (await bot.ok("getWebhookInfo"))["url"] == url
    assert (await bot.call("deleteWebhook"))["description"] == "Webhook was deleted"
    assert (await bot.call("deleteWebhook"))["description"] == "Webhook is already deleted"
    found = await bot.refused("setWebhook", url="http://example.com/")
    assert "An HTTPS URL must be provided" in found


async def test_allowed_updates_count_when_the_update_is_made(telegram: Telegram, bot: BotClient):
    """The list is kept until another comes; an empty one means the defaults."""
    await bot.ok("getUpdates", allowed_updates=["callback_query"])
    await telegram.say("unseen")
    await bot.ok("getUpdates")
    await telegram.say("unseen too")
    assert (await bot.ok("getWebhookInfo"))["allowed_updates"] == ["callback_query"]
    await bot.ok("getUpdates", offset=1, allowed_updates="[]")
    await telegram.say("seen")
    telegram.wall.seconds += 5
    found = await bot.ok("getUpdates")
    assert [update["message"]["text"] for update in found] == ["seen"]


async def test_taps_wait_150_seconds_and_messages_a_day(telegram: Telegram, bot: BotClient):
    """What is older than its kind may be is never delivered."""
    await telegram.say("/start")
    markup = {"inline_keyboard": [[{"text": "Go", "callback_data": "go"}]]}
    sent = await bot.ok("sendMessage", chat_id=1001, text="x", reply_markup=markup)
    place = {"chat_id": 1001, "user_id": 1001, "message_id": sent["message_id"]}
    await telegram.control("tap", **place, text="Go")
    telegram.wall.seconds += 149
    assert len(await bot.ok("getUpdates")) == 2
    telegram.wall.seconds += 2
    assert [list(update)[1] for update in await bot.ok("getUpdates")] == ["message"]
    telegram.wall.seconds += 24 * 3600
    assert await bot.ok("getUpdates") == []


async def test_a_restart_loses_nothing(tmp_path: Path):
    """Chats, messages, menus, pins and unconfirmed updates are there again after a restart."""
    wall = Wall()
    async with serve_telegram(tmp_path, wall) as telegram:
        bot = telegram.bot()
        await bot.ok("setMyCommands", commands=[{"command": "a", "description": "A"}])
        await telegram.say("/start", name="Asha")
        sent = await bot.ok("sendMessage", chat_id=1001, text="hello")
        await bot.ok("pinChatMessage", chat_id=1001, message_id=sent["message_id"])
        secret = await telegram.say("secret-9")
        await bot.ok("deleteMessage", chat_id=1001, message_id=secret)
        before = await telegram.transcript()
    async with serve_telegram(tmp_path, wall) as telegram:
        bot = telegram.bot()
        assert await telegram.transcript() == before
        wall.seconds += 10
        updates = await bot.ok("getUpdates")
        assert updates[0]["message"]["text"] == "/start"
        assert updates[0]["message"]["from"]["first_name"] == "Asha"
        assert await bot.ok("getMyCommands") == [{"command": "a", "description": "A"}]
        later = await bot.ok("sendMessage", chat_id=1001, text="again")
        assert later["message_id"] > secret


async def test_records_of_earlier_versions_load(tmp_path: Path):
    """A kept directory whose records still say "person" shows the same chat."""
    wall = Wall()
    async with serve_telegram(tmp_path, wall) as telegram:
        await telegram.bot().ok("getMe")
        await telegram.say("/start", name="Asha")
        before = await telegram.transcript()
    with sqlite3.connect(tmp_path / "telegram.sqlite3") as database:
        database.execute("UPDATE records SET kind = 'person' WHERE kind = 'user'")
        database.execute(
            "UPDATE records SET body = REPLACE(body, '\"user_id\":', '\"person_id\":')"
        )
    database.close()
    async with serve_telegram(tmp_path, wall) as telegram:
        assert await telegram.transcript() == before


async def test_a_reset_forgets_everything(tmp_path: Path):
    """After a reset nothing is left, restart or not; update ids go on, none is used twice."""
    async with serve_telegram(tmp_path) as telegram:
        bot = telegram.bot()
        await bot.ok("getMe")
        await telegram.say("/start")
        before = (await bot.ok("getUpdates"))[0]["update_id"]
        for hook in [*telegram.world.reset_hooks, telegram.sim.reset]:
            hook()
        assert (await telegram.transcript())["messages"] == []
        assert await bot.ok("getUpdates") == []
        await telegram.say("/start")
        telegram.wall.seconds += 10
        assert (await bot.ok("getUpdates"))[0]["update_id"] > before
        telegram.sim.reset()
    async with serve_telegram(tmp_path) as telegram:
        assert (await telegram.transcript())["messages"] == []


class Hook:
    """A bot's own server: answers as told and keeps what came."""

    def __init__(self) -> None:
        self.got: list[tuple[str | None, dict[str, Any]]] = []
        self.answers: list[web.Response] = []

    async def handle(self, request: web.Request) -> web.Response:
        secret = request.headers.get("X-Telegram-Bot-Api-Secret-Token")
        self.got.append((secret, await request.json()))
        return self.answers.pop(0) if self.answers else web.Response()


@pytest.fixture
async def hook() -> AsyncIterator[tuple[Hook, str]]:
    receiver = Hook()
    app = web.Application()
    app.router.add_post("/hook", receiver.handle)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    yield receiver, f"http://127.0.0.1:{runner.addresses[0][1]}/hook"
    await runner.cleanup()


async def test_a_webhook_gets_each_update_until_it_takes_it(
    telegram: Telegram, bot: BotClient, hook: tuple[Hook, str]
):
    """Deliveries carry the secret, are repeated after a failure in order, and may answer with a method."""
    receiver, url = hook
    receiver.answers = [
        web.Response(status=500),
        web.json_response({"method": "sendMessage", "chat_id": 1001, "text": "from the answer"}),
    ]
    await bot.ok("setWebhook", url=url, secret_token="s3cret-_")
    await telegram.say("one")
    await telegram.say("two")
    await until(lambda: len(receiver.got) >= 3)
    assert [body["message"]["text"] for _, body in receiver.got] == ["one", "one", "two"]
    assert {secret for secret, _ in receiver.got} == {"s3cret-_"}
    assert not violations("Update", receiver.got[0][1])
    await until(lambda: not telegram.sim.queues[TOKEN].pending)
    info = await bot.ok("getWebhookInfo")
    assert (
        info["last_error_message"] == "Wrong response from the webhook: 500 Internal Server Error"
    )
    shown = (await telegram.transcript())["messages"]
    assert [message["text"] for message in shown] == ["one", "two", "from the answer"]


async def test_every_update_fits_the_description_of_the_bot_api(telegram: Telegram, bot: BotClient):
    """Messages, posts, taps, pins and blocks make updates that validate."""
    await telegram.control("chats", id=-7, type="channel", title="News")
    await telegram.say("post", chat_id=-7)
    await telegram.say("/start http://a.com #x $NIFTY")
    markup = {"inline_keyboard": [[{"text": "Go", "callback_data": "go", "style": "success"}]]}
    sent = await bot.ok("sendMessage", chat_id=1001, text="x", reply_markup=markup)
    await bot.ok("pinChatMessage", chat_id=1001, message_id=sent["message_id"])
    place = {"chat_id": 1001, "user_id": 1001, "message_id": sent["message_id"]}
    await telegram.control("tap", **place, text="Go")
    await telegram.control("chats", id=1001, blocked=True)
    updates = await bot.ok("getUpdates")
    kinds = [next(key for key in update if key != "update_id") for update in updates]
    assert kinds == ["channel_post", "message", "message", "callback_query", "my_chat_member"]


def test_the_oracle_sees_a_wrong_object():
    """The check itself finds unknown, missing and mistyped fields."""
    user = {"id": 1, "is_bot": True, "first_name": "x"}
    assert violations("User", user) == []
    assert violations("User", {**user, "colour": 1}) == ["result.colour: unknown in User"]
    assert violations("User", {"id": 1, "is_bot": True}) == ["result.first_name: missing in User"]
    assert violations("User", {**user, "id": "1"}) == ["result.id: '1' is no Integer"]


async def test_faults_strike_the_bot_api(telegram: Telegram, bot: BotClient):
    """A 429 carries retry_after; a reset after the effect loses the answer and keeps the message."""
    await telegram.say("/start")
    faults = telegram.world.faults
    flood = {
        "ok": False,
        "error_code": 429,
        "description": "Too Many Requests: retry after 4",
        "parameters": {"retry_after": 4},
    }
    faults.add(
        {
            "target": "telegram",
            "kind": "http",
            "status": 429,
            "headers": {"Retry-After": "4"},
            "body": flood,
            "match": {"path": "/sendMessage", "chat_id": "1001"},
        }
    )
    await bot.ok("getMe")
    found = await bot.call("sendMessage", chat_id=1001, text="held back")
    assert found["parameters"] == {"retry_after": 4}
    faults.add({"target": "telegram", "kind": "reset_after", "match": {"path": "/sendMessage"}})
    with pytest.raises(aiohttp.ClientError):
        await bot.call("sendMessage", chat_id=1001, text="lost answer")
    faults.add({"target": "telegram", "kind": "reset_before", "match": {"call": "sendMessage"}})
    with pytest.raises(aiohttp.ClientError):
        await bot.call("sendMessage", chat_id=1001, text="never arrived")
    faults.add({"target": "telegram", "kind": "html", "match": {"path": "/sendMessage"}})
    form = aiohttp.FormData()
    form.add_field("chat_id", "1001")
    form.add_field("document", b"x", filename="x.txt")
    url = f"{telegram.root}/bot{TOKEN}/sendDocument"
    async with telegram.session.post(url, data=form) as answer:
        assert (await answer.json())["ok"]
    shown = (await telegram.transcript())["messages"]
    assert [message["text"] for message in shown] == ["/start", "lost answer", ""]


async def test_the_journal_lists_every_call_and_no_text(telegram: Telegram, bot: BotClient):
    """Each call is listed with its answer's status, a struck one too; what was said is not."""
    await telegram.say("/start")
    await bot.ok("sendMessage", chat_id=1001, text="a secret")
    await bot.refused("sendMessage", chat_id=5, text="a secret")
    telegram.world.faults.add(
        {"target": "telegram", "kind": "reset_before", "match": {"path": "/sendMessage"}}
    )
    with pytest.raises(aiohttp.ClientError):
        await bot.call("sendMessage", chat_id=1001, text="a secret")
    url = f"{telegram.root}/telegram/calls"
    async with telegram.session.get(url, params={"method": "sendMessage"}) as answer:
        calls = await answer.json()
    bot_id = 7000000001
    listed = [(call["bot_id"], call["chat_id"], call["status"]) for call in calls]
    assert listed == [(bot_id, "1001", 200), (bot_id, "5", 400), (bot_id, "1001", None)]
    assert "secret" not in str(calls).replace(TOKEN, "")
