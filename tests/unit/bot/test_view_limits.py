"""Every view of a large installation stays within Telegram's limits, and is split between rows.

Fifty accounts with long names, 200 positions, 1,000 orders: 4,096 units of UTF-16, 100 buttons, 64
bytes of a button's data. Telegram refuses what is beyond, and the user would see nothing.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from telegram import InlineKeyboardButton

from bot.views.accounts import accounts_list, disable_question, disconnect_question, welcome
from bot.views.dashboard import ALL, dashboard, listing, order_items, pnl_screen, position_items
from bot.views.limits import limits_screen
from bot.views.markup import LIMIT, fit, units
from bot.views.modes import drain_screen, mode_panel, mode_question, mode_result
from bot.views.paging import PAGE
from bot.views.panic import panic_choices, panic_question
from bot.views.runs import run_card
from bot.views.screen import Screen, button
from bot.views.sizes import enable_question
from bot.views.strategies import still_held, strategy_page
from bot.views.verbs import Verb
from core.domain.account import Account, TokenStatus
from core.domain.instrument import InstrumentId, Product
from core.domain.limits import LimitKind, Limits
from core.domain.mode import TradingMode
from core.domain.order import OrderState, Purpose
from core.domain.size_views import SizeLine, SizeView
from core.domain.views import (
    AssignmentView,
    DashboardView,
    DrainView,
    ExposureView,
    ModeChange,
    OrderView,
    PanicAccount,
    PanicQuestion,
    PnlView,
    PositionView,
    RunLine,
    RunView,
    SizeKind,
)
from core.engine.control.limits import LimitsView
from tests.fakes.views import AT, a_position, a_run, a_strategy, an_account, an_order

BUTTONS, BYTES = 100, 64
_NAME = "Family of Ramakrishnan & Sons, {:02}"
ACCOUNTS = tuple(
    an_account(
        f"zerodha_{number:010}",
        display_name=_NAME.format(number),
        is_default=not number,
        token_status=TokenStatus.EXPIRED if number % 3 else TokenStatus.VALID,
        trading_mode=TradingMode.EXIT_ONLY if number % 2 else TradingMode.NORMAL,
    )
    for number in range(50)
)
NAMES = [f"INSTRUMENT{number:02}" for number in range(20)]


def _id(number: int) -> InstrumentId:
    return InstrumentId("NSE", NAMES[number % len(NAMES)])


POSITIONS: tuple[PositionView, ...] = tuple(
    a_position(
        ACCOUNTS[number % 50],
        key=f"{_id(number)}|MIS",
        instrument=_id(number),
        owners={"opening_range_breakout": 7, "moving_average_crossover": 3},
        realised=Decimal("-123456.78"),
        charges=Decimal("812.34"),
        warnings=("unprotected: its stop is not at the broker: the broker refused it" * 2,),
    )
    for number in range(200)
)
ORDERS: tuple[OrderView, ...] = tuple(
    an_order(
        ACCOUNTS[number % 50],
        key=f"S{number:019}",
        instrument=_id(number),
        reason="RMS: margin exceeds, required 1,23,456.78, available 12.34 " * 3,
        state=list(OrderState)[number % len(OrderState)],
        strategy="moving_average_crossover",
    )
    for number in range(1000)
)


def a_login(account: Account) -> InlineKeyboardButton:
    return button(f"Log in to {account.label}", Verb.LOGIN, account.broker_id)


LOGINS = {one.broker_id: a_login(one) for one in ACCOUNTS if one.needs_login}


def a_board() -> DashboardView:
    account = ACCOUNTS[1]
    return DashboardView(
        account=account,
        effective_mode=TradingMode.NORMAL,
        as_of=AT,
        funds=None,
        pnl=PnlView(account.broker_id, account.label, Decimal(1), Decimal(2), Decimal(3)),
        positions=POSITIONS,
        working=ORDERS,
        trades=(),
        holdings=(),
        incomplete=(),
    )


def a_run_of_all() -> RunView:
    filled = [
        an_order(one, state=OrderState.FILLED, filled_quantity=10, average_price=Decimal(812))
        for one in ACCOUNTS
    ]
    stops = [an_order(one, key="S2", purpose=Purpose.STOP) for one in ACCOUNTS]
    run = a_run(*filled, *stops)
    lines = [
        replace(one, note="" if number % 7 else "its size of 10 does not buy one lot, which is 75")
        for number, one in enumerate(run.lines)
    ]
    quiet = [
        RunLine(f"q{n}", _NAME.format(n), (), "exit only: no entry is sent", is_quiet=True)
        for n in range(20)
    ]
    return replace(run, lines=(*lines, *quiet))


def assignments() -> tuple[AssignmentView, ...]:
    return tuple(
        AssignmentView(
            "orb",
            one.broker_id,
            one.label,
            True,
            Product.MIS,
            SizeKind.CAPITAL_SHARE,
            Decimal("12.5"),
            Decimal(2),
        )
        for one in ACCOUNTS
    )


def a_change() -> ModeChange:
    return ModeChange(
        None,
        TradingMode.EXIT_ONLY,
        TradingMode.NORMAL,
        {one.broker_id: TradingMode.EXIT_ONLY for one in ACCOUNTS},
        ORDERS,
        200,
        held=POSITIONS,
    )


def a_panic() -> Screen:
    question = PanicQuestion(
        tuple(PanicAccount(one, 4, 20, 3, is_paused=True, is_read=False) for one in ACCOUNTS), None
    )
    chosen = [one.broker_id for one in ACCOUNTS]
    first = (button("go", Verb.PANIC, "n" * 24),)
    rows = panic_choices(question, chosen, "n" * 24, with_holdings=True)
    return Screen(panic_question(question, chosen, with_holdings=True), (first, *rows))


def limit_views() -> list[LimitsView]:
    limits = Limits(
        daily_loss=Decimal(500_000),
        order_value=Decimal(2_500_000),
        position_value=Decimal(2_500_000),
        open_positions=20,
        orders_minute=100,
        orders_day=1000,
    )
    return [
        LimitsView(one, limits, {LimitKind.ORDERS_DAY: 12}, Decimal(-5), None) for one in ACCOUNTS
    ]


def sizes() -> list[SizeView]:
    lines = tuple(SizeLine(_id(n), 100, Decimal(812)) for n in range(20))
    return [
        SizeView(one.broker_id, one.label, Product.MIS, lines, Decimal(5), "exit only")
        for one in ACCOUNTS
    ]


STRATEGY = a_strategy(*assignments(), last_run=a_run_of_all())
HELD = [replace(one, owners={STRATEGY.name: 10}) for one in POSITIONS]
EXPOSURE = ExposureView(ACCOUNTS[0], POSITIONS, POSITIONS, ORDERS, False)
ITEMS = [*position_items(POSITIONS, named=True), *order_items(ORDERS, named=True)]
PNL = [PnlView(one.broker_id, one.label, Decimal(1), Decimal(2), Decimal(3)) for one in ACCOUNTS]
DRAIN = [DrainView(one, POSITIONS[:4], (), ORDERS[:20], Decimal(5)) for one in ACCOUNTS]
NORMAL, PAUSED = TradingMode.NORMAL, TradingMode.PAUSED
VIEWS: dict[str, Callable[[int], Screen]] = {
    "accounts": lambda page: accounts_list(ACCOUNTS, PAUSED, LOGINS, page),
    "modes": lambda page: mode_panel(ACCOUNTS, NORMAL, None, page),
    "mode question": lambda _: Screen(
        mode_question(None, PAUSED, NORMAL, (), [f"{one.label} stays." for one in ACCOUNTS])
    ),
    "mode result": lambda _: mode_result(a_change(), "All accounts"),
    "drain": lambda _: drain_screen(DRAIN),
    "dashboard": lambda page: dashboard(a_board(), ACCOUNTS, None, page=page),
    "lists": lambda page: listing("Orders", Verb.ORDERS, ITEMS, ACCOUNTS, ALL, page=page),
    "profit": lambda _: pnl_screen(PNL, ACCOUNTS, ALL, None),
    "strategy": lambda page: strategy_page(STRATEGY, page),
    "enable": lambda _: enable_question(STRATEGY, sizes()),
    "still held": lambda _: still_held(STRATEGY, HELD, None),
    "run card": lambda _: run_card(a_run_of_all(), "Moving average crossover"),
    "limits": lambda page: limits_screen(limit_views(), page),
    "panic": lambda _: a_panic(),
    "welcome": lambda _: welcome("Asha", ACCOUNTS, NORMAL, LOGINS),
    "disable": lambda _: Screen(disable_question(EXPOSURE)),
    "disconnect": lambda _: Screen(disconnect_question(EXPOSURE, is_last=False)),
}


def datas(screen: Screen) -> Iterator[str]:
    for row in screen.rows:
        for one in row:
            if one.callback_data is not None:
                yield str(one.callback_data)


@pytest.mark.row("E2", "E3")
@pytest.mark.parametrize("name", VIEWS)
@settings(max_examples=6, deadline=None)
@given(page=st.integers(0, 130))
def test_every_view_is_within_the_limits_of_telegram(name: str, page: int) -> None:
    """Whatever page: its length, its buttons, their data; no tag is left open by a cut."""
    screen = VIEWS[name](page)
    text = fit(screen.text)
    assert 0 < units(text) <= LIMIT
    assert sum(map(len, screen.rows)) <= BUTTONS
    assert all(len(one.encode()) <= BYTES for one in datas(screen))
    for tag in ("b", "i", "code"):
        assert len(re.findall(f"<{tag}>", text)) == text.count(f"</{tag}>")


@pytest.mark.row("A4", "C1", "D4")
@pytest.mark.parametrize("name", ["accounts", "modes", "strategy", "limits"])
def test_each_account_is_on_one_page(name: str) -> None:
    """Every account is named on exactly one page, and no page is cut."""
    views = {
        **VIEWS,
        "strategy": lambda page: strategy_page(replace(STRATEGY, last_run=None), page),
    }
    pages = [views[name](page) for page in range(len(ACCOUNTS) // PAGE)]
    texts = list(dict.fromkeys(screen.text for screen in pages))
    for account in ACCOUNTS:
        label = account.label.replace("&", "&amp;")
        assert sum(f"{label}<" in text or f"{label}:" in text for text in texts) == 1
    assert not any("the rest is cut" in fit(text) for text in texts)


@pytest.mark.row("E1")
def test_a_card_of_fifty_accounts_shows_those_that_need_a_look() -> None:
    """Accounts with a note come first, and the rest is counted instead of cut away."""
    text = VIEWS["run card"](0).text
    assert "the rest is cut" not in fit(text)
    assert text.count("does not buy one lot") == 8
    assert "… and 38 accounts, 38 of them through: /orders." in text
    assert "… and 8 more that enter nothing." in text
