"""Results in the chat: before charges and after them, on lines that fit a phone."""

from __future__ import annotations

import html
import re
from dataclasses import replace
from decimal import Decimal

import pytest

from bot.views.dashboard import ALL, pnl_screen
from bot.views.lines import position_line
from bot.views.runs import run_card
from bot.views.screen import Screen
from bot.views.width import width
from core.adapters.fyers import FYERS
from core.domain.views import PnlView
from tests.fakes.views import a_position, a_run, an_account, an_order

TAGS = re.compile(r"</?(b|i|code)>")
MAIN = an_account()


def plain(screen: Screen) -> str:
    """Return the text of a screen as it is read."""
    return html.unescape(TAGS.sub("", screen.text))


@pytest.mark.row("E3")
def test_results_stand_before_and_after_charges():
    """Both figures of each account and of all; unknown charges are said and leave no total after.

    That they are estimated stands once; no line is too long for a phone.
    """
    second = an_account("fyers_b", FYERS, "Second", is_default=False)
    lines = [
        PnlView(MAIN.broker_id, MAIN.label, Decimal(100000), Decimal(50), Decimal("82.72")),
        PnlView(second.broker_id, second.label, Decimal(-200), Decimal(0), Decimal("17.28")),
    ]
    shown = plain(pnl_screen(lines, (MAIN, second), ALL, None))
    assert shown == (
        "Profit today · all accounts\n\n"
        "Zerodha - Main\n"
        "   +₹1,00,050.00 · before charges\n"
        "   after charges +₹99,967.28\n"
        "   open +₹50.00\n"
        "   booked +₹1,00,000.00\n"
        "Fyers - Second\n"
        "   -₹200.00 · before charges\n"
        "   after charges -₹217.28\n"
        "   open ₹0.00\n"
        "   booked -₹200.00\n\n"
        "Together +₹99,850.00\n"
        "   before charges\n"
        "   after charges +₹99,750.00\n"
        "   open +₹50.00 · booked +₹99,800.00\n\n"
        "Charges are estimated."
    )
    assert max(map(width, shown.splitlines())) <= 17
    lines[1] = replace(lines[1], charges=None)
    shown = plain(pnl_screen(lines, (MAIN, second), ALL, None))
    assert "-₹200.00 · before charges\n   charges unknown" in shown
    assert "Together +₹99,850.00\n   before charges\n   charges unknown" in shown


@pytest.mark.row("E2")
def test_a_position_with_profit_taken_before_shows_both_parts():
    """-5 at 957.57, now 960.65, is no gain by itself: what was taken earlier stands beside it."""
    position = a_position(MAIN, realised=Decimal("20.65"), unrealised=Decimal("-15.40"))
    assert "+₹5.25</b>\n   open -₹15.40 · booked +₹20.65\n" in position_line(position)


@pytest.mark.row("E1")
def test_card_of_a_run_has_the_result_of_its_exits() -> None:
    """Under the account's orders, before charges and after them; nothing for a run of entries."""
    run = a_run(an_order(MAIN))
    (line,) = run.lines
    assert "charges" not in plain(run_card(run, "Breakout"))
    closed = replace(line, result=Decimal("-1234.5"), charges=Decimal("82.72"))
    shown = plain(run_card(replace(run, lines=(closed,)), "Breakout"))
    assert shown.endswith("\nBefore charges -₹1,234.50\nAfter them about -₹1,317.22")
    assert max(width(one) for one in shown.splitlines()) <= 17
    unknown = replace(closed, charges=None)
    shown = plain(run_card(replace(run, lines=(unknown,)), "Breakout"))
    assert shown.endswith("\nBefore charges -₹1,234.50\ncharges unknown")
