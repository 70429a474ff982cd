"""What the card of a run says: what changed, and why an account has no order."""

from __future__ import annotations

import html
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest

from bot.views.many_runs import runs_card
from bot.views.markup import fit
from bot.views.runs import closing_lines, run_card
from core.adapters.fyers import FYERS
from core.domain.instrument import InstrumentId
from core.domain.order import OrderState, OrderType, Purpose, Side
from core.domain.protection import ON_ITS_WAY
from core.domain.stops import MAKES_WAY
from core.domain.target import Direction, Target
from core.domain.views import RunLine, RunView
from tests.fakes.rendered import TAGS
from tests.fakes.views import AT, SBIN, a_run, an_account, an_order

MAIN = an_account()


def text_of(run: RunView, title: str = "Breakout") -> str:
    return TAGS.sub("", run_card(run, title).text)


@pytest.mark.row("E1")
def test_a_card_shows_what_changed_and_not_what_stands():
    """A strategy repeats its targets at each slot: those of earlier signals are left out."""
    run = a_run(an_order(MAIN))
    (target,) = run.targets
    old = replace(
        target,
        instrument=InstrumentId("NSE", "RELIANCE"),
        signal_at=run.slot_at - timedelta(minutes=9),
    )
    text = text_of(replace(run, targets=(target, old)))
    assert "Long SBIN" in text and "RELIANCE" not in text


@pytest.mark.row("E1")
def test_a_card_without_a_new_signal_says_why_nothing_is_entered():
    """The old signal by its time, and for each account that it is too old to enter."""
    run = a_run()
    (target,) = run.targets
    old = replace(target, signal_at=run.slot_at - timedelta(minutes=28))
    line = RunLine("a", "Zerodha - Main", (), "", late=(old,))
    assert text_of(replace(run, targets=(old,), lines=(line,))) == (
        "Breakout · 10:15\n"
        "No new signal.\n"
        "Long SBIN since 09:47\n"
        "Zerodha - Main\n"
        "   SBIN: signal of 09:47\n"
        "   too old to enter"
    )
    held = replace(line, late=())
    assert text_of(replace(run, targets=(old,), lines=(held,))).endswith("\n   nothing to do")


@pytest.mark.row("E1")
def test_an_exit_shows_its_own_profit_and_a_stop_that_gave_way_stays_true():
    """The profit in rupees never breaks apart; what makes way today has given way tomorrow."""
    done = {"state": OrderState.FILLED, "quantity": 100, "filled_quantity": 100}
    out = an_order(
        MAIN,
        side=Side.SELL,
        purpose=Purpose.EXIT,
        average_price=Decimal("958.05"),
        realised=Decimal(-150),
        **done,
    )
    gone = an_order(
        MAIN,
        key="S2",
        side=Side.SELL,
        purpose=Purpose.STOP,
        state=OrderState.CANCELED,
        reason=MAKES_WAY,
        order_type=OrderType.SL_M,
        trigger_price=Decimal(948),
        quantity=100,
    )
    text = fit(text_of(a_run(out, gone)))
    assert "✅ Sold 100 SBIN · ₹958.05\n   exit -\u2060₹150.00 · before charges\n" in text
    assert text.endswith("➖ Stop: sell 100 SBIN · ₹948.00\n   cancelled for the exit")


@pytest.mark.row("C2")
def test_an_account_that_its_user_keeps_out_has_one_line_at_the_end():
    """Exit only without a position: said, below those on which something is done."""
    run = a_run(an_order(MAIN))
    quiet = RunLine("b", "Fyers - Two", (), "exit only: no entry is sent", is_quiet=True)
    text = text_of(replace(run, lines=(quiet, *run.lines)))
    assert text.endswith("\nFyers - Two\n   exit only: no entry is sent")


@pytest.mark.row("E1")
def test_a_run_card_has_a_line_per_account():
    """The signal with its reason and stop, then what became of each account's order."""
    second = an_account("fyers_b", FYERS, "Second", is_default=False)
    filled = an_order(
        MAIN, state=OrderState.FILLED, filled_quantity=10, average_price=Decimal("812.35")
    )
    rejected = an_order(second, state=OrderState.REJECTED, reason="RMS: margin <short>")
    assert html.unescape(text_of(a_run(filled, rejected), "Opening range breakout")) == (
        "Opening range breakout · 10:15\n"
        "Long SBIN · stop ₹805.00\n"
        "   broke above 812.00\n"
        "Zerodha - Main\n"
        "✅ Bought 10 SBIN · ₹812.35\n"
        "Fyers - Second\n"
        "❌ Buy 10 SBIN · limit ₹812.00\n"
        "   rejected\n"
        "   RMS: margin <short>"
    )


@pytest.mark.row("E1")
@pytest.mark.row("R6")
def test_a_normal_step_has_no_warning_sign():
    """A stop or an exit that is on its way is no warning; what is unprotected is one."""
    going = RunLine(
        "a", MAIN.label, (), "", warnings=(f"NSE:SBIN: its exit {ON_ITS_WAY}", "NSE:TCS: bare")
    )
    text = text_of(replace(a_run(), lines=(going,)))
    assert "⏳ SBIN:\n   its exit is on its way to the broker" in text
    assert "⚠️ TCS: bare" in text


@pytest.mark.row("E1")
def test_an_exit_on_its_way_is_not_told_to_be_no_order():
    """Before its order is there, one line says what comes, and no other that there is none."""
    line = RunLine("a", MAIN.label, (), "", warnings=(f"NSE:SBIN: its exit {ON_ITS_WAY}",))
    run = replace(a_run(), note="close", is_closing=True, lines=(line,))
    assert "on its way" in text_of(run) and "no order yet" not in text_of(run)
    assert "no order yet" in text_of(replace(run, lines=(replace(line, warnings=()),)))


@pytest.mark.row("E1")
def test_a_stop_that_was_sent_is_said_once():
    """Its own line says it: no second one says that it is on its way."""
    stop = an_order(
        MAIN,
        state=OrderState.SUBMITTED,
        side=Side.SELL,
        purpose=Purpose.STOP,
        order_type=OrderType.SL_M,
        limit_price=None,
        trigger_price=Decimal("805.00"),
    )
    warnings = (f"NSE:SBIN: its stop {ON_ITS_WAY}", f"NSE:TCS: its stop {ON_ITS_WAY}")
    line = RunLine("a", MAIN.label, (stop,), "", warnings=warnings)
    for text in (
        text_of(replace(a_run(), lines=(line,))),
        TAGS.sub("", "\n".join(closing_lines([replace(a_run(), lines=(line,))]))),
    ):
        assert "⏳ Stop: sell 10 SBIN · ₹805.00" in text
        assert text.count("on its way") == 1 and "⏳ TCS:" in text
    bare = replace(line, orders=(replace(stop, state=OrderState.REJECTED),))
    assert text_of(replace(a_run(), lines=(bare,))).count("on its way") == 2


@pytest.mark.row("E1")
@pytest.mark.row("R6")
def test_what_other_orders_have_closed_is_said_to_be_gone():
    """Where a warning stood, its end must not look like a stop that rests."""
    (line,) = a_run(an_order(MAIN)).lines
    text = text_of(replace(a_run(), lines=(replace(line, gone=(SBIN,)),)))
    assert text.endswith("\n   SBIN: no longer held")
    assert "held" not in text_of(replace(a_run(), lines=(line,)))


@pytest.mark.row("E1")
def test_a_reversal_says_which_order_closes_and_which_opens():
    """Both sell the same instrument: alike on the card, they would read as one order too many."""
    done: dict[str, Any] = {"side": Side.SELL, "state": OrderState.FILLED, "filled_quantity": 10}
    price = Decimal("812.35")
    out = an_order(
        MAIN, key="X", purpose=Purpose.EXIT, average_price=price, realised=Decimal(150), **done
    )
    entry = an_order(MAIN, key="E", purpose=Purpose.ENTRY, average_price=price, **done)
    text = fit(text_of(a_run(out, entry)))
    assert text.endswith(
        "✅ Sold 10 SBIN · ₹812.35\n   closes the long\n   +\u2060₹150.00 · before charges\n"
        "✅ Sold 10 SBIN · ₹812.35\n   opens the short"
    )
    sent: dict[str, Any] = {"state": OrderState.SUBMITTED, "filled_quantity": 0}
    waits = fit(text_of(a_run(replace(out, **sent, realised=None), replace(entry, **sent))))
    assert waits.count("closes the long") == waits.count("opens the short") == 1
    assert "closes" not in fit(text_of(a_run(out))), "an exit alone is an exit"


@pytest.mark.row("R5")
def test_what_a_guard_closes_stands_below_it_by_account():
    """Several decisions on an account are one part of its message, with one result."""
    sold: dict[str, Any] = {"purpose": Purpose.EXIT, "side": Side.SELL, "state": OrderState.FILLED}
    price = Decimal("812.35")
    out = an_order(MAIN, key="X", filled_quantity=10, average_price=price, **sold)
    one = RunLine(MAIN.broker_id, MAIN.label, (out,), "", (), Decimal(150), Decimal(20))
    two = replace(one, result=Decimal(-50), charges=Decimal(5))
    idle = RunLine("b", "Fyers - Two", (), "")
    runs = [replace(a_run(), lines=(line,)) for line in (one, two, idle)]
    text = [TAGS.sub("", line) for line in closing_lines(runs)]
    assert text == [
        "Zerodha - Main",
        *["✅ Sold 10 SBIN · ₹812.35\n   exit"] * 2,
        "Before charges +₹100.00",
        "After them about +₹75.00",
    ]
    unknown = closing_lines([runs[0], replace(runs[1], lines=(replace(two, charges=None),))])
    assert unknown[-1] == "charges unknown"


@pytest.mark.row("E1")
def test_a_run_without_a_signal_says_why():
    """Whoever asked for a run reads what the strategy waits for, not only that nothing came."""
    flat = Target(SBIN, Direction.FLAT, AT - timedelta(hours=1), None, "No crossing yet today.")
    text = text_of(a_run(targets=(flat, replace(flat, reason=""))))
    assert text.endswith("No signal.\nSBIN\n   No crossing yet today."), text


@pytest.mark.row("E1")
def test_several_runs_have_a_line_each_and_what_needs_a_look_comes_first():
    """What is through, on its way and refused; a button a strategy, whose page shows its run."""
    done = a_run(an_order(MAIN, state=OrderState.FILLED, filled_quantity=10))
    works = a_run(an_order(MAIN, state=OrderState.ACCEPTED), strategy="b")
    bad = a_run(an_order(MAIN, state=OrderState.REJECTED, reason="no funds"), strategy="c")
    screen = runs_card([(done, "Breakout"), (works, "Crossing"), (bad, "Reversal")])
    lines = TAGS.sub("", screen.text).split("\n")
    assert lines[0] == "3 runs · 10:15"
    found = " ".join(" ".join(lines).split())
    assert found.index("⚠️ Reversal") < found.index("⏳ Crossing") < found.index("✅ Breakout")
    assert "Long SBIN" in found and "0 of 1 filled" in found and "1 of 1 filled" in found
    assert "no funds" in found and found.count("Zerodha - Main") == 1
    assert [one.text for row in screen.rows for one in row] == ["Breakout", "Crossing", "Reversal"]


def test_forty_runs_on_fifty_accounts_fit_a_message():
    """Also when every order of them was refused; what has no room is counted."""
    accounts = [an_account(f"zerodha_{n:010d}", display_name=f"Account{n}") for n in range(50)]
    orders = [an_order(one, state=OrderState.REJECTED, reason="no funds " * 9) for one in accounts]
    runs = [(a_run(*orders, strategy=f"s{n}"), f"A strategy of number {n}") for n in range(40)]
    screen = runs_card(runs)
    assert fit(screen.text) == screen.text
    assert "more accounts to look at: /orders" in screen.text
    assert sum(len(row) for row in screen.rows) == 40


def test_the_rows_of_several_runs_break_alike():
    """One name is too long for what it did to stand beside it: it stands below all of them."""
    run = a_run(an_order(MAIN, state=OrderState.FILLED, filled_quantity=10))
    titles = ("Gap fade", "Opening range breakout")
    text = TAGS.sub("", runs_card([(run, one) for one in titles]).text)
    assert text == "2 runs · 10:15\n" + "\n".join(
        f"✅ {one}\n   Long SBIN · 1 of 1 filled" for one in titles
    )


@pytest.mark.row("E1")
def test_what_an_exit_brought_stands_in_one_line_beside_a_reversal():
    """What another account does needs a line more; the exit's sum and what it is stay together."""
    done = {"state": OrderState.FILLED, "filled_quantity": 10, "average_price": Decimal(812)}
    out = an_order(MAIN, **done, purpose=Purpose.EXIT, realised=Decimal("26.75"))
    into = an_order(MAIN, **done, key="SABCDEFGHIJKLMNOPQR3")
    lines = (
        RunLine(MAIN.broker_id, MAIN.label, (out,), ""),
        RunLine("fyers_b", "Fyers - Two", (replace(out, key="SABCDEFGHIJKLMNOPQR4"), into), ""),
    )
    text = text_of(replace(a_run(), lines=lines))
    assert "\n   exit +₹26.75 · before charges\n" in text
    assert "\n   closes the short\n   +₹26.75 · before charges\n" in text
