"""What a login leads to: the next step of the set-up, one warning for all, reasons in plain words."""

from __future__ import annotations

import pytest

from bot.notices.render import render
from bot.views.screen import Screen
from core.domain.account import TokenStatus
from core.domain.notices.logins import LoginDone, TokenWarning
from tests.fakes.bot_engine import BotEngine
from tests.fakes.rendered import TAGS, lookups
from tests.fakes.views import an_account


def labels(screen: Screen) -> list[list[str]]:
    return [[one.text for one in row] for row in screen.rows]


@pytest.mark.parametrize(
    ("enabled", "rows"),
    [
        (False, [["Enable Main"], ["Dashboard", "➕ Add another"]]),
        (True, [["Dashboard"]]),
    ],
)
async def test_a_first_login_offers_what_comes_next(enabled: bool, rows: list[list[str]]) -> None:
    """Enable it, or add another; the login of a morning needs neither."""
    engine = BotEngine()
    account = an_account(enabled=enabled)
    await engine.connect(account)
    screen = await render(LoginDone(account.broker_id, "ASHA"), lookups(engine))
    assert labels(screen) == rows


@pytest.mark.row("B5")
async def test_the_warning_says_why_for_each_account() -> None:
    """An end of the day is told as one, and nothing of it reads like a wrong password."""
    engine = BotEngine()
    account = an_account(token_status=TokenStatus.EXPIRED)
    await engine.connect(account)
    change = {"parked_reason": "its login ended at 06:00, as each day"}
    rows = await engine.store.find("broker_accounts", {"_id": account.broker_id})
    await engine.store.delete("broker_accounts", {"_id": account.broker_id})
    await engine.store.insert("broker_accounts", {**rows[0], **change})
    screen = await render(TokenWarning((account.broker_id,)), lookups(engine))
    text = TAGS.sub("", screen.text)
    assert "• Zerodha - Main\n   its login ended at 06:00, as each day" in text
