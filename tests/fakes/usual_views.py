"""The widest of what is usual: options, large sums, four digits of units, long nicknames."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from decimal import Decimal

from bot.views.accounts import account_page, accounts_list, disable_question
from bot.views.dashboard import (
    ALL,
    dashboard,
    listing,
    order_items,
    pnl_screen,
    position_items,
    trade_items,
)
from bot.views.limits import changes_screen, limits_screen
from bot.views.modes import drain_screen, mode_result
from bot.views.panic import panic_over, panic_question
from bot.views.result_guards import guards_screen
from bot.views.runs import run_card
from bot.views.screen import Screen
from bot.views.sizes import enable_question
from bot.views.strategies import still_held, strategy_page
from bot.views.system import health_screen, settings_screen
from bot.views.verbs import Verb
from core.adapters.fyers import FYERS
from core.domain.broker import Funds, Holding
from core.domain.day_result import DayResult
from core.domain.guard_views import GuardView
from core.domain.instrument import InstrumentId, Product
from core.domain.limits import LimitKind, Limits
from core.domain.mode import TradingMode
from core.domain.order import OPEN_STATES, OrderState, OrderType, Purpose, Side
from core.domain.panic import Line, Panic, PanicEnd
from core.domain.result_guard import Guard, GuardDay, GuardScope, ScopeKind, Trail
from core.domain.size_views import SizeLine, SizeView
from core.domain.stops import MAKES_WAY
from core.domain.target import Direction, Target
from core.domain.views import (
    AccountHealth,
    AssignmentView,
    DashboardView,
    DrainView,
    ExposureView,
    HealthView,
    LoopLag,
    ModeChange,
    OrderView,
    PanicAccount,
    PanicPart,
    PanicQuestion,
    PanicView,
    PnlView,
    PositionView,
    SizeKind,
)
from core.engine.control.limits import LimitsView
from core.engine.orders.limits import LimitChange
from strategy.moving_average_crossover import MovingAverageCrossover
from tests.fakes.views import AT, a_position, a_run, a_strategy, a_trade, an_account, an_order

__all__ = ["ACCOUNTS", "NAMES", "orders", "positions", "usual_screens"]

NAMES = (
    "SBIN",
    "M&M",
    "RELIANCE",
    "BAJAJ-AUTO",
    "BANKNIFTY",
    "NIFTY25NOV24500CE",
    "BANKNIFTY25NOV52000PE",
)
ACCOUNTS = (
    an_account(display_name="Asha Kumari1"),
    an_account("fyers_bbbbbbbbbb", FYERS, "Ravi's family", is_default=False),
)
MAIN = ACCOUNTS[0]
_LARGE, _PRICE = Decimal("-1234567.89"), Decimal("12345.65")
_BARE = "unprotected: its strategy sets no stop"
_STRATEGY = "moving_average_crossover"


def _is_option(name: str) -> bool:
    return name[-3:-2].isdecimal()


def _id(name: str) -> InstrumentId:
    return InstrumentId("NFO" if _is_option(name) else "NSE", name)


def _product(name: str) -> Product:
    return Product.NRML if _is_option(name) else Product.MIS


def positions(*names: str) -> list[PositionView]:
    """Return a position of each name: with profit booked before, carried over, by hand, closed."""
    found = []
    for name in names:
        one = a_position(
            MAIN,
            key=name,
            instrument=_id(name),
            product=_product(name),
            quantity=1800,
            average_price=_PRICE,
            last_price=_PRICE,
            unrealised=-_LARGE,
            owners={_STRATEGY: 1800},
            stop=_PRICE,
        )
        found += [
            one,
            replace(one, key=f"b{name}", realised=_LARGE, previous_close=_PRICE),
            replace(one, key=f"h{name}", owners={}, stop=None, is_since_entry=True),
            replace(one, key=f"n{name}", stop=None, warnings=(_BARE,)),
            replace(one, key=f"c{name}", quantity=0, owners={}, stop=None),
        ]
    return found


def orders(*names: str) -> list[OrderView]:
    """Return orders of each name: filled, working, stops, refused, partly filled."""
    return [one for name in names for one in _orders(name)]


def _orders(name: str) -> Iterator[OrderView]:
    entry = an_order(
        MAIN,
        key=name,
        instrument=_id(name),
        product=_product(name),
        quantity=1800,
        limit_price=_PRICE,
        strategy=_STRATEGY,
    )
    filled = replace(entry, state=OrderState.FILLED, filled_quantity=1800, average_price=_PRICE)
    stop = replace(
        entry,
        key=f"s{name}",
        side=Side.SELL,
        order_type=OrderType.SL_M,
        limit_price=None,
        trigger_price=_PRICE,
        purpose=Purpose.STOP,
    )
    yield entry
    yield replace(filled, key=f"f{name}")
    yield replace(filled, key=f"x{name}", side=Side.SELL, purpose=Purpose.EXIT, realised=_LARGE)
    yield replace(entry, key=f"m{name}", order_type=OrderType.MARKET, state=OrderState.SUBMITTED)
    yield replace(
        filled, key=f"p{name}", state=OrderState.CANCELED, filled_quantity=1750, quantity=1800
    )
    yield stop
    yield replace(stop, key=f"g{name}", state=OrderState.CANCELED, reason=MAKES_WAY)


def _working(*names: str) -> list[OrderView]:
    return [one for one in orders(*names) if one.state in OPEN_STATES]


def _card(*names: str) -> Screen:
    run = a_run(*orders(*names))
    lines = [replace(one, result=_LARGE, charges=Decimal("1234.56")) for one in run.lines]
    targets = tuple(Target(_id(one), Direction.SHORT, AT, _PRICE, "") for one in names)
    return run_card(replace(run, lines=tuple(lines), targets=targets), "Moving average crossover")


def _board(*names: str) -> Screen:
    held = [Holding(_id(one), 1800, 25, _PRICE, 2 * _PRICE) for one in names if not _is_option(one)]
    view = DashboardView(
        account=MAIN,
        effective_mode=TradingMode.EXIT_ONLY,
        as_of=AT,
        funds=Funds(-_LARGE, -_LARGE, -_LARGE),
        pnl=_pnl()[0],
        positions=tuple(positions(*names)[:4]),
        working=tuple(_working(*names)[:2]),
        trades=(),
        holdings=tuple(held),
        incomplete=(),
    )
    return dashboard(view, ACCOUNTS, None)


def _pnl() -> list[PnlView]:
    return [
        PnlView(MAIN.broker_id, MAIN.label, _LARGE, -_LARGE, Decimal("1234.56")),
        PnlView(ACCOUNTS[1].broker_id, ACCOUNTS[1].label, Decimal(1), Decimal(2), Decimal(3)),
    ]


def _settings_of_accounts() -> Iterator[Screen]:
    paused = replace(MAIN, trading_mode=TradingMode.EXIT_ONLY, token_generated_at=AT)
    yield account_page(paused, TradingMode.PAUSED, None)
    limits = Limits(Decimal(50000), Decimal(1000000), Decimal(2500000), 10, 30, 500)
    used = {LimitKind.OPEN_POSITIONS: 2, LimitKind.ORDERS_MINUTE: 1, LimitKind.ORDERS_DAY: 112}
    scopes = [LimitsView(one, limits, used, Decimal("-11240.4"), None) for one in (None, *ACCOUNTS)]
    yield limits_screen(scopes)
    yield changes_screen(
        scopes[1], [LimitChange("all", 1, "order_value", "100000", "2500000", AT, "Asha Kumari")]
    )
    guard = Guard(
        Decimal(500000), Decimal(2000000), Trail(*map(Decimal, (1000000, 500000, 100000, 50000)))
    )
    day = GuardDay("2026-11-23", Decimal(1200000), Decimal(600000))
    scope = GuardScope(ScopeKind.ACCOUNT, MAIN.broker_id)
    result = DayResult(_LARGE, -_LARGE)
    yield guards_screen([GuardView(scope, MAIN.label, guard, 1, result, "", 0, day)])


def _health() -> HealthView:
    lag = LoopLag(61, 17)
    accounts = tuple(AccountHealth(one, AT, "", 0, is_live=True) for one in ACCOUNTS)
    return HealthView(AT, AT, AT, "", "embedded", MAIN.label, 0, 0, accounts, (), lag)


def _panic_over() -> Screen:
    ids = tuple(one.broker_id for one in ACCOUNTS)
    panic = Panic(
        "000001", AT, "2026-11-23", "1", ids, True, tuple(map(Line, ids)), PanicEnd.STOPPED
    )
    part = PanicPart(12, _LARGE, Decimal("1234.56"), left=tuple(positions("SBIN", NAMES[-1])[:3]))
    accounts = {one.broker_id: one for one in ACCOUNTS}
    return panic_over(
        PanicView(panic, accounts, {}, (), TradingMode.EXIT_ONLY, dict.fromkeys(ids, part))
    )


def _strategy_screens() -> Iterator[Screen]:
    on = [
        AssignmentView(
            _STRATEGY, one.broker_id, one.label, True, Product.MIS, SizeKind.QUANTITY, Decimal(1800),
            Decimal(1),
        )
        for one in ACCOUNTS
    ]  # fmt: skip
    given = tuple((one, one.default) for one in MovingAverageCrossover().parameters)
    title = "Moving average crossover"
    view = a_strategy(*on, name=_STRATEGY, title=title, parameters=given, description="")
    yield strategy_page(view)
    lines = tuple(SizeLine(_id(one), 1800, _PRICE) for one in ("SBIN", "M&M", NAMES[-1]))
    sizes = [
        SizeView(one.broker_id, one.label, Product.MIS, lines, -_LARGE, "") for one in ACCOUNTS
    ]
    yield enable_question(view, sizes)
    yield still_held(view, positions("SBIN", "M&M")[:2], None)


def usual_screens(*names: str) -> list[Screen]:
    """Return the screens with rows, of these names."""
    held, working = positions(*names), _working(*names)
    trades = [a_trade(MAIN, instrument=_id(one), quantity=1800, price=_PRICE) for one in names]
    exposure = ExposureView(MAIN, tuple(held[:4]), tuple(held[:4]), tuple(working[:3]), True)
    counts = tuple(PanicAccount(one, 12, 14, 3, is_paused=False, is_read=True) for one in ACCOUNTS)
    question = PanicQuestion(counts, None)
    change = ModeChange(
        None,
        TradingMode.NORMAL,
        TradingMode.PAUSED,
        {},
        tuple(working),
        4,
        held=tuple(one for one in held if one.quantity),
    )
    return [
        listing("Positions", Verb.POSITIONS, position_items(held, named=True), ACCOUNTS, ALL),
        listing(
            "Orders today", Verb.ORDERS, order_items(orders(*names), named=True), ACCOUNTS, ALL
        ),
        listing("Trades today", Verb.TRADES, trade_items(trades), ACCOUNTS, MAIN.broker_id),
        pnl_screen(_pnl(), ACCOUNTS, ALL, None),
        _card(*names),
        _board(*names),
        mode_result(change, "All accounts"),
        drain_screen([DrainView(MAIN, tuple(held[:2]), (), tuple(working[:2]), -_LARGE)]),
        Screen(disable_question(exposure)),
        Screen(panic_question(question, [MAIN.broker_id], with_holdings=False)),
        _panic_over(),
        accounts_list(ACCOUNTS, TradingMode.NORMAL, {}),
        settings_screen(
            {"data_account": MAIN.label, "day_summary": "on", f"capital|{MAIN.broker_id}": ""},
            ACCOUNTS,
        ),
        health_screen(_health(), ""),
        *_settings_of_accounts(),
        *_strategy_screens(),
    ]
