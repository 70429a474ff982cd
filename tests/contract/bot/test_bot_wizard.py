"""Adding an account through the chat, with the real bot against the simulated Bot API."""

from __future__ import annotations

import pytest

from core.adapters.fyers import FYERS
from core.adapters.paper import PAPER_PROFILE
from tests.fakes.bot_world import Person, World, a_message, soon
from tests.fakes.views import an_account

KEY = "abcd1234efgh5678"
SECRET = "canary0secret0value0of0kite00001"


async def secret_of(world: World) -> str:
    """Open the secret of the only account."""
    (account,) = await world.control.accounts.all()
    return (await world.wiring.accounts.credentials(account.broker_id)).api_secret


async def to_step(person: Person, broker: str, step: str) -> None:
    """Walk the wizard until it asks for ``step``."""
    await person.say("/add")
    await person.tap(broker)
    await person.tap("Continue")
    await person.sees("What shall I call")
    if step == "name":
        return
    await person.say("Main")
    await person.sees("Send the A")
    if step == "key":
        return
    await person.say(KEY if broker == "Zerodha" else "ab1cd2ef3g-100")
    await person.sees("Send the S" if broker == "Fyers" else "Send the API secret")
    if step == "secret":
        return
    await person.say(SECRET)
    await person.sees("Is this right?")


@pytest.mark.row("A1", "A3")
async def test_a_zerodha_account_is_added_step_by_step(world: World):
    """The guide shows the redirect URL with a copy button; the last screen is the login link."""
    await world.start()
    person = world.owner
    await person.say("/add")
    await person.tap("Zerodha")
    guide = await person.sees("developers.kite.trade")
    redirect = "https://saarthi.example/broker/callback/zerodha"
    assert redirect in guide["text"]
    assert (await person.button("Copy"))["copy_text"] == redirect
    assert "static IP" in guide["text"]
    await person.tap("Continue")
    await person.sees("What shall I call")
    await person.say("Main")
    await person.sees("Send the API key")
    await person.say(KEY)
    await person.sees("Send the API secret")
    secret = await person.say(SECRET)
    summary = await person.sees("Is this right?")
    assert "Main" in summary["text"] and KEY in summary["text"] and SECRET not in summary["text"]
    await person.tap("Connect this account")
    await person.sees("Zerodha - Main is added")
    login = await person.button("Log in to Zerodha - Main")
    assert login["url"].startswith("https://saarthi.example/login/")
    assert all(one["id"] != secret for one in await person.messages())
    (account,) = await world.control.accounts.all()
    assert (account.display_name, account.api_key) == ("Main", KEY)
    assert await secret_of(world) == SECRET
    assert await world.rows("prompts") == []


@pytest.mark.row("A2")
async def test_a_fyers_account_is_added_with_its_own_guide(world: World):
    """Fyers has an App ID with a suffix and a Secret ID; the guide names its console."""
    await world.start()
    person = world.owner
    await person.say("/add")
    await person.tap("Fyers")
    guide = await person.sees("myapi.fyers.in")
    redirect = "https://saarthi.example/broker/callback/fyers"
    assert redirect in guide["text"] and "kite" not in guide["text"].lower()
    assert (await person.button("Copy"))["copy_text"] == redirect
    await person.tap("Continue")
    await person.say("Second")
    await person.sees("Send the App ID")
    await person.say(KEY)
    await person.sees("expected a Fyers App ID")
    await person.say("ab1cd2ef3g-100")
    await person.sees("Send the Secret ID")
    secret = await person.say(SECRET)
    summary = await person.sees("Is this right?")
    assert "Second" in summary["text"] and "AB1CD2EF3G-100" in summary["text"]
    assert SECRET not in summary["text"]
    await person.tap("Connect this account")
    await person.sees("Fyers - Second is added")
    login = await person.button("Log in to Fyers - Second")
    assert login["url"].startswith("https://saarthi.example/login/")
    assert all(one["id"] != secret for one in await person.messages())
    (account,) = await world.control.accounts.all()
    assert (account.broker, account.api_key) == (FYERS, "AB1CD2EF3G-100")
    assert (account.display_name, account.enabled) == ("Second", False)
    assert await secret_of(world) == SECRET
    assert await world.rows("prompts") == []


@pytest.mark.row("A1")
async def test_back_walks_to_the_start_and_cancel_ends(world: World):
    """Every step goes back to the one before it; Cancel leaves nothing behind."""
    await world.start()
    person = world.owner
    await to_step(person, "Zerodha", "summary")
    for text in ("API secret", "API key", "What shall I call", "developers.kite", "which broker"):
        await person.reads(await person.tap("« Back"), text)
    await person.tap("Cancel")
    await person.sees("No account was added")
    assert await world.rows("prompts") == []
    assert await world.effects() == []


@pytest.mark.row("A10")
async def test_wrong_input_is_explained_and_the_wizard_stays(world: World):
    """Each mistake is named with what is expected; the right answer then goes on."""
    await world.connect(an_account(display_name="Taken", user_id="AB1234"))
    await world.start()
    person = world.owner
    await to_step(person, "Zerodha", "name")
    for wrong, told in (
        ("x" * 41, "41 characters"),
        ("taken", "Another account"),
        ("t\u0430ken", "The name of another account looks like"),
    ):
        await person.say(wrong)
        await person.sees(told)
    await person.say("Main")
    await person.sees("Send the API key")
    await person.say("not a key!")
    await person.sees("expected a Kite API key")
    await person.say(KEY)
    await person.sees("Send the API secret")
    wrong_secret = await person.say("no secret at all!")
    answer = await person.sees("is not the form of the API secret")
    assert "no secret at all" not in answer["text"]
    await person.say(SECRET)
    summary = await person.sees("Is this right?")
    assert "connected already: Taken (AB1234)" in summary["text"]
    assert all(one["id"] != wrong_secret for one in await person.messages())


@pytest.mark.row("A3")
async def test_a_refused_deletion_is_told(world: World):
    """When Telegram does not delete the secret, the user is asked to."""
    await world.start()
    person = world.owner
    await to_step(person, "Zerodha", "secret")
    body = {"ok": False, "error_code": 400, "description": "Bad Request: message can't be deleted"}
    world.fault("http", "deleteMessage", status=400, body=body)
    await person.say(SECRET)
    await person.sees("could not delete your message with the secret")
    await person.sees("Is this right?")


@pytest.mark.row("A1")
@pytest.mark.parametrize("step", ["name", "key", "secret", "summary"])
async def test_a_restart_in_mid_wizard_loses_nothing(world: World, step: str):
    """The wizard goes on at its step with another process on the same store."""
    await world.start()
    person = world.owner
    await to_step(person, "Zerodha", step)
    await world.settled()
    await world.crash()
    await world.start()
    if step == "name":
        await person.say("Main")
        await person.sees("Send the API key")
    if step in {"name", "key"}:
        await person.say(KEY)
        await person.sees("Send the API secret")
    if step != "summary":
        await person.say(SECRET)
        await person.sees("Is this right?")
    await person.tap("Connect this account")
    await person.sees("is added")
    assert await secret_of(world) == SECRET


@pytest.mark.row("G2")
@pytest.mark.invariant("I12")
async def test_the_store_never_holds_a_typed_secret_in_plain(world: World):
    """Neither the wizard's row nor the inbox has the secret's text, handled or not."""
    await world.start()
    person = world.owner
    await to_step(person, "Zerodha", "summary")
    await world.settled()
    for collection in ("prompts", "inbox", "nonces", "chats", "users"):
        assert SECRET not in repr(await world.rows(collection))
    assert {row["payload"] for row in await world.rows("inbox")} == {""}


@pytest.mark.row("G2")
@pytest.mark.invariant("I12")
async def test_a_secret_is_sealed_while_its_update_waits(world: World):
    """The inbox holds what was typed until it is handled: encrypted."""
    await world.start()
    await to_step(world.owner, "Zerodha", "secret")
    await world.settled()
    world.fault("hang", "deleteMessage")
    await world.owner.say(SECRET)

    async def waiting() -> list[dict[str, object]]:
        return await world.rows("inbox", state="new", attempts=1)

    (row,) = await soon(waiting)
    assert row["payload"] and SECRET not in repr(row)
    assert SECRET in world.vault.open(row["payload"])
    await world.crash()
    world.telegram.world.faults.remove()
    await world.start()
    await world.owner.sees("Is this right?")


@pytest.mark.matrix("T05")
@pytest.mark.invariant("I9")
async def test_a_redelivered_answer_does_not_answer_the_next_question(world: World):
    """A crash after the step but before the mark replays the name; it is not taken as the key."""
    await world.start()
    person = world.owner
    await to_step(person, "Zerodha", "key")
    await world.settled()
    await world.crash()
    last = max(await world.rows("inbox"), key=lambda row: row["update_id"])
    await world.lay_in_inbox(a_message(last["update_id"], "Main1234", at=world.clock.now()))
    await world.start()
    await soon(world.is_idle)
    (prompt,) = await world.rows("prompts")
    assert prompt["step"] == "key" and "key" not in prompt["data"]


@pytest.mark.matrix("O01")
async def test_double_taps_move_a_step_once(world: World):
    """Two taps on Back go back one step; two on Connect connect one account."""
    await world.start()
    person = world.owner
    await to_step(person, "Zerodha", "summary")
    summary = await person.sees("Is this right?")
    back = next(one["data"] for row in summary["keyboard"] for one in row if "Back" in one["text"])
    for _ in range(3):
        await person.press(summary["id"], back)
    await world.settled()
    await person.reads(summary["id"], "Send the API secret")
    await person.say(SECRET)
    summary = await person.sees("Is this right?", after=summary["id"])
    connect = summary["keyboard"][0][0]["data"]
    for _ in range(5):
        await person.press(summary["id"], connect)
    await soon(world.control.accounts.all)
    await world.settled()
    assert len(await world.control.accounts.all()) == 1


async def test_a_wizard_that_waited_too_long_is_closed(world: World):
    """After two hours an answer is no answer any more; a late secret is still deleted."""
    await world.start()
    person = world.owner
    await to_step(person, "Zerodha", "secret")
    await world.settled()
    world.clock.wall.seconds += 3 * 3600
    sent = await person.say(SECRET)
    await person.sees("waited too long")
    await world.settled()
    assert all(one["id"] != sent for one in await person.messages())
    assert await world.rows("prompts") == []


@pytest.mark.row("F6")
async def test_a_newcomer_tries_with_paper_in_four_taps(world: World):
    """From the greeting to an enabled strategy: name and amount are there, no login is asked for."""
    await world.start()
    person = world.owner
    await person.say("/start")
    await person.tap("Try with a paper account")
    offered = await person.sees("Paper money: ₹10,00,000")
    assert "Name: Try" in offered["text"]
    await person.tap("Create it")
    await person.reads(offered["id"], "📝 Paper - Try is added and enabled.")
    (account,) = await world.control.accounts.all()
    assert account.enabled and not account.needs_login
    await person.tap("Enable Opening range breakout …")
    question = await person.reads(offered["id"], "Enable Opening range breakout?")
    assert "📝 Prices made up for practice" in question["text"]
    await person.tap("Yes, enable it")
    await person.reads(offered["id"], "🟢 enabled")
    assert (await world.control.strategies.get("opening_range_breakout")).is_enabled
    await money_is_changed(person, world)


async def money_is_changed(person: Person, world: World) -> None:
    """By what is typed, as people write it."""
    await person.say("/brokers")
    await person.tap("Edit 📝 Try")
    await person.tap("Paper money")
    await person.sees("from now on")
    await person.say("7.5L")
    await person.sees("has ₹7,50,000 of paper money now", anywhere=True)
    assert [row["cash"] for row in await world.rows("paper_books")] == [750_000]


@pytest.mark.row("F6")
async def test_name_and_money_of_a_paper_account_can_be_others(world: World):
    """Both are offered, a second one has a name of its own, and each leads back to the one card."""
    await world.connect(an_account("paper_aaaaaaaaaa", PAPER_PROFILE, "try"))
    await world.start()
    person = world.owner
    await person.say("/add")
    await person.tap("Paper account")
    await person.sees("Name: Try 2")
    await person.tap("Another name")
    await person.sees("What shall I call this account?")
    await person.say("try")
    await person.sees("Another account is called")
    await person.say("Options")
    await person.sees("Name: Options")
    await person.tap("Another amount")
    await person.sees("How much paper money")
    await person.tap("₹5,00,000")
    await person.sees("Paper money: ₹5,00,000")
    await person.tap("Another amount")
    await person.sees("How much paper money")
    await person.say("2.5 lakh")
    await person.sees("Paper money: ₹2,50,000")
    await person.tap("Create it")
    await person.sees("📝 Paper - Options is added and enabled.")
    assert {row["cash"] for row in await world.rows("paper_books")} >= {250_000}
