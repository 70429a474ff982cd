"""What people read: golden texts of every view, escaped whatever the names hold."""

from __future__ import annotations

import html
import re
from dataclasses import replace
from datetime import datetime
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.views.accounts import account_page, accounts_list, disconnect_question, welcome
from bot.views.callbacks import LIMIT_BYTES
from bot.views.dashboard import (
    ALL,
    dashboard,
    listing,
    order_items,
    pnl_screen,
    position_items,
    trade_items,
)
from bot.views.markup import LIMIT, esc, fit
from bot.views.modes import drain_screen, mode_panel, mode_question, mode_result
from bot.views.parameters import parameter_question, parameters_page
from bot.views.runs import run_card
from bot.views.screen import Screen, button
from bot.views.strategies import (
    assignment_page,
    strategies_list,
    strategy_page,
)
from bot.views.system import (
    health_screen,
    readiness_lines,
    setting_question,
    settings_screen,
)
from bot.views.verbs import Verb
from bot.views.width import fits_line
from bot.wizard.add_account import STEPS, broker_screen, step_screen
from core.adapters.brokers import PROFILES
from core.adapters.fyers import FYERS
from core.domain.account import Account, TokenStatus
from core.domain.broker import Funds, Holding
from core.domain.instrument import InstrumentId, Product
from core.domain.mode import TradingMode
from core.domain.order import OrderState
from core.domain.sessions import IST
from core.domain.target import Strategy
from core.domain.views import (
    AccountHealth,
    AssignmentView,
    DashboardView,
    DrainView,
    ExposureView,
    HealthView,
    ModeChange,
    PnlView,
    Readiness,
    SizeKind,
)
from strategy.registry import STRATEGIES
from tests.fakes.views import AT, a_position, a_run, a_strategy, a_trade, an_account, an_order

NAMES = st.text(
    st.characters(codec="utf-8", exclude_categories=["Cc"]), min_size=1, max_size=40
).filter(str.strip)
TAGS = re.compile(r"</?(b|i|code)>")
MAIN = an_account()
LOGIN = button("Log in to Zerodha - Main", Verb.LOGIN, MAIN.broker_id)


def plain(screen: Screen) -> str:
    return html.unescape(TAGS.sub("", screen.text))


def labels(screen: Screen) -> list[list[str]]:
    return [[one.text for one in row] for row in screen.rows]


def a_board(account: Account = MAIN, **fields: Any) -> DashboardView:
    board = DashboardView(
        account=account,
        effective_mode=TradingMode.NORMAL,
        as_of=datetime(2026, 11, 23, 10, 15, 5, tzinfo=IST),
        funds=Funds(Decimal("1234567.89"), Decimal(20000), Decimal("1254567.89")),
        pnl=PnlView(
            account.broker_id, account.label, Decimal(1000), Decimal("-250.50"), Decimal("59.40")
        ),
        positions=(a_position(account, charges=Decimal("12.30")),),
        working=(an_order(account),),
        trades=(a_trade(account),),
        holdings=(Holding(InstrumentId("NSE", "INFY"), 100, 5, Decimal(1400), Decimal("1502.50")),),
        incomplete=(),
    )
    return replace(board, **fields)


@pytest.mark.row("E2", "E6")
def test_the_dashboard_reads_well_on_a_phone():
    """Funds with lakh grouping, IST time, positions, working orders, trades, holdings, buttons."""
    second = an_account("fyers_b", FYERS, "Second", is_default=False)
    screen = dashboard(a_board(), (MAIN, second), None)
    assert plain(screen) == (
        "Zerodha - Main ⭐\n"
        "enabled · Normal\n"
        "as of 10:15:05 IST\n"
        "\n"
        "Funds ₹12,34,567.89 free\n"
        "   ₹20,000.00 used\n"
        "Today +₹749.50 · before charges\n"
        "   after charges +₹690.10\n"
        "   open -₹250.50 · booked +₹1,000.00\n"
        "   Charges are estimated.\n"
        "1 trade today\n"
        "\n"
        "Positions\n"
        "SBIN MIS · +10 · +₹27.50\n"
        "   avg ₹812.35 · now ₹815.10\n"
        "   orb\n"
        "\n"
        "Working orders\n"
        "🕒 Buying 10 SBIN · limit ₹812.00\n"
        "   MIS · 10:15 · orb\n"
        "\n"
        "Holdings\n"
        "INFY 100 · now ₹1,502.50\n"
        "   5 in T1\n"
        "   +₹10,762.50 since bought\n"
        "\n"
        "Results in rows are before charges."
    )
    assert labels(screen) == [
        ["Close SBIN", "Cancel buying SBIN"],
        ["🔄 Refresh", "Trades", "Mode"],
        ["• Main", "Second"],
    ]


@pytest.mark.row("B7")
def test_views_of_an_expired_account_begin_with_the_banner():
    """Dashboard data may be incomplete, by name, with the login button first."""
    expired = replace(MAIN, token_status=TokenStatus.EXPIRED)
    banner = "⚠️ Dashboard data may be incomplete: token not refreshed for Main."
    screens = [
        dashboard(a_board(expired), (expired,), LOGIN),
        listing("Positions", Verb.POSITIONS, [], (expired,), expired.broker_id, login=LOGIN),
        pnl_screen([], (expired,), expired.broker_id, LOGIN),
        account_page(expired, TradingMode.NORMAL, LOGIN),
    ]
    for screen in screens:
        assert plain(screen).startswith(banner)
        assert screen.rows[0] == (LOGIN,)


@pytest.mark.row("E2")
def test_a_long_dashboard_has_pages():
    """Twenty-five positions are three pages; each keeps the head and its own buttons."""
    many = tuple(
        a_position(MAIN, key=f"NSE:S{number}|MIS", instrument=InstrumentId("NSE", f"S{number}"))
        for number in range(25)
    )
    board = a_board(positions=many, working=(), trades=(), holdings=())
    pages = [dashboard(board, (MAIN,), None, page=page) for page in range(3)]
    assert ["Close S0", "Close S1"] in labels(pages[0])
    assert ["‹ Back", "2 of 3", "More ›"] in labels(pages[1])
    assert ">S24<" in pages[2].text and ">S0<" not in pages[2].text
    assert dashboard(board, (MAIN,), None, page=99).text == pages[2].text
    assert all(len(page.text) < LIMIT for page in pages)


@pytest.mark.row("E3")
def test_lists_for_all_accounts_name_each_account():
    """All accounts together: positions under their account's name, and one total profit."""
    second = an_account("fyers_b", FYERS, "Second", is_default=False)
    both = (MAIN, second)
    items = position_items([a_position(MAIN), a_position(second)], named=True)
    screen = listing("Positions", Verb.POSITIONS, items, both, ALL)
    assert plain(screen).startswith("Positions · all accounts\n\nZerodha - Main\nSBIN")
    assert "\n\nFyers - Second\nSBIN" in plain(screen)
    lines = [
        PnlView(MAIN.broker_id, MAIN.label, Decimal(100), Decimal(50), Decimal(0)),
        PnlView(second.broker_id, second.label, None, None),
    ]
    assert plain(pnl_screen(lines, both, ALL, None)) == (
        "Profit today · all accounts\n\n"
        "Zerodha - Main\n   +₹150.00\n   open +₹50.00 · booked +₹100.00\n"
        "Fyers - Second\n   not known:\n   the broker could not be read\n\n"
        "Together +₹150.00\n   open +₹50.00 · booked +₹100.00\n   without 1 that could not be read"
    )
    empty = listing("Trades today", Verb.TRADES, trade_items([]), (MAIN,), MAIN.broker_id)
    assert plain(empty) == "Trades today · Zerodha - Main\n\nNone."


@pytest.mark.row("E3")
def test_buttons_of_all_accounts_tell_the_accounts_apart():
    """The same instrument on two accounts: each button names its account, one list's need not."""
    second = an_account("fyers_b", FYERS, "Second", is_default=False)
    positions = [a_position(MAIN), a_position(second)]
    orders = [an_order(MAIN), an_order(second)]
    together = listing(
        "Positions", Verb.POSITIONS, position_items(positions, named=True), (MAIN,), ALL
    )
    assert labels(together)[0] == ["Close SBIN · Main", "Close SBIN · Second"]
    together = listing("Orders today", Verb.ORDERS, order_items(orders, named=True), (MAIN,), ALL)
    assert labels(together)[0] == ["Cancel buying SBIN · Main", "Cancel buying SBIN · Second"]
    alone = listing(
        "Positions", Verb.POSITIONS, position_items(positions[:1]), (MAIN,), MAIN.broker_id
    )
    assert plain(alone).startswith("Positions · Zerodha - Main\n\nSBIN")
    assert labels(alone)[0] == ["Close SBIN"]


@pytest.mark.row("A8", "E2")
def test_what_was_never_read_is_not_called_nothing():
    """Before the first read an account is not shown as one without positions."""
    board = a_board(as_of=None, funds=None, positions=(), working=(), trades=(), holdings=())
    assert "No positions" not in plain(dashboard(board, (MAIN,), None))
    question = disconnect_question(ExposureView(MAIN, (), (), (), False), is_last=True)
    assert "No positions known.\nNo working orders known." in question


@pytest.mark.row("D4")
def test_settings_show_rupees_and_say_what_may_be_sent():
    """Capital in lakh grouping, and how to get the automatic value back."""
    name = f"capital|{MAIN.broker_id}"
    assert "   Zerodha - Main · ₹2,50,000" in plain(settings_screen({name: "250000"}, (MAIN,)))
    capital = setting_question(name, "250000", (MAIN,))
    assert plain(capital).startswith("Capital of Zerodha - Main is ₹2,50,000.")
    assert labels(capital) == [["Automatic"], ["« Leave it"]]
    data = setting_question("data_account", "automatic", (MAIN,))
    assert labels(data) == [["• Automatic", "Zerodha - Main"], ["« Leave it"]]


@pytest.mark.row("D6")
@pytest.mark.parametrize("strategy", STRATEGIES.values())
def test_each_parameter_of_a_strategy_has_a_line_of_a_phone(strategy: Strategy):
    """Name and value, on the page of the strategy and of its parameters; what may be set is asked."""
    given = tuple((one, one.default) for one in strategy.parameters)
    view = a_strategy(parameters=given)
    for text in (strategy_page(view).text, parameters_page(view).text):
        lines = [one for one in text.split("\n") if ": <b>" in one]
        assert len(lines) == len(given)
        assert [one for one in lines if not fits_line(one)] == []


@pytest.mark.row("A4")
def test_the_account_list_has_what_the_day_needs():
    """Name, default mark, state, mode, token; enable or disable, edit, log in, add."""
    second = an_account(
        "fyers_b",
        FYERS,
        "Second",
        is_default=False,
        enabled=False,
        token_status=TokenStatus.EXPIRED,
        token_generated_at=None,
        trading_mode=TradingMode.EXIT_ONLY,
    )
    login = button("Log in to Fyers - Second", Verb.LOGIN, second.broker_id)
    screen = accounts_list((MAIN, second), TradingMode.NORMAL, {second.broker_id: login})
    assert plain(screen) == (
        "Your accounts\n"
        "Zerodha - Main ⭐ default\n"
        "   🟢 enabled · Normal · logged in\n"
        "Fyers - Second\n"
        "   ⚪ disabled · Exit only\n   ⚠️ never logged in"
    )
    assert labels(screen) == [
        ["Disable Main", "Edit Main …"],
        ["Log in to Fyers - Second"],
        ["Enable Second", "Edit Second …"],
        ["➕ Add account", "🔄 Refresh"],
    ]


@pytest.mark.row("A4")
def test_an_accounts_page_has_every_button():
    """Enable or disable, rename, default, mode, key and secret, disconnect."""
    page = account_page(replace(MAIN, is_default=False), TradingMode.NORMAL, LOGIN)
    flat = [label for row in labels(page) for label in row]
    assert flat == [
        "Renew login",
        "Disable",
        "Rename",
        "Mode",
        "Strategies",
        "Set default",
        "Key and secret",
        "Address",
        "Dashboard",
        "Share login",
        "Disconnect",
        "« Accounts",
    ]


@pytest.mark.row("C5")
def test_the_drain_view_tells_what_is_left():
    """Positions, holdings and orders left, and the value, per account."""
    view = DrainView(MAIN, (a_position(MAIN),), (), (), Decimal("812345.67"))
    assert plain(drain_screen([view])) == (
        "Left to close: exit-only accounts\n\n"
        "Zerodha - Main\n"
        "1 position · about ₹8,12,346\n"
        "SBIN MIS · +10 · +₹27.50\n"
        "   avg ₹812.35 · now ₹815.10\n"
        "   orb\n\n"
        "Results in rows are before charges."
    )
    holding = Holding(InstrumentId("NSE", "INFY"), 100, 5, Decimal(1400), Decimal("1502.50"))
    second = an_account("fyers_b", FYERS, "Second", is_default=False)
    both = plain(drain_screen([DrainView(second, (), (holding,), (an_order(second),), None), view]))
    assert "Fyers - Second\n1 holding · 1 working order\n   value not known\nINFY 100" in both
    assert both.index("Buying 10 SBIN") < both.index("Zerodha - Main\n1 position")
    assert "✅ All closed" in plain(drain_screen([DrainView(MAIN, (), (), (), Decimal(0))]))
    assert "No account is in exit-only mode." in plain(drain_screen([]))


@pytest.mark.row("C2")
def test_the_result_of_a_pause_counts_what_it_leaves():
    """Working orders by name with a button each, and unprotected positions counted."""
    change = ModeChange(
        broker_id=MAIN.broker_id,
        old=TradingMode.NORMAL,
        new=TradingMode.PAUSED,
        effective={MAIN.broker_id: TradingMode.PAUSED},
        working=(an_order(MAIN), an_order(MAIN, key="SBBBBBBBBBBBBBBBBBB2")),
        unprotected=2,
    )
    at = datetime(2026, 11, 23, 10, 2, 5, tzinfo=IST)
    screen = mode_result(change, MAIN.label, at=at)
    text = plain(screen)
    assert "✅ Zerodha - Main: Paused" in text
    assert "⚠️ 2 positions left alone: no stop is placed or moved" in text
    assert "Still working at the broker: 2 orders\nAs of 10:02:05; now: /orders.\n" in text
    assert labels(screen) == [
        ["Cancel buying SBIN"],
        ["Cancel buying SBIN"],
        ["Cancel 2 orders, no stops"],
        ["« Modes"],
    ]


@pytest.mark.row("C1")
def test_the_mode_panel_offers_the_other_modes_of_each():
    """One row for all, one for each account; the effective mode is told where it differs."""
    screen = mode_panel((MAIN,), TradingMode.EXIT_ONLY)
    assert "🟠 Zerodha - Main: Normal, in effect Exit only" in plain(screen)
    assert labels(screen)[:2] == [
        ["🟢 All: Normal", "🔴 All: Paused"],
        ["🟠 Main: Exit only", "🔴 Main: Paused"],
    ]
    question = mode_question(MAIN, TradingMode.NORMAL, TradingMode.PAUSED)
    assert question.startswith("<b>Set Paused for Zerodha - Main?</b>\nNow: Normal.")


@pytest.mark.row("D6")
def test_a_strategys_page_tells_all():
    """State, next slot, parameters, accounts with sizes, last run; a button for each change."""
    on = AssignmentView(
        strategy="opening_range_breakout",
        broker_id=MAIN.broker_id,
        account_label=MAIN.label,
        is_on=True,
        product=Product.MIS,
        size_kind=SizeKind.CAPITAL_SHARE,
        size_value=Decimal("5.00"),
        multiplier=Decimal(2),
    )
    strategy = a_strategy(on, last_run=a_run(an_order(MAIN)))
    text = plain(strategy_page(strategy))
    assert "   Zerodha - Main: on\n      MIS · 5 % of capital, times 2\n" in text
    assert "Range, minutes: 30" in text and "Last run · 10:15" in text
    assert labels(strategy_page(strategy))[0] == ["Enable", "Run now"]
    page, question = (
        parameters_page(strategy),
        parameter_question(strategy, *strategy.parameters[0]),
    )
    assert "Range, minutes: 30\n" in plain(page) and "(5 to 120)" in plain(question)
    assert labels(assignment_page(strategy, on))[1] == ["Use CNC", "Use NRML"]


@pytest.mark.row("B9")
def test_readiness_is_one_line_an_account():
    """Funds, data and what is wrong."""
    lines = readiness_lines(
        [
            Readiness(MAIN, True, Decimal(250000), True, ""),
            Readiness(MAIN, False, None, False, "address not registered"),
        ]
    )
    assert [html.unescape(TAGS.sub("", one)) for one in lines] == [
        "✅ Zerodha - Main · ₹2,50,000 · data ok",
        "⚠️ Zerodha - Main · no market data · address not registered",
    ]


def every_screen(name: str) -> list[Screen]:
    """Return every view with ``name`` wherever people or brokers choose the words."""
    account = an_account(display_name=name, user_name=name, parked_reason=name, enabled=False)
    order = an_order(account, reason=name, strategy=name, state=OrderState.REJECTED)
    position = a_position(account, owners={name: 4}, instrument=InstrumentId("NSE", "M&M"))
    exposure = ExposureView(account, (position,), (position,), (order,), False)
    assigned = AssignmentView(
        name, account.broker_id, name, True, Product.MIS, SizeKind.QUANTITY, Decimal(1), Decimal(1)
    )
    strategy = a_strategy(
        assigned, name=name, title=name, description=name, last_run=a_run(order, note=name)
    )
    board = a_board(account, incomplete=(name,), positions=(position,), working=(order,))
    health = HealthView(
        AT, AT, AT, name, name, name, 3, 2, (AccountHealth(account, AT, name, 2),), (name,)
    )
    change = ModeChange(
        None, TradingMode.NORMAL, TradingMode.PAUSED, {}, (order, replace(order, key="x")), 1
    )
    data = {"broker": "zerodha", "name": name, "key": "abcd1234", "hint": name}
    return [
        dashboard(board, (account, MAIN), LOGIN),
        accounts_list((account,), TradingMode.PAUSED, {}),
        account_page(account, TradingMode.PAUSED, LOGIN),
        welcome(name, (account,), TradingMode.NORMAL, {account.broker_id: LOGIN}),
        Screen(disconnect_question(exposure, is_last=False)),
        mode_panel((account,), TradingMode.PAUSED),
        mode_result(change, name),
        drain_screen([DrainView(account, (position,), (), (order,), None)]),
        strategies_list([strategy]),
        strategy_page(strategy),
        parameters_page(strategy),
        assignment_page(strategy, assigned),
        run_card(a_run(order, note=name), name),
        health_screen(health, name),
        settings_screen({name: name}),
        broker_screen(PROFILES, "ab12cd.3"),
        *(
            step_screen(step, broker, data, "ab12cd.3", "https://x.example/cb")
            for broker in PROFILES
            for step in STEPS[1:]
        ),
    ]


@given(NAMES)
def test_whatever_a_name_holds_the_html_is_well_formed(name: str):
    """Only our own tags stand in a message, each closed on its own line; none is too long."""
    for screen in every_screen(name):
        rest = TAGS.sub("", screen.text)
        assert "<" not in rest and ">" not in rest
        assert not re.search(r"&(?!(amp|lt|gt);)", rest)
        for line in screen.text.split("\n"):
            for tag in ("b", "i", "code"):
                assert line.count(f"<{tag}>") == line.count(f"</{tag}>")


@given(NAMES)
def test_buttons_fit_whatever_they_are_about(name: str):
    """Data of at most 64 bytes, a label that is not empty, at most 100 buttons."""
    for screen in every_screen(name):
        flat = [one for row in screen.rows for one in row]
        assert len(flat) <= 100 and all(row for row in screen.rows)
        for one in flat:
            assert one.text.strip()
            if one.callback_data is not None:
                assert 1 <= len(str(one.callback_data).encode()) <= LIMIT_BYTES


def _breakable(text: str) -> str:
    return text.replace("\u2060", "").replace("\u00a0", " ")


@given(st.lists(NAMES, min_size=1, max_size=300))
def test_a_cut_text_stays_well_formed(lines: list[str]):
    """Whatever is cut, a message fits, ends at a line, and says that something is missing."""
    text = "\n".join(f"<b>{esc(line)}</b>" for line in lines)
    cut = fit(text)
    assert len(cut) <= LIMIT and cut.count("<b>") == cut.count("</b>")
    is_whole = _breakable(cut) == _breakable(text)
    assert is_whole or cut.endswith("too long for one message.")


@pytest.mark.row("E6")
@pytest.mark.parametrize("amount", ["-₹19.00", "+₹1,250.50"])
def test_no_sign_is_parted_from_its_figure_by_a_line_break(amount: str):
    """A word joiner stands between them in every message, once however often it is fitted."""
    sent = fit(fit(f"Result <b>{amount}</b>"))
    assert sent == f"Result <b>{amount[0]}\u2060{amount[1:]}</b>"
