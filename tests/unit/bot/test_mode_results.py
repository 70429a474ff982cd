"""What a change of mode leaves behind: by account, with what protects it, and what stays stricter."""

from __future__ import annotations

from decimal import Decimal

import pytest

from bot.views.modes import FOLLOW, mode_choices, mode_question, mode_result, own_mode_before
from bot.views.screen import DANGER, Screen
from core.adapters.fyers import FYERS
from core.domain.mode import TradingMode
from core.domain.order import OrderState, OrderType, Purpose, Side
from core.domain.views import ModeChange, OwnMode
from tests.fakes.rendered import TAGS
from tests.fakes.views import a_position, an_account, an_order

MAIN = an_account()
TWO = an_account("fyers_b", FYERS, "Two", is_default=False)
NORMAL, EXIT_ONLY, PAUSED = TradingMode.NORMAL, TradingMode.EXIT_ONLY, TradingMode.PAUSED


def plain(screen: Screen) -> str:
    return TAGS.sub("", screen.text)


def labels(screen: Screen) -> list[list[str]]:
    return [[one.text for one in row] for row in screen.rows]


@pytest.mark.row("C2")
def test_a_pause_of_all_names_each_order_and_spares_the_stops():
    """Two accounts with the same stop: each under its name, and one red button for the rest."""
    stop = {
        "purpose": Purpose.STOP,
        "side": Side.SELL,
        "order_type": OrderType.SL_M,
        "trigger_price": Decimal(805),
    }
    orders = (
        an_order(MAIN, key="1", **stop),
        an_order(MAIN, key="2"),
        an_order(TWO, key="3", **stop),
        an_order(TWO, key="4"),
    )
    change = ModeChange(
        None,
        NORMAL,
        PAUSED,
        {MAIN.broker_id: PAUSED, TWO.broker_id: PAUSED},
        orders,
        2,
        held=(a_position(MAIN, stop=Decimal(805)), a_position(TWO)),
    )
    screen = mode_result(change, "All accounts", PAUSED)
    assert (
        "Zerodha - Main\nSBIN MIS · +10 · stop ₹805.00\nFyers - Two\nSBIN MIS · +10 · ⚠️ no stop"
        in plain(screen)
    )
    assert "Zerodha - Main\n🕒 Stop: sell 10 SBIN" in plain(screen)
    assert "Fyers - Two\n🕒 Stop: sell 10 SBIN" in plain(screen)
    assert labels(screen) == [
        ["Cancel stop SBIN · Main"],
        ["Cancel buying SBIN · Main"],
        ["Cancel stop SBIN · Two"],
        ["Cancel buying SBIN · Two"],
        ["Cancel 2 orders, no stops"],
        ["« Modes"],
    ]
    assert [row[0].text for row in screen.rows if row[0].style == DANGER] == [
        "Cancel 2 orders, no stops"
    ]
    only_stops = ModeChange(None, NORMAL, PAUSED, change.effective, (orders[0], orders[2]), 2)
    assert not any("orders" in row[0] for row in labels(mode_result(only_stops, "All")))


@pytest.mark.row("C2")
@pytest.mark.row("R2")
def test_all_normal_names_the_accounts_that_stay_exit_only():
    """After a panic each account is Exit only by its own mode: said before and after, with buttons."""
    exit_only = an_account(trading_mode=EXIT_ONLY)
    two = an_account("fyers_b", FYERS, "Two", is_default=False, trading_mode=EXIT_ONLY)
    change = ModeChange(
        None,
        EXIT_ONLY,
        NORMAL,
        {MAIN.broker_id: EXIT_ONLY, TWO.broker_id: EXIT_ONLY},
        (),
        0,
        own=(
            OwnMode(exit_only, may_follow=True),
            OwnMode(two, "An impossible event stopped its entries."),
        ),
    )
    screen = mode_result(change, "All accounts")
    assert plain(screen) == (
        "⚠️ All accounts: Normal, but not in effect yet\n"
        "⚠️ Zerodha - Main stays Exit only: that is its own mode.\n"
        "⚠️ Fyers - Two stays Exit only: that is its own mode. An impossible event stopped its entries."
    )
    assert labels(screen) == [
        ["🟢 Set Main to Normal"],
        ["🟢 Set Two to Normal"],
        ["« Modes"],
    ]
    question = mode_question(None, EXIT_ONLY, NORMAL, (), ["Main stays Exit only."])
    assert "⚠️ Main stays Exit only." in question


@pytest.mark.row("C2")
@pytest.mark.row("R2")
def test_all_normal_can_take_the_accounts_along():
    """One button for all and for those that are Exit only by their own mode, one for all alone."""
    many = [an_account(f"zerodha_{n}", display_name=f"A{n}") for n in range(3)]
    assert mode_choices(NORMAL, []) == {"": "Yes, set Normal"}
    assert mode_choices(NORMAL, (MAIN, TWO)) == {
        FOLLOW: "Normal for all, Main and Two too",
        "": "Normal for all except Main and Two",
    }
    # None besides these: without them nothing would change.
    assert mode_choices(NORMAL, (MAIN, TWO), is_every=True) == {FOLLOW: "Yes, set all to Normal"}
    assert own_mode_before(OwnMode(MAIN, "", may_follow=True), is_along=True).endswith("set too.")
    assert mode_choices(NORMAL, many)[FOLLOW] == "Normal for all, 3 accounts too"


@pytest.mark.row("C2")
def test_an_account_set_normal_under_a_stricter_mode_of_all_says_so():
    """Its own mode is Normal and Exit only holds: the button for all is there."""
    change = ModeChange(MAIN.broker_id, EXIT_ONLY, NORMAL, {MAIN.broker_id: EXIT_ONLY}, (), 0)
    screen = mode_result(change, MAIN.label, EXIT_ONLY)
    assert "⚠️ The mode of all accounts is Exit only, and stays in effect here." in plain(screen)
    assert "Strategies enter" not in plain(screen)
    assert labels(screen)[0] == ["🟢 Set all to Normal"]


@pytest.mark.row("E3")
def test_a_stop_placed_by_hand_is_called_one():
    """Its button says that it is a stop, as for one of ours."""
    theirs = an_order(
        MAIN,
        purpose=Purpose.EXTERNAL,
        state=OrderState.ACCEPTED,
        order_type=OrderType.SL,
        trigger_price=Decimal(800),
    )
    change = ModeChange(None, NORMAL, PAUSED, {MAIN.broker_id: PAUSED}, (theirs,), 0)
    assert labels(mode_result(change, "All"))[0] == ["Cancel stop SBIN"]


@pytest.mark.row("C2")
def test_normal_offers_no_way_to_cancel_what_works():
    """Orders go on as they are: nothing of them is listed, and no button is red."""
    orders = (an_order(MAIN, key="1"), an_order(MAIN, key="2"))
    change = ModeChange(None, PAUSED, NORMAL, {MAIN.broker_id: NORMAL}, orders, 0)
    screen = mode_result(change, "All accounts")
    assert plain(screen) == "✅ All accounts: Normal\nStrategies enter and exit as usual."
    assert labels(screen) == [["« Modes"]]
