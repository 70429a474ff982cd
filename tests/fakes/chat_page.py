"""A user at the chat page in Chromium, and what a picture of a chat must not show."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Literal

from playwright.async_api import Browser, Locator, Page, ViewportSize, expect

__all__ = [
    "CUT_OFF",
    "FAINT",
    "SOON_MS",
    "TALL_KEYS",
    "TORN",
    "WRAPPED",
    "Person",
    "faint",
    "look_at_all",
    "picture_all",
]

_NEWEST = """() => ["mine", "theirs"].map((whose) => Math.max(0,
  ...[...document.querySelectorAll(`.${whose}`)].map((e) => Number(e.dataset.messageId) || 0)))"""
_SENT = f"""([mine, theirs]) => {{
  const [sent, answered] = ({_NEWEST})();
  return sent > mine || answered > Math.max(mine, theirs) + 1;
}}"""
"""Whether what was typed is shown, or was taken away after an answer to it."""
SOON_MS = 120_000
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
  const order = /^\s*(\S{1,3} )?(Bought|Sold|Buying|Selling|Buy|Sell|Stop: |After them|After charges|Before charges|closes|opens|Today|Together|Funds|avg|now|open|booked|after charges|before charges|stop|limit|exit|(Long|Short|Flat) [A-Z]{2,}|\d+ [A-Z]+|[A-Z][A-Z0-9&-]* [+-]|\d\d:\d\d (bought|sold)|[A-Z][A-Z0-9&-]* (MIS|CNC|NRML))\b/;
  const found = [];
  for (const text of document.querySelectorAll(".theirs:not(.guest) .text")) {
    const walker = document.createTreeWalker(text, NodeFilter.SHOW_TEXT);
    let lines = [{ said: "", signs: [] }], node;
    while ((node = walker.nextNode())) {
      if (node.parentElement.closest(".meta")) continue;
      for (let at = 0; at < node.length; at += 1) {
        if (node.data[at] === "\n") { lines.push({ said: "", signs: [] }); continue; }
        lines.at(-1).signs.push([node, at]);
        lines.at(-1).said += node.data[at];
      }
    }
    const wraps = ({ signs }) => {
      const range = document.createRange(), [first, last] = [signs[0], signs.at(-1)];
      range.setStart(...first); range.setEnd(last[0], last[1] + 1);
      const rows = [...range.getClientRects()].filter((box) => box.width > 1)
        .map((box) => box.top + box.height / 2);
      return Math.max(...rows) - Math.min(...rows) > 12;
    };
    found.push(...lines.filter((line) => order.test(line.said) && wraps(line)).map((line) => line.said));
  }
  return found;
}"""
"""Lines of orders, positions and results that go on over a second row."""
TALL_KEYS = """() => [...document.querySelectorAll(".key .label")].filter((e) => e.offsetParent
  && e.clientHeight > 1.6 * parseFloat(getComputedStyle(e).lineHeight)).map((e) => e.textContent)"""
"""Labels of buttons that need a second row."""


TORN = r"""() => [...document.querySelectorAll(".theirs .text")].flatMap((text) => {
  const walker = document.createTreeWalker(text, NodeFilter.SHOW_TEXT), found = [];
  for (let node = walker.nextNode(); node; node = walker.nextNode()) {
    for (const one of node.data.matchAll(/[+\-\u2212]?\u2060?₹\u2060?[\d,.]*\d/g)) {
      const range = document.createRange();
      range.setStart(node, one.index); range.setEnd(node, one.index + one[0].length);
      const rows = new Set([...range.getClientRects()].filter((box) => box.width > 1)
        .map((box) => Math.round(box.top)));
      if (rows.size > 1) found.push(one[0]);
    }
  }
  return found;
})"""
"""Amounts whose sign, rupee and digits stand on two rows."""


_FAINT = r"""() => {
  const signs = (text) => { const [r, g, b, a = 1] = text.match(/[\d.]+/g).map(Number); return [r, g, b, a]; };
  const light = (color) => [.2126, .7152, .0722].reduce((sum, part, at) => {
    const each = color[at] / 255;
    return sum + part * (each <= .04045 ? each / 12.92 : ((each + .055) / 1.055) ** 2.4);
  }, 0);
  const behind = (element) => {
    const own = signs(getComputedStyle(element).backgroundColor);
    if (own[3] === 1) return own;
    const under = behind(element.parentElement);
    return [...[0, 1, 2].map((at) => own[at] * own[3] + under[at] * (1 - own[3])), 1];
  };
  return [...document.querySelectorAll("PARTS")].flatMap((part) => {
    const walker = document.createTreeWalker(part, NodeFilter.SHOW_TEXT), found = [];
    for (let node = walker.nextNode(); node; node = walker.nextNode()) {
      const owner = node.parentElement;
      if (!/[\p{L}\p{N}]/u.test(node.data) || !owner.offsetParent || owner.closest(".has-photo .meta, .avatar")) continue;
      const both = [light(signs(getComputedStyle(owner).color)), light(behind(owner))].sort((a, b) => b - a);
      const ratio = (both[0] + .05) / (both[1] + .05);
      if (ratio < 4.5) found.push(`${node.data}: ${ratio.toFixed(2)}`);
    }
    return found;
  });
}"""
"""Texts that stand out too little from what is behind them (WCAG: 4.5 to 1)."""


def faint(parts: str) -> str:
    """Return the script that finds faint texts in the elements that a selector of CSS names."""
    return _FAINT.replace("PARTS", parts)


FAINT = faint(".bubble, .key:not(.plain), .top, .banner")
_TALLEST = 14_000
"""What Chromium takes a picture of in one piece."""
_OVERLAP = 60
_SEEN = """() => {
  const { top, bottom } = document.querySelector("#scroll").getBoundingClientRect();
  return [...document.querySelectorAll(".theirs")].filter((e) => {
    const box = e.getBoundingClientRect();
    return box.bottom > top && box.top < bottom;
  }).map((e) => Number(e.dataset.messageId));
}"""


async def picture_all(page: Page, path: Path) -> set[int]:
    """Take pictures of the chat from its first message to its last, in pieces that overlap.

    Args:
        page: The chat page, of some width.
        path: The file of the first picture; those below it have a number.

    Returns:
        The messages of the bot on them.
    """
    width = (page.viewport_size or {"width": 360})["width"]
    tall = await page.locator("#messages").evaluate("e => e.scrollHeight + 140")
    await page.set_viewport_size({"width": width, "height": min(tall, _TALLEST)})
    area, top, number = page.locator("#scroll"), 0, 1
    seen: set[int] = set()
    while True:
        await area.evaluate("(e, top) => e.scrollTo({ top, behavior: 'instant' })", top)
        name = path if number == 1 else path.with_stem(f"{path.stem}-{number}")
        await page.screenshot(path=name, animations="disabled")
        seen.update(await page.evaluate(_SEEN))
        shown, whole = await area.evaluate("e => [e.clientHeight, e.scrollHeight]")
        if top + shown >= whole:
            return seen
        top, number = top + shown - _OVERLAP, number + 1


class Person:
    """What a user does on the chat page."""

    def __init__(self, page: Page) -> None:
        self.page = page

    async def says(self, text: str, *answer: str) -> Locator:
        """Type, send, and wait for a message below what was typed to answer.

        An older message with the same words, such as a card that is about to be replaced, is none.
        """
        before = await self.page.evaluate(_NEWEST)
        await self.writes(text)
        # By its number and not by a count: what was typed may be taken away at once, as a secret is.
        await self.page.wait_for_function(_SENT, arg=before, timeout=SOON_MS)
        return await self.sees(*answer, among=".mine ~ .theirs:not(:has(~ .mine))")

    async def writes(self, text: str) -> None:
        """Type and send: what is asked for in a card is answered there, and the text goes."""
        await self.page.locator("#composer").fill(text)
        await self.page.locator("#send").click()

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


async def look_at_all(browser: Browser, address: str, shots: Path) -> None:
    """Look at the chat at every width, light and dark: nothing scrolls sideways, is cut or wraps."""
    page = await (await browser.new_context(reduced_motion="reduce")).new_page()
    await page.set_viewport_size({"width": 200, "height": 900})
    await page.goto(address)
    await expect(page.locator(".theirs").last).to_be_visible()
    assert await page.evaluate(WRAPPED) != [], "a line that wraps is not found"
    assert await page.evaluate(TORN) == []
    schemes: tuple[Literal["light", "dark"], ...] = ("light", "dark")
    for width, whole in zip((360, 390, 768, 1440), schemes * 2, strict=True):
        size = ViewportSize(width=width, height=900)
        await page.set_viewport_size(size)
        assert await page.locator("#scroll").evaluate("e => e.scrollWidth <= e.clientWidth")
        for what in (CUT_OFF, WRAPPED, TALL_KEYS, TORN):
            found = await page.evaluate(what)
            assert not found, (width, found)
        for scheme in schemes:
            await page.emulate_media(color_scheme=scheme)
            assert await page.evaluate(FAINT) == []
            await page.screenshot(path=shots / f"end-{width}-{scheme}.png", animations="disabled")
        await page.emulate_media(color_scheme=whole)
        pictured = await picture_all(page, shots / f"all-{width}-{whole}.png")
        assert len(pictured) == await page.locator(".theirs").count()
    await page.context.close()
