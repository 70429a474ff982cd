"""Runs on a phone: decided by the real engine, told by the real bot, followed by tapping."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Literal

import pytest
from playwright.async_api import Browser, expect

from bot.views.markup import clock_time
from core.adapters.fyers import FYERS
from core.domain.broker import Quote
from core.domain.command import Command
from core.domain.instrument import InstrumentId
from core.domain.notices.runs import RunCard
from core.domain.outcome import Refusal, Refused
from core.domain.target import Direction
from core.engine.runs.plan import RunRequest
from tests.fakes.bot_world import OWNER, World, bot_world
from tests.fakes.brokers import master_of
from tests.fakes.chat_page import Person, look_at_all
from tests.fakes.memory_store import MemoryStore
from tests.fakes.run_bench import Obedient, bar
from tests.fakes.views import an_account

MAIN = an_account()
FAMILY = an_account("fyers_bbbbbbbbbb", FYERS, "Family", is_default=False)
ACCOUNTS = (MAIN, FAMILY)
RELIANCE = InstrumentId("NSE", "RELIANCE")
PRICE = Decimal("1464.05")
RAW = re.compile(r"EXIT_ONLY|PAUSED|NORMAL|OFF_HERE|#\d")
"""Words of the code, and numbers that nobody knows."""
SCHEMES: tuple[Literal["dark", "light"], ...] = ("dark", "light")
HAND_OVER = "I manage them, without their stops"


class Named(Obedient):
    """One of several strategies that want what they are told."""

    def __init__(self, title: str) -> None:
        super().__init__()
        self.title = title
        self.name = title.lower().replace(" ", "_")


CROSSOVER = Named("Moving average crossover")
SLOT = [Named(one) for one in ("Opening range breakout", "Mean reversion", "Gap fade", "Momentum")]


@pytest.fixture
async def world() -> AsyncIterator[World]:
    registry = {one.name: one for one in (CROSSOVER, *SLOT)}
    async with bot_world(MemoryStore(), registry=registry) as found:
        yield found


async def prepare(world: World) -> None:
    """Two accounts that run every strategy with a hundred RELIANCE on bars of today."""
    await world.connect(*ACCOUNTS)
    begin = world.clock.market_now().replace(hour=9, minute=15)
    bars = [bar(begin + timedelta(minutes=5 * n), str(PRICE)) for n in range(72)]
    for account in ACCOUNTS:
        symbol = {FYERS: "NSE:RELIANCE-EQ"}.get(account.broker, "RELIANCE")
        listed = master_of((RELIANCE, symbol, "738561"))
        world.brokers[account.broker].master.more = list(listed.values())
        broker = world.at_broker(account.broker_id)
        broker.bars[RELIANCE] = bars
        broker.quote_list[RELIANCE] = Quote(RELIANCE, PRICE)
        broker.fills_at = PRICE
        for name in world.registry:
            wish = Command(f"{name}|{account.broker_id}", OWNER, OWNER)
            settings = world.control.strategy_settings
            await settings.assign(wish, name, account.broker_id, size_value=Decimal(100))
    for name in world.registry:
        wish = Command(f"{name}|instruments", OWNER, OWNER)
        await world.control.strategy_settings.set_parameter(
            wish, name, "instruments", str(RELIANCE)
        )


async def run(world: World, direction: Direction, *strategies: Named) -> datetime:
    """Let strategies decide at one moment, beside one another; return the moment."""
    world.clock.wall.seconds += 300
    now = world.clock.market_now()
    for one in strategies:
        one.want(direction, now, RELIANCE, Decimal("1449.40") if direction else None)
    requests = [RunRequest(f"{one.name}|{now:%H:%M:%S.%f}", one.name, now) for one in strategies]
    await asyncio.gather(*map(world.wiring.runner.run, requests))
    return now


async def sets(person: Person, button: str, who: str, mode: str) -> None:
    """Set a mode by its button."""
    modes = await person.says("/mode", "Trading modes")
    asked = await person.taps(modes, button, f"Set {mode} for {who}?")
    await person.taps(asked, f"Yes, set {mode}", f"{who}: {mode}")


async def kept_out(world: World, person: Person, shots: Path) -> None:
    """Who lets nothing in hears nothing of a signal; beside one that enters it is one plain line."""
    await sets(person, "🟠 All: Exit only", "all accounts", "Exit only")
    await run(world, Direction.LONG, CROSSOVER)
    (row,) = await world.rows("runs")
    assert len(row["notes"]) == len(ACCOUNTS)
    assert await world.rows("outbox", kind=RunCard.kind) == []
    await sets(person, "🟢 All: Normal", "all accounts", "Normal")
    await sets(person, "🔴 Family: Paused", "Fyers - Family", "Paused")
    await run(world, Direction.LONG, CROSSOVER)
    card = await person.sees("Long RELIANCE", "Bought 100 RELIANCE", "Stop: sell 100 RELIANCE")
    await expect(card).to_contain_text("Fyers - Family paused: no entry is sent")
    await person.page.screenshot(path=shots / "paused.png", animations="disabled")
    await sets(person, "🟢 Family: Normal", "Fyers - Family", "Normal")


async def together(person: Person, slot: datetime, shots: Path) -> None:
    """Four runs of a slot are one message: a line and a button each, what was refused in full."""
    card = await person.sees("4 runs", "2 of 2 filled", "1 of 2 filled", "RMS: margin exceeds")
    await expect(card.get_by_role("button")).to_have_count(len(SLOT))
    for one in SLOT:
        await expect(card.get_by_role("button", name=one.title, exact=True)).to_be_visible()
    await expect(person.page.get_by_text("told so")).to_have_count(1)  # the card before
    for scheme in SCHEMES:
        await person.page.emulate_media(color_scheme=scheme)
        await person.page.screenshot(path=shots / f"runs-{scheme}.png", animations="disabled")
    await person.taps(card, SLOT[-1].title, f"Last run · {clock_time(slot)}")
    await expect(card).to_contain_text("4 runs")


async def ends(world: World, person: Person, shots: Path) -> None:
    """An exit on its run's card; what was handed over, closed by our button, is one message."""
    for account in ACCOUNTS:
        world.at_broker(account.broker_id).fills_at = Decimal("1479.60")
    await run(world, Direction.FLAT, CROSSOVER)
    card = await person.sees("Flat RELIANCE", "Sold 100 RELIANCE · ₹1,479.60")
    await expect(card).to_contain_text("exit +⁠₹1,555.00")
    before = await person.sees("Long RELIANCE", "cancelled for the exit")
    await expect(before).not_to_contain_text("makes way")
    listed = await person.says("/brokers", "Your accounts")
    asked = await person.taps(
        listed, "Disable Family", "Disable Fyers - Family?", "Strategies hold"
    )
    await person.taps(asked, HAND_OVER, "Fyers - Family is disabled")
    several = await person.sees("4 runs")
    await expect(several).not_to_contain_text("⏳")
    listed = await person.says("/positions", "Positions")
    listed = await person.taps(listed, "Family", "Positions · Fyers - Family", "+300")
    await expect(listed).to_contain_text("no stop")
    asked = await person.taps(listed, "Close RELIANCE", "Close this position on Fyers - Family?")
    closed = await person.taps(asked, "Close RELIANCE now", "closed", "Fyers - Family", "Sold ")
    await expect(closed).to_contain_text("Before charges +⁠₹")
    await person.page.screenshot(path=shots / "closed.png", animations="disabled")
    # Whatever is told of it is told by now: this is answered after it.
    await person.says("/positions", "Positions")
    await expect(person.page.get_by_text("Selling")).to_have_count(0)
    await expect(person.page.locator(".theirs").filter(has_text="1,479.60")).to_have_count(2)


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.row("C2", "E1", "E5")
@pytest.mark.usefixtures("phone_font")
async def test_runs_are_followed_on_a_phone(world: World, browser: Browser, shots: Path) -> None:
    """Kept out, entered, refused, four at a time, exited, handed over and closed: few, plain messages.

    At the end at 360 points and wider, light and dark, no line of it wraps.
    """
    await prepare(world)
    await world.start()
    context = await browser.new_context(
        viewport={"width": 360, "height": 780}, reduced_motion="reduce"
    )
    page = await context.new_page()
    await page.goto(f"{world.telegram.root}/")
    await page.get_by_role("button", name="START").click()
    person = Person(page)
    await person.sees("Namaste")
    async with world.sending():
        await kept_out(world, person, shots)
    # All are written before the first is looked at, however slow the machine is.
    refused = Refused(Refusal.REJECTED, "RMS: margin exceeds, available 100000.00")
    world.at_broker(FAMILY.broker_id).answers = [refused]
    slot = await run(world, Direction.LONG, *SLOT)
    async with world.sending():
        await together(person, slot, shots)
        await ends(world, person, shots)
    assert not RAW.search(await page.locator("#messages").inner_text())
    await context.close()
    await look_at_all(browser, f"{world.telegram.root}/", shots)
