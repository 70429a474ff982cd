"""What a login leads to: the next step of the set-up, one warning for all, reasons in plain words."""

from __future__ import annotations

from dataclasses import replace

import pytest

from bot.notices.render import render
from bot.views.accounts import welcome
from bot.views.screen import Screen
from core.domain.account import TokenStatus
from core.domain.mode import TradingMode
from core.domain.notices.logins import LoginDone, TokenWarning
from core.domain.order import OrderState, Purpose, Side
from tests.fakes.bot_engine import BotEngine
from tests.fakes.rendered import TAGS, lookups
from tests.fakes.views import a_position, an_account, an_order


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


@pytest.mark.row("B6")
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
    assert "Login needed · Zerodha - Main\n   Its login ended at 06:00, as each day." in text


@pytest.mark.row("B6", "B8", "R6")
async def test_one_message_about_an_ended_login_says_what_is_held_and_protected() -> None:
    """In a trader's words, with its stop or without one, what waits, and the login's button."""
    engine = BotEngine()
    account = an_account(token_status=TokenStatus.EXPIRED)
    await engine.connect(account)
    other = an_account(
        "zerodha_cccccccccc", display_name="Two", is_default=False, token_status=TokenStatus.EXPIRED
    )
    await engine.connect(other)
    await engine.hold(a_position(account))
    waits = an_order(account, state=OrderState.HELD, purpose=Purpose.EXIT, side=Side.SELL)
    await engine.order(waits)
    notice = TokenWarning((account.broker_id, other.broker_id), (waits.key,))
    screen = await render(notice, lookups(engine))
    text = TAGS.sub("", screen.text)
    assert text.startswith("🔑 Login needed\nZerodha - Main\n")
    assert "   SBIN MIS · +10\n" in text and "⚠️" in text
    assert "⏸ waits: Sell 10 SBIN MIS" in text
    assert "Zerodha - Two\n   Nothing is held there." in text
    assert "Until then nothing is sent there: no entry, no exit, no new stop." in text
    assert "token" not in text.lower()
    assert labels(screen) == [
        ["Log in to Zerodha - Main"],
        ["Log in to Zerodha - Two"],
        ["Dismiss"],
    ]
    alone = await render(TokenWarning((other.broker_id,)), lookups(engine))
    assert TAGS.sub("", alone.text).startswith("🔑 Login needed · Zerodha - Two\n")


@pytest.mark.row("B5")
def test_the_greeting_counts_the_logins_that_wait() -> None:
    """An account is "other" only beside a default account that waits as well."""
    main = an_account()
    second = replace(main, broker_id="b", is_default=False, token_status=TokenStatus.EXPIRED)
    screen = welcome("Asha", (main, second), TradingMode.NORMAL, {})
    assert "1 account waiting for today's login: /login" in TAGS.sub("", screen.text)
