"""What the chat says of exits that wait in PAUSED."""

from __future__ import annotations

import html
import re

import pytest

from bot.views.modes import mode_question, mode_result
from core.domain.instrument import InstrumentId, Product
from core.domain.mode import TradingMode
from core.domain.order import Side
from core.domain.views import ExitView, ModeChange
from tests.fakes.views import an_account

MAIN = an_account()


def plain(text: str) -> str:
    return html.unescape(re.sub(r"</?\w+>", "", text))


@pytest.mark.row("C2")
@pytest.mark.parametrize("count", [1, 2, 12])
def test_exits_that_wait_are_named_before_they_go(count: int):
    """In the question and in the answer, by side, quantity, name, account and strategy."""
    exit_ = ExitView(MAIN.label, "orb", InstrumentId("NSE", "SBIN"), Product.MIS, Side.SELL, 10)
    exits = (exit_,) * count
    line = "• Sell 10 SBIN MIS\n   Zerodha - Main · orb"
    asked = plain(mode_question(MAIN, TradingMode.PAUSED, TradingMode.NORMAL, exits))
    words = "1 exit waits and goes" if count == 1 else f"{count} exits wait and go"
    assert f"⚠️ {words} out at once:\n{line}" in asked
    change = ModeChange(
        None, TradingMode.PAUSED, TradingMode.NORMAL, {}, (), unprotected=0, exits=exits
    )
    done = plain(mode_result(change, "All accounts").text)
    assert line in done and "The result of each comes as its own message." in done
    assert ("… and 2 more." in done) is (count == 12)
