"""Exits of the running engine when several want the same units: nothing is sold twice (C3, I6)."""

from __future__ import annotations

import asyncio

import pytest

from core.domain.instrument import Product
from core.domain.mode import TradingMode
from core.domain.order import OrderRequest, OrderState, OrderType, Side
from core.domain.outcome import Acked
from core.errors import UserError
from core.ports.store import Document
from tests.faults.life import FYERS, KITE, Simulated, World, by_hand, living, until
from tests.faults.pulse import SBIN
from tests.invariants import assert_invariants, never_grew

pytest_plugins = ("tests.faults.fixtures",)

PAIR = (KITE, FYERS)
KEY = "NSE:SBIN|MIS"


def assert_only_shrank(world: World, who: Simulated, held: int) -> None:
    """After the entry no trade let the position grow or turn."""
    trades = world.book(who)["trades"]
    entered = 0
    while entered < len(trades) and sum(t["quantity"] for t in trades[:entered]) < abs(held):
        entered += 1
    assert list(never_grew(trades[entered:], held)) == []


def order_of(side: Side, quantity: int = 1, tag: str = "byhand") -> OrderRequest:
    """Return a market order as a user places it in the broker's own app."""
    return OrderRequest(tag, SBIN, side, quantity, OrderType.MARKET, Product.MIS)


@pytest.mark.matrix("O03")
@pytest.mark.invariant("I1", "I4", "I6")
@pytest.mark.row("C6", "E4")
@pytest.mark.parametrize("stop_percent", ["0", "5"])
async def test_user_closes_what_a_strategy_holds(world: World, stop_percent: str) -> None:
    """The position is closed once; the strategy does not sell it again behind the user."""
    async with living(world) as life:
        ids = [await life.connect(who, quantity=2) for who in PAIR]
        await life.enter(stop_percent=stop_percent)
        if stop_percent != "0":
            for broker_id in ids:
                await life.becomes(OrderState.ACCEPTED, broker_id=broker_id, purpose="stop")
        for broker_id in ids:
            await life.system.control.orders.close(
                life.command(), broker_id, KEY, despite_pause=False
            )
        for broker_id in ids:
            await life.holds(broker_id, 0)
        await life.turned(2)  # in which a second exit would go
        await assert_invariants(life)
        for broker_id, who in zip(ids, PAIR, strict=True):
            await life.holds(broker_id, 0)
            assert_only_shrank(world, who, 2)


@pytest.mark.matrix("O03", "O01")
@pytest.mark.invariant("I1", "I4", "I6", "I9")
@pytest.mark.row("C3")
@pytest.mark.parametrize("mode", [TradingMode.NORMAL, TradingMode.EXIT_ONLY])
async def test_everybody_exits_at_once(world: World, mode: TradingMode) -> None:
    """A strategy's exit and two taps of a user at the same instant sell what is held, no more."""
    async with living(world) as life:
        kite = await life.connect(KITE, quantity=2)
        await life.enter()
        await life.settled()
        if mode is TradingMode.EXIT_ONLY:
            await life.system.control.modes.set(life.command(), mode, kite)

        async def tap() -> object:
            return await life.system.control.orders.close(
                life.command(), kite, KEY, despite_pause=False
            )

        answers = await asyncio.gather(life.run("FLAT"), tap(), tap(), return_exceptions=True)
        assert all(isinstance(a, UserError) for a in answers if isinstance(a, BaseException))
        await life.holds(kite, 0)
        await life.turned(2)  # in which a second exit would go
        await assert_invariants(life)
        await life.holds(kite, 0)
        assert_only_shrank(world, KITE, 2)


@pytest.mark.matrix("B08")
@pytest.mark.invariant("I2", "I4")
async def test_order_by_hand_is_adopted(world: World) -> None:
    """What a user places in the broker's app is shown as theirs, and no strategy touches it."""
    async with living(world) as life:
        ids = [await life.connect(who) for who in PAIR]
        for who in PAIR:
            async with by_hand(world, who) as client:
                assert isinstance(await client.place(order_of(Side.BUY, 3)), Acked)
        for broker_id in ids:
            row = await life.becomes(OrderState.FILLED, broker_id=broker_id, purpose="external")
            assert (row["quantity"], row["strategy"]) == (3, "external")
        await life.run("LONG")
        for broker_id in ids:
            await life.becomes(OrderState.FILLED, broker_id=broker_id, purpose="entry")
        await life.run("FLAT")
        for broker_id in ids:
            await life.becomes(OrderState.FILLED, broker_id=broker_id, purpose="exit")
        await assert_invariants(life)
        assert [world.net(who) for who in PAIR] == [3, 3]
        assert "external_order" in world.told.kinds()


@pytest.mark.matrix("B08")
@pytest.mark.invariant("I6")
@pytest.mark.row("C3", "D3")
@pytest.mark.parametrize(
    "mode", [TradingMode.NORMAL, pytest.param(TradingMode.EXIT_ONLY, marks=pytest.mark.slow)]
)
async def test_position_closed_by_hand_is_not_closed_again(world: World, mode: TradingMode) -> None:
    """A strategy whose units were sold in the broker's app sells nothing more."""
    async with living(world) as life:
        kite = await life.connect(KITE)
        await life.enter()
        await life.settled()
        await life.system.control.modes.set(life.command(), mode, kite)
        async with by_hand(world, KITE) as client:
            assert isinstance(await client.place(order_of(Side.SELL)), Acked)

            async def flat() -> bool:
                return world.net(KITE) == 0

            await until(flat)
        await life.run("FLAT")

        async def shrunk() -> bool:
            await life.refresh()
            return await life.held(kite) == 0

        await until(shrunk, what="the books to shrink")
        await life.settled()
        assert world.net(KITE) == 0
        assert_only_shrank(world, KITE, 1)


@pytest.mark.invariant("I6")
@pytest.mark.row("C3")
@pytest.mark.slow
async def test_resting_exit_counts_in_exit_only(world: World) -> None:
    """A sale that rests at the broker uses up what is held, whoever placed it."""
    async with living(world) as life:
        kite = await life.connect(KITE, quantity=2)
        await life.enter()
        await life.settled()
        await life.system.control.modes.set(life.command(), TradingMode.EXIT_ONLY, kite)
        world.sandbox.fault("no_fill", "kite", match={"api_key": "handkite00000001"})
        async with by_hand(world, KITE) as client:
            assert isinstance(await client.place(order_of(Side.SELL, 2)), Acked)

            async def adopted() -> list[Document]:
                await life.refresh()
                return await life.rows(purpose="external")

            await until(adopted)
            await life.run("FLAT")
            looks = life.watch.count("positions")

            async def looked() -> bool:
                return life.watch.count("positions") > looks + 1

            await until(looked, what="another look")
            assert [write["tag"] for write in world.placed(KITE) if write["side"] == "SELL"] == []
        assert_only_shrank(world, KITE, 2)


@pytest.mark.matrix("B12")
@pytest.mark.invariant("I1", "I4", "I6")
@pytest.mark.row("D7")
@pytest.mark.slow
async def test_exit_that_rests_is_chased(world: World) -> None:
    """A protected market exit that does not fill is cancelled and worked out anew; never assumed."""
    async with living(world) as life:
        kite = await life.connect(KITE)
        await life.enter()
        world.sandbox.fault("no_fill", "kite", match={"api_key": KITE.api_key})
        await life.run("FLAT")
        await life.becomes(OrderState.ACCEPTED, purpose="exit")
        assert await life.held(kite) == 1
        await life.holds(kite, 0)
        await assert_invariants(life)
        states = [row["state"] for row in await life.rows(purpose="exit")]
        assert states == ["CANCELED", "FILLED"]
        assert_only_shrank(world, KITE, 1)
