"""What people type instead of a command is understood: a panic's question, or the fitting view."""

from __future__ import annotations

import pytest

from bot.conversation.plain_words import (
    COMMAND_OF,
    asks_another_day,
    daily_loss_in,
    is_cancel_word,
    is_negated,
    is_panic_word,
    meant_command,
    view_alone,
)
from bot.registry import COMMANDS


@pytest.mark.row("R2")
@pytest.mark.parametrize(
    "text",
    [
        "STOP",
        "stop everything",
        "Stop all!",
        "exit all",
        "EXIT EVERYTHING NOW",
        "close all positions",
        "square off all",
        "please stop trading",
        "Emergency!!",
        "kill switch",
        "close all my positions now",
        "square-off all open trades immediately",
        "exit all accounts please",
        "sab band karo",
        "Sab kuch bech do!",
        "band karo",
        "सब बंद करो",
        "jaldi sab becho",
        "stop trading now",
        "trading band karo",
        "sabko band kar do",
        "sab kaat do",
        "bandh karo",
        "emergency stop",
        "close all trades today",
        "🛑",
        "⛔️ 🛑",
        "SOS",
        "stop stop stop",
        "STOPPPP!!!",
        "exit exit exit",
        "please please stop",
        "just stop it",
        "ok stop now",
        "\uff33\uff34\uff2f\uff30",
        "PANIC PANIC",
        "panic now",
        "sq off all",
        "sqr-off everything",
        "bhai sab band karo",
        "turant band karo",
        "saari position kaat do",
    ],
)
def test_who_wants_out_gets_the_question_of_a_panic(text: str) -> None:
    """In any case, with any marks, and politely."""
    assert is_panic_word(text)


@pytest.mark.row("R2")
@pytest.mark.parametrize(
    "text",
    [
        "stop loss",
        "exit only all",
        "close my position",
        "close all orders",
        "stop all orb",
        "sell",
        "close",
        "exit",
        "cancel all",
        "Stopwatch",
        "all",
        "",
        "10",
        "now",
        "sbin band karo",
        "band",
        "sab orders band karo",
        "stop trading sbin",
        "kill it",
        "sell it",
        "close this",
        "don't panic",
        "stop stop loss",
        "👍",
        "✅",
    ],
)
def test_what_may_answer_a_question_is_no_panic(text: str) -> None:
    """A name, a number or a word that may mean something smaller."""
    assert not is_panic_word(text)


@pytest.mark.parametrize(
    ("text", "command"),
    [
        ("which mode am I in", "mode"),
        ("never mind", "cancel"),
        ("pnl yesterday", "pnl"),
        ("P&L?", "pnl"),
        ("how much did I make", "pnl"),
        ("show my positions", "positions"),
        ("Orders", "orders"),
        ("log in", "login"),
        ("strategies please", "strategies"),
        ("stop loss", "positions"),
        ("stoploss", "positions"),
        ("sl kya hai", "positions"),
        ("mera sl", "positions"),
        ("stoploss hata do", "orders"),
        ("sl hatao", "orders"),
        ("remove my stop loss", "orders"),
        ("set stop loss 500", "guard"),
        ("guard", "guard"),
        ("kal band rahega kya", "health"),
        ("kal market band hai kya", "health"),
        ("kal chutti hai?", "health"),
        ("hello", "start"),
        ("?", "help"),
        ("madad", "help"),
        ("मदद!", "help"),
        ("ruko", "mode"),
        ("रुको", "mode"),
        ("munafa kitna hua", "pnl"),
        ("paisa kitna hai", "dashboard"),
        ("kya chal raha hai", "dashboard"),
        ("mera khata dikhao", "brokers"),
        ("नमस्ते", "start"),
        ("p/l", "pnl"),
        ("P n L", "pnl"),
        ("kitna kamaya aaj", "pnl"),
        ("trades yesterday", "trades"),
        ("order history", "orders"),
        ("last week", "pnl"),
        ("how much money do I have", "dashboard"),
        ("portfolio", "positions"),
        ("add fyers account", "add"),
        ("kill", "mode"),
        ("shut down", "mode"),
        ("turn off everything", "mode"),
        ("stop the bot", "mode"),
        ("good morning", "start"),
        ("gm", "start"),
        ("is the market open", "health"),
        ("market open today?", "health"),
        ("what time is it", "health"),
        ("is everything ok?", "health"),
        ("all good?", "health"),
        ("what's happening", "dashboard"),
        ("when is the next run", "strategies"),
        ("am I logged in", "brokers"),
        ("login status", "login"),
        ("12.5", None),
        ("Family", None),
        ("x" * 50 + " pnl", None),
        ("", None),
    ],
)
def test_words_open_the_view_that_fits(text: str, command: str | None) -> None:
    """Only by whole words, and only in something short."""
    assert meant_command(text) == command


def test_every_view_that_is_offered_exists() -> None:
    """A command that went would leave people without an answer."""
    assert {name for _, name in COMMAND_OF} <= {one.name for one in COMMANDS}


@pytest.mark.parametrize("text", ["cancel", "Cancel!", "never mind", "CANCEL it", "quit", "abort"])
def test_words_end_the_open_question(text: str) -> None:
    """Whoever does not know the command is not stuck in a question."""
    assert is_cancel_word(text)


@pytest.mark.parametrize("text", ["cancel sbin", "cancel all", "Abort Capital", "no", "stop", ""])
def test_other_words_end_no_question(text: str) -> None:
    """An order to cancel, a name, an answer."""
    assert not is_cancel_word(text)


@pytest.mark.parametrize(
    ("text", "command"),
    [
        ("pnl", "pnl"),
        ("Positions!", "positions"),
        ("my positions", None),
        ("SBIN", None),
        ("2 orders", None),
        ("cancel", None),
        ("start", None),
        ("sl", None),
    ],
)
def test_a_view_is_named_alone(text: str, command: str | None) -> None:
    """Only then it is none of the values that an open question may ask for."""
    assert view_alone(text) == command


@pytest.mark.parametrize(
    "text",
    ["don't close sbin", "dont sell", "do not stop", "sbin mat becho", "close all except sbin"],
)
def test_what_is_not_to_be_done_is_told_from_what_is(text: str) -> None:
    """A question about the very position that shall stay would be worse than none."""
    assert is_negated(text)
    assert not is_panic_word(text)


@pytest.mark.parametrize("text", ["close sbin", "no new trades", "sab becho", "mathew account", ""])
def test_wishes_are_not_negated(text: str) -> None:
    """Whole words only."""
    assert not is_negated(text)


@pytest.mark.parametrize("text", ["kal ka pnl", "pnl yesterday", "पिछले हफ्ते का pnl, कल का"])
def test_another_day_is_heard_in_hindi_too(text: str) -> None:
    """Then it is said that only today is shown."""
    assert asks_another_day(text)


@pytest.mark.parametrize(
    ("text", "amount"),
    [
        ("set max loss 500", "500"),
        ("Max loss ₹5,000", "5,000"),
        ("set daily loss limit to 10k", "10k"),
        ("max loss", ""),
        ("max loss kitna 500 hai", ""),
        ("loss 500", ""),
    ],
)
def test_a_limit_of_the_days_loss_is_heard_with_its_amount(text: str, amount: str) -> None:
    """Only where nothing else is said: it leads to the accounts that it may be set for."""
    assert daily_loss_in(text) == amount
