"""Keys, secrets and login codes do not stay in the chat, wherever they are typed (rows A3, G2)."""

from __future__ import annotations

from typing import Any

import pytest

from core.domain.account import TokenStatus
from tests.contract.bot.test_bot_wizard import KEY, SECRET, to_step
from tests.fakes.bot_api import png
from tests.fakes.bot_world import World
from tests.fakes.views import an_account

pytestmark = [pytest.mark.dates, pytest.mark.row("A3"), pytest.mark.invariant("I12")]

FYERS_SECRET = "8QL2XQ7Y4P"


async def upload(world: World, **fields: Any) -> int:
    """Send a file as the owner; return the id of its message."""
    known = {one["id"] for one in await world.owner.messages()}
    assert await world.telegram.upload(**fields) == 200
    seen = await world.telegram.transcript()
    return int(max(one["id"] for one in seen["messages"] if one["id"] not in known))


async def shown(world: World) -> str:
    """Return all that stands in the chat."""
    return repr(await world.owner.messages())


DOCUMENT = {"file": ("secret.txt", SECRET.encode(), "text/plain")}
PHOTO = {"file": ("app.png", png(), "image/png"), "caption": SECRET}


@pytest.mark.parametrize("step", ["key", "secret"])
@pytest.mark.parametrize("fields", [DOCUMENT, PHOTO], ids=["file", "caption"])
async def test_files_and_captions_are_deleted_while_a_secret_is_asked(
    world: World, step: str, fields: dict[str, Any]
) -> None:
    """They are no answer, and they may hold one; the question stays."""
    await world.start()
    await to_step(world.owner, "Zerodha", step)
    sent = await upload(world, **fields)
    await world.owner.sees("I can read only text")
    await world.settled()
    assert all(one["id"] != sent for one in await world.owner.messages())
    assert SECRET not in await shown(world)
    (prompt,) = await world.rows("prompts")
    assert prompt["step"] == step


@pytest.mark.parametrize("broker", ["Zerodha", "Fyers"])
async def test_a_secret_in_place_of_the_key_is_deleted_and_not_kept(
    world: World, broker: str
) -> None:
    """A Kite key has 16 characters and its secret 32; an App ID has a dash. Nothing is repeated."""
    await world.start()
    await to_step(world.owner, broker, "key")
    wrong = SECRET if broker == "Zerodha" else FYERS_SECRET
    sent = await world.owner.say(wrong)
    answer = await world.owner.sees("is not the form of the A")
    await world.settled()
    assert wrong[:8] not in answer["text"] and wrong not in await shown(world)
    assert all(one["id"] != sent for one in await world.owner.messages())
    (prompt,) = await world.rows("prompts")
    assert prompt["step"] == "key" and wrong not in repr(prompt)


async def test_a_key_in_place_of_the_secret_is_refused(world: World) -> None:
    """Otherwise the login would fail at the broker, where nobody knows why."""
    await world.start()
    await to_step(world.owner, "Zerodha", "secret")
    await world.owner.say(KEY)
    await world.owner.sees("has 16 characters and is not the form of the API secret")


@pytest.mark.parametrize("how", ["command", "button", "never asked"])
async def test_a_secret_after_cancel_is_deleted(world: World, how: str) -> None:
    """What was copied before the cancel is pasted after it; so is what nobody asked for."""
    await world.start()
    if how == "never asked":
        await world.owner.say("/help")
        await world.owner.sees("What I can do")
    else:
        await to_step(world.owner, "Zerodha", "secret")
        await (world.owner.say("/cancel") if how == "command" else world.owner.tap("Cancel"))
        await world.owner.sees("Cancelled")
    for sent in (SECRET, FYERS_SECRET):
        await world.owner.say(sent)
    await world.owner.sees("looked like a key or a secret")
    await world.settled()
    page = await shown(world)
    assert SECRET not in page and FYERS_SECRET not in page


async def test_a_file_after_cancel_is_deleted(world: World) -> None:
    """For a quarter of an hour the answer to the question may still be on its way."""
    await world.start()
    await to_step(world.owner, "Zerodha", "secret")
    await world.owner.say("/cancel")
    await world.owner.sees("Cancelled")
    sent = await upload(world, **DOCUMENT)
    await world.owner.sees("I can read only text")
    assert all(one["id"] != sent for one in await world.owner.messages())


async def test_a_secret_is_no_name(world: World) -> None:
    """At the question before the key it is deleted, and the question stays."""
    await world.start()
    await to_step(world.owner, "Zerodha", "name")
    for text in (SECRET, KEY, "AB1CD2EF3G-100"):
        await world.owner.say(text)
    await world.owner.sees("looked like a key or a secret")
    await world.settled()
    page = await shown(world)
    assert not any(text in page for text in (SECRET, KEY, "AB1CD2EF3G-100"))
    (prompt,) = await world.rows("prompts")
    assert prompt["step"] == "name"
    await world.owner.say("TradingAccount01")
    await world.owner.sees("Send the API key")


@pytest.mark.row("B4")
@pytest.mark.parametrize("step", ["name", "secret"])
async def test_a_login_is_pasted_while_another_question_is_open(world: World, step: str) -> None:
    """It is completed and deleted; the question stays open and is answered next."""
    world.public_url = None
    account = an_account(
        token_status=TokenStatus.EXPIRED, display_name="First", api_key="another123456789"
    )
    await world.connect(account)
    await world.start()
    await world.control.logins.offer(account.broker_id)
    (row,) = await world.rows("logins")
    await to_step(world.owner, "Zerodha", step)
    landed = f"https://127.0.0.1/?request_token=canary00token00&status=success&nonce={row['_id']}"
    sent = await world.owner.say(landed)
    await world.logged_in()
    await world.settled()
    assert all(one["id"] != sent for one in await world.owner.messages())
    assert "canary00token00" not in await shown(world)
    (prompt,) = await world.rows("prompts")
    assert prompt["step"] == step


@pytest.mark.parametrize(
    "text",
    [
        f"/add {KEY} {SECRET}",
        "/add AB1CD2EF3G-100",
        f"/orders {FYERS_SECRET}",
        "/x socks5://user:hunter2pass@proxy.example:1080",
        f"my key and secret: {KEY} {SECRET}",
    ],
)
async def test_a_secret_behind_a_command_is_deleted_without_a_question(
    world: World, text: str
) -> None:
    """Nobody asked for it, and a slash or a word before it does not let it stay in the chat."""
    await world.start()
    sent = await world.owner.say(text)
    await world.owner.sees("looked like a key or a secret, so I deleted it and did nothing")
    await world.settled()
    assert all(one["id"] != sent for one in await world.owner.messages())
    assert text.rsplit(maxsplit=1)[-1] not in await shown(world)
    assert await world.rows("prompts") == []


@pytest.mark.parametrize(
    "text", ["/orders all", "/pnl yesterday", "/login", "orders of SBIN26DEC800CE"]
)
async def test_words_that_are_no_secret_stay(world: World, text: str) -> None:
    """A command with its words is carried out, and the message stays."""
    await world.connect(an_account())
    await world.start()
    sent = await world.owner.say(text)
    await world.settled()
    messages = await world.owner.messages()
    assert any(one["id"] == sent for one in messages)
    assert "looked like a key" not in repr(messages)


@pytest.mark.row("B4")
@pytest.mark.parametrize("is_asked", [False, True])
async def test_a_login_behind_a_command_is_a_paste(world: World, is_asked: bool) -> None:
    """It is deleted and completes the login, whether it was asked for or not."""
    world.public_url = None
    account = an_account(token_status=TokenStatus.EXPIRED)
    await world.connect(account)
    await world.start()
    if is_asked:
        await world.owner.say("/start")
        await world.owner.tap("Log in to")
        await world.owner.sees("paste it here")
    else:
        await world.control.logins.offer(account.broker_id)
    (row,) = await world.rows("logins")
    landed = f"https://127.0.0.1/?request_token=canary00token00&status=success&nonce={row['_id']}"
    sent = await world.owner.say(f"/login {landed}")
    await world.logged_in()
    await world.settled()
    assert all(one["id"] != sent for one in await world.owner.messages())
    assert "canary00token00" not in await shown(world)
    assert await world.rows("prompts") == []


async def test_a_secret_with_a_command_is_deleted_while_it_is_asked(world: World) -> None:
    """A slash before it makes a command of it; the bare ones work as ever."""
    await world.start()
    await to_step(world.owner, "Zerodha", "secret")
    sent = await world.owner.say(f"/secret {SECRET}")
    await world.settled()
    assert all(one["id"] != sent for one in await world.owner.messages())
    await world.owner.say("/cancel")
    await world.owner.sees("Cancelled")
