"""The screens of limits: short lines with what is used, and what keeps entries back (R1, F8)."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal

import pytest

from bot.views.limits import (
    KINDS,
    changes_screen,
    limit_page,
    limit_question,
    limits_screen,
    removal_question,
    trip_choices,
    trip_question,
)
from bot.views.markup import fit
from bot.views.screen import Screen
from core.domain.instrument import InstrumentId
from core.domain.limits import LimitKind, Limits
from core.engine.control.limits import LimitsView
from core.engine.orders.limits import LimitChange, Tripped
from core.engine.safeguards.round_trips import TripOffer
from tests.fakes.views import an_account

pytestmark = pytest.mark.row("R1")
MAIN = an_account()
USED = {LimitKind.OPEN_POSITIONS: 2, LimitKind.ORDERS_MINUTE: 1, LimitKind.ORDERS_DAY: 12}
ALL = LimitsView(None, Limits(), USED, None, None)
SOME = LimitsView(
    MAIN,
    Limits(daily_loss=Decimal(5000), order_value=Decimal(250000), orders_day=100),
    USED,
    Decimal("-1240.4"),
    None,
)
TRIPPED = Tripped(
    datetime(2026, 11, 23, tzinfo=UTC), "2026-11-23", Decimal(-5100), Decimal(5000), "x"
)


def labels(screen: Screen) -> list[str]:
    return [one.text for row in screen.rows for one in row]


def test_the_overview_shows_what_is_set_and_used():
    """A line a scope with what is set; twenty accounts fit one message."""
    screen = limits_screen([ALL, SOME])
    assert screen.text.split("\n") == [
        "<b>Limits</b>",
        "They deny entries. Exits and stops always go out.",
        "",
        "<b>All accounts together</b>",
        "No limits.",
        "",
        "<b>Zerodha - Main</b>",
        "loss ₹1,240.40 of ₹5,000",
        "   order ₹2,50,000 · orders 12 of 100",
    ]
    assert labels(screen) == ["All accounts", MAIN.display_name]
    lakhs = Decimal(1000000)
    full = Limits(lakhs, lakhs, lakhs, 500, 1000, 10000)
    many = limits_screen([ALL, *[replace(SOME, limits=full, tripped=TRIPPED)] * 20])
    assert fit(many.text) == many.text
    assert many.text.count("🛑 daily loss reached") == 20


def test_a_profit_uses_nothing_of_the_daily_loss():
    """Only a loss counts; an unknown result shows the limit alone."""
    gained = limit_page(replace(SOME, result=Decimal(300)))
    unknown = limit_page(replace(SOME, result=None))
    assert "Daily loss: <b>₹0 of ₹5,000</b>" in gained.text
    assert "Daily loss: <b>₹5,000</b>" in unknown.text


def test_a_page_says_what_keeps_entries_back():
    """A daily loss that was reached, and an account that is not proved, with its button."""
    plain = limit_page(SOME)
    assert "Smallest round trip" not in labels(plain)
    page = limit_page(replace(SOME, tripped=TRIPPED, unproved="no <round> trip", needs_proof=True))
    assert "🛑 Daily loss reached: -₹5,100.00. Exit only until you set Normal." in page.text
    assert "🔒 Nothing is entered: no &lt;round&gt; trip." in page.text
    assert "Smallest round trip" in labels(page)


@pytest.mark.parametrize("kind", LimitKind)
def test_each_question_fits_a_phone(kind: LimitKind):
    """Usual values as buttons, what the limit counts, and the present number."""
    screen = limit_question(SOME, kind, "n" * 16)
    assert max(map(len, screen.text.split("\n"))) < 130
    assert len(labels(screen)) >= 7
    assert ("No limit" in labels(screen)) is (SOME.limits.of(kind) is not None)
    assert all(len(str(one.callback_data).encode()) <= 64 for row in screen.rows for one in row)
    assert kind in KINDS.values()


def test_what_all_accounts_together_means_is_said():
    """The daily loss turns every account; an order value is that of one signal."""
    assert "every account goes to exit only" in limit_question(ALL, LimitKind.DAILY_LOSS, "n").text
    assert "over all accounts" in limit_question(ALL, LimitKind.ORDER_VALUE, "n").text


def test_paper_accounts_are_spoken_of_where_there_is_one():
    """That they do not count would make somebody without one look for it."""
    for is_there in (False, True):
        text = limit_page(replace(ALL, leaves_out_paper=is_there)).text
        assert ("paper accounts do not count" in text) is is_there


def test_taking_a_limit_away_names_what_follows():
    """Where entries need it, that nothing is entered then; else what goes out."""
    text, _ = removal_question(SOME, LimitKind.DAILY_LOSS)
    assert "no longer turns this account to exit only" in text
    text, _ = removal_question(replace(SOME, needs_proof=True), LimitKind.ORDER_VALUE)
    assert "Nothing is entered on this account until it is set again." in text
    text, _ = removal_question(ALL, LimitKind.ORDERS_DAY)
    assert text.endswith("Entries go out whatever the number of orders a day.")


def test_the_record_says_who_changed_what():
    """Newest first, with the numbers before and after, the time and the user."""
    at = datetime(2026, 11, 23, 5, 1, tzinfo=UTC)
    rows = [
        LimitChange("x", 3, "daily loss reached", "", "-5100", at, "daily loss"),
        LimitChange("x", 2, "orders_day", "100", "", at, "1001"),
        LimitChange("x", 1, "order_value", "", "250000", at, "1001"),
    ]
    assert changes_screen(SOME, rows).text.split("\n") == [
        "<b>Changes · Zerodha - Main</b>",
        "23 Nov 10:31 daily loss reached -5100",
        "   daily loss",
        "23 Nov 10:31 orders a day",
        "   100 → <b>no limit</b> · 1001",
        "23 Nov 10:31 order value",
        "   no limit → <b>₹2,50,000</b> · 1001",
    ]
    assert "None yet." in changes_screen(ALL, []).text


@pytest.mark.row("F8")
def test_a_round_trip_is_asked_with_price_and_charges():
    """What is bought, for how much, and what it costs; nothing is offered without instruments."""
    sbin = InstrumentId("NSE", "SBIN")
    text, _ = trip_question(TripOffer(MAIN, sbin, 1, Decimal("812.4"), Decimal("2.61")))
    assert text.split("\n") == [
        "<b>Smallest round trip on Zerodha - Main?</b>",
        "Buys 1 NSE:SBIN (MIS) at the market, about ₹812.40, and sells it again at once.",
        "It costs about ₹2.61 in charges, and what the price moves meanwhile.",
    ]
    unknown, _ = trip_question(TripOffer(MAIN, sbin, 1, Decimal(812), None))
    assert "about charges that are not known" not in unknown
    assert "No strategy names an instrument" in trip_choices(SOME, []).text
