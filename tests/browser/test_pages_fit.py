"""The pages of a login on a small phone: a long name without a space breaks, and nothing sticks out."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest
from playwright.async_api import Browser, ViewportSize

from core.errors import LoginFault
from tests.fakes.views import an_account
from webhooks.faults import Scene, ended_text, text_of, trouble_text
from webhooks.pages import ConnectedBy, connected_page, fault_page, login_page

pytestmark = [pytest.mark.row("B2"), pytest.mark.row("B3")]

SMALL = ViewportSize(width=360, height=640)
LONG = "W" * 40
ACCOUNT = replace(an_account(), display_name=LONG, user_id=LONG, user_name=LONG)
STICKS_OUT = """() => {
  const right = document.querySelector("main").getBoundingClientRect().right;
  const wide = [...document.querySelectorAll("main *")]
    .filter((e) => e.scrollWidth > e.clientWidth + 1 && e.clientWidth > 0
      || e.getBoundingClientRect().right > right)
    .map((e) => `${e.localName}: ${e.textContent.trim().slice(0, 60)}`);
  const page = document.documentElement;
  return page.scrollWidth > innerWidth ? ["the page", ...wide] : wide;
}"""


def pages() -> Iterator[tuple[str, str]]:
    """Yield each page by name, with names as long as they may be."""
    yield "login", login_page(ACCOUNT)
    for by in ConnectedBy:
        yield f"connected {by.value}", connected_page(ACCOUNT, by=by, chat_url="https://t.me/x")
    for fault in LoginFault:
        for is_guest in (False, True):
            scene = Scene(ACCOUNT.broker, ACCOUNT.label, LONG, LONG, is_guest)
            again = f"/login/{LONG}"
            yield f"{fault.value} {is_guest=}", fault_page(text_of(fault, scene), try_again=again)
    yield "ended", fault_page(ended_text(), try_again=None)
    yield "trouble", fault_page(trouble_text(), try_again=None)


async def test_the_longest_names_fit_a_small_phone(browser: Browser) -> None:
    """Whatever page of a login shows them."""
    page = await browser.new_page(viewport=SMALL)
    found = {}
    for name, html in pages():
        await page.set_content(html)
        if wide := await page.evaluate(STICKS_OUT):
            found[name] = wide
    await page.close()
    assert found == {}
