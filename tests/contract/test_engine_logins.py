"""Logins that die and modes that change while orders are on their way (A01 to A03, O04)."""

from __future__ import annotations

import asyncio

import pytest

from core.domain.mode import TradingMode
from core.domain.notices.post import Delivery
from core.domain.order import OrderState
from core.engine.orders.lanes import no_lanes
from tests.faults.life import FYERS, KITE, World, living, until
from tests.faults.watch import Rule, Watch
from tests.invariants import assert_invariants

pytest_plugins = ("tests.faults.fixtures",)

pytestmark = pytest.mark.dates

PLACE = {"method": "POST", "path": "*/orders/*", "api_key": KITE.api_key}


@pytest.mark.matrix("A01", "A03")
@pytest.mark.invariant("I1", "I2", "I7")
@pytest.mark.row("B8", "B10")
async def test_login_dies_between_two_orders(world: World) -> None:
    """The account is parked with one prompt, the other goes on; the held exit goes after a login."""
    async with living(world) as life:
        kite = await life.connect(KITE)
        fyers = await life.connect(FYERS)
        await life.enter()
        await life.settled()
        assert world.told.deliveries("token_warning") == []
        world.sandbox.ask("POST", "/tokens/expire", {"broker": "kite", "api_key": KITE.api_key})
        await life.run("FLAT")
        await life.holds(fyers, 0)

        async def parked() -> bool:
            return (await life.system.control.accounts.get(kite)).needs_login

        await until(parked)
        await life.login(kite)
        await life.holds(kite, 0)
        await assert_invariants(life)
        assert world.told.deliveries("token_warning").count(Delivery.REPLACE) == 1
        assert "account_parked" not in world.told.kinds()
        assert len([w for w in world.placed(KITE) if w["side"] == "SELL" and w["applied"]]) == 1


@pytest.mark.matrix("A01")
@pytest.mark.invariant("I1", "I2")
@pytest.mark.row("B10")
async def test_entry_that_met_a_dead_login_is_dropped(world: World) -> None:
    """After the login the entry of before is not sent any more, and the chat lists it."""
    release = asyncio.Event()
    watch = Watch(Rule("commit", "before", what="submit:"), release.wait)  # type: ignore[arg-type]
    async with living(world, watch) as life:
        kite = await life.connect(KITE)
        life.system.runner._lanes = no_lanes  # it waits for its worker
        await life.run("LONG")
        await asyncio.wait_for(watch.struck.wait(), 150)
        world.sandbox.ask("POST", "/tokens/expire", {"broker": "kite", "api_key": KITE.api_key})
        release.set()
        row = await life.becomes(OrderState.HELD, broker_id=kite)
        assert "login needed" in row["reason"]

        async def parked() -> bool:
            return (await life.system.control.accounts.get(kite)).needs_login

        await until(parked)
        await life.login(kite)
        await life.becomes(OrderState.DENIED, broker_id=kite)
        await assert_invariants(life)
        assert "entries_dropped" in world.told.kinds()
        assert not [write for write in world.placed(KITE) if write["applied"]]


@pytest.mark.matrix("A02")
@pytest.mark.invariant("I1", "I2", "I4")
@pytest.mark.slow
async def test_login_dies_while_an_order_is_in_the_air(world: World) -> None:
    """A dead login while the answer is unknown says nothing of the order; a login resolves it."""
    world.order_deadline_s = 5.0  # still unknown when the login is found to be dead
    async with living(world) as life:
        kite = await life.connect(KITE)
        world.sandbox.fault("hang", "kite", match=PLACE, effect=True)
        await life.run("LONG")

        async def arrived() -> bool:
            return any(write["applied"] for write in world.placed(KITE))

        await until(arrived)
        world.sandbox.ask("POST", "/tokens/expire", {"broker": "kite", "api_key": KITE.api_key})

        async def parked() -> bool:
            return (await life.system.control.accounts.get(kite)).needs_login

        await until(parked)
        # No read succeeds, so the horizon proves nothing.
        await life.outlived(await life.row(broker_id=kite), world.horizon_s)
        assert (await life.row(broker_id=kite))["state"] in {"SUBMITTED", "UNRESOLVED"}
        await life.login(kite)
        await life.holds(kite, 1)
        await assert_invariants(life)
        assert len(world.placed(KITE)) == 1


@pytest.mark.matrix("O04")
@pytest.mark.invariant("I6")
@pytest.mark.row("C4")
@pytest.mark.parametrize("mode", [TradingMode.PAUSED, TradingMode.EXIT_ONLY])
async def test_mode_changes_between_plan_and_commit(world: World, mode: TradingMode) -> None:
    """A mode that is set while an entry stands before its commit stops it."""
    release = asyncio.Event()
    watch = Watch(Rule("commit", "before", what="submit:"), release.wait)  # type: ignore[arg-type]
    async with living(world, watch) as life:
        kite = await life.connect(KITE)
        life.system.runner._lanes = no_lanes  # it waits for its worker
        await life.run("LONG")
        await asyncio.wait_for(watch.struck.wait(), 150)
        await life.system.control.modes.set(life.command(), mode, kite)
        release.set()
        row = await life.becomes(OrderState.DENIED, broker_id=kite)
        assert mode.value.lower().replace("_", " ") in row["reason"]
        await assert_invariants(life)
        assert world.placed() == []


@pytest.mark.row("C2")
@pytest.mark.matrix("O04")
@pytest.mark.invariant("I6")
async def test_mode_changes_after_the_commit(world: World) -> None:
    """An order committed just before the mode may still leave, and the mode's answer lists it."""
    release = asyncio.Event()
    watch = Watch(Rule("place", "before"), release.wait)  # type: ignore[arg-type]
    async with living(world, watch) as life:
        kite = await life.connect(KITE)
        await life.run("LONG")
        await asyncio.wait_for(watch.struck.wait(), 150)
        change = await life.system.control.modes.set(life.command(), TradingMode.PAUSED, kite)
        assert [order.state for order in change.working] == [OrderState.SUBMITTED]
        release.set()
        await life.holds(kite, 1)
        await assert_invariants(life)
