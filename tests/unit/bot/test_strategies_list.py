"""Strategies as the chat lists them: state, next slot, last run, and where they are kept out (D6)."""

from __future__ import annotations

import html
from dataclasses import replace
from decimal import Decimal

import pytest

from bot.views.markup import clock_time, day_time
from bot.views.strategies import assignment_page, run_question, strategies_list, strategy_page
from core.domain.instrument import Product
from core.domain.views import AssignmentView, SizeKind
from tests.fakes.rendered import TAGS
from tests.fakes.views import AT, a_run, a_strategy, an_account, an_order

pytestmark = pytest.mark.row("D6")

MAIN = an_account()
READY = AssignmentView(
    strategy="opening_range_breakout",
    broker_id=MAIN.broker_id,
    account_label=MAIN.label,
    is_on=True,
    product=Product.MIS,
    size_kind=SizeKind.QUANTITY,
    size_value=Decimal(1),
    multiplier=Decimal(1),
)
WHY = "exit only: nothing is entered"
KEPT_OUT = replace(READY, broker_id="fyers_b", account_label="Fyers - Two", kept_out=WHY)


def plain(text: str) -> str:
    return html.unescape(TAGS.sub("", text))


def test_each_strategy_is_listed_with_its_next_and_its_last_run() -> None:
    """What runs by itself, and what would; what is not known is said to be so."""
    run = a_run(an_order(MAIN))
    listed = [
        a_strategy(is_enabled=True, last_run=run),
        a_strategy(title="Second"),
        a_strategy(title="Third", is_enabled=True, next_slot=None),
    ]
    lines = plain(strategies_list(listed).text).split("\n")
    first, second, third = (
        lines[lines.index(f"{one.title} · {state}") + 1 :][:2]
        for one, state in zip(listed, ("🟢 enabled", "⚪ disabled", "🟢 enabled"), strict=True)
    )
    assert first == [f"   next run: {day_time(AT)}", f"   last run: {day_time(run.slot_at)}"]
    assert second == [f"   next, once enabled: {day_time(AT)}", "   last run: none yet"]
    assert third[0] == "   next run: not known: the calendar ends"
    today = plain(strategies_list(listed, AT).text).split("\n")
    assert f"   next run: {clock_time(AT)}" in today
    assert f"   last run: {clock_time(run.slot_at)}" in today
    assert f"Next run: {clock_time(AT)}\n" in plain(strategy_page(listed[0], now=AT).text)


def test_who_is_kept_out_is_named_with_the_reason_and_counted_nowhere() -> None:
    """On its page, on that of the account, and in the question for a run."""
    strategy = a_strategy(READY, KEPT_OUT, is_enabled=True)
    page = plain(strategy_page(strategy).text)
    assert f"⏸ {WHY}" in page and "1 unit" in page and "1 units" not in page
    assert "It enters nothing" not in page
    assert f"⏸ {WHY}" in plain(assignment_page(strategy, KEPT_OUT).text)
    question = plain(run_question(strategy))
    assert f"may enter on: {MAIN.label}.\n⏸ Fyers - Two: {WHY}\n" in question


def test_where_no_account_is_on_and_ready_nothing_is_entered() -> None:
    """Switched on everywhere is not enough; of one that is off its reason is no matter."""
    strategy = a_strategy(KEPT_OUT, replace(READY, is_on=False), is_enabled=True)
    assert "It enters nothing: no account is on and ready." in plain(strategy_page(strategy).text)
    off = replace(KEPT_OUT, is_on=False)
    strategy = a_strategy(off, is_enabled=True)
    assert WHY not in plain(strategy_page(strategy).text)
    assert WHY not in plain(assignment_page(strategy, off).text)
    assert "may enter on: no account." in plain(run_question(strategy))
