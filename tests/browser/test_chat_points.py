"""The bot on a phone: what traders stumbled over, played on the chat page with the real bot."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from pathlib import Path

import pytest
from playwright.async_api import Browser, Page, expect

from console.live import meant
from console.process import show_pairing
from core.adapters.fyers import FYERS
from core.adapters.zerodha import ZERODHA
from core.domain.account import TokenStatus
from core.domain.broker import Quote
from core.domain.instrument import InstrumentId, Product
from core.domain.notices.logins import LoginDone, MorningRound
from core.domain.notices.post import Delivery, Post, closed_card, run_card
from core.domain.notices.results import ClosedBy, PositionClosed
from core.domain.order import OrderType, Purpose, Side
from core.domain.views import RunLine
from core.ports.notifier import Delivered
from core.ports.store import Change
from strategy.registry import STRATEGIES
from tests.fakes.bot_world import OWNER, World, bot_world, soon
from tests.fakes.brokers import master_of
from tests.fakes.chat_page import Person, look_at_all
from tests.fakes.memory_store import MemoryStore
from tests.fakes.views import a_position, a_run, an_account, an_order

MAIN = an_account()
FAMILY = an_account("fyers_bbbbbbbbbb", FYERS, "Family", is_default=False)
TRY = an_account(
    "zerodha_cccccccccc",
    display_name="Growth",
    is_default=False,
    enabled=False,
    api_key="zyxw9876hgfe5432",
)
SBIN, RELIANCE = InstrumentId("NSE", "SBIN"), InstrumentId("NSE", "RELIANCE")
STRATEGY = "moving_average_crossover"
SECRET = "canary0renewed0secret0of0kite001"
RED = """[...document.querySelectorAll(".theirs .key.danger .label")].map((e) => e.textContent)"""
DESTROYS = re.compile(r"Close|Cancel|Disable|Disconnect|Remove|Pause|Panic|Change it all the same")


@pytest.fixture
async def world() -> AsyncIterator[World]:
    async with bot_world(MemoryStore(), store_kind="embedded") as found:
        yield found


async def prepare(world: World) -> None:
    """Three accounts: two hold something, one of it without a stop; one is disabled."""
    await world.connect(MAIN, FAMILY, TRY)
    for account in (MAIN, FAMILY):
        await world.hold(a_position(account, owners={STRATEGY: 10}, quantity=10))
        stop = an_order(
            account,
            key=f"STOP{account.broker_id}"[:20],
            side=Side.SELL,
            order_type=OrderType.SL_M,
            limit_price=None,
            trigger_price=Decimal("805.55"),
            purpose=Purpose.STOP,
            strategy=STRATEGY,
        )
        if account is MAIN:
            await world.order(stop)
    mine = a_position(
        FAMILY,
        key=f"{RELIANCE}|MIS",
        instrument=RELIANCE,
        product=Product.MIS,
        owners={},
        average_price=Decimal("1464.05"),
        last_price=Decimal("1479.60"),
    )
    await world.hold(mine)
    for broker, symbol in ((ZERODHA, "RELIANCE"), (FYERS, "NSE:RELIANCE-EQ")):
        world.brokers[broker].master.more = list(master_of((RELIANCE, symbol, "1")).values())
    last = Quote(RELIANCE, Decimal("1479.60"))
    world.at_broker(MAIN.broker_id).quote_list[RELIANCE] = last
    for account in (MAIN, FAMILY):
        await world.order(an_order(account, key=f"ENTRY{account.broker_id}"[:20]), "a run of today")


async def ran(world: World) -> None:
    """Let a run have happened whose signal both accounts enter on, and have its card posted."""
    run = a_run(an_order(MAIN), an_order(FAMILY), run_id="a run of today", strategy=STRATEGY)
    await world.ran(replace(run, slot_at=world.clock.market_now()))
    target = {
        "instrument": str(SBIN),
        "direction": 1,
        "signal_at": world.clock.market_now(),
        "stop_price": Decimal("805.57"),
        "reason": "Crossed above at ₹812.30.",
    }
    fields = Change(set={"targets": [target]})
    await world.store.update("runs", {"_id": run.run_id}, fields)
    card = run_card(run.run_id)
    await world.bot.notifier.deliver(OWNER, card, notice_id="1", message_id=None, is_repeat=False)


async def watch(person: Person, shots: Path) -> None:
    """Lists, dashboard, a run's card: names, stops, totals, times."""
    page = person.page
    card = await person.sees("Long SBIN", "Zerodha - Main", "Fyers - Family")
    await expect(card).to_contain_text("stop ₹805.55")
    board = await person.says("/dashboard", "as of", "Funds", "before charges")
    await expect(board).to_contain_text("Results in rows are before charges.")
    listed = await person.says("/positions", "Positions · Zerodha - Main", "Together")
    listed = await person.taps(listed, "All accounts", "Positions · all accounts", "Together")
    await expect(listed).to_contain_text("⚠️ no stop")
    await page.screenshot(path=shots / "positions.png")
    await person.taps(listed, "Close RELIANCE · Family", "Close this position on Fyers - Family?")
    orders = await person.says("/orders", "Orders today")
    await person.taps(orders, "All accounts", "Orders today · all accounts", "Fyers - Family")
    for command in ("/trades", "/pnl", "/positions"):
        await person.says(command, "as of")
    for word, answer in (
        ("pnl yesterday", "Only today is shown here."),
        ("pause everything", "Set Paused for all accounts?"),
        ("STOP", "Cancel and close everything"),
    ):
        await person.says(word, answer)
    await page.screenshot(path=shots / "panic.png")


async def switch(person: Person, shots: Path) -> None:
    """Modes and strategies: accounts by name, rupees before enabling, what is held before ending."""
    page = person.page
    modes = await person.says("/mode", "Trading modes")
    asked = await person.taps(modes, "🔴 All: Paused", "Set Paused for all accounts?")
    assert "Yes, set Paused" in await page.evaluate(RED)
    result = await person.taps(asked, "Yes, set Paused", "All accounts: Paused", "Zerodha - Main")
    await expect(result).to_contain_text("Fyers - Family")
    await expect(result).to_contain_text("⚠️ no stop")
    labels = await result.get_by_role("button").all_inner_texts()
    assert len(set(labels)) == len(labels), labels
    red = [one for one in labels if one.startswith("Cancel 2")]
    assert red == ["Cancel 2 orders, no stops"], labels
    await page.screenshot(path=shots / "paused.png")
    modes = await person.taps(result, "« Modes", "Trading modes")
    asked = await person.taps(modes, "🟢 All: Normal", "Set Normal for all accounts?")
    assert "Yes, set Normal" not in await page.evaluate(RED)
    await person.taps(asked, "Yes, set Normal", "All accounts: Normal")
    listed = await person.says("/strategies", "Strategies", "next, once enabled: ")
    strategy = await person.taps(listed, "Moving average crossover", "Square off at")
    await expect(strategy).to_contain_text("⏸ the account is disabled")
    await page.screenshot(path=shots / "strategy.png")
    asked = await person.taps(strategy, "Enable", "Enable Moving average crossover?", "free")
    await expect(asked).to_contain_text("₹")
    await page.screenshot(path=shots / "enable.png")
    strategy = await person.taps(asked, "Yes, enable it", "🟢 enabled", "Next run: ")
    asked = await person.taps(strategy, "Disable", "It still holds", "Zerodha - Main")
    strategy = await person.taps(asked, "« Keep it", "⚪ disabled")
    here = await person.taps(strategy, "Zerodha - Main …", "Turn off here")
    asked = await person.taps(here, "Turn off here", "is off here", "It still holds", "₹805.55")
    here = await person.taps(asked, "« Keep it", "Turn on here")
    here = await person.taps(here, "Turn on here", "Turn off here")
    await person.taps(here, "Fixed quantity", "how many units")
    await person.writes("100000")
    here = await person.sees("far beyond its funds")
    await person.taps(here, "Fixed quantity", "how many units")
    await person.writes("1")
    here = await person.sees("Turn off here", "1 unit")
    strategy = await person.taps(here, "« Back", "Square off at")
    parameters = await person.taps(strategy, "Parameters", "Moving average crossover: parameters")
    await person.taps(parameters, "Instruments", "I look them up")
    await person.writes("sbin")
    changed = await person.sees("✅ Changed.")
    await expect(changed).to_contain_text("₹815.10")
    await page.screenshot(path=shots / "parameters.png")
    asked = await person.taps(changed, "Average", "EMA", "SMA")
    changed = await person.taps(asked, "SMA", "Average: SMA")
    await person.taps(changed, "Instruments", "I look them up")
    await person.writes("reliance")
    await person.sees("SBIN", "hold")
    await page.screenshot(path=shots / "dropped.png")


async def set_up(person: Person, shots: Path) -> None:
    """Accounts, limits, guards, settings with a tap, health, owners."""
    listed = await person.says("/brokers", "Your accounts", "⚪ disabled")
    await person.page.screenshot(path=shots / "accounts.png")
    account = await person.taps(listed, "Edit Main …", "Orders leave from", "API key")
    await person.taps(account, "Address", "Address of Zerodha - Main")
    await person.page.screenshot(path=shots / "account.png")
    # Before a key is typed, and not after the secret.
    asked = await person.says("/add", "With which broker?")
    await person.taps(asked, "Zerodha", "The built-in database is beta")
    await expect(person.page.get_by_text("API key of the app")).to_have_count(0)
    await person.page.screenshot(path=shots / "embedded.png")
    limits = await person.says("/limits", "Limits")
    await person.taps(limits, "Main", "Limits · Zerodha - Main")
    guards = await person.says("/guard", "Guards on the day's result")
    await person.taps(guards, "Zerodha - Main", "Zerodha - Main", "charges")
    await person.page.screenshot(path=shots / "guards.png")
    settings = await person.says("/settings", "Settings")
    question = await person.taps(settings, "Day summary", "Day summary is on.")
    await person.taps(question, "Off", "Day summary is now off.", "Data account")
    for command, answer in (
        ("/health", "Market time"),
        ("/owners", "Who may use this bot"),
        ("/help", "What I can do"),
        ("/start", "Namaste"),
    ):
        await person.says(command, answer)


async def post(world: World, one: Post, message_id: int | None = None) -> int | None:
    """Deliver a notice as the outbox does; return the number of its message."""
    result = await world.bot.notifier.deliver(
        OWNER, one, notice_id="1", message_id=message_id, is_repeat=False
    )
    assert isinstance(result, Delivered)
    return result.message_id


async def one_message_an_event(world: World, person: Person) -> None:
    """An old signal with its time and why it is not entered; a close in the place of its card."""
    began = world.clock.market_now()
    run = a_run(run_id="a later run", strategy=STRATEGY, slot_at=began)
    lines = tuple(RunLine(one.broker_id, one.label, (), "") for one in (MAIN, FAMILY))
    await world.ran(replace(run, lines=lines))
    before = began - timedelta(minutes=28)
    target = {
        "instrument": str(RELIANCE),
        "direction": -1,
        "signal_at": before,
        "reason": "Crossed below at ₹1,479.70.",
    }
    await world.store.update("runs", {"_id": run.run_id}, Change(set={"targets": [target]}))
    sent = await post(world, run_card(run.run_id))
    since = f"Short RELIANCE since {before:%H:%M}"
    card = await person.sees("No new signal.", since, "Fyers - Family")
    await expect(card).to_contain_text(f"RELIANCE: signal of {before:%H:%M}")
    await expect(card).to_contain_text("too old to enter")
    closed = PositionClosed(
        FAMILY.broker_id,
        ClosedBy.USER,
        STRATEGY,
        str(SBIN),
        "MIS",
        Side.SELL,
        10,
        Decimal("958.05"),
        Decimal("150.00"),
        Decimal("12.10"),
    )
    await post(world, closed_card(closed, run.run_id), sent)
    result = await person.sees("Closed by you", "Fyers - Family", "Before charges")
    await expect(result).to_contain_text("After them about")
    await expect(person.page.get_by_text(since)).to_have_count(0)


async def morning(world: World, person: Person, shots: Path) -> None:
    """A new secret keeps the account; one message for all logins; a login offers the next step."""
    page = person.page
    listed = await person.says("/brokers", "Your accounts")
    account = await person.taps(listed, "Edit Main …", "Orders leave from")
    question = await person.taps(account, "Key and secret", "The new ones replace the old ones")
    await page.screenshot(path=shots / "renewal.png", animations="disabled")
    await person.taps(question, "Keep this key", "API secret")
    await person.writes(SECRET)
    await person.sees("are replaced. Log in now")
    await expect(page.locator(".mine").filter(has_text=SECRET)).to_have_count(0)

    expired = Change(set={"token_status": TokenStatus.EXPIRED.value, "access_token": None})
    await world.store.update("broker_accounts", {"_id": FAMILY.broker_id}, expired)
    sent = await post(world, Post(MorningRound(), Delivery.EDIT, "morning"))
    card = await person.sees("Login needed: one tap each", "⬜ Zerodha - Main")
    both = ["Log in to Zerodha - Main", "Log in to Fyers - Family"]
    await expect(card.get_by_role("link")).to_have_text(both)
    await page.screenshot(path=shots / "morning.png", animations="disabled")
    await world.log_in(await world.control.accounts.get(MAIN.broker_id))
    await post(world, Post(MorningRound(), Delivery.EDIT, "morning"), sent)
    card = await person.sees("Login needed: one tap", "✅ Zerodha - Main", "⬜ Fyers - Family")
    await expect(card.get_by_role("link")).to_have_text(both[1:])
    await post(world, Post(LoginDone(TRY.broker_id, "ASHA BHAT")))
    done = await person.sees("Zerodha - Growth is logged in", "once you enable it")
    keys = done.get_by_role("button")
    await expect(keys).to_have_text(["Enable Growth", "Dashboard", "➕ Add another"])
    await person.taps(done, "Enable Growth", "Your accounts", "Zerodha - Growth")


async def pair(world: World, person: Person, browser: Browser) -> Page:
    """Before pairing nobody is answered, the console says what to do; its code makes the owner.

    Return the page of a stranger, who was there first.
    """
    world.owners = frozenset()
    await world.start()
    await show_pairing(world.store, world.console.append)
    (line,) = world.console
    code = line.rpartition(" ")[2]
    assert line == f"No owner yet. Send this to the bot in Telegram:  /pair {code}"
    mallory = await (await browser.new_context(reduced_motion="reduce")).new_page()
    for page, user in ((mallory, "4242&name=Mallory"), (person.page, f"{OWNER}&name=Asha")):
        await page.goto(f"{world.telegram.root}/?user={user}")
        await page.get_by_role("button", name="START").click()
        await expect(page.locator(".mine")).to_contain_text("/start")
    await soon(lambda: any("The bot hears in Telegram" in one for one in world.console))
    await person.writes(f"/pair {code}")
    await person.sees("Namaste")
    # Updates are taken in their order: the answer to the code is the first that anybody got.
    assert await person.page.locator(".theirs").count() == 1
    await expect(person.page.get_by_text(code)).to_have_count(0)
    return mallory


async def stranger(person: Person, page: Page) -> None:
    """Who is not served gets no answer at all, while the owner has theirs."""
    await page.locator("#composer").fill("/help")
    await page.locator("#send").click()
    await expect(page.locator(".mine")).to_have_count(2)
    # Updates are taken in their order: once this is answered, the stranger's was passed over.
    await person.says("/help", "What I can do")
    assert await page.locator(".theirs").count() == 0
    await page.context.close()


async def live_names(person: Person) -> None:
    """``saarthi live`` takes a strategy and an account by the words that stand in the chat."""
    listed = await person.says("/strategies", "Strategies")
    titles = {name: (one.title,) for name, one in STRATEGIES.items()}
    shown = await listed.get_by_role("button").all_inner_texts()
    assert {meant(one, titles) for one in shown} >= set(STRATEGIES)
    accounts = await person.says("/brokers", "Your accounts")
    named = {one.broker_id: (one.label, one.display_name) for one in (MAIN, FAMILY, TRY)}
    lines = re.findall(r"(?:Zerodha|Fyers) - \w+", await accounts.inner_text())
    assert {meant(one, named) for one in lines} == set(named)


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.row("E1", "E2", "E3", "E4", "E6")
@pytest.mark.row("C2", "D4", "D5", "D6", "G1")
@pytest.mark.usefixtures("phone_font")
async def test_the_chat_has_no_rough_edge(world: World, browser: Browser, shots: Path) -> None:
    """Every account by name, every stop with its price, one rule of charges, red only where it ends.

    No number of an update, no line of an order, position or result and no label that needs a second
    row at 360 points, in light and dark; wider screens too.
    """
    await prepare(world)
    context = await browser.new_context(
        viewport={"width": 360, "height": 780}, reduced_motion="reduce"
    )
    page = await context.new_page()
    complaints: list[str] = []
    page.on("pageerror", lambda error: complaints.append(str(error)))
    person = Person(page)
    mallory = await pair(world, person, browser)
    await ran(world)
    await watch(person, shots)
    await switch(person, shots)
    await set_up(person, shots)
    await one_message_an_event(world, person)
    await morning(world, person, shots)
    await stranger(person, mallory)
    await live_names(person)
    assert [one for one in await page.evaluate(RED) if not DESTROYS.search(one)] == []
    assert not re.search(r"#\d", await page.locator("#messages").inner_text())
    assert complaints == []
    await context.close()
    await look_at_all(browser, f"{world.telegram.root}/", shots)
