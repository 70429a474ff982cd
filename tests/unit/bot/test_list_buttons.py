"""The buttons of the dashboard and of the lists, and what a list of trades shows (E2, E3)."""

from __future__ import annotations

from decimal import Decimal

import pytest

from bot.views.callbacks import parse
from bot.views.dashboard import ALL, dashboard, listing, position_items, trade_items
from bot.views.screen import REFRESH, Screen
from bot.views.verbs import Verb
from core.adapters.fyers import FYERS
from core.domain.instrument import InstrumentId
from core.domain.mode import TradingMode
from core.domain.order import OrderType, Purpose
from core.domain.views import DashboardView, PnlView
from tests.fakes.views import AT, a_position, a_trade, an_account, an_order

MAIN = an_account()
SECOND = an_account("fyers_b", FYERS, "Second", is_default=False)


def goes_to(screen: Screen, label: str) -> tuple[Verb | None, tuple[str, ...]]:
    """Return what a button does, by a part of its label."""
    (found,) = [one for row in screen.rows for one in row if label in one.text]
    tap = parse(str(found.callback_data))
    assert tap is not None
    return tap.verb, tuple(tap.argument(at) for at in range(3))


@pytest.mark.row("E2")
def test_refresh_stays_on_its_page() -> None:
    """Of the same account, and read anew."""
    many = tuple(
        a_position(MAIN, key=f"NSE:S{number}|MIS", instrument=InstrumentId("NSE", f"S{number}"))
        for number in range(25)
    )
    board = DashboardView(
        account=MAIN,
        effective_mode=TradingMode.NORMAL,
        as_of=AT,
        funds=None,
        pnl=PnlView(MAIN.broker_id, MAIN.label, None, None),
        positions=many,
        working=(),
        trades=(),
        holdings=(),
        incomplete=(),
    )
    for page in range(3):
        screen = dashboard(board, (MAIN,), None, page=page)
        wanted = (Verb.DASHBOARD, (MAIN.broker_id, str(page), "fresh"))
        assert goes_to(screen, REFRESH) == wanted


@pytest.mark.row("E2")
def test_working_orders_stand_as_the_positions_above_them() -> None:
    """The newest stop is that of the last position; its button stands last too, as that to close."""
    names = [InstrumentId("NSE", one) for one in ("SBIN", "RELIANCE")]
    stop = {"purpose": Purpose.STOP, "order_type": OrderType.SL_M, "trigger_price": Decimal(805)}
    board = DashboardView(
        account=MAIN,
        effective_mode=TradingMode.NORMAL,
        as_of=AT,
        funds=None,
        pnl=PnlView(MAIN.broker_id, MAIN.label, None, None),
        positions=tuple(a_position(MAIN, key=f"{one}|MIS", instrument=one) for one in names),
        working=tuple(an_order(MAIN, key=str(one), instrument=one, **stop) for one in names[::-1]),
        trades=(),
        holdings=(),
        incomplete=(),
    )
    screen = dashboard(board, (MAIN,), None)
    said = [
        one.text for row in screen.rows for one in row if "SBIN" in one.text or "REL" in one.text
    ]
    assert said == ["Close SBIN", "Close RELIANCE", "Cancel stop SBIN", "Cancel stop RELIANCE"]


@pytest.mark.row("E3")
def test_a_list_leads_to_that_of_all_accounts() -> None:
    """One tap; where there is one account there is no such button."""
    items = position_items([a_position(MAIN)])
    both = (MAIN, SECOND)
    screen = listing("Positions", Verb.POSITIONS, items, both, MAIN.broker_id)
    assert goes_to(screen, "All accounts")[0] is Verb.POSITIONS
    assert goes_to(screen, "All accounts")[1][0] == ALL
    alone = listing("Positions", Verb.POSITIONS, items, (MAIN,), MAIN.broker_id)
    assert not [one for row in alone.rows for one in row if "All accounts" in one.text]


@pytest.mark.row("E3")
def test_trades_are_listed_with_their_account_where_there_are_several() -> None:
    """What was done, of what, at what price; for all accounts under each one's name."""
    trades = [a_trade(MAIN), a_trade(SECOND)]
    one = listing("Trades", Verb.TRADES, trade_items(trades[:1]), (MAIN,), MAIN.broker_id)
    trade = trades[0].trade
    assert f"{trade.quantity} {trade.instrument.symbol}" in one.text
    assert f"₹{trade.price}" in one.text
    every = listing("Trades", Verb.TRADES, trade_items(trades, named=True), (MAIN, SECOND), ALL)
    assert every.text.index(MAIN.label) < every.text.index(SECOND.label)
    assert every.text.count(f"₹{trade.price}") == 2
