"""What a chat shows of paper accounts: the mark, the first offer, and no login (row F6)."""

from __future__ import annotations

import pytest
from telegram import InlineKeyboardButton

from bot.handlers.login import looks_like_login
from bot.views.accounts import account_page, accounts_list, disconnect_question, switcher, welcome
from bot.views.dashboard import position_button
from bot.views.modes import mode_panel
from bot.views.screen import Screen
from bot.views.verbs import Verb
from bot.wizard.add_account import PAPER_STEPS, broker_screen, first_answers, step_screen
from core.adapters.brokers import OFFERED
from core.adapters.paper import PAPER_PROFILE
from core.adapters.zerodha import ZERODHA
from core.domain.mode import TradingMode
from core.domain.views import ExposureView
from tests.fakes.views import a_position, an_account

pytestmark = pytest.mark.row("F6")
LIVE = an_account()
PAPER = an_account("paper_aaaaaaaaaa", PAPER_PROFILE, "Try", is_default=False)


def texts(screen: Screen) -> list[str]:
    """Return the labels of a screen's buttons."""
    return [one.text for row in screen.rows for one in row]


def test_label_is_marked_wherever_an_account_is_named() -> None:
    """The list, the page, the switcher, the modes and the buttons of two accounts say it."""
    assert PAPER.label == "📝 Paper - Try"
    both = (LIVE, PAPER)
    assert "📝 Paper - Try" in accounts_list(both, TradingMode.NORMAL, {}).text
    assert "Disable 📝 Try" in texts(accounts_list(both, TradingMode.NORMAL, {}))
    assert "📝 Try" in [one.text for row in switcher(both, "", Verb.ORDERS) for one in row]
    assert any("📝 Try" in one for one in texts(mode_panel(both, TradingMode.NORMAL)))
    close = position_button(a_position(PAPER), named=True)
    assert isinstance(close, InlineKeyboardButton) and close.text.endswith("· 📝 Try")
    live = position_button(a_position(LIVE), named=True)
    assert isinstance(live, InlineKeyboardButton) and live.text.endswith("· Main")


def test_page_has_money_and_no_login() -> None:
    """Nothing there asks for a login, a key or an address; the money can be set."""
    page = account_page(PAPER, TradingMode.NORMAL, None)
    assert "reach no broker" in page.text
    for word in ("Login", "API key", "leave from"):
        assert word not in page.text
    labels = texts(page)
    assert "Paper money" in labels
    assert not {"Renew login", "Share login", "Key and secret", "Address"} & set(labels)
    assert "paper money are forgotten" in disconnect_question(
        ExposureView(PAPER, (), (), (), True), is_last=True
    )


def test_page_of_an_enabled_account_leads_to_the_strategies() -> None:
    """What comes after Enable is a strategy; a disabled account has Enable first."""
    on = an_account("paper_aaaaaaaaaa", PAPER_PROFILE, enabled=True)
    off = an_account("paper_aaaaaaaaaa", PAPER_PROFILE, enabled=False)
    assert "Strategies" in texts(account_page(on, TradingMode.NORMAL, None))
    assert "Strategies" not in texts(account_page(off, TradingMode.NORMAL, None))


def test_newcomer_is_offered_paper_first() -> None:
    """Without an account the first button is the paper account; with one it is the last."""
    for screen in (
        welcome("Asha", (), TradingMode.NORMAL, {}),
        accounts_list((), TradingMode.NORMAL, {}),
        broker_screen(OFFERED, "s.1", is_first=True),
    ):
        assert texts(screen)[0] == "📝 Try with a paper account"
    assert texts(broker_screen(OFFERED, "s.1"))[-2:] == ["📝 Paper account", "Cancel"]


def test_wizard_asks_a_paper_account_for_name_and_money_alone() -> None:
    """No guide, key or secret; both have an answer from the start, in a name that is free."""
    assert PAPER_STEPS == ("broker", "name", "funds", "summary")
    data = first_answers(PAPER_PROFILE, [])
    assert (data["name"], data["funds"]) == ("Try", "1000000")
    assert first_answers(PAPER_PROFILE, ["TRY", "Try 2", "Main"])["name"] == "Try 3"
    assert first_answers(ZERODHA, []) == {"broker": "zerodha"}
    shown = [step_screen(step, PAPER_PROFILE, data, "s.1", "") for step in PAPER_STEPS[1:]]
    assert texts(shown[2])[:3] == ["Create it", "Another name", "Another amount"]
    assert "₹10,00,000" in texts(shown[1]) and "₹10,00,000" in shown[2].text
    assert "Secret" not in shown[2].text


def test_no_message_is_taken_for_a_paper_login() -> None:
    """A text with an equals sign is no pasted address of a login."""
    assert not looks_like_login("a=b", OFFERED)
