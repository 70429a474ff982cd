"""The demo by hand: a user with a browser connects two accounts and watches them trade."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.async_api import Browser, expect

from tests.fakes.chat_page import Person, look_at_all
from tests.fakes.demo import Demo

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(900),
    pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="processes are found in /proc"),
]

TRADES_MS = 240_000


@pytest.fixture
def demo(tmp_path: Path) -> Iterator[Demo]:
    started = Demo("--port", "0", "--clock", "2026-11-20T09:10:00*30", temporary=tmp_path)
    yield started
    started.end()


async def add(person: Person, demo: Demo, broker: str, name: str) -> None:
    """Connect one account with the keys that the demo printed, and log in."""
    keys = demo.line(rf"{broker} +API key (\S+) +secret (\S+) ")
    assert keys, demo.output
    asked = await person.says("/add", "With which broker?")
    guide = await person.taps(asked, broker, "The redirect URL to paste there")
    await person.taps(guide, "Continue", "What shall I call this account?")
    await person.says(name, "step 3 of 5")
    await person.says(keys[1], "step 4 of 5")
    summary = await person.says(keys[2], "Is this right?", name)
    await expect(person.page.locator(".mine").filter(has_text=keys[2])).to_have_count(0)
    added = await person.taps(summary, "Connect this account", f"{broker} - {name}", "is added")
    await person.logs_in(added, f"{broker} - {name}")


async def by_card(person: Person, shots: Path) -> None:
    """Let the demo's card connect the second account and set a strategy up; enable that by a tap."""
    page = person.page
    card = await person.says("/demo", "The bot is the real one")
    await card.get_by_role("button", name="Connect the two accounts for me").click()
    card = await person.sees("Both accounts are connected", within_ms=TRADES_MS)
    await page.screenshot(path=shots / "connected.png")
    await card.get_by_role("button", name="Set up a quick strategy for me").click()
    await person.sees("is set to decide each minute", within_ms=TRADES_MS)
    await page.screenshot(path=shots / "strategy.png")
    question = await person.sees("Enable Moving average crossover?", "free")
    await page.screenshot(path=shots / "enable.png")
    await person.taps(question, "Yes, enable it", "Moving average crossover", "enabled")


async def safeguard(person: Person, shots: Path) -> None:
    """Set a limit and a guard with their buttons, and end everything with a panic."""
    page = person.page
    limits = await person.says("/limits", "They deny entries", "No limits.")
    limits = await person.taps(limits, "Growth", "Limits · Fyers - Growth")
    question = await person.taps(limits, "Order value", "Order value · Fyers - Growth")
    await page.screenshot(path=shots / "limit.png")
    limits = await person.taps(question, "₹1,00,000", "Order value: ₹1,00,000 (was no limit)")
    await page.screenshot(path=shots / "limits.png")

    guards = await person.says("/guard", "Guards on the day's result", "No guard")
    await page.screenshot(path=shots / "guards.png")
    guard = await person.taps(guards, "Fyers - Growth", "Fyers - Growth", "No guard")
    part = await person.taps(guard, "Stop", "Stop · Fyers - Growth")
    question = await person.taps(part, "-₹5,000", "Set the guard of Fyers - Growth?")
    await page.screenshot(path=shots / "guard.png")
    await person.taps(question, "Yes, set it", "✅ Set.", "₹5,000")

    question = await person.says("/panic", "Cancel and close everything on all accounts?")
    await page.screenshot(path=shots / "panic.png")
    await question.get_by_role("button", name="🛑 Close everything now (2 accounts)").click()
    await person.sees("PANIC is over · 2 of 2 flat", within_ms=TRADES_MS)
    back = await person.sees("How to come back")
    await page.screenshot(path=shots / "panic-over.png")
    question = await person.taps(back, "🟢 Set all to Normal", "Set Normal for all accounts?")
    await person.taps(question, "Yes, set all to Normal", "✅ All accounts: Normal")


@pytest.mark.row("F1")
@pytest.mark.row("R2")
@pytest.mark.row("A1")
@pytest.mark.row("A2")
@pytest.mark.row("S2")
async def test_a_user_connects_two_accounts_and_sees_them_trade(
    demo: Demo, browser: Browser, shots: Path
) -> None:
    """One account by hand, one by the card, a strategy on both, exit only, a limit, a guard, a panic."""
    context = await browser.new_context(
        viewport={"width": 390, "height": 780}, device_scale_factor=1.5, reduced_motion="reduce"
    )
    page = await context.new_page()
    complaints: list[str] = []
    page.on("pageerror", lambda error: complaints.append(str(error)))
    await page.goto(demo.chat())
    await page.get_by_role("button", name="START").click()
    person = Person(page)
    await person.sees("Namaste Asha")
    await person.sees("The bot is the real one")
    await page.screenshot(path=shots / "start.png")
    await add(person, demo, "Zerodha", "Main")
    await page.screenshot(path=shots / "added.png")
    await by_card(person, shots)

    await person.sees("Zerodha - Main", "Fyers - Growth", "✅", "Stop: ", within_ms=TRADES_MS)
    await page.screenshot(path=shots / "run.png")
    board = await person.says("/dashboard", "Funds", "Zerodha - Main")
    await person.taps(board, "Growth", "Funds", "Fyers - Growth")
    await page.screenshot(path=shots / "dashboard.png")

    modes = await person.says("/mode", "Trading modes")
    asked = await person.taps(modes, "🟠 Main: Exit only", "Set Exit only for Zerodha - Main?")
    await person.taps(asked, "Yes, set Exit only", "Zerodha - Main: Exit only")
    await person.sees("exit only: no entry is sent", "Fyers - Growth", within_ms=TRADES_MS)
    await page.screenshot(path=shots / "exit-only.png")
    await safeguard(person, shots)
    assert complaints == []
    await context.close()
    await look_at_all(browser, demo.chat(), shots)
