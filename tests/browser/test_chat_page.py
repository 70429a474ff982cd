"""The chat page in a real browser: what a user sees and does, on a phone and on a desktop."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from playwright.async_api import Browser, Page, async_playwright, expect

from sandbox.clock import MarketClock, parse_clock
from tests.conftest import cannot
from tests.fakes.bot_api import BotClient, Telegram, png, serve_telegram
from tests.fakes.browsing import launched
from tests.fakes.chat_page import FAINT

CHROMIUM = Path("/usr/bin/chromium")
ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
PHONE = {"width": 390, "height": 844}
CUT_OFF = """[...document.querySelectorAll(".key .label")]
  .filter((e) => e.offsetParent && e.scrollWidth > e.clientWidth + 1).map((e) => e.textContent)"""
HAS_EMOJI = """() => {
  const canvas = document.createElement("canvas").getContext("2d");
  const width = (font) => { canvas.font = font; return canvas.measureText("⚪").width; };
  return ["Noto Color Emoji", "Apple Color Emoji", "Segoe UI Emoji"]
    .some((name) => width(`16px "${name}", monospace`) !== width("16px monospace"));
}"""
SIGN_WIDTHS = """() => {
  const text = document.querySelector(".theirs .text").firstChild, range = document.createRange();
  let at = 0;
  return [...text.data].slice(0, 4).map((sign) => {
    range.setStart(text, at); range.setEnd(text, at += sign.length);
    return Math.round(range.getBoundingClientRect().width);
  });
}"""
FILES = {
    "charts": {f"p{n}": (f"{n}.png", png(300 + n, 200), "image/png") for n in range(3)},
    "papers": {
        f"d{n}": (name, b"a,b", "text/csv")
        for n, name in enumerate(("day.csv", "orders-of-november-2026.csv"))
    },
}
TABLE = "Symbol        Qty       Avg       LTP        P&amp;L   Account\n" + "\n".join(
    f"SYMBOL{row:03}     +50   1412.30   1421.85    +477.50   Zerodha - Main" for row in range(4)
)

pytestmark = pytest.mark.skipif(not CHROMIUM.exists(), reason=f"{CHROMIUM} is not installed")


@pytest.fixture
async def telegram() -> AsyncIterator[Telegram]:
    async with serve_telegram() as server:
        yield server


@pytest.fixture
async def bot(telegram: Telegram) -> BotClient:
    client = telegram.bot()
    await client.ok("getMe")
    return client


@pytest.fixture
async def browser() -> AsyncIterator[Browser]:
    async with async_playwright() as playwright:
        started = await launched(playwright, CHROMIUM, ARGUMENTS)
        yield started
        await started.close()


async def open_page(browser: Browser, telegram: Telegram, query: str = "", **options: Any) -> Page:
    """Open the page, failing later on anything that its scripts complain about."""
    context = await browser.new_context(**{"viewport": PHONE, **options})
    page = await context.new_page()
    complaints: list[str] = []
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("console", lambda m: complaints.append(m.text) if m.type == "error" else None)
    page.complaints = complaints  # type: ignore[attr-defined]
    await page.goto(f"{telegram.root}/{query}")
    return page


async def keyboard_message(bot: BotClient, text: str, *buttons: dict[str, Any]) -> int:
    """Send a message with a row of buttons and give its id."""
    markup = {"inline_keyboard": [list(buttons)]}
    sent = await bot.ok(
        "sendMessage", chat_id=1001, text=text, parse_mode="HTML", reply_markup=markup
    )
    return int(sent["message_id"])


async def next_tap(bot: BotClient) -> dict[str, Any]:
    """Wait for a tap to reach the bot; it is confirmed, so that the next call is of the next tap."""
    async with asyncio.timeout(150):
        while True:
            for update in await bot.ok("getUpdates", offset=-1, timeout=40):
                await bot.ok("getUpdates", offset=update["update_id"] + 1)
                if "callback_query" in update:
                    found: dict[str, Any] = update["callback_query"]
                    return found


async def test_a_user_starts_types_and_is_answered(
    telegram: Telegram, bot: BotClient, browser: Browser
):
    """START opens the chat, what is typed reaches the bot, and its answers appear by themselves."""
    page = await open_page(browser, telegram, "?user=42&name=Ravi")
    await bot.ok("setMyDescription", description="Drives your broker accounts.")
    await expect(page.locator("#bot-name")).to_have_text("Saarthi")
    await expect(page.locator("#empty-text")).to_have_text("Drives your broker accounts.")
    await page.get_by_role("button", name="START").click()
    await expect(page.locator("#composer")).to_be_visible()
    await expect(page.locator(".mine")).to_contain_text("/start")
    update = (await bot.ok("getUpdates"))[0]["message"]
    assert (update["from"]["id"], update["from"]["first_name"]) == (42, "Ravi")
    await bot.ok("sendChatAction", chat_id=42, action="typing")
    await expect(page.locator("#bot-status")).to_contain_text("typing")
    await bot.ok("sendMessage", chat_id=42, text="<b>Hello</b> Ravi", parse_mode="HTML")
    await expect(page.locator(".theirs strong")).to_have_text("Hello")
    await expect(page.locator("#bot-status")).to_have_text("bot")
    await page.locator("#composer").fill("how are you?")
    await page.locator("#send").click()
    await expect(page.locator(".mine").last).to_contain_text("how are you?")
    assert page.complaints == []  # type: ignore[attr-defined]


async def test_a_tapped_button_waits_for_its_answer(
    telegram: Telegram, bot: BotClient, browser: Browser
):
    """The tapped button spins until the bot answers; the answer is a toast, or an alert to close."""
    await telegram.say("/start")
    message_id = await keyboard_message(
        bot,
        "Stop?",
        {"text": "Confirm", "callback_data": "yes", "style": "danger"},
        {"text": "Used", "disabled": {}},
    )
    page = await open_page(browser, telegram)
    message = page.locator(f'[data-message-id="{message_id}"]')
    button = message.get_by_role("button", name="Confirm")
    await expect(button).to_have_class("key danger")
    await expect(message.get_by_role("button", name="Used")).to_be_disabled()
    await button.click()
    await expect(button).to_have_attribute("aria-busy", "true")
    tap = await next_tap(bot)
    assert (tap["data"], tap["from"]["id"]) == ("yes", 1001)
    await bot.ok("answerCallbackQuery", callback_query_id=tap["id"], text="Stopping")
    await expect(page.locator(".toast")).to_have_text("Stopping")
    await expect(button).to_have_attribute("aria-busy", "false")
    await button.click()
    tap = await next_tap(bot)
    await bot.ok(
        "answerCallbackQuery", callback_query_id=tap["id"], text="Already used", show_alert=True
    )
    await expect(page.get_by_role("dialog")).to_contain_text("Already used")
    await page.locator("#alert-ok").click()
    await expect(page.get_by_role("dialog")).to_be_hidden()
    assert page.complaints == []  # type: ignore[attr-defined]


async def test_links_open_beside_and_texts_are_copied(
    telegram: Telegram, bot: BotClient, browser: Browser
):
    """A link button is a link to a new tab; a copy button fills the clipboard and says so."""
    await telegram.say("/start")
    await keyboard_message(
        bot,
        "Log in",
        {"text": "Log in", "url": f"{telegram.root}/static/icon.svg", "style": "primary"},
        {"text": "Copy URL", "copy_text": {"text": "http://127.0.0.1/cb"}},
    )
    page = await open_page(browser, telegram, permissions=["clipboard-read", "clipboard-write"])
    link = page.get_by_role("link", name="Log in")
    await expect(link).to_have_attribute("target", "_blank")
    async with page.context.expect_page() as opened:
        await link.click()
    assert (await opened.value).url.endswith("/static/icon.svg")
    await page.bring_to_front()
    await page.get_by_role("button", name="Copy URL").click()
    await expect(page.locator(".toast")).to_have_text("Copied to clipboard")
    assert await page.evaluate("navigator.clipboard.readText()") == "http://127.0.0.1/cb"


async def test_edits_deletions_and_pins_are_seen_at_once(
    telegram: Telegram, bot: BotClient, browser: Browser
):
    """An edit is marked, a deleted message goes, the pinned bar leads to its message."""
    secret = await telegram.say("my secret")
    await telegram.say("it quotes", reply_to=secret)
    first = await bot.ok("sendMessage", chat_id=1001, text="Dashboard: 0")
    page = await open_page(browser, telegram)
    await expect(page.locator(".quoted")).to_contain_text("my secret")
    place = {"chat_id": 1001, "message_id": first["message_id"]}
    await bot.ok("editMessageText", **place, text="Dashboard: 1")
    shown = page.locator(f'[data-message-id="{first["message_id"]}"]')
    await expect(shown).to_contain_text("Dashboard: 1")
    await expect(shown.locator(".edited")).to_have_text("edited")
    await bot.ok("deleteMessage", chat_id=1001, message_id=secret)
    await expect(page.get_by_text("my secret")).to_have_count(0)
    await expect(page.locator(".quoted")).to_contain_text("Deleted message")
    await bot.ok("pinChatMessage", **place)
    for line in range(40):
        await bot.ok("sendMessage", chat_id=1001, text=f"line {line}")
    await expect(page.get_by_text("line 39")).to_be_in_viewport()
    await expect(page.locator("#pinned-text")).to_have_text("Dashboard: 1")
    await expect(shown).not_to_be_in_viewport()
    await page.locator("#pinned").click()
    await expect(shown).to_be_in_viewport()
    await page.locator("#down").click()
    await expect(page.get_by_text("line 39")).to_be_in_viewport()
    await bot.ok("unpinAllChatMessages", chat_id=1001)
    await expect(page.locator("#pinned")).to_be_hidden()


async def test_markup_is_drawn(telegram: Telegram, bot: BotClient, browser: Browser):
    """Code, quotes, spoilers and moments have their own elements; markup in text is only text."""
    await telegram.say("<img src=x onerror=alert(1)> & <b>no</b>")
    await bot.ok(
        "sendMessage",
        chat_id=1001,
        parse_mode="HTML",
        text='😀 <i>a</i> <code>x=1</code> <tg-spoiler>hid</tg-spoiler> <a href="http://e.com/">l</a>'
        "\n<blockquote expandable>one\ntwo\nthree\nfour\nfive</blockquote>"
        '\n<tg-time unix="4102444800" format="D">then</tg-time> 2 &lt; 3',
    )
    page = await open_page(browser, telegram)
    await expect(page.locator(".mine .text")).to_contain_text("<img src=x onerror=alert(1)>")
    assert await page.locator(".messages img").count() == 0
    text = page.locator(".theirs .text")
    await expect(text.locator("em")).to_have_text("a")
    await expect(text.locator("code")).to_have_text("x=1")
    await expect(text.locator("a")).to_have_attribute("href", "http://e.com/")
    await expect(text.locator("time.moment")).to_contain_text("2100")
    await expect(text).to_contain_text("2 < 3")
    spoiler = text.locator(".spoiler")
    await spoiler.press("Enter")
    await expect(spoiler).to_have_class("spoiler shown")
    toggle = text.locator(".quote-toggle")
    await toggle.click()
    await expect(toggle).to_have_attribute("aria-expanded", "true")
    assert page.complaints == []  # type: ignore[attr-defined]


async def test_signs_are_drawn_in_colour_as_telegram_does(
    telegram: Telegram, bot: BotClient, browser: Browser
):
    """A text font's small circle for what is disabled does not pass for that of what is enabled."""
    await telegram.say("/start")
    await bot.ok("sendMessage", chat_id=1001, text="⚪⚡⏳🟢")
    page = await open_page(browser, telegram)
    if not await page.evaluate(HAS_EMOJI):
        cannot(
            "there are no coloured signs on this machine (Debian: apt-get install fonts-noto-color-emoji)"
        )
    await expect(page.locator(".theirs .text")).to_contain_text("🟢")
    widths = await page.evaluate(SIGN_WIDTHS)
    assert len(set(widths)) == 1, widths


async def test_the_command_menu_completes_while_typing(
    telegram: Telegram, bot: BotClient, browser: Browser
):
    """A slash lists the commands, typing narrows them, arrows and Enter choose one."""
    names = [("accounts", "Accounts"), ("add", "Connect an account"), ("kill", "Stop")]
    commands = [{"command": name, "description": about} for name, about in names]
    await telegram.say("/start")
    page = await open_page(browser, telegram)
    await bot.ok("setMyCommands", commands=commands)
    await page.locator("#menu-button").click()
    await expect(page.get_by_role("option")).to_have_count(3)
    await page.keyboard.press("Escape")
    await page.locator("#composer").press_sequentially("/a")
    await expect(page.get_by_role("option")).to_have_count(2)
    await page.keyboard.press("ArrowDown")
    await page.keyboard.press("Enter")
    await expect(page.locator(".mine").last).to_contain_text("/add")
    await expect(page.locator("#menu")).to_be_hidden()


async def test_a_forced_reply_asks_and_is_tied_to_its_question(
    telegram: Telegram, bot: BotClient, browser: Browser
):
    """A forced reply opens the reply bar with its placeholder; the answer carries the question."""
    await telegram.say("/add")
    page = await open_page(browser, telegram)
    await expect(page.locator(".mine")).to_be_visible()
    prompt = await bot.ok(
        "sendMessage",
        chat_id=1001,
        text="API key?",
        reply_markup={"force_reply": True, "input_field_placeholder": "16 letters"},
    )
    await expect(page.locator("#replying-text")).to_have_text("API key?")
    await expect(page.locator("#composer")).to_have_attribute("placeholder", "16 letters")
    await expect(page.locator("#composer")).to_be_focused()
    await page.keyboard.type("abcd")
    await page.keyboard.press("Enter")
    await expect(page.locator(".mine .quoted")).to_contain_text("API key?")
    await expect(page.locator("#replying")).to_be_hidden()
    update = (await bot.ok("getUpdates"))[-1]["message"]
    assert update["reply_to_message"]["message_id"] == prompt["message_id"]


@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_the_page_fits_every_width(
    telegram: Telegram, bot: BotClient, browser: Browser, shots: Path, scheme: Any
):
    """From 360 to 1440 nothing scrolls sideways, no button is cut off, a wide table scrolls by itself."""
    await telegram.say("/positions")
    photo = await bot.ok("sendMessage", chat_id=1001, text="soon")
    place = {"chat_id": 1001, "message_id": photo["message_id"]}
    for name in ("charts", "papers"):
        await telegram.upload(**FILES[name])
    message_id = await keyboard_message(
        bot,
        f"<b>Positions</b>\n<pre>{TABLE}</pre>\nDay: <b>+1,910.00</b>",
        {"text": "Refresh", "callback_data": "r", "style": "primary"},
        {"text": "Exit all", "callback_data": "x", "style": "danger"},
    )
    await bot.ok("editMessageText", **place, text="<b>Result</b>\n+₹1,250.00", parse_mode="HTML")
    page = await open_page(browser, telegram, color_scheme=scheme)
    table = page.locator(f'[data-message-id="{message_id}"] pre')
    await expect(table).to_be_visible()
    await expect(page.locator(".album .photo")).to_have_count(3)
    await expect(page.locator(".document b")).to_have_text(
        ["day.csv", "orders-of-november-2026.csv"]
    )
    for width in (360, 390, 768, 1440):
        await page.set_viewport_size({"width": width, "height": 900})
        lines = await table.evaluate(
            "e => Math.round((e.clientHeight - 16) / parseFloat(getComputedStyle(e).lineHeight))"
        )
        assert lines == 5
        assert await table.evaluate("e => e.scrollWidth > e.clientWidth") is (width < 768)
        assert await page.evaluate("document.documentElement.scrollWidth <= innerWidth")
        assert await page.locator("#scroll").evaluate("e => e.scrollWidth <= e.clientWidth")
        assert await page.evaluate(CUT_OFF) == []
        assert await page.evaluate(FAINT) == []
        await page.screenshot(path=shots / f"page-{width}-{scheme}.png")
    assert page.complaints == []  # type: ignore[attr-defined]


async def test_files_go_both_ways(
    telegram: Telegram, bot: BotClient, browser: Browser, tmp_path: Path
):
    """The paper clip sends pictures as an album with what is typed; a deleted one leaves it."""
    await telegram.say("/start")
    await bot.ok("getUpdates", offset=-1)
    page = await open_page(browser, telegram)
    files = [tmp_path / f"{side}.png" for side in (5, 6)]
    for side, path in zip((5, 6), files, strict=True):
        path.write_bytes(png(side, side))
    await page.locator("#composer").fill("both charts")
    await page.locator("#files").set_input_files(files)
    album = page.locator(".mine .album .photo")
    await expect(album).to_have_count(2)
    await expect(page.locator(".mine").last).to_contain_text("both charts")
    await expect(page.locator("#composer")).to_have_value("")
    updates = [one["message"] for one in await bot.ok("getUpdates")]
    assert [len(one["photo"]) for one in updates[-2:]] == [1, 1]
    gone, stays = (one["message_id"] for one in updates[-2:])
    await bot.ok("deleteMessage", chat_id=1001, message_id=gone)
    await expect(album).to_have_count(0)
    await expect(page.locator(f'[data-message-id="{stays}"] .photo')).to_be_visible()
    assert page.complaints == []  # type: ignore[attr-defined]


async def test_a_demo_has_one_clock(browser: Browser):
    """The banner, bubbles and days show market time; a step of the clock is seen at once."""
    clock = MarketClock(parse_clock("2026-11-20T10:30+05:30*10"))
    async with serve_telegram(market=clock) as telegram:
        bot = telegram.bot()
        await bot.ok("getMe")
        await telegram.say("/start")
        page = await open_page(browser, telegram, timezone_id="America/New_York")
        banner = page.locator("#banner")
        await expect(banner).to_have_text(re.compile(r"^Demo · 20 Nov 10:[3-5]\d · 10x$"))
        await expect(page.locator(".mine time")).to_have_text(re.compile(r"^10:[3-5]\d$"))
        await expect(page.locator(".day")).to_have_text(["Today"])
        clock.step(to="2026-11-23T14:00+05:30")
        telegram.sim.publish_market("the clock moves ahead")
        await expect(banner).to_have_text(
            re.compile(r"^Demo · 23 Nov 14:[0-5]\d · 10x · the clock moves ahead$")
        )
        await telegram.say("later")
        await expect(page.locator(".mine time").last).to_have_text(re.compile(r"^14:[0-5]\d$"))
        await expect(page.locator(".day")).to_have_text(["20 November", "Today"])
        assert page.complaints == []  # type: ignore[attr-defined]


async def test_the_page_finds_its_bot_and_offers_a_choice(telegram: Telegram, browser: Browser):
    """Without a bot the page waits for one; with several it offers them and goes by ?bot=."""
    page = await open_page(browser, telegram)
    await expect(page.locator("#bot-name")).to_have_text("Waiting for a bot")
    one, two = telegram.bot("11:aa"), telegram.bot("22:bb")
    await one.ok("getMe")
    await expect(page.locator("#bot-name")).to_have_text("Saarthi")
    await two.ok("setMyName", name="Second")
    await page.goto(f"{telegram.root}/?bot=22")
    await expect(page.locator("#bot-name")).to_have_text("Second")
    await page.locator("#chooser").select_option("11")
    await expect(page.locator("#bot-name")).to_have_text("Saarthi")
    telegram.sim.reset()
    await expect(page.locator("#bot-name")).to_have_text("Waiting for a bot")
