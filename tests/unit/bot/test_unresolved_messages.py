"""The message of an unresolved order on a phone: what is known, what is asked, what waits (R4)."""

from __future__ import annotations

import html
import re
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest

from bot.views.dashboard import order_items
from bot.views.screen import Screen
from bot.views.unresolved import (
    asked_screen,
    link_question,
    not_placed_question,
    unresolved_screen,
)
from core.domain.broker import BrokerStatus
from core.domain.inquiry import Candidate, Inquiry, InquiryView
from core.domain.order import OrderState, OrderType, Purpose, Side
from tests.fakes.views import AT, an_account, an_order

pytestmark = pytest.mark.row("R4")

ACCOUNT = an_account()
TAGS = re.compile(r"</?(b|i|code)>")
SENT = AT.replace(minute=31, second=5)


def candidate(number: str, after_s: int, **fields: Any) -> Candidate:
    given: dict[str, Any] = {
        "side": Side.BUY,
        "quantity": 10,
        "order_type": OrderType.LIMIT,
        "status": BrokerStatus.WORKING,
        "limit_price": Decimal(812),
        "placed_at": SENT + timedelta(seconds=after_s),
        **fields,
    }
    return Candidate(number, **given)


def a_view(inquiry: Inquiry | None = None, left_s: float = 113, **fields: Any) -> InquiryView:
    """Return an entry of ten SBIN, sent at 10:31:05 with a horizon of two minutes."""
    known = {
        "order_type": OrderType.MARKET,
        "state": OrderState.UNRESOLVED,
        "broker_order_id": None,
        "reason": "ReadTimeout after 7 s",
        "at": SENT,
    }
    others = {name: fields.pop(name) for name in ("held", "needs_login") if name in fields}
    order = an_order(ACCOUNT, **{**known, **fields})
    asked = inquiry if inquiry is not None else Inquiry(4, SENT, traded=0, gap=0)
    return InquiryView(
        order,
        asked,
        SENT + timedelta(seconds=7),
        SENT + timedelta(seconds=15),
        SENT + timedelta(seconds=120),
        left_s,
        **others,
    )


def text_of(screen: Screen) -> str:
    rest = TAGS.sub("", screen.text)
    assert "<" not in rest and ">" not in rest
    return html.unescape(rest)


def labels(screen: Screen) -> list[list[str]]:
    return [[one.text for one in row] for row in screen.rows]


def test_card_says_what_is_known_asked_and_blocked():
    """Account, terms, when, tag, what answered; what was asked; the time left; what waits."""
    screen = unresolved_screen(a_view())
    assert text_of(screen) == (
        "❓ Not known yet · Zerodha - Main\n"
        "Buy 10 SBIN MIS · market\n"
        "Sent 10:31:05. No clear answer: ReadTimeout after 7 s.\n"
        "Its tag there: SABCDEFGHIJKLMNOPQR2\n"
        "\n"
        "Orders: asked 4 times, last at 10:31:12: not listed.\n"
        "Trades: none. Positions: unchanged.\n"
        "\n"
        "If it is not there by 10:33:05 (in 2 min), I give it up.\n"
        "Meanwhile no entry of SBIN on Zerodha - Main; everything else goes on."
    )
    assert labels(screen) == [["Not placed …", "Ask again"]]


def test_each_candidate_is_a_line_and_a_button():
    """The buttons name what they are about within the width of a phone."""
    found = (
        candidate("240101000000007", 1),
        candidate(
            "240101000000008",
            9,
            order_type=OrderType.MARKET,
            status=BrokerStatus.COMPLETE,
            filled_quantity=10,
            average_price=Decimal("812.35"),
        ),
    )
    screen = unresolved_screen(a_view(Inquiry(4, SENT, found, traded=10, gap=10)))
    text = text_of(screen)
    assert "last at 10:31:12: not listed under its tag." in text
    assert "Trades: 10 units of unknown orders. Positions: +10 beside the known fills." in text
    assert "1. 10:31:06 Buy 10 limit ₹812.00, working, order 240101000000007\n" in text
    assert "2. 10:31:14 Buy 10 market, bought 10 at ₹812.35, order 240101000000008" in text
    assert "so I do not give it up by myself. Which is it?" in text
    assert labels(screen) == [
        ["It is no. 1: 10:31:06 Buy 10 SBIN …"],
        ["It is no. 2: 10:31:14 Buy 10 SBIN …"],
        ["Not placed …", "Ask again"],
    ]
    assert labels(asked_screen(a_view(Inquiry(4, SENT, found)))) == labels(screen)


def test_one_candidate_needs_no_number():
    """The button says that it is this one."""
    screen = unresolved_screen(a_view(Inquiry(1, SENT, (candidate("7", 1),))))
    assert labels(screen)[0] == ["It is this: 10:31:06 Buy 10 SBIN …"]
    assert "• 10:31:06 Buy 10 limit" in text_of(screen)


def test_many_candidates_stay_within_a_message():
    """The nearest five have buttons; the others are counted, and every label fits."""
    found = tuple(candidate(f"24010100000000{at}", at) for at in range(10, 32))
    long = an_order(ACCOUNT).instrument
    screen = unresolved_screen(a_view(Inquiry(9, SENT, found), instrument=long))
    assert len(screen.rows) == 6
    assert "and 17 more, later ones." in text_of(screen)
    assert all(len(label) <= 40 for row in labels(screen) for label in row)
    assert len(screen.text) < 1500


@pytest.mark.parametrize(
    ("view", "words"),
    [
        (a_view(Inquiry()), "I ask the broker for it about once a second"),
        (a_view(Inquiry(1, SENT)), "asked once, last at 10:31:12: not listed.\nTrades: not asked"),
        (a_view(left_s=20), "by 10:33:05 (in 20 s), I give it up."),
        (a_view(left_s=-3), "Its time ended at 10:33:05: the next answer that does not show it"),
        (
            a_view(Inquiry(130, SENT, gap=-10, traded=0, is_overdue=True), left_s=-3),
            "do not prove that it is not there",
        ),
        (
            a_view(Inquiry(4, SENT, trouble="no route", trouble_at=SENT)),
            "⚠️ Not readable since 10:31:20: no route. I keep asking.",
        ),
        (a_view(needs_login=True), "Nothing can be asked before the account is logged in."),
        (
            a_view(held=("+5 SBIN: a stop rests at the broker at ₹800.00",)),
            (
                "⚠️ An exit of what is held there waits as well:\n"
                "• +5 SBIN: a stop rests at the broker at ₹800.00"
            ),
        ),
    ],
)
def test_card_says_how_it_stands(view: InquiryView, words: str):
    """Each state in words that say what happens next, or what is wanted of the user."""
    assert words in text_of(unresolved_screen(view))


def test_card_promises_no_look_before_the_login():
    """Whatever was asked before: neither that it is asked nor that it goes on is said."""
    for known in (Inquiry(), Inquiry(4, SENT, trouble="login ended", trouble_at=SENT)):
        text = text_of(unresolved_screen(a_view(known, needs_login=True)))
        assert "I ask the broker" not in text and "I keep asking" not in text
        assert "Nothing can be asked before the account is logged in." in text
        assert "I give it up" not in text
    assert "⚠️ Not readable since 10:31:20: login ended.\n" in text


@pytest.mark.parametrize("order_type", [OrderType.SL, OrderType.SL_M])
def test_a_stop_that_could_be_it_is_named_with_its_trigger(order_type: OrderType):
    """Both kinds, as the broker's own app shows them."""
    one = candidate("7", 1, order_type=order_type, trigger_price=Decimal("805.50"))
    text = text_of(unresolved_screen(a_view(Inquiry(1, SENT, (one,)))))
    assert "10:31:06 Buy 10 stop at ₹805.50, working, order 7" in text


@pytest.mark.parametrize(
    ("fields", "settled_by", "end"),
    [
        (
            {"state": OrderState.NOT_PLACED, "reason": "not among the broker's orders 120 s after"},
            "",
            (
                "➖ Given up: not among the broker's orders 120 s after. "
                "It is not sent again: its strategy enters at its next signal."
            ),
        ),
        (
            {"state": OrderState.NOT_PLACED, "reason": ""},
            "",
            (
                "➖ Given up: the broker did not list it. "
                "It is not sent again: its strategy enters at its next signal."
            ),
        ),
        (
            {"state": OrderState.NOT_PLACED, "purpose": Purpose.EXIT},
            "Asha <3",
            (
                "➖ Not placed: Asha <3 said so, and a last look did not show it. "
                "If it is still needed, it is worked out anew."
            ),
        ),
        (
            {"state": OrderState.ACCEPTED},
            "Asha",
            "The broker has it.\nAsha said which order it is.",
        ),
        (
            {
                "state": OrderState.FILLED,
                "filled_quantity": 10,
                "average_price": Decimal("812.35"),
            },
            "",
            "✅ Bought 10 at ₹812.35.\nI found it among the broker's orders.",
        ),
        ({"state": OrderState.EXPIRED}, "", "➖ Expired at the end of the day."),
    ],
)
def test_card_ends_with_what_it_was_settled_to_and_by_whom(
    fields: dict[str, Any], settled_by: str, end: str
):
    """No buttons are left."""
    view = a_view(**fields)
    screen = unresolved_screen(replace(view, inquiry=replace(view.inquiry, settled_by=settled_by)))
    head = "Known now · Zerodha - Main\nBuy 10 SBIN MIS · market\n"
    assert text_of(screen) == head + end.replace("Asha <3", html.unescape("Asha <3"))
    assert screen.rows == ()


def test_card_of_a_disconnected_account_asks_nothing():
    """Nobody looks any more."""
    screen = unresolved_screen(a_view(is_followed=False))
    assert "was disconnected before this was known" in text_of(screen)
    assert screen.rows == ()


@pytest.mark.row("G3")
def test_questions_name_account_order_and_effect():
    """Before anything is taken for settled."""
    text = text_of(Screen(link_question(a_view(), candidate("240101000000007", 1))))
    assert text == (
        "Is it this one on Zerodha - Main?\n"
        "Sent 10:31:05:\n   Buy 10 SBIN MIS · market\n"
        "There: 10:31:06 Buy 10 limit ₹812.00, working, order 240101000000007\n"
        "\n"
        "I take it for mine then: what it fills counts for orb."
    )
    entry = text_of(Screen(not_placed_question(a_view())))
    assert entry.startswith("Not placed on Zerodha - Main?\nBuy 10 SBIN MIS · market\n")
    assert "SBIN takes entries again, and this one is not repeated." in entry
    exit_ = text_of(Screen(not_placed_question(a_view(purpose=Purpose.EXIT))))
    assert "the exit is worked out anew and sent if it is still needed." in exit_


def test_list_of_orders_asks_too():
    """The card may be far above: an unresolved order can be answered for from /orders."""
    waiting = replace(a_view().order, is_cancellable=False)
    assert [one.button.text for one in order_items([waiting]) if one.button] == [
        "Is it there? Buy SBIN"
    ]
    gone = replace(waiting, is_followed=False)
    known = replace(waiting, state=OrderState.FILLED)
    assert [one.button for one in order_items([gone, known])] == [None, None]
