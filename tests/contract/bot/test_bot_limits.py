"""Limits and the smallest round trip through the chat, against the simulated Bot API (R1, F8)."""

from __future__ import annotations

from decimal import Decimal

import pytest

from core.domain.command import Command
from core.domain.limits import LimitKind
from core.engine.orders.limits import ALL, limits_at
from tests.fakes.bot_world import World, bot_world
from tests.fakes.memory_store import MemoryStore
from tests.fakes.views import an_account

ACCOUNT = an_account()


@pytest.mark.row("R1")
async def test_a_limit_is_tapped_typed_and_taken_away(world: World):
    """The overview, a usual value, a typed one after a wrong one, and the question before none."""
    await world.connect(ACCOUNT)
    await world.start()
    person = world.owner
    await person.say("/limits")
    page = await person.tap(ACCOUNT.display_name)
    await person.reads(page, "Orders a day: no limit (0 now)")
    await person.tap("Order value")
    await person.reads(page, "Tap a value, or send a number")
    await person.tap("₹1,00,000")
    await person.reads(page, "✅ Order value: ₹1,00,000 (was no limit).")
    await person.tap("Orders a day")
    await person.say("0")
    await person.sees("expected a whole number from 1 to 10,000")
    await person.say("120")
    await person.reads(page, "✅ Orders a day: 120 (was no limit).")
    await person.reads(page, "Orders a day: 0 of 120")
    page = await person.tap("Order value", anywhere=True)
    await person.tap("No limit", anywhere=True)
    await person.reads(page, "Entries of any order value go out then")
    await person.tap("Yes, no limit of order value", anywhere=True)
    await person.reads(page, "✅ Order value: no limit (was ₹1,00,000).")
    stored = await limits_at(world.store, ACCOUNT.broker_id)
    assert (stored.limits.order_value, stored.limits.orders_day) == (None, 120)
    assert len(await world.effects("limit")) == 3
    assert {row["by"] for row in await world.rows("limit_changes")} == {"1001"}


@pytest.mark.row("R1")
async def test_a_limit_that_another_user_has_changed_is_not_taken_away(world: World):
    """The tap on an old question is told what stands now."""
    await world.connect(ACCOUNT)
    await world.start()
    person, limits = world.owner, world.control.limits
    await limits.set(Command("a", 2, 2), ALL, LimitKind.DAILY_LOSS, "5000")
    await person.say("/limits")
    await person.tap("All accounts")
    await person.tap("Daily loss")
    await person.tap("No limit")
    await person.button("Yes, no limit of daily loss")
    await limits.set(Command("b", 2, 2), ALL, LimitKind.DAILY_LOSS, "4000")
    await person.tap("Yes, no limit of daily loss")
    await person.sees("it is ₹4,000 now, not ₹5,000. Nothing was changed")
    assert (await limits_at(world.store, ALL)).limits.daily_loss == Decimal(4000)


@pytest.mark.row("F8")
async def test_a_round_trip_is_chosen_confirmed_and_passes():
    """The button stands where an account is not proved; the question has price and charges."""
    async with bot_world(MemoryStore(), prove_accounts=True) as world:
        await world.connect(ACCOUNT)
        await world.start()
        person = world.owner
        await person.say("/limits")
        await person.tap(ACCOUNT.display_name)
        await person.sees("🔒 Nothing is entered: its limits are not set")
        for kind in (LimitKind.DAILY_LOSS, LimitKind.ORDER_VALUE):
            command = Command(kind.value, 1001, 1001)
            await world.control.limits.set(command, ACCOUNT.broker_id, kind, "10000")
        page = await person.tap("Smallest round trip")
        await person.reads(page, "Choose a liquid instrument")
        await person.tap("NSE:SBIN")
        question = await person.reads(page, "Buys 1 NSE:SBIN (MIS) at the market, about ₹815.10")
        assert "in charges" in question["text"]
        await person.tap("Yes, buy and sell it")
        await person.reads(page, "✅ Round trip begun")
        for _ in range(200):
            await world.control.round_trips.tick()
            if (await limits_at(world.store, ACCOUNT.broker_id)).proved:
                break
            await world.refresh(ACCOUNT)
        await person.say("/limits")
        overview = await person.sees("They deny entries.")
        assert "🔒" not in overview["text"]
