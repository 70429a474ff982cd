"""Where accounts leave is looked at before the session, and a wrong address enters nothing (A12)."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

import pytest

from core.adapters.zerodha import ZERODHA
from core.domain.account import Account, Sharing
from core.domain.instrument import Product
from core.domain.notices.accounts import AddressRight, AddressWrong
from core.domain.order import Purpose, Side
from core.domain.route import Proxy, ProxyKind, Route
from core.domain.sessions import IST
from core.engine.orders.gate import gate_at
from core.engine.orders.risk import Facts, first_denial
from core.errors import NotFound, StoreUnavailable, UserError
from core.ports.address_probe import Sighted, Sighting
from tests.fakes.brokers import SBIN
from tests.fakes.memory_engine import MemoryEngine, market_clock

pytestmark = pytest.mark.row("A12")

HOME, AWAY = "203.0.113.5", "198.51.100.7"
EARLY = datetime(2026, 11, 23, 8, 30, tzinfo=IST)
PROXY = Proxy(ProxyKind.SOCKS5, "proxy.example", 1080, "asha", "canary0of0the0proxy")


@dataclass
class Told:
    """An ``AddressProbe`` that says what a test tells it, and notes what was looked at."""

    answers: dict[Route, Sighting] = field(default_factory=dict)
    usual: Sighting = field(default_factory=lambda: Sighting(Sighted.SEEN, HOME))
    looked: list[Route] = field(default_factory=list)

    async def look(self, route: Route) -> Sighting:
        self.looked.append(route)
        return self.answers.get(route, self.usual)

    def local_addresses(self) -> Sequence[str]:
        return (HOME,)


@dataclass
class House:
    """An engine at half past eight, with a probe in the test's hand."""

    engine: MemoryEngine
    probe: Told

    async def tick(self, seconds: float = 0.0) -> None:
        await self.engine.clock.advance(seconds)
        await self.engine.wiring.upkeep.addresses.tick()

    async def entry(self, account: Account, purpose: Purpose = Purpose.ENTRY) -> str:
        """Return why an order of this purpose would be denied for its gate, or ''."""
        gate = await gate_at(self.engine.writer, account.broker_id)
        facts = Facts(purpose, "orb", SBIN, Product.MIS, Side.BUY, 0, gate)
        denial = first_denial(facts)
        return denial.reason if denial else ""

    async def now(self, account: Account) -> Account:
        return await self.engine.control.accounts.get(account.broker_id)

    async def said(self) -> list[AddressWrong | AddressRight]:
        found = await self.engine.notices(AddressWrong, AddressRight)
        return [one for one in found if isinstance(one, AddressWrong | AddressRight)]


@pytest.fixture
async def house() -> House:
    engine = await MemoryEngine(market_clock(EARLY)).owned()
    probe = Told()
    engine.wiring.upkeep.addresses.probe = probe
    return House(engine, probe)


async def registered(house: House, account: Account, *, is_change: bool = False) -> Account:
    return await house.engine.control.addresses.set_registered(
        house.engine.command(), account.broker_id, (HOME,), is_change=is_change
    )


async def test_wrong_address_is_said_once_and_stops_entries_alone(house: House) -> None:
    """Found before the session; entries are denied by the gate, exits are not; right again, said."""
    account = await registered(house, await house.engine.connect())
    await house.tick()
    assert await house.said() == []
    house.probe.usual = Sighting(Sighted.SEEN, AWAY)
    await house.tick(30 * 60.0)  # nine: the last quarter of an hour before the open
    wrong = f"Zerodha sees it at {AWAY}, but {HOME} is registered there"
    assert await house.entry(account) == wrong
    assert await house.entry(account, Purpose.EXIT) == ""
    for _ in range(3):
        await house.tick(61.0)
    assert await house.said() == [AddressWrong(account.broker_id, wrong, AWAY)]
    house.probe.usual = Sighting(Sighted.SEEN, HOME)
    await house.tick(61.0)
    assert await house.entry(account) == ""
    assert (await house.said())[1:] == [AddressRight(account.broker_id, HOME)]


async def test_address_that_is_not_there_enters_nothing(house: House) -> None:
    """A local address or a proxy that is gone is trouble even when nothing is registered."""
    account = await house.engine.connect()
    house.probe.usual = Sighting(Sighted.ABSENT, why="the proxy http://h:1 does not answer")
    await house.tick()
    assert await house.entry(account) == "the proxy http://h:1 does not answer"
    assert [one.seen for one in await house.said() if isinstance(one, AddressWrong)] == [""]


async def test_what_cannot_be_found_out_changes_nothing(house: House) -> None:
    """Neither stops entries nor lets them go: what was known last stays."""
    account = await registered(house, await house.engine.connect())
    house.probe.usual = Sighting(Sighted.UNKNOWN, why="the service does not answer")
    await house.tick()
    assert await house.entry(account) == ""
    house.probe.usual = Sighting(Sighted.SEEN, AWAY)
    await house.tick(30 * 60.0)
    house.probe.usual = Sighting(Sighted.UNKNOWN, why="the service does not answer")
    await house.tick(61.0)
    assert AWAY in await house.entry(account)


async def test_a_way_out_is_looked_at_once_and_again_after_a_login(house: House) -> None:
    """Fifty accounts of one address are one question; a new login is looked at."""
    first = await house.engine.connect()
    await house.engine.connect("Father")
    await house.tick()
    assert house.probe.looked == [Route()]
    await house.tick(5.0)
    assert len(house.probe.looked) == 1
    await house.engine.log_in(first)
    await house.tick(5.0)
    assert len(house.probe.looked) == 2


async def test_proxy_is_kept_sealed_and_used_by_the_next_client(house: House) -> None:
    """Its login is nowhere in the store in plain; credentials have it; the old client is closed."""
    account = await house.engine.connect()
    await house.engine.wiring.connections.client(account)
    found = await house.engine.control.addresses.set_proxy(
        house.engine.command(), account.broker_id, PROXY
    )
    assert found.proxy == "socks5://proxy.example:1080"
    assert found.source_address is None
    rows = [await house.engine.store.find(name, {}) for name in ("broker_accounts", "commits")]
    assert "canary" not in repr(rows)
    credentials = await house.engine.wiring.accounts.credentials(account.broker_id)
    assert credentials.route == Route(proxy=PROXY)
    assert "canary" not in repr(credentials)
    await house.engine.wiring.connections.client(found)
    assert house.engine.brokers[ZERODHA].routes == [Route(), Route(proxy=PROXY)]
    back = await house.engine.control.addresses.set_local(
        house.engine.command(), account.broker_id, HOME
    )
    assert (back.proxy, back.source_address) == ("", HOME)
    route = (await house.engine.wiring.accounts.credentials(account.broker_id)).route
    assert route == Route(HOME)


async def test_what_is_not_there_is_not_taken(house: House) -> None:
    """A proxy that does not answer is refused, and the account leaves as before."""
    account = await house.engine.connect()
    gone = Sighting(Sighted.ABSENT, why="the proxy socks5://proxy.example:1080 does not answer")
    house.probe.answers[Route(proxy=PROXY)] = gone
    with pytest.raises(UserError, match=r"The proxy socks5.* nothing was changed\.") as caught:
        await house.engine.control.addresses.set_proxy(
            house.engine.command(), account.broker_id, PROXY
        )
    assert "canary" not in str(caught.value)
    assert (await house.now(account)).proxy == ""


async def test_new_way_is_judged_in_the_same_commit(house: House) -> None:
    """No entry slips through between the change and the next look."""
    account = await registered(house, await house.engine.connect())
    house.probe.answers[Route(AWAY)] = Sighting(Sighted.SEEN, AWAY)
    await house.engine.control.addresses.set_local(house.engine.command(), account.broker_id, AWAY)
    assert AWAY in await house.entry(account)
    assert await house.said() == [], "the user who changed it sees it on the card"
    house.probe.answers[Route(AWAY)] = Sighting(Sighted.UNKNOWN, why="no answer")
    again = await house.engine.control.addresses.set_registered(
        house.engine.command(), account.broker_id, (AWAY,), is_change=True
    )
    assert again.address_trouble == ""
    assert again.registered_at == house.engine.clock.now()
    assert await house.entry(account) == ""


async def test_address_that_stood_there_before_has_no_new_date(house: House) -> None:
    """A broker takes one change a week: only what was changed now begins another."""
    account = await house.engine.connect()
    assert (await registered(house, account)).registered_at is None
    changed = (await registered(house, account, is_change=True)).registered_at
    assert changed == house.engine.clock.now()
    await house.tick(60.0)
    assert (await registered(house, account)).registered_at == changed


async def test_look_at_a_way_that_was_left_meanwhile_says_nothing(house: House) -> None:
    """What was seen of the old way is not held against the new one."""
    account = await registered(house, await house.engine.connect())
    stale = account
    await house.engine.control.addresses.set_local(house.engine.command(), account.broker_id, HOME)
    house.probe.answers[Route()] = Sighting(Sighted.SEEN, AWAY)
    addresses = house.engine.wiring.upkeep.addresses
    await addresses._look(Route(), [stale], is_told=True)
    assert await house.entry(account) == ""


@pytest.mark.row("B9")
async def test_readiness_tells_of_addresses(house: House) -> None:
    """Checked, wrong, and shared without a reason, each in the account's line (B9)."""
    first = await registered(house, await house.engine.connect())
    health = house.engine.control.health
    (line,) = await health.readiness()
    assert "address checked" in line.note
    second = await house.engine.connect("Father")
    for account, user in ((first, "AB1234"), (second, "CD5678")):
        this = {"_id": account.broker_id}
        (row,) = await house.engine.store.find("broker_accounts", this)
        row["user_id"] = user
        await house.engine.store.delete("broker_accounts", this)
        await house.engine.store.insert("broker_accounts", row)
    lines = await health.readiness()
    shared = [one for one in lines if "shares its address with" in one.note]
    assert [one.is_ready for one in shared] == [False, False]
    await house.engine.control.addresses.set_sharing(
        house.engine.command(), second.broker_id, Sharing.PARENT
    )
    assert all("shares" not in one.note for one in await health.readiness())
    house.probe.usual = Sighting(Sighted.SEEN, AWAY)
    wrong = next(
        one for one in await health.readiness() if one.account.broker_id == first.broker_id
    )
    assert not wrong.is_ready
    assert f"sees it at {AWAY}" in wrong.note


async def test_disconnected_account_is_left_alone(house: House) -> None:
    """Nothing is set or looked at for what is no account any more; the proxy's login is wiped."""
    account = await house.engine.connect()
    control, command = house.engine.control, house.engine.command
    await control.addresses.set_proxy(command(), account.broker_id, PROXY)
    await control.registration.disconnect(command(), account.broker_id)
    (row,) = await house.engine.store.find("broker_accounts", {"_id": account.broker_id})
    assert row["proxy_login"] is None
    with pytest.raises(NotFound):
        await control.addresses.set_local(command(), account.broker_id, HOME)
    await house.tick()
    await house.engine.wiring.upkeep.addresses.check([replace(account)])
    assert await house.said() == []


@dataclass
class Losing(Told):
    """A probe under whose n-th look the store goes away."""

    at: int = 1
    engine: MemoryEngine | None = None

    async def look(self, route: Route) -> Sighting:
        found = await super().look(route)
        if self.engine is not None and len(self.looked) == self.at:
            self.engine.store.database.is_away = True
        return found


async def test_what_is_set_is_said_to_be_set_when_it_cannot_be_checked(house: House) -> None:
    """The store goes away after the change: the answer tells both, and the change is there."""
    account = await house.engine.connect()
    addresses, command = house.engine.control.addresses, house.engine.command
    changes: tuple[tuple[int, Callable[[], Awaitable[Account]], str], ...] = (
        (
            2,  # the first look is the one before the change
            lambda: addresses.set_proxy(command(), account.broker_id, PROXY),
            r"leaves from the proxy socks5://proxy\.example:1080 from now on, but it could not be",
        ),
        (
            2,
            lambda: addresses.set_local(command(), account.broker_id, HOME),
            rf"leaves from {HOME} from now on, but it could not be checked",
        ),
        (
            1,
            lambda: addresses.set_registered(
                command(), account.broker_id, (HOME,), is_change=False
            ),
            rf"{HOME} is noted for Zerodha - \w+, but it could not be checked",
        ),
    )
    for at, change, told in changes:
        house.engine.wiring.upkeep.addresses.probe = Losing(at=at, engine=house.engine)
        with pytest.raises(UserError, match=told):
            await change()
        house.engine.store.database.is_away = False
    now = await house.now(account)
    assert (now.source_address, now.proxy, now.registered) == (HOME, "", (HOME,))


async def test_whose_address_it_is_is_said_to_be_noted(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The store goes away behind the commit: the answer says that it is noted."""
    account = await house.engine.connect()
    commit = house.engine.store.transaction

    async def and_away(body: Any, *, nonce: str) -> Any:
        done = await commit(body, nonce=nonce)
        house.engine.store.database.is_away = True
        return done

    monkeypatch.setattr(house.engine.control.addresses._store, "transaction", and_away)
    with pytest.raises(UserError, match="is noted, but it could not be checked"):
        await house.engine.control.addresses.set_sharing(
            house.engine.command(), account.broker_id, Sharing.CHILD
        )
    house.engine.store.database.is_away = False
    assert (await house.now(account)).sharing is Sharing.CHILD


async def test_store_that_goes_away_under_a_look_is_its_own_error(house: House) -> None:
    """Not one of a group: whoever watches for a store that is away sees that it is."""
    for name in ("Main", "Father"):
        account = await house.engine.connect(name)
    await house.engine.control.addresses.set_local(house.engine.command(), account.broker_id, HOME)
    house.engine.wiring.upkeep.addresses.probe = Losing(engine=house.engine)
    with pytest.raises(StoreUnavailable):
        await house.tick()
