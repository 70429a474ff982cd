"""Live entries wait for limits and one round trip of the smallest size (row F8)."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

import pytest

from core.config import Settings
from core.domain.account import Account
from core.domain.limits import LimitKind
from core.domain.mode import TradingMode
from core.domain.notices.limits import RoundTripFailed, RoundTripPassed
from core.domain.order import OrderState, Side
from core.domain.outcome import Refusal, Refused
from core.domain.target import Direction
from core.engine.control.control import Control
from core.engine.orders.limits import ALL, limits_at
from core.errors import UserError
from tests.fakes.brokers import SBIN, roots_at
from tests.fakes.held import hold
from tests.fakes.memory_engine import MemoryEngine, market_clock
from tests.fakes.run_bench import TEN, Obedient, RunBench

pytestmark = pytest.mark.row("F8")
OWN = Settings(public_url="https://saarthi.example")
SIMULATED = OWN.model_copy(update={"roots": roots_at(lambda name: f"https://{name}.example")})
PROVED = SIMULATED.model_copy(update={"prove_accounts": True})


async def a_bench(settings: Settings = OWN) -> RunBench:
    bench = RunBench()
    bench.engine = MemoryEngine(
        market_clock(TEN), {bench.strategy.name: bench.strategy}, settings=settings
    )
    return await bench.opened()


async def restarted(bench: RunBench) -> None:
    """Another controller over the same store, brokers and clock, a second later."""
    before = bench.engine
    await before.clock.advance(1)
    bench.engine = MemoryEngine(
        before.clock,
        before.registry,
        store=before.store,
        settings=before.settings,
        brokers=before.brokers,
        masters=before.masters,
        key=before.key,
    )
    bench.worker = bench.engine.wiring.new_worker(bench.account.broker_id)


def control(bench: RunBench) -> Control:
    return bench.engine.control


async def set_limits(bench: RunBench) -> None:
    for kind in (LimitKind.DAILY_LOSS, LimitKind.ORDER_VALUE):
        await control(bench).limits.set(
            bench.engine.command(), bench.account.broker_id, kind, "10,000"
        )


async def begin(bench: RunBench) -> None:
    await control(bench).round_trips.begin(bench.engine.command(), bench.account.broker_id, SBIN)


async def goes_on(bench: RunBench, steps: int = 8) -> None:
    for _ in range(steps):
        await bench.turns(1)
        await control(bench).round_trips.tick()
        await bench.engine.clock.advance(1)


async def signal(bench: RunBench, minute: int = 0) -> str:
    """Run with a fresh signal; return why nothing is entered."""
    bench.strategy.want(Direction.LONG, TEN + timedelta(minutes=minute))
    await bench.run()
    return await bench.note()


async def test_nothing_is_entered_before_limits_and_a_round_trip():
    """The card names what is missing; after a round trip the signal enters."""
    bench = await a_bench()
    assert (
        await signal(bench) == "its limits are not set: set daily loss and order value in /limits"
    )
    await set_limits(bench)
    assert await signal(bench, 1) == (
        "no smallest round trip has passed on it yet: do one in /limits"
    )
    await begin(bench)
    await goes_on(bench)
    assert bench.sent() == [("BUY", 1), ("SELL", 1)]
    assert await signal(bench, 2) == ""
    await bench.turns()
    assert await bench.held() == 10


@pytest.mark.parametrize(("settings", "needs"), [(SIMULATED, False), (PROVED, True), (OWN, True)])
async def test_a_simulators_address_needs_it_only_where_the_setting_asks(
    settings: Settings, needs: bool
):
    """At the broker's own address nothing switches it off."""
    bench = await a_bench(settings)
    assert ("limits are not set" in await signal(bench)) is needs


async def test_the_dashboard_says_what_is_missing():
    """The same words as on the card of a signal."""
    bench = await a_bench()
    view = await control(bench).views.dashboard(bench.account.broker_id)
    assert view.held_back == (
        "nothing is entered: its limits are not set: set daily loss and order value in /limits",
    )


async def test_the_gate_denies_what_was_planned_before():
    """An entry that waits does not slip through when the account is no longer proved."""
    bench = await a_bench()
    await set_limits(bench)
    await begin(bench)
    await goes_on(bench)
    assert await signal(bench) == ""
    scope = bench.account.broker_id
    await control(bench).limits.remove(
        bench.engine.command(), scope, LimitKind.DAILY_LOSS, "₹10,000"
    )
    await bench.turns()
    assert bench.sent()[2:] == []
    (row,) = [one for one in await bench.engine.orders() if one.strategy == "obedient"]
    assert (row.state, "limits are not set" in row.reason) == (OrderState.DENIED, True)


async def test_the_limits_of_all_together_are_not_the_accounts_own():
    """Each account needs its own two."""
    bench = await a_bench()
    for kind in (LimitKind.DAILY_LOSS, LimitKind.ORDER_VALUE):
        await control(bench).limits.set(bench.engine.command(), ALL, kind, "10,000")
    assert "limits are not set" in await signal(bench)
    with pytest.raises(UserError, match="limits are not set"):
        await begin(bench)


async def test_what_it_buys_and_costs_is_said_before():
    """The smallest size of what strategies trade, its price, and the charges of both orders."""
    bench = await a_bench()
    await set_limits(bench)
    trips = control(bench).round_trips
    assert await trips.choices(bench.account.broker_id) == (SBIN,)
    offer = await trips.offer(bench.account.broker_id, SBIN)
    assert (offer.units, offer.price) == (1, Decimal("815.10"))
    assert offer.charges is not None
    assert 0 < offer.charges < 10


async def test_it_is_journalled_and_told_with_both_prices():
    """Entry and exit are orders of the journal; the proof says where and how."""
    bench = await a_bench()
    await set_limits(bench)
    await begin(bench)
    await goes_on(bench)
    stored = await limits_at(bench.engine.store, bench.account.broker_id)
    assert stored.proved is not None
    assert (stored.proved.address, stored.proved.how) == ("https://api.kite.trade", "round trip")
    assert stored.trip is None
    assert await bench.engine.notices(RoundTripPassed) == [
        RoundTripPassed(
            bench.account.broker_id, "NSE:SBIN", 1, Decimal("815.10"), Decimal("815.10")
        )
    ]
    with pytest.raises(UserError, match="not needed"):
        await begin(bench)


async def test_a_refused_buy_says_why_and_can_be_tried_again():
    """Nothing is held, nothing is proved; the broker's words are in the message."""
    bench = await a_bench()
    await set_limits(bench)
    bench.broker.answers = [Refused(Refusal.REJECTED, "insufficient funds")]
    await begin(bench)
    with pytest.raises(UserError, match="under way"):
        await begin(bench)
    await goes_on(bench)
    (said,) = await bench.engine.notices(RoundTripFailed)
    assert isinstance(said, RoundTripFailed)
    assert said.reason == "insufficient funds"
    assert "no smallest round trip" in await signal(bench)
    await begin(bench)
    await goes_on(bench)
    assert await bench.engine.notices(RoundTripPassed)


@pytest.mark.parametrize("mode", [TradingMode.EXIT_ONLY, TradingMode.PAUSED])
async def test_modes_hold_for_it_too(mode: TradingMode):
    """It is an entry like any other: the mode denies it, and that is the reason told."""
    bench = await a_bench()
    await set_limits(bench)
    await control(bench).modes.set(bench.engine.command(), mode, bench.account.broker_id)
    await begin(bench)
    await goes_on(bench)
    (said,) = await bench.engine.notices(RoundTripFailed)
    assert isinstance(said, RoundTripFailed)
    assert (said.reason.split(":")[0], bench.sent()) == (mode.value.lower().replace("_", " "), [])


@pytest.mark.parametrize("steps", range(1, 6))
async def test_a_restart_in_the_middle_goes_on(steps: int):
    """Wherever it was: what was bought is sold, and the account is proved once."""
    bench = await a_bench()
    await set_limits(bench)
    await begin(bench)
    for step in range(steps):
        if step % 2:
            await control(bench).round_trips.tick()
        else:
            await bench.turns(1)
    await restarted(bench)
    await goes_on(bench, 10)
    assert (bench.sent(), await bench.held()) == ([("BUY", 1), ("SELL", 1)], 0)
    assert len(await bench.engine.notices(RoundTripPassed)) == 1


async def test_what_another_closes_meanwhile_proves_nothing():
    """Bought by us and sold in the broker's app: no exit of ours was seen to fill."""
    bench = await a_bench()
    await set_limits(bench)
    await begin(bench)
    await bench.turns(2)
    assert await bench.held() == 1
    shown = bench.broker.show(replace(bench.broker.placed[0], side=Side.SELL))
    bench.broker.order_list[shown.broker_order_id] = replace(shown, tag=None)
    bench.broker.fill(shown.broker_order_id)
    await bench.engine.clock.advance(11)
    await bench.turns(3)
    await goes_on(bench)
    (said,) = await bench.engine.notices(RoundTripFailed)
    assert isinstance(said, RoundTripFailed)
    assert "closed by something else" in said.reason


async def test_an_installation_that_has_traded_is_proved_by_its_journal():
    """A filled entry and a filled exit of one ledger; a limit is still to be set."""
    bench = await a_bench(SIMULATED)
    await signal(bench)
    await bench.turns()
    await bench.close()
    await bench.turns(6)
    assert [side for side, _ in bench.sent()] == ["BUY", "SELL"]
    bench.engine.settings = OWN
    await restarted(bench)
    await set_limits(bench)
    await control(bench).round_trips.tick()
    assert await signal(bench, 1) == ""


async def test_what_filled_at_a_simulator_proves_nothing_elsewhere():
    """The journal's trades are from before the account came to the broker's own address."""
    bench = await a_bench(SIMULATED)
    await signal(bench)
    await bench.turns()
    await bench.close()
    await bench.turns(6)
    await bench.engine.clock.advance(1)
    await control(bench).round_trips.tick()  # a controller at the simulator
    bench.engine.settings = OWN
    await restarted(bench)
    await set_limits(bench)
    await control(bench).round_trips.tick()
    assert "no smallest round trip" in await signal(bench, 1)


async def test_an_entry_alone_in_the_journal_is_no_round_trip():
    """What is held still was never sold."""
    bench = await a_bench()
    await hold(bench.engine, bench.account, 5, strategy=Obedient.name)
    await set_limits(bench)
    await control(bench).round_trips.tick()
    assert (await limits_at(bench.engine.store, bench.account.broker_id)).proved is None


async def test_proof_holds_at_the_address_where_it_was_made():
    """A simulator that had to be proved says nothing of the broker's own address."""
    bench = await a_bench(PROVED)
    await set_limits(bench)
    await begin(bench)
    await goes_on(bench)
    assert (await limits_at(bench.engine.store, bench.account.broker_id)).proved is not None
    bench.engine.settings = OWN
    await restarted(bench)
    await control(bench).round_trips.tick()
    assert "no smallest round trip" in await signal(bench)


async def test_looks_at_nothing_new_read_nothing_and_a_trip_goes_on_all_the_same(
    monkeypatch: pytest.MonkeyPatch,
):
    """A look comes each second; two hundred accounts are seldom asked for a round trip."""
    bench = await a_bench()
    await set_limits(bench)
    await bench.engine.become_writer()
    accounts, reads = bench.engine.wiring.accounts, []

    async def counted() -> tuple[Account, ...]:
        reads.append("accounts")
        return await type(accounts).all(accounts)

    monkeypatch.setattr(accounts, "all", counted)
    for _ in range(3):
        await control(bench).round_trips.tick()
    assert reads == ["accounts"]
    await begin(bench)
    await goes_on(bench)
    assert bench.sent() == [("BUY", 1), ("SELL", 1)]
    assert (await limits_at(bench.engine.writer, bench.account.broker_id)).proved is not None
