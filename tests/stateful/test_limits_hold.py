"""No entry passes a limit, at any interleaving of runs, fills, closes, changes and restarts (R1).

Two accounts, two strategies, two instruments; everything else is the product over the store in
memory, whose transactions run beside one another. Each entry is judged at its commit by an umpire
that shares no code with the product (tests/fakes/limit_umpire.py). Two broken products are caught
here, two more in tests/unit/engine/orders/test_limit_moments.py.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine, Iterator
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    rule,
    run_state_machine_as_test,
)

from core.adapters.zerodha import ZERODHA
from core.domain.account import Account
from core.domain.broker import BrokerStatus, Quote
from core.domain.instrument import Instrument, InstrumentId, Product, Segment
from core.domain.limits import LimitKind, shown
from core.domain.order import OrderRequest, OrderType, Side
from core.domain.target import Direction, Parameter
from core.engine.orders import gateway
from core.engine.orders.goals import Flattening, UserClose, flatten, to_flatten
from core.engine.orders.limit_use import EntryBounds, bounds_of, entering
from core.engine.orders.limits import ALL
from core.engine.runs.plan import RunRequest
from core.engine.workers.account_worker import AccountWorker
from core.ports.store import StoreView
from tests.campaign.virtual import lived, virtual_loop
from tests.fakes.held import Freezes
from tests.fakes.limit_umpire import LimitUmpire
from tests.fakes.memory_engine import MemoryEngine, market_clock
from tests.fakes.memory_store import MemoryDatabase, MemoryStore
from tests.fakes.run_bench import TEN, Obedient, bar
from tests.fakes.scripted_broker import ScriptedBroker

SBIN, INFY = InstrumentId("NSE", "SBIN"), InstrumentId("NSE", "INFY")
CLOSES = {SBIN: "815.00", INFY: "1490.00"}
KINDS = [kind for kind in LimitKind if kind is not LimitKind.DAILY_LOSS]
VALUES = {
    LimitKind.ORDER_VALUE: (5000, 9000, 20000, 40000),
    LimitKind.POSITION_VALUE: (5000, 9000, 17000, 40000),
    LimitKind.OPEN_POSITIONS: (1, 2, 3),
    LimitKind.ORDERS_MINUTE: (1, 3, 6),
    LimitKind.ORDERS_DAY: (2, 6, 15),
}


Way = tuple[Direction, InstrumentId]


class _Listed:
    """An instrument source of both shares."""

    async def load(self) -> list[Instrument]:
        return [
            Instrument(one, one.symbol, str(n), 1, Decimal("0.05"), Segment.CASH)
            for n, one in enumerate(CLOSES)
        ]


def a_strategy(name: str) -> Obedient:
    strategy = Obedient()
    strategy.name = name
    strategy.parameters = (Parameter("instruments", "Instruments", f"{SBIN},{INFY}"),)
    return strategy


class LimitsHold(RuleBasedStateMachine):
    """Two accounts, and everybody who may act."""

    def __init__(self) -> None:
        super().__init__()
        self._opened = virtual_loop(5)
        self.loop = self._opened.__enter__()
        self.strategies = {name: a_strategy(name) for name in ("alpha", "beta")}
        self.database = MemoryDatabase()
        self.umpire = LimitUmpire(self.database)
        broker = ScriptedBroker(ZERODHA)
        broker.instruments = _Listed()
        broker.exchange_facts = Freezes(6)
        self.engine = MemoryEngine(
            market_clock(TEN),
            self.strategies,
            store=MemoryStore(self.database),
            brokers={ZERODHA: broker},
        )
        self.accounts: list[Account] = []
        self.workers: list[AccountWorker] = []
        self.number = 0

    def does(self, *parts: Coroutine[Any, Any, Any]) -> None:
        """Do things beside one another."""

        async def together() -> None:
            await asyncio.gather(*parts)

        lived(self.loop, together())

    @initialize(wide=st.sampled_from(KINDS), which=st.integers(0, 2))
    def open(self, wide: LimitKind, which: int) -> None:
        """Two accounts, with one limit for both together from the beginning."""

        async def part() -> None:
            await self.engine.owned()
            for name in ("One", "Two"):
                account = await self.engine.connect(name)
                self.accounts.append(account)
                at = self.engine.at_broker(account)
                for one, close in CLOSES.items():
                    at.quote_list[one] = Quote(one, Decimal(close))
                    start = TEN.replace(hour=9, minute=15)
                    rows = [bar(start + timedelta(minutes=5 * n), close) for n in range(60)]
                    at.bars[one] = rows
                for strategy in self.strategies:
                    await self.engine.control.strategy_settings.assign(
                        self.engine.command(), strategy, account.broker_id, size_value=Decimal(10)
                    )

        self.does(part())
        self.does(self.set_limit(ALL, wide, which))
        self.hire()

    def hire(self) -> None:
        wiring = self.engine.wiring
        self.workers = [wiring.new_worker(one.broker_id) for one in self.accounts]

    # What happens

    async def run(self, strategy: str, direction: Direction, instrument: InstrumentId) -> None:
        self.number += 1
        moment = self.engine.clock.market_now() + timedelta(milliseconds=self.number)
        self.strategies[strategy].want(direction, moment, instrument)
        await self.engine.wiring.runner.run(RunRequest(f"run{self.number}", strategy, moment))

    async def turns(self, which: int, number: int) -> None:
        for _ in range(number):
            await self.workers[which].turn()

    async def set_limit(self, scope: str, kind: LimitKind, which: int) -> None:
        service, values = self.engine.control.limits, VALUES[kind]
        if which < len(values):
            await service.set(self.engine.command(), scope, kind, str(values[which]))
            return
        seen = shown(kind, (await service.view(scope)).limits.of(kind))
        await service.remove(self.engine.command(), scope, kind, seen)

    def scope(self, which: int) -> str:
        return ALL if which == len(self.accounts) else self.accounts[which].broker_id

    directions = st.sampled_from([Direction.LONG, Direction.SHORT, Direction.FLAT])
    ways = st.tuples(directions, st.sampled_from(list(CLOSES)))
    changes = st.tuples(st.integers(0, 2), st.sampled_from(KINDS), st.integers(0, 4))

    @rule(strategy=st.sampled_from(["alpha", "beta"]), way=ways)
    def strategy_decides(self, strategy: str, way: Way) -> None:
        self.does(self.run(strategy, *way))

    @rule(way=ways, other=ways)
    def both_decide_at_once(self, way: Way, other: Way) -> None:
        self.does(self.run("alpha", *way), self.run("beta", *other))

    @rule(number=st.integers(1, 3))
    def both_workers_turn(self, number: int) -> None:
        self.does(*(self.turns(which, number) for which in range(2)))

    @rule(change=changes)
    def user_changes_a_limit(self, change: tuple[int, LimitKind, int]) -> None:
        self.does(self.set_limit(self.scope(change[0]), *change[1:]))

    @rule(change=changes, way=ways, other=ways, later=st.integers(0, 120))
    def all_at_once(
        self, change: tuple[int, LimitKind, int], way: Way, other: Way, later: int
    ) -> None:
        """Signals, then both workers, and a change of a limit at some moment of their turns."""

        async def changed() -> None:
            for _ in range(later):
                await asyncio.sleep(0)
            await self.set_limit(self.scope(change[0]), *change[1:])

        self.does(self.run("alpha", *way), self.run("beta", *other))
        self.does(self.turns(0, 2), self.turns(1, 2), changed())

    @rule(which=st.integers(0, 1), is_slow=st.booleans())
    def orders_rest_or_fill(self, which: int, is_slow: bool) -> None:
        self.engine.at_broker(self.accounts[which]).is_slow = is_slow

    @rule(which=st.integers(0, 1), units=st.sampled_from([None, 2]), fills=st.booleans())
    def what_rests_moves(self, which: int, units: int | None, fills: bool) -> None:
        """It fills, in part too, or is cancelled at the broker."""
        at = self.engine.at_broker(self.accounts[which])
        for key, order in list(at.order_list.items()):
            if order.status is not BrokerStatus.WORKING:
                continue
            left = order.quantity - order.filled_quantity
            if fills:
                at.fill(key, units=min(units or left, left))
            else:
                at.order_list[key] = replace(order, status=BrokerStatus.CANCELED)

    @rule(which=st.integers(0, 1))
    def user_closes_everything(self, which: int) -> None:
        self.does(self.close(self.accounts[which].broker_id), self.turns(1 - which, 1))

    async def close(self, broker_id: str) -> None:
        self.number += 1
        engine, now = self.engine, self.engine.clock.market_now()
        decision = Flattening(
            f"close{self.number}",
            "close",
            "manual",
            broker_id,
            now.date().isoformat(),
            engine.clock.now(),
            now,
            UserClose(despite_pause=False),
        )

        async def body(view: StoreView) -> None:
            found = await to_flatten(view, broker_id)
            await flatten(view, engine.wiring.outbox, found, decision)

        await engine.store.transaction(body, nonce=decision.run_id)

    @rule(which=st.integers(0, 1), side=st.sampled_from(Side))
    def user_trades_by_hand(self, which: int, side: Side) -> None:
        at = self.engine.at_broker(self.accounts[which])
        order = OrderRequest("", INFY, side, 3, OrderType.MARKET, Product.MIS)
        shown_order = at.show(order)
        at.order_list[shown_order.broker_order_id] = replace(shown_order, tag=None)
        at.fill(shown_order.broker_order_id)

    @rule(seconds=st.sampled_from([1, 12, 61]))
    def time_passes(self, seconds: int) -> None:
        self.does(self.engine.clock.advance(seconds))

    @rule()
    def process_ends(self) -> None:
        before = self.engine
        self.does(before.clock.advance(1))
        self.engine = MemoryEngine(
            before.clock,
            before.registry,
            store=MemoryStore(self.database),
            brokers=before.brokers,
            masters=before.masters,
            key=before.key,
        )
        self.engine._numbers = before._numbers  # no two commands are one
        self.hire()

    @invariant()
    def no_entry_is_beyond_a_limit(self) -> None:
        assert not self.umpire.faults, self.umpire.faults

    def teardown(self) -> None:
        self._opened.__exit__(None, None, None)


SETTINGS = settings(
    max_examples=40,
    stateful_step_count=26,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=list(HealthCheck),
)


@pytest.mark.row("R1")
@pytest.mark.invariant("I6")
def test_limits_hold(quiet: None) -> None:
    """Whatever happens beside one another: no entry is beyond a limit in force at its commit."""
    run_state_machine_as_test(LimitsHold, settings=SETTINGS)


Patch = pytest.MonkeyPatch


def asked_in_planning_alone(patch: Patch) -> None:
    """The gate believes what planning has found."""

    async def bounds(*_arguments: Any, **_named: Any) -> EntryBounds:
        return EntryBounds()

    patch.setattr(gateway, "bounds_of", bounds)


def counts_are_read_before(patch: Patch) -> None:
    """What counts is read before the transaction, not inside it."""
    read, submit = bounds_of, gateway.Gateway.submit
    before: dict[str, EntryBounds] = {}

    async def reads_first(self: Any, client: Any, ticket: Any) -> Any:
        order = ticket.order
        if not order.purpose.is_reducing:
            before[order.client_order_id] = await read(
                self._store,
                entering(order),
                day=order.day,
                now=self._clock.now(),
                address=None,
            )
        return await submit(self, client, ticket)

    async def bounds(_view: Any, entry: Any, **_named: Any) -> EntryBounds:
        return before[entry.client_order_id]

    patch.setattr(gateway.Gateway, "submit", reads_first)
    patch.setattr(gateway, "bounds_of", bounds)


@pytest.mark.parametrize("breaks", [asked_in_planning_alone, counts_are_read_before])
def test_a_broken_product_is_caught(
    breaks: Callable[[Patch], None], monkeypatch: Patch, quiet: None
) -> None:
    """The same machine finds each of them."""
    breaks(monkeypatch)
    found = settings(SETTINGS, phases=[Phase.generate])
    with pytest.raises(AssertionError, match=r" of (all|zerodha_\w+): \w+ [\d.]+ > \d+"):
        run_state_machine_as_test(LimitsHold, settings=found)


@pytest.fixture
def quiet() -> Iterator[None]:
    """Keep the logs of denials to themselves."""
    logging.disable(logging.CRITICAL)
    yield
    logging.disable(logging.NOTSET)
