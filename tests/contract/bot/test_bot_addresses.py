"""From where an account leaves, set through the chat (A12)."""

from __future__ import annotations

import pytest

from core.domain.account import Sharing
from core.domain.route import Proxy, ProxyKind
from tests.fakes.bot_world import World
from tests.fakes.proxies import PASSWORD, USER, running_proxy
from tests.fakes.views import an_account

pytestmark = pytest.mark.row("A12")


async def opened(world: World, *others: str) -> str:
    """Connect accounts, and open the first one's page of its address; return its id."""
    account = an_account(user_id="AB1234")
    more = [
        an_account(
            f"zerodha_{name.lower():b<10}", display_name=name, is_default=False, user_id=name
        )
        for name in others
    ]
    await world.connect(account, *more)
    await world.start()
    await world.owner.say("/brokers")
    await world.owner.tap("Edit Main")
    await world.owner.tap("Address")
    await world.owner.sees("Address of Zerodha - Main")
    return account.broker_id


async def test_local_address_and_registered_address(world: World):
    """A typed address of this machine; what is registered, when, and what is wrong with it."""
    broker_id = await opened(world)
    await world.owner.tap("Leave from")
    await world.owner.tap("Another address")
    await world.owner.sees("Send the address of this machine")
    await world.owner.say("192.0.2.1")
    await world.owner.sees("192.0.2.1 is not an address of this machine; nothing was changed.")
    await world.owner.say("127.0.0.2")
    page = await world.owner.sees("leaves from 127.0.0.2 from now on", anywhere=True)
    assert "Seen at: 127.0.0.2" in page["text"]
    assert "Registered at Zerodha: not noted" in page["text"]
    await world.owner.tap("Registered …", anywhere=True)
    await world.owner.sees("Which address is registered at Zerodha")
    await world.owner.say("127.0.0.300")
    await world.owner.sees("expected an IP address")
    await world.owner.say("127.0.0.3")
    await world.owner.sees("when was that registered", anywhere=True)
    await world.owner.tap("Changed there just now", anywhere=True)
    page = await world.owner.sees("Nothing is entered until that is right", anywhere=True)
    assert "Zerodha sees it at 127.0.0.2, but 127.0.0.3 is registered there." in page["text"]
    assert "The broker takes the next change from" in page["text"]
    await world.owner.tap("Registered …", anywhere=True)
    await world.owner.say("127.0.0.2 127.0.0.3")
    again = await world.owner.sees("takes one change a calendar week", anywhere=True)
    assert "127.0.0.2 and 127.0.0.3" in again["text"]
    await world.owner.tap("It stood there before", anywhere=True)
    page = await world.owner.sees("Registered at Zerodha: 127.0.0.2 and 127.0.0.3", anywhere=True)
    assert "Nothing is entered" not in page["text"]
    account = await world.control.accounts.get(broker_id)
    assert account.registered == ("127.0.0.2", "127.0.0.3")
    assert account.address_trouble == ""


async def test_proxy_is_typed_once_and_deleted(world: World):
    """The message is deleted before it is looked at, right or wrong; its password is nowhere."""
    broker_id = await opened(world)
    await world.owner.tap("Leave from")
    await world.owner.tap("A proxy")
    await world.owner.sees("socks5://user:password@host:1080")
    wrong = await world.owner.say(f"ftp://{USER}:{PASSWORD}@127.0.0.1:1080")
    await world.owner.sees("That is no address of a proxy")
    with running_proxy() as running:
        given = f"socks5://{USER}:{PASSWORD}@127.0.0.1:{running.port}"
        sent = await world.owner.say(given)
        proxy = f"socks5://127.0.0.1:{running.port}"
        await world.owner.sees(f"leaves from the proxy {proxy}", anywhere=True)
        route = (await world.wiring.accounts.credentials(broker_id)).route
        assert route.proxy == Proxy(ProxyKind.SOCKS5, "127.0.0.1", running.port, USER, PASSWORD)
    late = await world.owner.say(given)  # nobody asks for it any more
    await world.owner.sees("That looked like a key or a secret, so I deleted it")
    shown = await world.owner.messages()
    assert all(
        one["id"] not in {sent, wrong, late} and PASSWORD not in one["text"] for one in shown
    )
    await world.owner.tap("Leave from", anywhere=True)
    await world.owner.tap("This machine's own address", anywhere=True)
    await world.owner.sees("leaves from this machine's own address from now on", anywhere=True)
    assert (await world.control.accounts.get(broker_id)).proxy == ""


async def test_why_an_address_is_shared(world: World):
    """Two users at one address are warned about until one of them says why."""
    broker_id = await opened(world, "Father")
    page = await world.owner.sees("It shares its address with Zerodha - Father")
    assert "same holder, a spouse, dependent children and dependent parents only" in page["text"]
    await world.owner.tap("Why shared")
    await world.owner.sees("Whose account is Zerodha - Main?")
    await world.owner.tap("Dependent child")
    page = await world.owner.sees("May share it as: Dependent child")
    assert "shares its address" not in page["text"]
    assert (await world.control.accounts.get(broker_id)).sharing is Sharing.CHILD
    await world.owner.tap("Why shared")
    await world.owner.tap("None of these")
    await world.owner.sees("It shares its address with Zerodha - Father")


async def test_wizard_warns_of_a_shared_address(world: World):
    """A second account of a broker at one address may be anybody's: it asks whose it is."""
    account = an_account(user_id="AB1234")
    await world.connect(account)
    await world.start()
    await world.owner.say("/add")
    await world.owner.tap("Zerodha")
    await world.owner.tap("Continue")
    await world.owner.say("Father")
    await world.owner.sees("Send the API key")
    await world.owner.say("fatherskey123456")
    await world.owner.sees("Send the API secret")
    await world.owner.say("fatherssecret0000000000000000001")
    await world.owner.tap("Connect this account")
    added = await world.owner.sees("Zerodha - Father is added.")
    assert "It shares its address with Zerodha - Main." in added["text"]
    await world.owner.tap("Whose is it?")
    await world.owner.tap("Dependent parent")
    page = await world.owner.sees("May share it as: Dependent parent")
    assert "shares its address" not in page["text"]
