"""Views of a large installation: fifty accounts with the longest names, 200 positions, 1,000 orders."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from decimal import Decimal

from telegram import InlineKeyboardButton

from bot.views.accounts import (
    account_page,
    accounts_list,
    begun_by_login,
    disable_question,
    disconnect_question,
    welcome,
)
from bot.views.addresses import (
    address_page,
    registered_choice,
    registered_question,
    route_question,
    sharing_question,
    typed_route_question,
)
from bot.views.dashboard import ALL, dashboard, listing, order_items, pnl_screen, position_items
from bot.views.limits import (
    changes_screen,
    limit_changed,
    limit_page,
    limit_question,
    limits_screen,
    loss_choices,
    trip_begun,
    trip_choices,
)
from bot.views.links import links_page, made_page, paste_page
from bot.views.many_runs import runs_card
from bot.views.modes import drain_screen, mode_panel, mode_question, mode_result
from bot.views.nearest import not_understood
from bot.views.owners import owners_screen
from bot.views.panic import panic_card, panic_choices, panic_over, panic_question
from bot.views.paper import paper_added
from bot.views.parameters import parameter_question, parameters_page
from bot.views.result_guards import guard_page, guards_screen, part_page, typed_question
from bot.views.runs import run_card
from bot.views.screen import Screen, button
from bot.views.sizes import enable_question
from bot.views.strategies import (
    assignment_page,
    enabled_screen,
    still_held,
    strategies_list,
    strategy_page,
)
from bot.views.system import health_screen, help_screen, setting_question, settings_screen
from bot.views.unresolved import asked_screen, settled_screen, unresolved_screen
from bot.views.verbs import Verb
from bot.wizard.add_account import broker_screen, step_screen, steps_of
from core.adapters.brokers import PROFILES
from core.domain.account import Account, TokenStatus
from core.domain.broker import BrokerStatus
from core.domain.day_result import DayResult
from core.domain.guard_views import GuardView
from core.domain.inquiry import Candidate, Inquiry, InquiryView
from core.domain.instrument import InstrumentId, Product
from core.domain.limits import LimitKind, Limits
from core.domain.mode import TradingMode
from core.domain.order import OrderState, OrderType, Purpose, Side
from core.domain.owner import BotOwner, Way
from core.domain.panic import Hindrance, Line, Panic, PanicEnd
from core.domain.result_guard import Guard, GuardDay, GuardScope, ScopeKind, Trail
from core.domain.size_views import InstrumentView, SizeLine, SizeView
from core.domain.target import Parameter
from core.domain.views import (
    AccountHealth,
    AssignmentView,
    DashboardView,
    DrainView,
    ExposureView,
    HealthView,
    ModeChange,
    OrderView,
    PanicAccount,
    PanicPart,
    PanicQuestion,
    PanicView,
    PnlView,
    PositionView,
    RunLine,
    RunView,
    SizeKind,
    StrategyView,
)
from core.engine.accounts.login_links import SharedLink
from core.engine.control.limits import LimitChanged, LimitsView
from core.engine.orders.limits import LimitChange
from core.engine.safeguards.round_trips import TripOffer
from tests.fakes.views import AT, a_position, a_run, a_strategy, an_account, an_order

__all__ = ["ACCOUNTS", "OTHERS", "STRATEGY", "VIEWS"]

_NAME = "😀🚀&" * 12 + " {:02}"
"""Forty signs, two thirds of them with two units each, the others escaped."""
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
NAMES = [f"BANKNIFTY26NOV{52000 + number}CE" for number in range(20)]


def _id(number: int) -> InstrumentId:
    return InstrumentId("NFO", NAMES[number % len(NAMES)])


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
        replace(
            one,
            note="" if number % 7 else "its size of 10 does not buy one lot, which is 75",
            gone=(one.orders[0].instrument,) if number % 7 == 1 else (),
        )
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


def a_guard(number: int) -> GuardView:
    account = ACCOUNTS[number]
    trail = Trail(Decimal(1000000), Decimal(500000), Decimal(100000), Decimal(50000))
    return GuardView(
        GuardScope(ScopeKind.STRATEGY, account.broker_id, "moving_average_crossover"),
        f"Moving average crossover · {account.label}",
        Guard(Decimal(500000), Decimal(2000000), trail),
        3,
        DayResult(Decimal("-123456.78"), Decimal("-100.05")),
        "",
        99,
        GuardDay("2026-11-23", Decimal(1200000), Decimal(600000)),
        locked_until="2026-11-24",
    )


def a_health() -> HealthView:
    troubles = tuple(
        f"trouble {number}: " + "what is wrong and what to do " * 8 for number in range(9)
    )
    accounts = tuple(
        AccountHealth(
            one, AT, "the broker does not answer " * 20, 3, polled_since=AT, polled_why="x" * 90
        )
        for one in ACCOUNTS
    )
    return HealthView(AT, AT, AT, "open", "memory", ACCOUNTS[0].label, 9, 9, accounts, troubles)


def an_inquiry() -> InquiryView:
    order = replace(ORDERS[0], state=OrderState.UNRESOLVED, reason="no answer " * 200)
    seen = tuple(
        Candidate(
            f"{number:020}", Side.BUY, 10, OrderType.LIMIT, BrokerStatus.WORKING, placed_at=AT
        )
        for number in range(30)
    )
    return InquiryView(order, Inquiry(99, AT, seen, 5, -5, True, "x" * 300, AT), AT, AT, AT, 9)


def a_panic_view(end: PanicEnd) -> PanicView:
    lines = tuple(
        Line(one.broker_id, 99, 99, Hindrance.DISPUTED, "what is contradicted " * 20)
        for one in ACCOUNTS
    )
    ids = tuple(one.broker_id for one in ACCOUNTS)
    panic = Panic("000001", AT, "2026-11-23", "1001", ids, True, lines, end, AT, "1001")
    parts = {
        one.broker_id: PanicPart(9, Decimal(-123456), Decimal(500), 2, POSITIONS[:9])
        for one in ACCOUNTS
    }
    return PanicView(panic, {one.broker_id: one for one in ACCOUNTS}, {}, ORDERS, PAUSED, parts)


def owners() -> list[BotOwner]:
    return [
        BotOwner(10**9 + number, Way.PAIRING, 10**9 + number, "😀" * 30, AT) for number in range(20)
    ]


def parameters() -> StrategyView:
    choices = tuple(f"{hour:02}:{minute:02}" for hour in range(9, 16) for minute in range(0, 60, 5))
    listed = ",".join(map(str, map(_id, range(20))))
    found = [
        *(
            (Parameter(f"time{n}", f"Not after the time {n}", "09:00", choices=choices), "09:00")
            for n in range(12)
        ),
        (Parameter("instruments", "Instruments", listed), listed),
    ]
    return replace(STRATEGY, parameters=tuple(found))


def steps() -> Iterator[Screen]:
    for broker in PROFILES:
        data = {
            "broker": broker.name,
            "name": ACCOUNTS[0].display_name,
            "key": "k" * 60,
            "hint": "h" * 30,
            "funds": "2500000",
        }
        for step in steps_of(broker)[1:]:
            yield step_screen(step, broker, data, "ab12cd.3", "https://x.example/" + "y" * 200)


SETTINGS = {
    "data_account": ACCOUNTS[0].label,
    "day_summary": "on",
    **{f"capital|{one.broker_id}": "2500000" for one in ACCOUNTS},
}


def every_screen() -> list[Screen]:
    """Return each screen that is not a page of many rows."""
    first, others, view, inquiry = ACCOUNTS[1], ACCOUNTS[2:], limit_views()[0], an_inquiry()
    changes = [LimitChange("all", n, "order_value", "1", "2", AT, "😀" * 20) for n in range(20)]
    links = [SharedLink("l" * 40 + str(n), first.broker_id, AT, AT) for n in range(20)]
    guard, tuned = a_guard(0), parameters()
    described = [
        InstrumentView(_id(n), "A company with a long name " * 4, Decimal(1)) for n in range(20)
    ]
    return [
        account_page(
            replace(first, parked_reason="why " * 60, address_trouble="why " * 60),
            PAUSED,
            LOGINS[first.broker_id],
        ),
        address_page(replace(first, address_trouble="why " * 60), others),
        route_question(first, [f"203.0.113.{n}" for n in range(99)]),
        typed_route_question(first, "proxy"),
        typed_route_question(first, "other"),
        registered_question(first),
        registered_choice(first, [f"203.0.113.{n}" for n in range(4)], "n" * 16, AT),
        sharing_question(first, others),
        limit_page(view),
        begun_by_login(limit_page(view), first, LOGINS[first.broker_id]),
        changes_screen(view, changes),
        *(limit_question(view, kind, "n" * 16) for kind in LimitKind),
        loss_choices([(one, "n" * 16) for one in limit_views()], Decimal(10_000_000)),
        trip_choices(view, [_id(n) for n in range(20)]),
        trip_begun(TripOffer(first, _id(0), 75, Decimal(1), Decimal(2))),
        limit_changed(view, LimitChanged("all", LimitKind.ORDER_VALUE, None, Decimal(1))),
        links_page(first, links),
        made_page(first, "https://x.example/" + "y" * 200, 90),
        paste_page(first, "https://x.example/" + "y" * 900),
        not_understood("x" * 4000),
        owners_screen(owners(), 1),
        panic_card(a_panic_view(PanicEnd.NONE)),
        panic_over(a_panic_view(PanicEnd.STOPPED)),
        paper_added(first, [replace(STRATEGY, title="x" * 60)] * 9),
        parameters_page(tuned),
        *(parameter_question(tuned, one, value, described) for one, value in tuned.parameters),
        guard_page(guard, [("Moving average crossover", f"s{n}") for n in range(20)]),
        *(part_page(guard, part) for part in "stl"),
        Screen(typed_question(guard, "l")),
        strategies_list([replace(STRATEGY, name=f"s{n}") for n in range(15)]),
        assignment_page(STRATEGY, STRATEGY.assignments[0]),
        *(setting_question(name, value, ACCOUNTS) for name, value in SETTINGS.items()),
        help_screen([(f"command{n}", "what it is for " * 3) for n in range(25)]),
        unresolved_screen(inquiry),
        asked_screen(inquiry),
        settled_screen(replace(inquiry, order=replace(inquiry.order, state=OrderState.FILLED))),
        broker_screen(PROFILES, "ab12cd.3"),
        *steps(),
    ]


GUARDS = [a_guard(number) for number in range(50)]
OTHERS: list[Screen] = every_screen()
VIEWS: dict[str, Callable[[int], Screen]] = {
    "accounts": lambda page: accounts_list(ACCOUNTS, PAUSED, LOGINS, page),
    "modes": lambda page: mode_panel(ACCOUNTS, NORMAL, None, page),
    "mode question": lambda _: Screen(
        mode_question(None, PAUSED, NORMAL, (), [f"{one.label} stays." for one in ACCOUNTS])
    ),
    "mode result": lambda _: mode_result(a_change(), "All accounts"),
    "drain": lambda page: drain_screen(DRAIN, page=page),
    "dashboard": lambda page: dashboard(a_board(), ACCOUNTS, None, page=page),
    "lists": lambda page: listing("Orders", Verb.ORDERS, ITEMS, ACCOUNTS, ALL, page=page),
    "profit": lambda page: pnl_screen(PNL, ACCOUNTS, ALL, None, page=page),
    "strategy": lambda page: strategy_page(STRATEGY, page),
    "enable": lambda _: enable_question(STRATEGY, sizes()),
    "enabled": lambda _: enabled_screen(STRATEGY),
    "still held": lambda _: still_held(STRATEGY, HELD, None),
    "run card": lambda _: run_card(a_run_of_all(), "Moving average crossover"),
    "runs card": lambda _: runs_card([(a_run_of_all(), "Moving average crossover")] * 60),
    "limits": lambda page: limits_screen(limit_views(), page),
    "panic": lambda _: a_panic(),
    "welcome": lambda _: welcome("Asha", ACCOUNTS, NORMAL, LOGINS),
    "disable": lambda _: Screen(disable_question(EXPOSURE)),
    "disconnect": lambda _: Screen(disconnect_question(EXPOSURE, is_last=False)),
    "guards": lambda page: guards_screen(GUARDS, page),
    "health": lambda page: health_screen(a_health(), "the chat cannot be reached " * 9, page),
    "settings": lambda page: settings_screen(SETTINGS, ACCOUNTS, page),
    "others": lambda page: OTHERS[page % len(OTHERS)],
}
