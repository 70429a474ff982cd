"""A user's Close goes the way of every exit: it is looked at once, chased, and followed to its end."""

from __future__ import annotations

from collections import Counter

import pytest

from core.domain.instrument import Product
from core.domain.mode import TradingMode
from core.domain.order import MANUAL, OrderRequest, OrderState, OrderType, Side
from core.domain.outcome import Acked, Refusal, Refused, WriteOutcome
from core.errors import ChoiceNeeded, UserError
from tests.faults.life import KITE, Life, World, by_hand, living, until
from tests.faults.pulse import PULSE, SBIN
from tests.invariants import assert_invariants

pytest_plugins = ("tests.faults.fixtures",)

KEY = "NSE:SBIN|MIS"


async def buy_by_hand(world: World, quantity: int) -> None:
    """Buy in the broker's own app."""
    order = OrderRequest("byhand", SBIN, Side.BUY, quantity, OrderType.MARKET, Product.MIS)
    async with by_hand(world, KITE) as client:
        assert isinstance(await client.place(order), Acked)


async def close(life: Life, broker_id: str, *, despite_pause: bool = False) -> None:
    """Tap Close, as the chat does after its confirmation."""
    await life.system.control.orders.close(
        life.command(), broker_id, KEY, despite_pause=despite_pause
    )


@pytest.mark.row("C2", "E4")
@pytest.mark.matrix("N09", "B12")
async def test_close_in_pause_is_followed_to_its_end(world: World) -> None:
    """After a second confirmation a close survives a 429 and an exit that rests, in PAUSED too."""
    async with living(world) as life:
        kite = await life.connect(KITE, quantity=2)
        await life.enter()
        await life.settled()
        await life.system.control.modes.set(life.command(), TradingMode.PAUSED, kite)
        with pytest.raises(ChoiceNeeded):
            await close(life, kite)
        refusals = [Refused(Refusal.THROTTLED, "slow down", retry_after_s=0.2)]

        def slow_down(name: str, _: str) -> WriteOutcome | None:
            return refusals.pop() if name == "place" and refusals else None

        life.watch.instead = slow_down
        world.sandbox.fault("no_fill", "kite", match={"api_key": KITE.api_key})
        await close(life, kite, despite_pause=True)
        await life.holds(kite, 0)
        states = [row["state"] for row in await life.rows(purpose="exit")]
        assert states == ["DENIED", "CANCELED", "FILLED"]
        await assert_invariants(life)


@pytest.mark.row("E4")
@pytest.mark.matrix("B08")
async def test_close_takes_what_no_strategy_owns_and_nothing_that_comes_later(
    world: World,
) -> None:
    """Strategy's and user's units are closed in their own names; the close then wants no more."""
    async with living(world) as life:
        kite = await life.connect(KITE)
        await life.enter()
        await buy_by_hand(world, 3)

        async def holds_four() -> bool:
            return world.net(KITE) == 4

        await until(holds_four)
        await life.refresh()
        await close(life, kite)
        await life.holds(kite, 0)

        async def sold() -> bool:
            total: Counter[str] = Counter()
            for row in await life.rows(purpose="exit"):
                total[row["strategy"]] += row["filled_quantity"]
            return total == {MANUAL: 3, PULSE: 1}

        await until(sold, what="each one's units in its own name")
        await life.settled()
        with pytest.raises(UserError, match="flat already"):
            await close(life, kite)

        await buy_by_hand(world, 2)
        await life.refresh()
        await life.settled()
        looks = life.watch.count("orders")

        async def two_turns_later() -> bool:
            return life.watch.count("orders") > looks + 1

        await until(two_turns_later)
        assert world.net(KITE) == 2
        ledgers = await life.foundation.store.find("ledgers", {"strategy": MANUAL})
        assert ledgers == []


@pytest.mark.row("E4")
async def test_close_looks_once_at_the_positions(world: World) -> None:
    """The exit goes by the very look that found the position."""
    async with living(world) as life:
        kite = await life.connect(KITE)
        await life.enter()
        await life.settled()
        await life.refresh()
        before = len(life.watch.moments)
        await close(life, kite)
        await life.holds(kite, 0)
        calls = [(one.name, one.side) for one in life.watch.moments[before:]]
        until_sent = calls[: calls.index(("place", "before"))]
        assert until_sent.count(("positions", "before")) == 1


@pytest.mark.row("E4")
@pytest.mark.matrix("C02")
async def test_close_goes_on_after_a_restart(world: World) -> None:
    """A close whose exit could not be sent is a goal in the store: the next controller sends it."""
    async with living(world) as life:
        kite = await life.connect(KITE)
        await life.enter()
        await life.settled()
        life.watch.instead = lambda name, _: (
            Refused(Refusal.THROTTLED, "slow down", retry_after_s=30.0) if name == "place" else None
        )
        await close(life, kite)
        await life.becomes(OrderState.HELD, purpose="exit")
    async with living(world) as life:
        await life.holds(kite, 0)
        await assert_invariants(life)


@pytest.mark.row("D4")
async def test_strategy_that_is_off_on_an_account_enters_nothing_there(world: World) -> None:
    """Off is off while it holds something too: the exit goes, the next entry does not."""
    async with living(world) as life:
        kite = await life.connect(KITE)
        await life.enter()
        await life.settled()
        control = life.system.control
        await control.strategy_settings.assign(life.command(), PULSE, kite, is_on=False)
        await life.run("SHORT")
        await life.holds(kite, 0)
        await life.settled()
        entries = [row["side"] for row in await life.rows(purpose="entry")]
        assert entries == ["BUY"]
        runs = await life.foundation.store.find("runs", {}, sort=[("created_at", -1)], limit=1)
        assert "off on this account" in runs[0]["notes"][kite]
