"""How often it is looked where accounts leave, and who is told of it (A12)."""

from __future__ import annotations

from dataclasses import replace

import pytest

from core.domain.account import Account
from core.domain.shared_address import address_words, has_way_out
from core.engine.accounts.accounts import update_account
from core.engine.orders.gate import gate_at
from core.ports.address_probe import Sighted, Sighting
from tests.fakes.memory_engine import MemoryEngine, market_clock
from tests.fakes.views import an_account
from tests.unit.engine.accounts.test_addresses import AWAY, EARLY, HOME, PROXY, House, Told

pytestmark = pytest.mark.row("A12")


@pytest.fixture
async def house() -> House:
    engine = await MemoryEngine(market_clock(EARLY)).owned()
    probe = Told()
    engine.wiring.upkeep.addresses.probe = probe
    return House(engine, probe)


async def registered(house: House, account: Account) -> Account:
    return await house.engine.control.addresses.set_registered(
        house.engine.command(), account.broker_id, (HOME,), is_change=False
    )


async def test_a_wrong_address_is_looked_at_again_each_minute_and_no_more_often(
    house: House,
) -> None:
    """The service that shows an address is somebody else's: a look each second is too much."""
    await registered(house, await house.engine.connect())
    house.probe.usual = Sighting(Sighted.SEEN, AWAY)
    await house.tick()
    await house.tick(1.0)
    looks = len(house.probe.looked)
    for _ in range(50):
        await house.tick(1.0)
    assert len(house.probe.looked) == looks
    await house.tick(61.0)
    assert len(house.probe.looked) == looks + 1


async def test_a_proxy_whose_login_cannot_be_opened_holds_up_nobody_else(house: House) -> None:
    """The key file is another one: that account is named in the log, the others are looked at."""
    broken = await house.engine.connect("Broken")
    await house.engine.control.addresses.set_proxy(house.engine.command(), broken.broker_id, PROXY)
    other = await registered(house, await house.engine.connect("Other"))
    await update_account(house.engine.store, broken.broker_id, {"proxy_login": "no seal"})
    house.probe.looked.clear()
    house.probe.usual = Sighting(Sighted.SEEN, AWAY)
    await house.tick()
    assert len(house.probe.looked) == 1
    assert AWAY in await house.entry(other)


async def test_only_who_matters_is_told_of_and_all_are_stopped(house: House) -> None:
    """Of an account that is disabled no notice comes, unless it is the default one."""
    default = await registered(house, await house.engine.connect("One", enabled=False))
    idle = await registered(house, await house.engine.connect("Two", enabled=False))
    assert default.is_default
    assert not idle.is_default
    house.probe.usual = Sighting(Sighted.SEEN, AWAY)
    await house.tick()
    assert [one.broker_id for one in await house.said()] == [default.broker_id]
    for account in (default, idle):
        gate = await gate_at(house.engine.writer, account.broker_id)
        assert gate is not None
        assert AWAY in gate.address_trouble


async def test_a_change_waits_for_an_order_that_is_on_its_way(house: House) -> None:
    """The client that ends would leave its order without an answer."""
    account = await house.engine.connect()
    worker = house.engine.wiring.new_worker(account.broker_id)
    house.engine.wiring.pool._workers[account.broker_id] = worker
    connections, held = house.engine.wiring.connections, []
    drop = connections.drop

    async def dropped(broker_id: str) -> None:
        held.append(worker.lock.locked())
        await drop(broker_id)

    connections.drop = dropped  # type: ignore[method-assign]
    await house.engine.control.addresses.set_local(house.engine.command(), account.broker_id, HOME)
    assert held == [True]


def test_the_readiness_line_says_how_an_address_stands() -> None:
    """Nothing of one that was never registered; checked only where it was seen."""
    plain = an_account(registered=(), address_seen=HOME)
    assert address_words(plain, [plain]) == (True, "")
    known = replace(plain, registered=(HOME,))
    assert address_words(known, [known]) == (True, "address checked")
    unseen = replace(known, address_seen="")
    assert address_words(unseen, [unseen]) == (True, "address not checked")
    wrong = replace(known, address_trouble="it is seen elsewhere")
    assert address_words(wrong, [wrong]) == (False, "it is seen elsewhere")
    assert has_way_out(plain)
