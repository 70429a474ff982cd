"""New key and secret for a connected account, through the chat (case n17)."""

from __future__ import annotations

import pytest

from core.domain.account import TokenStatus
from core.domain.command import Command
from core.domain.ledger import Ledger
from core.errors import NotFound
from tests.fakes.bot_world import World, a_message, soon
from tests.fakes.views import a_position, an_account

NEW_KEY = "newkey1234567890"
NEW_SECRET = "canary0renewed0secret0of0kite001"


async def ask(world: World) -> None:
    """Open the account's page and its question."""
    await world.owner.say("/brokers")
    await world.owner.tap("Edit")
    await world.owner.tap("Key and secret")
    await world.owner.sees("The new ones replace the old ones")


async def ledgers(world: World, broker_id: str) -> list[Ledger]:
    return await world.wiring.journal.ledgers(broker_id)


@pytest.mark.row("A3")
async def test_a_secret_that_was_made_anew_is_replaced_and_the_account_stays(world: World):
    """Same id, history and books; the old token is gone and the login is asked for."""
    account = an_account(user_id="AB1234")
    await world.connect(account)
    await world.hold(a_position(account))
    await world.start()
    before = await ledgers(world, account.broker_id)
    await ask(world)
    question = await world.owner.sees("The new ones replace the old ones")
    assert "1 position held" in question["text"] and account.api_key in question["text"]
    await world.owner.tap("Keep this key")
    await world.owner.sees("Send the API secret")
    sent = await world.owner.say(NEW_SECRET)
    await world.owner.sees("are replaced. Log in now")
    login = await world.owner.button("Log in to Zerodha - Main")
    assert login["url"].startswith("https://saarthi.example/login/")
    found = await world.wiring.accounts.credentials(account.broker_id)
    assert (found.api_key, found.api_secret) == (account.api_key, NEW_SECRET)
    assert found.access_token == ""
    after = await world.control.accounts.get(account.broker_id)
    assert (after.token_status, after.user_id) == (TokenStatus.EXPIRED, "AB1234")
    assert await ledgers(world, account.broker_id) == before != []
    shown = await world.owner.messages()
    assert all(one["id"] != sent and NEW_SECRET not in one["text"] for one in shown)
    assert await world.rows("prompts") == []
    await world.log_in(after)
    ready = await world.control.accounts.get(account.broker_id)
    assert (ready.token_status, ready.parked_reason) == (TokenStatus.VALID, "")
    assert await ledgers(world, account.broker_id) == before


@pytest.mark.row("A10")
async def test_a_wrong_key_or_secret_is_explained_and_nothing_is_changed(world: World):
    """The wizard's checks; the secret is deleted before it is looked at, and Cancel ends."""
    account = an_account(user_id="AB1234")
    await world.connect(
        account,
        an_account(
            "zerodha_bbbbbbbbbb",
            display_name="New",
            is_default=False,
            api_key=NEW_KEY,
            token_status=TokenStatus.EXPIRED,
            token_generated_at=None,
        ),
    )
    await world.start()
    await ask(world)
    await world.owner.say("not a key!")
    await world.owner.sees("expected a Kite API key")
    await world.owner.say(NEW_KEY)
    await world.owner.sees("uses this key already and has not logged in yet")
    await world.owner.say(f"{NEW_KEY[:-1]}x")
    await world.owner.sees("Send the API secret")
    wrong = await world.owner.say("no secret at all!")
    answer = await world.owner.sees("is not the form of the API secret")
    assert "no secret at all" not in answer["text"]
    await world.settled()
    assert all(one["id"] != wrong for one in await world.owner.messages())
    await world.owner.tap("Cancel", anywhere=True)
    await soon(lambda: _is_closed(world))
    found = await world.wiring.accounts.credentials(account.broker_id)
    assert (found.api_key, found.access_token) == (account.api_key, "token")
    assert await world.effects("renew") == []


async def _is_closed(world: World) -> bool:
    return await world.rows("prompts") == []


@pytest.mark.matrix("T05")
async def test_a_secret_that_arrives_again_after_a_crash_replaces_once(world: World):
    """The update is handled again; the second time only the answer is missing."""
    account = an_account(user_id="AB1234")
    await world.connect(account)
    await world.start()
    await ask(world)
    await world.owner.tap("Keep this key")
    await world.owner.sees("Send the API secret")
    await world.settled()
    (prompt,) = await world.rows("prompts")
    await world.owner.say(NEW_SECRET)
    await world.owner.sees("are replaced. Log in now")
    await world.settled()
    (last,) = (await world.store.find("inbox", {}, sort=[("update_id", -1)]))[:1]
    await world.crash()
    await world.store.insert("prompts", prompt)
    again = a_message(last["update_id"], NEW_SECRET, at=world.clock.now())
    await world.lay_in_inbox(again)
    await world.start()
    await soon(lambda: _is_closed(world))
    assert len(await world.effects("renew")) == 1


@pytest.mark.row("A3")
async def test_an_old_button_of_the_question_changes_nothing(world: World):
    """A stamp ties it to its step, as in the wizard; an account that is gone is said to be."""
    account = an_account(user_id="AB1234")
    await world.connect(account)
    await world.start()
    await ask(world)
    asked = await world.owner.sees("The new ones replace the old ones")
    keep = asked["keyboard"][0][0]["data"]
    await world.owner.say("/cancel")
    await soon(lambda: _is_closed(world))
    await world.owner.press(asked["id"], keep)
    await world.owner.reads(asked["id"], "This step is over")
    with pytest.raises(NotFound):
        await world.control.registration.renew_credentials(Command("x", 1, 1), "gone", NEW_KEY, "s")
