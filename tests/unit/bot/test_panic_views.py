"""What the messages of a panic say (row R2)."""

from __future__ import annotations

import html
import re
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal

import pytest

from bot.conversation.plain_words import is_panic_word
from bot.views.markup import LIMIT, fit, units
from bot.views.panic import panic_card, panic_over, panic_question, stop_question
from bot.views.screen import Screen
from core.adapters.fyers import FYERS
from core.adapters.paper import PAPER_PROFILE
from core.domain.account import Account
from core.domain.mode import TradingMode
from core.domain.panic import Hindrance, Line, Panic, PanicEnd
from core.domain.views import PanicAccount, PanicPart, PanicQuestion, PanicView
from tests.fakes.views import a_position, an_account, an_order

pytestmark = pytest.mark.row("R2")

MAIN = an_account()
OTHER = an_account("fyers_bbbbbbbbbb", FYERS, "Two", is_default=False)
AT = datetime(2026, 11, 23, 4, 30, tzinfo=UTC)


def plain(text: str | Screen) -> str:
    """Return what a user reads."""
    found = text.text if isinstance(text, Screen) else text
    return html.unescape(re.sub(r"<[^>]+>", "", found))


def a_view(*lines: Line, end: PanicEnd = PanicEnd.NONE, **fields: object) -> PanicView:
    """Return a panic of both accounts."""
    panic = Panic("000001", AT, "2026-11-23", "1", (), True, lines, end)
    accounts: dict[str, Account] = {one.broker_id: one for one in (MAIN, OTHER)}
    view = PanicView(panic, accounts, {}, (), TradingMode.EXIT_ONLY)
    return replace(view, **fields)  # type: ignore[arg-type]


FLAT = Line(MAIN.broker_id, is_flat=True, flat_after_s=1.5)


def test_the_card_counts_down_and_names_who_is_not_flat() -> None:
    """One line an account that is not flat, with the reason and what to do in the broker's app."""
    line = Line(OTHER.broker_id, 1, 2, Hindrance.LOGIN)
    text = plain(panic_card(a_view(FLAT, line)))
    assert text.splitlines() == [
        "🛑 PANIC · 1 of 2 flat",
        "   1 order working · 2 positions left",
        (
            "• Fyers - Two · 2 positions, 1 order: login expired. Log in below, or do it by hand: "
            "Open the Fyers app: Orders, cancel what is pending; then Positions, Exit all. I go on "
            "by myself when that is over."
        ),
    ]
    screen = panic_card(a_view(FLAT, line))
    assert [row[0].text for row in screen.rows] == ["Stop trying"]


@pytest.mark.parametrize("hindrance", Hindrance)
@pytest.mark.parametrize("end", PanicEnd)
def test_every_hindrance_has_words(hindrance: Hindrance, end: PanicEnd) -> None:
    """No machine's word reaches a user, and none reads like another."""
    shown = panic_card if end is PanicEnd.NONE else panic_over
    texts = {
        one: plain(shown(a_view(FLAT, Line(OTHER.broker_id, 0, 1, one, "x"), end=end)))
        for one in Hindrance
    }
    assert list(texts.values()).count(texts[hindrance]) == 1
    assert "_" not in texts[hindrance] and "  " not in texts[hindrance].replace("   ", "")


def test_the_end_names_the_money_and_the_way_back() -> None:
    """One message: per account what was closed and brought, what was cancelled, buttons for Normal."""
    cancelled = (an_order(MAIN, quantity=7),)
    both = {
        one.broker_id: replace(one, trading_mode=TradingMode.EXIT_ONLY) for one in (MAIN, OTHER)
    }
    parts = {
        MAIN.broker_id: PanicPart(3, Decimal("-1240.50"), Decimal("69.50")),
        OTHER.broker_id: PanicPart(1, Decimal(300), Decimal(20), 1),
    }
    flat = replace(FLAT, broker_id=OTHER.broker_id)
    view = a_view(FLAT, flat, end=PanicEnd.FLAT, cancelled=cancelled, accounts=both, parts=parts)
    screen = panic_over(view)
    assert plain(screen).splitlines() == [
        "✅ PANIC is over · 2 of 2 flat",
        "Zerodha - Main",
        "   closed 3 positions",
        "   cancelled 1 order of yours",
        "      Buy 7 SBIN MIS · limit ₹812.00",
        "   Before charges -₹1,240.50",
        "   After them about -₹1,310.00",
        "Fyers - Two",
        "   closed 1 position",
        "   Before charges +₹300.00",
        "   After them about +₹280.00",
        "   result of 1 position not known",
        "Together about -₹1,030.00",
        "   after charges",
        "",
        "How to come back",
        (
            "GTTs and other rules kept at the broker are not seen by me: look at them in its app. Then "
            "set Normal: strategies enter at their next signal. A guard or limit that has fired stays "
            "shut until tomorrow."
        ),
        "Delivery and holdings were not touched.",
    ]
    labels = [button.text for row in screen.rows for button in row]
    assert labels == [
        "🟢 Set all to Normal",
        "🟢 Set Main to Normal",
        "🟢 Set Two to Normal",
        "Positions",
        "Modes",
    ]


def test_a_panic_that_was_ended_names_what_is_open_and_unprotected() -> None:
    """First of all, with its stop or without one, and why; nothing goes on by itself."""
    line = Line(OTHER.broker_id, 1, 1, Hindrance.SILENT, "503")
    left = (
        a_position(OTHER, stop=Decimal(805)),
        a_position(OTHER, quantity=-5, warnings=("no stop",)),
    )
    parts = {OTHER.broker_id: PanicPart(left=left)}
    view = a_view(FLAT, line, end=PanicEnd.STOPPED, parts=parts)
    text = plain(panic_over(view))
    assert text.replace("10\n   stop", "10 · stop").splitlines()[:7] == [
        "🛑 PANIC ended by you · 1 of 2 flat",
        "Fyers - Two",
        "   nothing closed",
        "   SBIN MIS · +10 · stop ₹805.00",
        "   SBIN MIS · -5",
        "   ⚠️ no stop",
        (
            "⚠️ The broker does not answer (503). If it is urgent: Open the Fyers app: Orders, cancel "
            "what is pending; then Positions, Exit all."
        ),
    ]
    assert "Close what is still open in the broker's app." in text and "I go on" not in text
    assert "1 of 2 accounts are flat" in plain(stop_question(view))


@pytest.mark.row("G3")
def test_the_question_before_a_panic_ends_names_what_stays_open() -> None:
    """By account; of many the first ones."""
    view = a_view(Line(MAIN.broker_id, is_flat=True), Line(OTHER.broker_id, 1, 2))
    text = plain(stop_question(view))
    assert "1 of 2 accounts are flat; left are 2 positions and 1 order on Fyers - Two." in text
    assert "Zerodha - Main" not in text
    ids = [f"zerodha_{number:06d}" for number in range(9)]
    accounts = {one: an_account(one, display_name=f"Member {one[-1]}") for one in ids}
    text = plain(stop_question(a_view(*(Line(one, 1) for one in ids), accounts=accounts)))
    assert "Member 0" in text and "Member 8" not in text and "and 3 more accounts." in text


def test_the_end_of_a_panic_on_fifty_accounts_is_one_message() -> None:
    """Those that need a look in full and first, the others in a line each; Telegram takes it."""
    ids = [f"zerodha_{number:06d}" for number in range(50)]
    accounts = {one: an_account(one, display_name=f"Family member {one[-2:]}") for one in ids}
    lines = [Line(one, is_flat=True) for one in ids[:-1]] + [
        Line(ids[-1], 1, 2, Hindrance.THROTTLED)
    ]
    part = PanicPart(3, Decimal("-123456.78"), Decimal("1234.56"))
    view = a_view(*lines, end=PanicEnd.STOPPED, accounts=accounts, parts=dict.fromkeys(ids, part))
    screen = panic_over(view)
    text = plain(fit(screen.text))
    assert units(fit(screen.text)) <= LIMIT and "cut" not in text
    assert text.splitlines()[1] == "Zerodha - Family member 49"
    assert all(f"Family member {number:02d}" in text for number in range(50))


def test_the_question_names_accounts_counts_and_what_is_not_touched() -> None:
    """Before anything happens, with what each account would lose."""
    accounts = (
        PanicAccount(MAIN, 2, 3, 1, is_paused=False, is_read=True),
        PanicAccount(OTHER, 1, 0, 0, is_paused=True, is_read=True),
    )
    question = PanicQuestion(accounts, None)
    text = plain(panic_question(question, [MAIN.broker_id], with_holdings=False))
    assert text.splitlines() == [
        "🛑 Cancel and close everything on 1 account?",
        (
            "I will close 2 positions at the market price and cancel 3 working orders, your own at "
            "the broker too."
        ),
        "",
        "☑ Zerodha - Main",
        "   2 positions · 3 orders",
        "☐ Fyers - Two",
        "   1 position · 0 orders",
        "   paused: closed there too",
        "",
        "Exit only first, on these accounts.",
        "Not touched: delivery positions and holdings (1), with their stops.",
        ("GTTs and other rules kept at the broker are not seen by me: look at them in its app."),
    ]
    both = [MAIN.broker_id, OTHER.broker_id]
    text = plain(panic_question(question, both, with_holdings=True))
    assert "on all accounts?" in text and "those added later too" in text
    assert "Delivery positions and holdings are closed too: 1." in text


def test_the_question_says_when_there_is_nothing_to_close() -> None:
    """Nothing open is said as that, if the broker was read; paper accounts have no rules there."""
    idle = PanicAccount(MAIN, 0, 0, 0, is_paused=False, is_read=True)
    asked = plain(
        panic_question(PanicQuestion((idle,), None), [MAIN.broker_id], with_holdings=False)
    )
    assert "\nNo position is open and no order is working.\n" in asked and "GTTs" in asked
    unread = PanicQuestion((replace(idle, is_read=False),), None)
    asked = plain(panic_question(unread, [MAIN.broker_id], with_holdings=False))
    assert "\nI know of no open position and no working order.\n" in asked
    paper = PanicQuestion(
        (replace(idle, account=an_account("paper_a", PAPER_PROFILE), positions=1),), None
    )
    asked = plain(panic_question(paper, ["paper_a"], with_holdings=False))
    assert "\nI will close 1 position at the market price.\n" in asked and "GTTs" not in asked


def test_an_end_without_a_disconnected_account_is_no_success() -> None:
    """What it held is nobody's here any more; only a person can look."""
    gone = Line(OTHER.broker_id, hindrance=Hindrance.GONE)
    text = plain(panic_over(a_view(FLAT, gone, end=PanicEnd.FLAT)))
    assert text.startswith("⚠️ PANIC is over · 1 of 2 flat")


def test_what_had_ended_by_itself_is_not_called_empty() -> None:
    """Its stop was hit while the panic began: told by its own message, and no position was closed here."""
    text = plain(
        panic_over(a_view(FLAT, replace(FLAT, broker_id=OTHER.broker_id), end=PanicEnd.FLAT))
    )
    assert text.splitlines()[1:3] == ["Zerodha - Main", "   nothing to close"]


@pytest.mark.parametrize(
    "word", ["stop", "STOP", " Stop! ", "panic", "P A N I C", "exit all.", "EXITALL"]
)
def test_words_of_a_panic(word: str) -> None:
    """In any case, with spaces and marks."""
    assert is_panic_word(word)


@pytest.mark.parametrize("word", ["", "stops", "do not stop", "exit", "all", "stop loss", "s" * 41])
def test_other_words_are_none(word: str) -> None:
    """A sentence that holds one of them is not one."""
    assert not is_panic_word(word)


def test_the_sum_has_no_paise_where_its_rows_have_none() -> None:
    """Of a lakh and more they are left out, and the sum is that of the rows as they are read."""
    part = PanicPart(3, Decimal("-1234567.89"), Decimal("1234.56"))
    flat = replace(FLAT, broker_id=OTHER.broker_id)
    parts = {MAIN.broker_id: part, OTHER.broker_id: part}
    text = plain(panic_over(a_view(FLAT, flat, end=PanicEnd.FLAT, parts=parts)))
    assert text.count("After them about -₹12,35,802\n") == 2
    assert "Together about -₹24,71,604\n" in text
