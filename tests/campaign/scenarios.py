"""The scenarios of the crash enumerator: what goes on while the process ends at some call."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal

from core.adapters.fyers import FYERS
from core.adapters.paper import PAPER_PROFILE
from core.adapters.zerodha import ZERODHA
from core.domain.instrument import Product
from core.domain.order import OrderRequest, OrderType, Side
from core.domain.sessions import IST
from core.domain.stop_rule import StopRule
from core.domain.target import Direction
from tests.campaign.guards import guard_fires, guard_is_loosened
from tests.campaign.limits import limit_is_set, loss_is_reached, round_trip_is_made
from tests.campaign.safeguards import (
    clock_is_set_back,
    one_hangs,
    question_is_linked,
    two_users_at_once,
)
from tests.campaign.scripted import Wish, WishingStrategy
from tests.campaign.virtual import VirtualLoop
from tests.campaign.world import SBIN, World

__all__ = ["SCENARIOS", "Scenario", "opened"]

_MORNING = datetime(2026, 11, 23, 10, 0, 30, tzinfo=IST)
_CLOSING = datetime(2026, 11, 23, 14, 57, 30, tzinfo=IST)
_KEY = f"{SBIN}|MIS"


@dataclass(frozen=True)
class Scenario:
    """One thing that Saarthi does.

    Attributes:
        wishes: Minutes after the start, direction, percent of the stop.
        prepare_s: How long is lived before the process may end: what the scenario begins with.
        live: What happens while it may end.
        ends: The net positions of an account that are right at the end.
        units: Size of the strategy.
        rule: How its stops follow their positions.
        accounts: How many there are, by turns at both brokers.
        must_prove: Entries need limits and a round trip (F8).
        is_paper: On a paper account, beside an account that gives prices (F6).
        refuses_stops: The broker takes no stops, so that they are watched here (D9).
    """

    wishes: tuple[tuple[int, Direction, str], ...]
    prepare_s: float
    live: Callable[[World], Awaitable[None]]
    ends: frozenset[int]
    units: int = 10
    accounts: int = 1
    must_prove: bool = False
    start: datetime = _MORNING
    rule: StopRule | None = None
    is_paper: bool = False
    refuses_stops: bool = False


async def _wait(world: World) -> None:
    assert world.accounts
    await asyncio.sleep(50)


async def _close(world: World) -> None:
    (broker_id,) = world.accounts
    await world.ask(
        "close",
        lambda system, command: system.control.orders.close(
            command, broker_id, _KEY, despite_pause=False
        ),
    )
    await asyncio.sleep(20)


async def _panic(world: World) -> None:
    """Everything goes: the strategy's units with their stop, five by hand, and a target."""
    (broker_id,) = world.accounts
    venue = world.venue(broker_id)
    venue.by_hand(OrderRequest("", SBIN, Side.BUY, 5, OrderType.MARKET, Product.MIS))
    far = Decimal(2000)
    target = OrderRequest("", SBIN, Side.SELL, 15, OrderType.LIMIT, Product.MIS, far)
    venue.by_hand(target, rests=True)
    await asyncio.sleep(12)
    await world.panic([broker_id])
    await asyncio.sleep(25)


async def _panic_alone(world: World) -> None:
    """A panic over what a strategy holds, where nobody else can trade."""
    await world.panic(world.accounts)
    await asyncio.sleep(25)


async def _hand_sale(world: World) -> None:
    (broker_id,) = world.accounts
    sale = OrderRequest("", SBIN, Side.SELL, 10, OrderType.MARKET, Product.MIS)
    world.venue(broker_id).by_hand(sale)
    await asyncio.sleep(50)


async def _stop_hit(world: World) -> None:
    world.market.move(SBIN, world.clock.market_now() + timedelta(seconds=3), "0.97")
    await asyncio.sleep(30)


async def _stop_follows(world: World) -> None:
    """The price rises, the stop goes to cost and trails it at the broker; then it falls back."""
    now = world.clock.market_now()
    world.market.move(SBIN, now + timedelta(seconds=3), "1.012")
    world.market.move(SBIN, now + timedelta(seconds=30), "1.012")
    await asyncio.sleep(90)
    (goal,) = world.rows("goals")
    (ledger,) = world.rows("ledgers")
    assert goal["stop_price"] >= ledger["average_price"], "the stop did not follow"
    world.market.move(SBIN, world.clock.market_now() + timedelta(seconds=3), "0.98")
    await asyncio.sleep(40)


async def _stop_rests(world: World) -> None:
    """The stop triggers and rests under its protection until somebody does something."""
    venue = world.venue(world.accounts[0])
    for order in venue.orders.values():
        order.rests = order.order_type is OrderType.SL_M
    world.market.move(SBIN, world.clock.market_now() + timedelta(seconds=3), "0.97")
    await asyncio.sleep(70)


_LONG = ((1, Direction.LONG, "1"),)
_LONG_FLAT = (*_LONG, (3, Direction.FLAT, "0"))

SCENARIOS: Mapping[str, Scenario] = {
    "entry": Scenario(_LONG, 15, _wait, frozenset({0, 10})),
    "exit": Scenario(_LONG_FLAT, 140, _wait, frozenset({0})),
    "exit with its run": Scenario(
        ((1, Direction.LONG, "0"), (3, Direction.FLAT, "0")), 140, _wait, frozenset({0})
    ),
    "stop": Scenario(_LONG, 70, _stop_hit, frozenset({0})),
    "software stop": Scenario(_LONG, 70, _stop_hit, frozenset({0}), refuses_stops=True),
    "trailing stop": Scenario(
        ((1, Direction.LONG, "2"),),
        70,
        _stop_follows,
        frozenset({0}),
        rule=StopRule(Decimal(1), Decimal(1)),
    ),
    "slices": Scenario(_LONG_FLAT, 140, _wait, frozenset({0}), units=100),
    "sliced entry": Scenario(_LONG, 15, _wait, frozenset({0, 20, 40, 60, 80, 100}), units=100),
    "reversal": Scenario((*_LONG, (3, Direction.SHORT, "1")), 140, _wait, frozenset({0, -10})),
    "close": Scenario(_LONG, 70, _close, frozenset({0})),
    "hold": Scenario(_LONG, 70, _wait, frozenset({10})),
    "resting stop": Scenario(_LONG, 70, _stop_rests, frozenset({0})),
    "hand sale": Scenario(_LONG, 70, _hand_sale, frozenset({0})),
    "panic": Scenario(_LONG, 70, _panic, frozenset({0})),
    "guard": Scenario(
        ((1, Direction.LONG, "5"), (4, Direction.LONG, "5")), 70, guard_fires, frozenset({0})
    ),
    "guard change": Scenario(_LONG, 70, guard_is_loosened, frozenset({10})),
    "limit": Scenario(_LONG, 2, limit_is_set, frozenset({0})),
    "daily loss": Scenario(_LONG, 70, loss_is_reached, frozenset({10})),
    "round trip": Scenario((), 2, round_trip_is_made, frozenset({0}), must_prove=True),
    "hung panic": Scenario(_LONG, 70, one_hangs, frozenset({0}), accounts=2),
    "link": Scenario(_LONG, 50, question_is_linked, frozenset({0, 10})),
    "two users": Scenario(_LONG, 70, two_users_at_once, frozenset({10})),
    "clock step": Scenario(_LONG, 70, clock_is_set_back, frozenset({0})),
    "square-off": Scenario(_LONG, 130, _wait, frozenset({0}), start=_CLOSING),
    "paper entry": Scenario(_LONG, 15, _wait, frozenset({0, 10}), is_paper=True),
    "paper exit": Scenario(_LONG_FLAT, 140, _wait, frozenset({0}), is_paper=True),
    "paper stop": Scenario(_LONG, 70, _stop_hit, frozenset({0}), is_paper=True),
    "paper close": Scenario(_LONG, 70, _close, frozenset({0}), is_paper=True),
    "paper reversal": Scenario(
        (*_LONG, (3, Direction.SHORT, "1")), 140, _wait, frozenset({0, -10}), is_paper=True
    ),
    "paper slices": Scenario(_LONG_FLAT, 140, _wait, frozenset({0}), units=100, is_paper=True),
    "paper panic": Scenario(_LONG, 70, _panic_alone, frozenset({0}), is_paper=True),
    "paper hold": Scenario(_LONG, 70, _wait, frozenset({10}), is_paper=True),
    "paper square-off": Scenario(_LONG, 130, _wait, frozenset({0}), start=_CLOSING, is_paper=True),
}


async def opened(name: str, loop: VirtualLoop, *, pushes: bool = False) -> World:
    """Return a world that stands where its scenario begins."""
    scenario = SCENARIOS[name]
    strategy = WishingStrategy("alpha", SBIN, stop_rule=scenario.rule)
    begin = scenario.start.replace(second=0)
    strategy.wishes = [
        Wish(begin + timedelta(minutes=after), direction, Decimal(percent))
        for after, direction, percent in scenario.wishes
    ]
    world = World(7, loop, scenario.start, {"alpha": strategy}, unrest=0.0002, pushes=pushes)
    world.settings = world.settings.model_copy(update={"prove_accounts": scenario.must_prove})
    await world.open()
    if scenario.is_paper:
        await world.connect_data()
    for number in range(scenario.accounts):
        broker = PAPER_PROFILE if scenario.is_paper else (ZERODHA, FYERS)[number % 2]
        broker_id = await world.connect(broker, f"Account {number}", {"alpha": scenario.units})
        if scenario.refuses_stops:
            world.client(broker_id).refuses_stops = True
    await world.ask(
        "enable",
        lambda system, command: system.control.strategy_settings.set_enabled(
            command, "alpha", enabled=True
        ),
    )
    await asyncio.sleep(scenario.prepare_s)
    return world
