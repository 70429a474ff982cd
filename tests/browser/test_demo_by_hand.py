"""The demo by hand: a user with a browser connects two accounts and watches them trade."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

import pytest
from playwright.async_api import Browser, Locator, Page, ViewportSize, expect

from tests.fakes.demo import Demo

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(300),
    pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="processes are found in /proc"),
]

SOON_MS = 60_000
TRADES_MS = 120_000
CUT_OFF = """[...document.querySelectorAll(".key .label")]
  .filter((e) => e.offsetParent && e.scrollWidth > e.clientWidth + 1).map((e) => e.textContent)"""

SAID = """() => Object.fromEntries(
  [...document.querySelectorAll(".theirs")].map((e) => [e.dataset.messageId, e.textContent]))"""
ANSWERED = r"""({ before, words }) => {
  const plain = (text) => text.replace(/\s+/g, " ").toLowerCase();
  return [...document.querySelectorAll(".theirs")].some((e) =>
    e.textContent !== before[e.dataset.messageId]
    && words.every((word) => plain(e.textContent).includes(plain(word))));
}"""
"""Whether a message with these words is not as it was before."""

WRAPPED = r"""() => {
  const order = /^\s*(\S{1,3} )?(Bought|Sold|Buying|Selling|Buy|Sell|Stop: |After them|Before charges|Today|Funds|avg|now|open|\d\d:\d\d (bought|sold)|[A-Z]+ (MIS|CNC|NRML))\b/;
  const found = [];
  for (const text of document.querySelectorAll(".theirs:not(.guest) .text")) {
    const walker = document.createTreeWalker(text, NodeFilter.SHOW_TEXT);
    let lines = [{ said: "", rows: [] }], node;
    while ((node = walker.nextNode())) {
      if (node.parentElement.closest(".meta")) continue;
      for (let at = 0; at < node.length; at += 1) {
        if (node.data[at] === "\n") { lines.push({ said: "", rows: [] }); continue; }
        const range = document.createRange();
        range.setStart(node, at); range.setEnd(node, at + 1);
        const box = range.getBoundingClientRect();
        if (box.height) lines.at(-1).rows.push(box.top + box.height / 2);
        lines.at(-1).said += node.data[at];
      }
    }
    const wraps = ({ rows }) => Math.max(...rows) - Math.min(...rows) > 12;
    found.push(...lines.filter((line) => wraps(line) && order.test(line.said)).map((line) => line.said));
  }
  return found;
}"""
"""Lines of orders, positions and results that go on over a second row."""


@pytest.fixture
def demo(tmp_path: Path) -> Iterator[Demo]:
    started = Demo("--port", "0", "--clock", "2026-11-20T09:10:00*30", temporary=tmp_path)
    yield started
    started.end()


class Person:
    """What a user does on the chat page."""

    def __init__(self, page: Page) -> None:
        self.page = page

    async def says(self, text: str, *answer: str) -> Locator:
        """Type, send, and wait for a message below what was typed to answer.

        An older message with the same words, such as a card that is about to be replaced, is none.
        """
        before = await self.page.locator(".mine").count()
        await self.page.locator("#composer").fill(text)
        await self.page.locator("#send").click()
        await expect(self.page.locator(".mine")).not_to_have_count(before, timeout=SOON_MS)
        return await self.sees(*answer, among=".mine ~ .theirs:not(:has(~ .mine))")

    async def sees(
        self, *words: str, within_ms: float = SOON_MS, among: str = ".theirs"
    ) -> Locator:
        """Wait for the newest of the bot's messages that hold the words."""
        found = self.page.locator(among)
        for one in words:
            found = found.filter(has_text=one)
        await expect(found.last).to_be_visible(timeout=within_ms)
        return found.last

    async def taps(self, message: Locator, label: str, *answer: str) -> Locator:
        """Tap, and wait for an answer: a message with the words that is new, or says them anew."""
        before = await self.page.evaluate(SAID)
        await message.get_by_role("button", name=label, exact=True).click()
        await self.page.wait_for_function(
            ANSWERED, arg={"before": before, "words": list(answer)}, timeout=SOON_MS
        )
        return await self.sees(*answer)

    async def logs_in(self, message: Locator, account: str) -> None:
        """Follow the login button into a second tab, through the broker's page, and come back."""
        async with self.page.context.expect_page() as opened:
            await message.get_by_role("link", name=f"Log in to {account}").click()
        tab = await opened.value
        await tab.get_by_role("button", name=re.compile("Continue to")).click()
        await tab.locator("#user_id").wait_for()
        await tab.get_by_role("button", name="Allow", exact=True).click()
        await expect(tab.get_by_text(f"{account} is connected")).to_be_visible(timeout=SOON_MS)
        await tab.close()
        await self.sees(f"{account} is logged in")


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
    await person.sees("looks at bars of one minute", within_ms=TRADES_MS)
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
    question = await person.taps(back, "🟢 All accounts: Normal", "Set Normal for all accounts?")
    await person.taps(
        question, "Normal for all, and for Main and Growth", "✅ All accounts: Normal"
    )


async def look_at_all(browser: Browser, address: str, shots: Path) -> None:
    """Open the chat at every width, light and dark: no sideways scroll, nothing cut off or wrapped."""
    schemes: tuple[Literal["light", "dark"], ...] = ("light", "dark")
    for width, scheme in zip((360, 390, 768, 1440), schemes * 2, strict=True):
        size = ViewportSize(width=width, height=900)
        context = await browser.new_context(viewport=size, color_scheme=scheme)
        page = await context.new_page()
        await page.goto(address)
        await expect(page.locator(".theirs").last).to_be_visible()
        assert await page.locator("#scroll").evaluate("e => e.scrollWidth <= e.clientWidth")
        assert await page.evaluate(CUT_OFF) == []
        assert await page.evaluate(WRAPPED) == []
        await page.set_viewport_size({"width": 200, "height": 900})
        assert await page.evaluate(WRAPPED) != [], "a line that wraps is not found"
        await page.set_viewport_size(size)
        await page.screenshot(path=shots / f"end-{width}-{scheme}.png")
        tall = await page.locator("#messages").evaluate("e => e.scrollHeight + 140")
        await page.set_viewport_size({"width": width, "height": min(tall, 14_000)})
        await page.screenshot(path=shots / f"all-{width}-{scheme}.png")
        await context.close()


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
