"""The bot as a process: the durable inbox, the poller's bad days, flood limits, secrets in logs."""

from __future__ import annotations

import asyncio
import logging
from contextlib import suppress
from typing import Any

import pytest

from bot.edge.polling import REFUSED_BY_TELEGRAM, SECOND_INSTANCE
from bot.registry import COMMANDS
from core.domain.account import TokenStatus
from core.errors import StoreUnavailable
from tests.fakes.bot_api import TOKEN
from tests.fakes.bot_world import OWNER, Person, World, a_message, soon
from tests.fakes.views import an_account

pytestmark = pytest.mark.dates


@pytest.mark.matrix("T05")
@pytest.mark.invariant("I9")
async def test_an_update_that_was_stored_but_not_handled_is_handled_after_a_restart_once(
    world: World,
):
    """Stop between the put and the handler: Telegram has confirmed it, the next start handles it."""
    await world.start()
    await world.owner.say("/health")  # a chat comes into being with its first message
    await world.owner.sees("Health")
    await world.settled()
    await world.crash()
    await world.lay_in_inbox(a_message(41, "/help", at=world.clock.now()))
    await world.start()
    await world.owner.sees("What I can do")
    await world.settled()
    await world.crash()
    await world.start()
    await world.owner.say("/health")
    await world.settled()
    seen = await world.owner.messages()
    assert sum("What I can do" in one["text"] for one in seen) == 1


@pytest.mark.matrix("T05")
@pytest.mark.invariant("I9")
async def test_a_crash_inside_a_handler_does_not_double_the_effect(world: World):
    """The command was committed, the answer was not sent: the replay says that it is so already."""
    account = an_account(enabled=False)
    await world.connect(account)
    await world.start()
    await world.owner.say("/brokers")
    shown = await world.owner.sees("Your accounts")
    world.fault("hang", "editMessageText", times=1)
    await world.owner.press(shown["id"], f"v1:on:{account.broker_id}")
    await soon(world.effects)
    await world.crash()
    world.telegram.world.faults.remove()
    await world.start()
    await world.owner.sees("is enabled already; nothing was changed")
    await world.settled()
    assert len(await world.effects()) == 1


@pytest.mark.matrix("T05")
async def test_an_update_is_not_confirmed_before_it_is_stored(world: World):
    """While the store refuses, Telegram keeps the update; it is served when the store is back."""
    insert = world.store.insert
    failures: list[str] = []

    class Refusing:
        def __init__(self, store: Any) -> None:
            self._store = store

        def __getattr__(self, name: str) -> Any:
            return getattr(self._store, name)

        async def insert(self, collection: str, *documents: Any) -> None:
            if collection == "inbox" and len(failures) < 3:
                failures.append(collection)
                raise StoreUnavailable("away")
            await insert(collection, *documents)

    world.store = Refusing(world.store)
    await world.start()
    await world.owner.say("/help")
    await world.owner.sees("What I can do")
    assert len(failures) == 3
    await world.settled()
    seen = await world.owner.messages()
    assert sum("What I can do" in one["text"] for one in seen) == 1


async def test_a_poisoned_update_is_laid_aside(world: World):
    """One that ended the process three times is not tried a fourth time."""
    await world.lay_in_inbox(a_message(5, "/help", at=world.clock.now()))
    (row,) = await world.rows("inbox")
    await world.store.delete("inbox", {"_id": row["_id"]})
    await world.store.insert("inbox", {**row, "attempts": 3})
    await world.start()
    await soon(world.is_idle)
    await world.owner.say("/health")
    await world.owner.sees("Health")
    assert not any("What I can do" in one["text"] for one in await world.owner.messages())


async def test_a_refused_token_does_not_kill_polling(world: World):
    """One 401 ends the library's own poller for ever; ours reports it, waits, and goes on."""
    await world.start()
    await world.owner.say("/help")
    await world.owner.sees("What I can do")
    body = {"ok": False, "error_code": 401, "description": "Unauthorized"}
    world.fault("http", "getUpdates", status=401, body=body, times=2)
    await world.owner.say("/health")
    await soon(lambda: world.bot.health().trouble == REFUSED_BY_TELEGRAM)
    await world.owner.sees("Health")
    await soon(lambda: not world.bot.health().trouble)


@pytest.mark.matrix("T06")
async def test_a_second_instance_is_reported_and_not_fought(
    world: World, caplog: pytest.LogCaptureFixture
):
    """On a 409 the bot says so, waits half a minute, and keeps running."""
    await world.start()
    body = {
        "ok": False,
        "error_code": 409,
        "description": "Conflict: terminated by other getUpdates request; make sure that only one "
        "bot instance is running",
    }
    world.fault("http", "getUpdates", status=409, body=body, times=1)
    await world.owner.say("/help")
    await soon(lambda: SECOND_INSTANCE in caplog.text)
    assert 30.0 in world.clock.slept
    await world.owner.sees("What I can do")


@pytest.mark.matrix("T01")
async def test_the_bot_starts_while_telegram_is_away(world: World):
    """A start meets an outage and succeeds when it ends."""
    world.fault("reset_before", "getMe", times=3)
    task = asyncio.create_task(_run(world))
    try:
        await soon(lambda: world.telegram.sim.bots)
        await world.owner.say("/help")
        await world.owner.sees("What I can do")
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


async def _run(world: World) -> None:
    bot = world.build()
    await world.control.owners.settle(world.owners)
    await bot.run()


@pytest.mark.row("B2")
async def test_the_way_into_the_chat_is_known_once_telegram_has_named_the_bot(
    world: World,
) -> None:
    """What the page of a login leads back to; before that it leads nowhere."""
    assert world.build().chat_url() == ""
    bot = await world.start()
    (named,) = world.telegram.sim.bots.values()
    await soon(bot.chat_url)
    assert bot.chat_url() == f"https://t.me/{named.username}"


@pytest.mark.matrix("T02")
async def test_a_flood_limit_holds_one_chat_only(world: World):
    """429 in one chat: it waits its seconds, the other chat is answered meanwhile."""
    other = Person(world.telegram, 2002)
    world.owners = frozenset({OWNER, 2002})
    await world.start()
    body = {
        "ok": False,
        "error_code": 429,
        "description": "Too Many Requests: retry after 40",
        "parameters": {"retry_after": 40},
    }
    match = {"chat_id": str(OWNER)}
    world.fault("http", "sendMessage", status=429, body=body, times=1, match=match)
    await world.owner.say("/help")
    await other.say("/help")
    await other.sees("What I can do")
    await world.owner.sees("What I can do")
    assert 40.0 in [round(one, 3) for one in world.clock.slept]


async def test_the_menu_is_set_for_owners_only(world: World):
    """The commands of the registry stand in each owner's chat and nowhere else."""
    await world.start()
    await world.owner.say("/help")
    await world.owner.sees("What I can do")
    bot = next(iter(world.telegram.sim.bots.values()))
    await soon(lambda: bot.commands)
    ((scope, commands),) = bot.commands.items()
    assert str(OWNER) in scope
    assert [one["command"] for one in commands] == [one.name for one in COMMANDS]


@pytest.mark.invariant("I12")
async def test_no_log_line_holds_the_token_or_what_was_typed(
    world: World, caplog: pytest.LogCaptureFixture
):
    """At the loudest level, through good and bad answers, the token and a login code stay out."""
    caplog.set_level(logging.DEBUG)
    world.public_url = None
    await world.connect(an_account(token_status=TokenStatus.EXPIRED))
    await world.start()
    world.fault("reset_before", "sendMessage", times=1)
    await world.owner.say("/help")
    await world.settled()
    await world.owner.say("/start")
    await world.owner.tap("Log in to Zerodha - Main")
    await world.owner.button("Open Zerodha")
    await world.owner.say("https://127.0.0.1/?request_token=canary00token00&status=success")
    await world.logged_in()
    await world.settled()
    assert TOKEN.partition(":")[2] not in caplog.text
    assert "canary00token00" not in caplog.text


@pytest.mark.row("B4")
async def test_without_a_public_url_the_login_is_pasted(world: World):
    """Each tap gives a fresh broker address; the pasted page completes the login and is deleted."""
    world.public_url = None
    await world.connect(an_account(token_status=TokenStatus.EXPIRED))
    await world.start()
    await world.owner.say("/start")
    await world.owner.tap("Log in to Zerodha - Main")
    first = await world.owner.button("Open Zerodha")
    await world.owner.tap("Log in to Zerodha - Main")

    async def fresh() -> bool:
        return bool((await world.owner.button("Open Zerodha"))["url"] != first["url"])

    await soon(fresh)
    await world.owner.say("this is not it")
    await world.owner.sees("Expected the address your browser landed on")
    pasted = await world.owner.say("https://x.example/cb?request_token=abc&status=success")
    await world.logged_in()
    await world.settled()
    assert all(one["id"] != pasted for one in await world.owner.messages())
    assert await world.rows("prompts") == []


@pytest.mark.row("B5")
async def test_start_leads_with_the_default_accounts_login(world: World):
    """An expired default account's login button is the first one; nothing else is blocked."""
    await world.connect(an_account(token_status=TokenStatus.EXPIRED))
    await world.start()
    await world.owner.say("/start")
    shown = await world.owner.sees("Namaste")
    assert shown["keyboard"][0][0]["text"] == "Log in to Zerodha - Main"
    assert shown["keyboard"][0][0]["url"].startswith("https://saarthi.example/login/")
    await world.owner.say("/dashboard")
    board = await world.owner.sees("Funds")
    assert board["text"].startswith("⚠️ Dashboard data may be incomplete: token not refreshed for")


@pytest.mark.row("B5")
async def test_start_asks_for_no_login_that_is_not_needed(world: World):
    """A default account that is logged in has no login button there."""
    await world.connect(an_account())
    await world.start()
    await world.owner.say("/start")
    shown = await world.owner.sees("Namaste")
    labels = [one["text"] for row in shown["keyboard"] for one in row]
    assert labels[0] == "Dashboard" and not [one for one in labels if "Log in" in one]


@pytest.mark.row("E2")
async def test_the_dashboard_switches_accounts_and_remembers(world: World):
    """The switcher edits in place; the choice holds for the next /dashboard, restart included."""
    await world.connect(
        an_account(), an_account("zerodha_bbbbbbbbbb", display_name="Second", is_default=False)
    )
    await world.start()
    await world.owner.say("/dashboard")
    message_id = await world.owner.tap("Second")
    await world.owner.reads(message_id, "Zerodha - Second")
    await world.settled()
    await world.crash()
    await world.start()
    sent = await world.owner.say("/dashboard")
    await world.owner.sees("Zerodha - Second", after=sent)
    world.clock.wall.seconds += 4
    reads = world.at_broker("zerodha_bbbbbbbbbb").reads
    await world.owner.tap("Refresh")
    await soon(lambda: world.at_broker("zerodha_bbbbbbbbbb").reads > reads)


@pytest.mark.row("R2")
async def test_a_tap_is_served_while_its_answer_hangs(world: World):
    """The end of a spinner is not worth ten seconds of the screen behind it."""
    await world.connect(an_account())
    await world.start()
    await world.owner.say("/brokers")
    shown = await world.owner.sees("Your accounts")
    world.fault("hang", "answerCallbackQuery", times=1)
    await world.owner.press(shown["id"], "v1:help")
    await world.owner.reads(shown["id"], "What I can do")
    sim = world.telegram.sim
    assert [one.is_answered for one in sim.callbacks.values()] == [False]
