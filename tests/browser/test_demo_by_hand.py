"""The demo by hand: a user with a browser connects two accounts and watches them trade."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.async_api import Browser, Locator, expect

from tests.fakes.chat_page import Person, look_at_all
from tests.fakes.demo import Demo

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(900),
    pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="processes are found in /proc"),
]

TRADES_MS = 240_000
README = Path(__file__).resolve().parents[2] / "README.md"
WRONG_KEY = "mistyped12345678"
BANNER = re.compile(r"Demo · 20 Nov \d\d:\d\d · 30x( · .+)?")
CAME_AT = (
    """() => [...document.querySelectorAll(".messages .meta time")].map((e) => e.textContent)"""
)
QUESTIONS: dict[str, tuple[str, ...]] = {
    "📈 Move a price": ("Which price moves?", "How far does SBIN move?"),
    "🔑 End a login": ("Whose login does the broker end?",),
    "🐢 Slow a broker": ("Which broker answers late?",),
    "💥 Kill Saarthi": (),
    "⏩ To 14:55": (),
}
"""What the demo's card asks on the way to what it makes happen."""
KEYS = """() => [...document.querySelectorAll(".key .label")].map((e) => e.textContent)"""


@pytest.fixture
def demo(tmp_path: Path) -> Iterator[Demo]:
    started = Demo("--port", "0", "--clock", "2026-11-20T09:10:00*30", temporary=tmp_path)
    yield started
    started.end()


async def add(person: Person, demo: Demo, broker: str, name: str) -> None:
    """Connect one account with a wrong key, then with what the demo printed, and log in.

    The key is found out on our own page, before the broker's: nobody stands there in silence. It is
    replaced under the same account. After the login the next steps are offered, and no message asks
    for it any more.
    """
    keys = demo.line(rf"{broker} +API key (\S+) +secret (\S+) ")
    assert keys, demo.output
    page, label = person.page, f"{broker} - {name}"
    asked = await person.says("/add", "With which broker?")
    guide = await person.taps(asked, broker, "The redirect URL to paste there")
    await person.taps(guide, "Continue", "What shall I call this account?")
    await person.says(name, "step 3 of 5")
    await person.says(WRONG_KEY, "step 4 of 5")
    summary = await person.says(keys[2], "Is this right?", name)
    added = await person.taps(summary, "Connect this account", label, "is added")
    refused = await is_refused(person, added, broker, label)
    await person.taps(refused, "Key and secret", "The new ones replace the old ones", WRONG_KEY)
    await person.says(keys[1], "API secret")
    await person.writes(keys[2])
    renewed = await person.sees(f"Key and secret of {label} are replaced. Log in now")
    await expect(page.locator(".mine").filter(has_text=keys[2])).to_have_count(0)
    await person.logs_in(renewed, label)
    done = await person.sees(f"{label} is logged in", "once you enable it")
    offered = [f"Enable {name}", "Dashboard", "➕ Add another"]
    await expect(done.get_by_role("button")).to_have_text(offered)
    await expect(page.get_by_role("link", name=f"Log in to {label}")).to_have_count(0)
    await expect(page.get_by_text("Login failed")).to_have_count(0)


async def is_refused(person: Person, added: Locator, broker: str, label: str) -> Locator:
    """Follow the login button with the wrong key; return what the chat says of it."""
    async with person.page.context.expect_page() as opened:
        await added.get_by_role("link", name=f"Log in to {label}").click()
    tab = await opened.value
    ours = tab.url
    await tab.get_by_role("button", name=re.compile("Continue to")).click()
    await expect(tab.get_by_role("heading", level=1)).to_have_text(
        f"{broker} does not know the API key"
    )
    assert tab.url.startswith(ours), "sent to the broker's page with a key that it does not know"
    await tab.close()
    return await person.sees("Login failed", label, "does not know the API key")


async def by_card(person: Person, shots: Path) -> set[str]:
    """Let the demo's card connect the second account and set a strategy up; enable that by a tap.

    Return the labels of the buttons on the way.
    """
    page = person.page
    card = await person.says("/demo", "The bot is the real one")
    seen = set(await page.evaluate(KEYS))
    await card.get_by_role("button", name="Connect the two accounts for me").click()
    card = await person.sees("Both accounts are connected", within_ms=TRADES_MS)
    await page.screenshot(path=shots / "connected.png")
    await card.get_by_role("button", name="Set up a quick strategy for me").click()
    await person.sees("is set to decide each minute", within_ms=TRADES_MS)
    await page.screenshot(path=shots / "strategy.png")
    question = await person.sees("Enable Moving average crossover?", "free")
    await page.screenshot(path=shots / "enable.png")
    seen.update(await page.evaluate(KEYS))
    await person.taps(question, "Yes, enable it", "Moving average crossover", "enabled")
    return seen


async def safeguard(person: Person, shots: Path) -> None:
    """Set a limit and a guard with their buttons, and end everything with a panic."""
    page = person.page
    limits = await person.says("/limits", "They deny entries", "No limits.")
    limits = await person.taps(limits, "Growth", "Limits · Fyers - Growth")
    question = await person.taps(limits, "Order value", "Order value · Fyers - Growth")
    await page.screenshot(path=shots / "limit.png")
    limits = await person.taps(question, "₹1,00,000", "Order value: ₹1,00,000 (was no limit)")
    await page.screenshot(path=shots / "limits.png")
    await comes_back_in(person, shots)

    guards = await person.says("/guard", "Guards on the day's result", "No guard")
    await page.screenshot(path=shots / "guards.png")
    guard = await person.taps(guards, "Fyers - Growth", "Fyers - Growth", "No guard")
    part = await person.taps(guard, "Stop", "Stop · Fyers - Growth")
    question = await person.taps(part, "-₹5,000", "Set the guard of Fyers - Growth?")
    await page.screenshot(path=shots / "guard.png")
    await person.taps(question, "Yes, set it", "✅ Set.", "₹5,000")

    question = await person.says("sab band karo", "Cancel and close everything on all accounts?")
    await page.screenshot(path=shots / "panic.png")
    await question.get_by_role("button", name="🛑 Close everything now (2 accounts)").click()
    await person.sees("PANIC is over · 2 of 2 flat", within_ms=TRADES_MS)
    back = await person.sees("How to come back")
    await page.screenshot(path=shots / "panic-over.png")
    question = await person.taps(back, "🟢 Set all to Normal", "Set Normal for all accounts?")
    await person.taps(question, "Yes, set all to Normal", "✅ All accounts: Normal")


async def from_the_card(person: Person, *labels: str, answer: str) -> Locator:
    """Tap through a new card of the demo to the answer of the last of its buttons."""
    card = await person.says("/demo", "Tap to make something happen")
    for label, question in zip(labels[:-1], QUESTIONS[labels[0]], strict=True):
        card = await person.taps(card, label, question)
    return await person.taps(card, labels[-1], answer)


async def comes_back_in(person: Person, shots: Path) -> None:
    """The login that the card ended is asked for in one message, which goes with the login."""
    warning = await person.sees("Login needed · Fyers - Growth", within_ms=TRADES_MS)
    await warning.scroll_into_view_if_needed()
    await person.page.screenshot(path=shots / "login-needed.png")
    await person.logs_in(warning, "Fyers - Growth")
    await expect(person.page.get_by_text("Login needed · Fyers - Growth")).to_have_count(0)


async def goes_on(person: Person, demo: Demo, shots: Path) -> None:
    """Go on in the afternoon; kill Saarthi, which keeps the open question; be beside a slow broker."""
    # The clock stands while the controller starts: for longer, once a start has taken long.
    await from_the_card(person, "⏩ To 14:55", answer="✅ It is 1")
    await person.says("/add", "With which broker?")
    killed = demo.child("console", "run")
    await from_the_card(person, "💥 Kill Saarthi", answer="was killed and is back")
    assert demo.child("console", "run") != killed
    assert demo.line(r"The controller was killed \(SIGKILL\)\. It is started again\.")
    await person.says("/cancel", "Cancelled adding an account")
    await from_the_card(person, "🐢 Slow a broker", "Zerodha", answer="takes seconds to answer")
    await person.says("/dashboard", "as of")
    await person.page.screenshot(path=shots / "afternoon.png")


async def one_clock(person: Person) -> None:
    """The banner, /health and the bubbles show the market's time, and no other."""
    banner, times = person.page.locator("#banner"), re.compile(r"\d\d:\d\d")
    before = times.findall(await banner.inner_text())[0]
    health = await (await person.says("/health", "Market time")).inner_text()
    await expect(banner).to_have_text(BANNER)
    after = times.findall(await banner.inner_text())[0]
    (said,) = re.findall(r"Market time: \D*\d+ \D+(\d\d:\d\d) IST", health)
    assert "14:55" <= before <= said <= after
    came = await person.page.evaluate(CAME_AT)
    assert ["09:10", *came, after] == sorted(["09:10", *came, after])


def not_there(keys: set[str]) -> set[str]:
    """Return the buttons that README tells a newcomer to tap and that were not there."""
    section = README.read_text(encoding="utf-8").partition("## Your first order")[2]
    told = re.findall(r"\*\*([^*]+)\*\*", section.partition("\n## ")[0].replace("\n", " "))
    assert len(told) > 4, told
    return {one for one in told if not any(one in key for key in keys)}


async def begin(person: Person, demo: Demo, shots: Path) -> set[str]:
    """Open the chat, be greeted, look at what is offered first; return the labels of all buttons."""
    page = person.page
    await page.goto(demo.chat())
    seen = {await page.get_by_role("button", name="START").inner_text()}
    await page.get_by_role("button", name="START").click()
    greeting = await person.sees("Namaste Asha")
    await person.sees("The bot is the real one")
    await page.screenshot(path=shots / "start.png")
    seen.update(await page.evaluate(KEYS))
    await person.taps(greeting, "📝 Try with a paper account", "A paper account")
    return seen.union(await page.evaluate(KEYS))


async def trade(person: Person, shots: Path) -> None:
    """See a run on both accounts, the dashboard, and an account that only exits."""
    page = person.page
    await person.sees("Zerodha - Main", "Fyers - Growth", "✅", "Stop: ", within_ms=TRADES_MS)
    await page.screenshot(path=shots / "run.png")
    await from_the_card(
        person, "📈 Move a price", "SBIN", "\u22122 %", answer="SBIN moved \u22122 % to ₹"
    )
    board = await person.says("/dashboard", "Funds", "Zerodha - Main")
    await person.taps(board, "Growth", "Funds", "Fyers - Growth")
    await page.screenshot(path=shots / "dashboard.png")

    modes = await person.says("/mode", "Trading modes")
    asked = await person.taps(modes, "🟠 Main: Exit only", "Set Exit only for Zerodha - Main?")
    await person.taps(asked, "Yes, set Exit only", "Zerodha - Main: Exit only")
    await person.sees("exit only: no entry is sent", "Fyers - Growth", within_ms=TRADES_MS)
    await page.screenshot(path=shots / "exit-only.png")
    ended = "Fyers has ended the login of Fyers - Growth"
    await from_the_card(person, "🔑 End a login", "Fyers - Growth", answer=ended)


@pytest.mark.row("F1")
@pytest.mark.row("R2")
@pytest.mark.row("A1")
@pytest.mark.row("B3")
@pytest.mark.row("S2")
@pytest.mark.usefixtures("phone_font")
async def test_a_user_connects_two_accounts_and_sees_them_trade(
    demo: Demo, browser: Browser, shots: Path
) -> None:
    """One account by hand, one by the card, a strategy on both, exit only, a limit, a guard, a panic.

    A key that is wrong at first, each button of the demo's card, and what README tells to tap; all
    by one clock.
    """
    context = await browser.new_context(
        viewport={"width": 390, "height": 780}, device_scale_factor=1.5, reduced_motion="reduce"
    )
    page = await context.new_page()
    complaints: list[str] = []
    page.on("pageerror", lambda error: complaints.append(str(error)))
    person = Person(page)
    seen = await begin(person, demo, shots)
    await add(person, demo, "Zerodha", "Main")
    await page.screenshot(path=shots / "added.png")
    seen |= await by_card(person, shots)
    assert not_there(seen) == set()
    await trade(person, shots)
    await safeguard(person, shots)
    await goes_on(person, demo, shots)
    await one_clock(person)
    assert complaints == []
    await context.close()
    await look_at_all(browser, demo.chat(), shots)
