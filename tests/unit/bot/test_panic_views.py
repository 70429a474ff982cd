"""The live message of a panic, as its accounts go on (row R2)."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from bot.views.panic import panic_card
from core.domain.mode import TradingMode
from core.domain.panic import Hindrance, Line, Panic, PanicEnd
from core.domain.views import PanicView

pytestmark = pytest.mark.row("R2")

ONE, TWO = "zerodha_aaaaaa", "fyers_bbbbbb"
AT = datetime(2026, 11, 23, 5, 0, tzinfo=UTC)


def shown(*lines: Line, end: PanicEnd = PanicEnd.NONE) -> str:
    panic = Panic("000001", AT, f"{AT:%Y-%m-%d}", "1", False, True, lines)
    view = PanicView(
        replace(panic, end=end), {}, {ONE: "Main", TWO: "Growth"}, (), TradingMode.EXIT_ONLY
    )
    return panic_card(view).text


def test_no_figure_is_shown_before_an_account_was_looked_at() -> None:
    """Zero orders and zero positions would be a guess while nothing was read yet."""
    text = shown(Line(ONE), Line(TWO))
    assert "0 of 2 flat · looking at the brokers" in text
    assert "Main</b>: looking at the broker." in text
    assert "0 positions" not in text


def test_what_is_left_is_counted_once_it_is_known() -> None:
    """The account that is flat is only counted; the other is named with what it has."""
    text = shown(Line(ONE, orders=1, positions=2), Line(TWO, is_flat=True))
    assert "1 of 2 flat · 1 order working · 2 positions left" in text
    assert "Main</b> · 2 positions, 1 order: closing." in text
    assert "Growth" not in text


def test_what_was_left_when_a_user_ended_it_is_named() -> None:
    """With what to do there."""
    line = Line(ONE, positions=1, hindrance=Hindrance.LOGIN)
    text = shown(line, Line(TWO, is_flat=True), end=PanicEnd.STOPPED)
    assert "PANIC ended by you · 1 of 2 flat" in text
    assert "Not closed: 0 orders working · 1 position left." in text
    assert "login expired" in text
