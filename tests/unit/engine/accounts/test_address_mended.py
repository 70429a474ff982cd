"""A user who mends a wrong address: the alarm ends, and nothing else that is wrong is forgotten (A12)."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import pytest

from core.domain.account import Account, Sharing
from core.domain.notices.accounts import AddressRight
from core.domain.route import Route
from core.ports.address_probe import Sighted, Sighting
from tests.fakes.memory_engine import MemoryEngine, market_clock
from tests.unit.engine.accounts.test_addresses import AWAY, EARLY, HOME, PROXY, House, Told

pytestmark = pytest.mark.row("A12")
GONE = Sighting(Sighted.ABSENT, why="the proxy socks5://proxy.example:1080 does not answer")


@dataclass(kw_only=True)
class Looking(Told):
    """A probe that notes why an entry would be denied while it looks."""

    house: House
    account: Account
    found: Sighting
    denied: list[str] = field(default_factory=list)

    async def look(self, route: Route) -> Sighting:
        del route
        self.denied.append(await self.house.entry(self.account))
        return self.found


@pytest.fixture
async def house() -> House:
    engine = await MemoryEngine(market_clock(EARLY)).owned()
    probe = Told()
    engine.wiring.upkeep.addresses.probe = probe
    return House(engine, probe)


async def alarmed(house: House) -> Account:
    """Connect an account that is seen at another address than the registered one, and is told of."""
    account = await house.engine.connect()
    await register(house, account, HOME)
    house.probe.usual = Sighting(Sighted.SEEN, AWAY)
    await house.tick()
    assert len(await house.said()) == 1
    return account


async def register(house: House, account: Account, address: str) -> Account:
    """Note what the broker's console holds."""
    return await house.engine.control.addresses.set_registered(
        house.engine.command(), account.broker_id, (address,), is_change=True
    )


@pytest.mark.parametrize("how", ["registered", "another way", "looked at again"])
async def test_the_alarm_ends_with_what_the_user_sets(house: House, how: str) -> None:
    """Else it stands in the chat for good, and says that nothing is entered."""
    account = await alarmed(house)
    control, command = house.engine.control.addresses, house.engine.command()
    house.probe.answers[Route(HOME)] = Sighting(Sighted.SEEN, HOME)
    if how == "registered":
        await register(house, account, AWAY)
    elif how == "another way":
        await control.set_local(command, account.broker_id, HOME)
    else:
        house.probe.usual = Sighting(Sighted.SEEN, HOME)
        await control.check(account.broker_id)
    assert await house.entry(account) == ""
    now = await house.now(account)
    assert now.address_checked_at == house.engine.clock.now(), "the page says when it was looked"
    seen = AWAY if how == "registered" else HOME
    assert (await house.said())[1:] == [AddressRight(account.broker_id, seen)]


async def test_a_way_that_nobody_can_see_is_not_said_to_be_right(house: House) -> None:
    """Its alarm is over, for that was of another way; what was seen of that one is not shown."""
    account = await alarmed(house)
    house.probe.answers[Route(HOME)] = Sighting(Sighted.UNKNOWN, why="no answer")
    now = await house.engine.control.addresses.set_local(
        house.engine.command(), account.broker_id, HOME
    )
    assert (now.address_seen, now.address_checked_at, now.address_trouble) == ("", None, "")
    (over,) = (await house.said())[1:]
    assert over == AddressRight(account.broker_id, "")


@pytest.mark.parametrize("found", [GONE, Sighting(Sighted.UNKNOWN, why="no answer")])
async def test_a_way_that_is_gone_is_not_there_again_by_a_note(
    house: House, found: Sighting
) -> None:
    """What the console holds says nothing of a proxy that does not answer."""
    account = await house.engine.connect()
    await house.engine.control.addresses.set_proxy(house.engine.command(), account.broker_id, PROXY)
    house.probe.usual = GONE
    await house.engine.control.addresses.check(account.broker_id)
    assert "does not answer" in await house.entry(account)
    probe = Looking(house=house, account=account, found=found)
    house.engine.wiring.upkeep.addresses.probe = probe
    now = await register(house, account, HOME)
    assert probe.denied == [GONE.why], (
        "an entry that goes between the note and the look would be lost"
    )
    assert now.address_trouble == GONE.why


async def test_what_nobody_was_told_of_is_not_said_to_be_over(house: House) -> None:
    """An account that trades nothing had no alarm; whoever mends it sees the page."""
    await house.engine.connect("Default")
    account = await house.engine.connect("Idle", enabled=False)
    await register(house, account, HOME)
    house.probe.usual = Sighting(Sighted.SEEN, AWAY)
    await house.tick()
    assert AWAY in (await house.now(account)).address_trouble
    now = await register(house, account, AWAY)
    assert now.address_trouble == ""
    assert await house.said() == []


@pytest.mark.parametrize(("user", "password"), [("asha", ""), ("", "canary"), ("asha", "p:q")])
async def test_the_login_of_a_proxy_is_kept_whole_and_goes_with_it(
    house: House, user: str, password: str
) -> None:
    """A user without a password is one, too; another way leaves nothing of it behind."""
    account = await house.engine.connect()
    control, command = house.engine.control.addresses, house.engine.command
    proxy = replace(PROXY, user=user, password=password)
    await control.set_proxy(command(), account.broker_id, proxy)
    credentials = await house.engine.wiring.accounts.credentials(account.broker_id)
    assert credentials.route == Route(proxy=proxy)
    await control.set_local(command(), account.broker_id, HOME)
    (row,) = await house.engine.store.find("broker_accounts", {})
    assert (row["proxy"], row["proxy_login"]) == ("", None)


async def test_a_reason_to_share_an_address_can_be_taken_back(house: House) -> None:
    """None of these: the account is nobody's relative again."""
    account = await house.engine.connect()
    for sharing in (Sharing.SPOUSE, None):
        now = await house.engine.control.addresses.set_sharing(
            house.engine.command(), account.broker_id, sharing
        )
        assert now.sharing is sharing
