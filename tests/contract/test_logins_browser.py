"""A login by a user in a browser: the policy of our pages lets the way through, and only it."""

from __future__ import annotations

import pytest
from playwright.async_api import Browser, Page, ViewportSize

from core.adapters.fyers import FYERS
from core.adapters.zerodha import ZERODHA
from core.domain.broker_profile import BrokerProfile
from tests.fakes.login_fixtures import login_world
from tests.fakes.login_world import USERS, LoginWorld

pytest_plugins = ("tests.fakes.kite_fixtures",)
world = login_world

PHONE = ViewportSize(width=390, height=844)


async def fits(page: Page) -> bool:
    """Tell whether nothing sticks out at the side."""
    return bool(await page.evaluate("document.documentElement.scrollWidth <= innerWidth"))


@pytest.mark.row("B1", "B2")
@pytest.mark.parametrize("kind", [ZERODHA, FYERS], ids=str)
async def test_user_logs_in_on_a_phone(
    world: LoginWorld, browser: Browser, kind: BrokerProfile
) -> None:
    """Button, broker's form, connected page; denied first, then tried again from that page."""
    account = await world.add(kind, "A name as long as forty characters allow")
    context = await browser.new_context(viewport=PHONE, color_scheme="dark")
    page = await context.new_page()
    complaints: list[str] = []
    page.on("console", lambda line: complaints.append(line.text))
    await page.goto(await world.page(account))
    assert await fits(page)
    await page.get_by_role("button", name=f"Continue to {kind.label}").click()
    await page.fill("#user_id", USERS[kind][0])
    await page.get_by_role("button", name="Deny").click()
    assert await page.get_by_role("heading", level=1).inner_text() == "The login was not allowed"
    assert await fits(page)
    await page.get_by_role("link", name="Try again").click()
    await page.get_by_role("button", name=f"Continue to {kind.label}").click()
    await page.fill("#user_id", USERS[kind][0])
    await page.get_by_role("button", name="Allow").click()
    done = await page.get_by_role("heading", level=1).inner_text()
    assert done == f"{account.label} is connected. Go back to Telegram."
    assert await fits(page)
    await page.reload()
    assert "already used" in await page.inner_text("main")
    assert [line for line in complaints if "Security Policy" in line] == []
    assert world.logged_in == [account.broker_id]
    back = await page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert back == "rgb(18, 21, 28)"
