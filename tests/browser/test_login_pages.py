"""Our own pages of a login, as a browser shows them: pictures, and that nothing is cut or faint (B1, B3)."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.async_api import Browser

from core.adapters.fyers import FYERS
from core.errors import LoginFault
from tests.fakes.chat_page import faint
from tests.fakes.views import an_account
from webhooks.faults import Scene, ended_text, text_of, trouble_text
from webhooks.pages import ConnectedBy, FaultText, connected_page, fault_page, login_page

ACCOUNT = an_account("fyers_bbbbbbbbbb", FYERS, "Ravi's family", user_id="XR12345")
_WITHOUT_WAY_BACK = {"ended", "trouble", "account_unknown", "nonce_unknown"}
SIDEWAYS = """() => [...document.querySelectorAll("body, body *")]
  .filter((e) => e.scrollWidth > e.clientWidth + 1 && getComputedStyle(e).display !== "inline")
  .map((e) => e.textContent)"""


def pages() -> Iterator[tuple[str, str]]:
    """Return each page by a name: before a login, after it, and each way in which it fails."""
    yield "login", login_page(ACCOUNT)
    for by in ConnectedBy:
        yield f"connected-{by.value}", connected_page(ACCOUNT, by=by, chat_url="https://t.me/x")
    texts: dict[str, FaultText] = {"ended": ended_text(), "trouble": trouble_text()}
    for is_guest in (False, True):
        scene = Scene(FYERS, ACCOUNT.label, ACCOUNT.user_id, "RAVI (XR99999)", is_guest=is_guest)
        whose = "guest" if is_guest else "user"
        texts |= {f"{one.name.lower()}-{whose}": text_of(one, scene) for one in LoginFault}
    for name, text in texts.items():
        again = None if name.partition("-")[0] in _WITHOUT_WAY_BACK else "/login/x"
        yield name, fault_page(text, try_again=again)


@pytest.mark.row("B1", "B3")
async def test_a_login_page_fits_and_is_read_in_both_colours(browser: Browser, shots: Path) -> None:
    """At 360 and 1440 points nothing sticks out, and no text is faint, in light and dark."""
    page = await browser.new_page()
    for name, html in pages():
        await page.set_content(html)
        for width, scheme in ((360, "dark"), (360, "light"), (1440, "light"), (1440, "dark")):
            await page.set_viewport_size({"width": width, "height": 780})
            await page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
            assert await page.evaluate(SIDEWAYS) == [], name
            assert await page.evaluate(faint("main, header, footer")) == [], name
            await page.screenshot(path=shots / f"{name}-{width}-{scheme}.png", full_page=True)
    await page.close()
