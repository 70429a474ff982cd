"""What puzzled people who saw the chat for the first time, screen by screen."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal

import pytest

from bot.views.dashboard import dashboard
from bot.views.paper import paper_added
from core.adapters.paper import PAPER_PROFILE
from core.domain.broker import Funds
from core.domain.mode import TradingMode
from core.domain.sessions import IST
from core.domain.views import DashboardView, PnlView
from tests.fakes.rendered import TAGS
from tests.fakes.views import a_strategy, an_account

NOW = datetime(2026, 11, 23, 10, 15, 5, tzinfo=IST)


@pytest.mark.row("F6")
def test_strategies_that_are_offered_say_what_they_do() -> None:
    """Two titles alone are no choice: each has a sentence, and when it would decide first."""
    paper = an_account("paper_aaaaaaaaaa", PAPER_PROFILE, "Try")
    offered = TAGS.sub("", paper_added(paper, [a_strategy()]).text)
    assert offered.endswith(
        "Next, a strategy: I show first what it would trade.\n\nOpening range breakout\n"
        "Trades the break of the first half hour's range. First decision: 23 Nov 10:15."
    ), offered
    running = paper_added(paper, [a_strategy(is_enabled=True)])
    assert "First decision" not in running.text
    ended = paper_added(paper, [a_strategy(next_slot=None, description="x" * 500)])
    assert "First decision" not in ended.text and "x" * 201 not in ended.text


@pytest.mark.row("E2")
@pytest.mark.parametrize(("used", "shown"), [("20000", "₹20,000.00 used"), ("-3.80", None)])
def test_funds_are_never_used_by_less_than_nothing(used: str, shown: str | None) -> None:
    """A broker that counts booked profit as margin which came back leaves that line out."""
    account = an_account()
    funds = Funds(Decimal("500003.80"), Decimal(used), Decimal(500000))
    pnl = PnlView(account.broker_id, account.label, Decimal(0), Decimal(0))
    board = DashboardView(account, TradingMode.NORMAL, NOW, funds, pnl, (), (), (), (), ())
    text = TAGS.sub("", dashboard(board, (account,), None).text)
    assert "Funds ₹5,00,003.80 free" in text
    assert (" used" in text) is (shown is not None)
    assert shown is None or shown in text
