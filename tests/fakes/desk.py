"""One account with a position, over the store in memory: a test moves its broker and takes turns."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal

from core.adapters.zerodha import ZERODHA
from core.domain.broker import BrokerOrder, BrokerStatus, Position, Quote
from core.domain.goal import Goal
from core.domain.instrument import InstrumentId, Product
from core.domain.ledger import Ledger, ledger_key
from core.domain.order import Order, OrderRequest, OrderType, Purpose, Side
from core.domain.outcome import Acked, Refusal, Refused, WriteOutcome
from core.domain.sessions import trading_day
from core.engine.orders.goals import UserClose, goal_at, put_goal
from core.engine.workers.account_worker import AccountWorker
from core.errors import BrokerReadError, ReadFault
from tests.fakes.brokers import SBIN
from tests.fakes.clock import ManualClock
from tests.fakes.memory_engine import MemoryEngine
from tests.fakes.scripted_broker import ScriptedAccount

__all__ = ["Desk", "StubbornAccount", "a_desk"]

STRATEGY = "orb"


class StubbornAccount(ScriptedAccount):
    """An account whose broker does what a test says.

    Attributes:
        answer: Gives the outcome of a placement in place of the broker's; None lets it through.
        changes: Whether the broker takes changes of orders.
        has_positions: Whether positions can be read.
        rests: Whether market orders rest instead of filling.
        price: What a quote says.
        previous_close: What it calls the last session's close; None for nothing.
    """

    def __init__(self) -> None:
        super().__init__()
        self.answer: Callable[[OrderRequest], WriteOutcome | None] = lambda _order: None
        self.changes = True
        self.has_positions = True
        self.rests = False
        self.price = Decimal("815.10")
        self.previous_close: Decimal | None = None

    async def place(self, order: OrderRequest) -> WriteOutcome:
        outcome = self.answer(order)
        if outcome is not None:
            self.placed.append(order)
            return outcome
        if self.rests and order.order_type is OrderType.MARKET:
            self.placed.append(order)
            return Acked(self.show(order).broker_order_id)
        return await super().place(order)

    async def modify(self, broker_order_id: str, order: OrderRequest) -> WriteOutcome:
        if not self.changes:
            return Refused(Refusal.REJECTED, "this broker changes no order")
        return await super().modify(broker_order_id, order)

    async def positions(self) -> Sequence[Position]:
        if not self.has_positions:
            raise BrokerReadError(ReadFault.UNREACHABLE, "503")
        return await super().positions()

    async def quotes(self, instruments: Sequence[InstrumentId]) -> Mapping[InstrumentId, Quote]:
        self._answer()
        return {
            one: Quote(one, self.price, previous_close=self.previous_close) for one in instruments
        }

    def put(self, broker_order_id: str, **changes: object) -> BrokerOrder:
        """Change a listed order behind the engine's back; return it."""
        shown = replace(self.order_list[broker_order_id], **changes)  # type: ignore[arg-type]
        self.order_list[broker_order_id] = shown
        return shown

    def resting(self) -> list[BrokerOrder]:
        """Return what works at the broker."""
        return [one for one in self.order_list.values() if one.status is BrokerStatus.WORKING]

    def by_hand(self, side: Side, quantity: int) -> None:
        """Trade in the broker's app."""
        order = OrderRequest("byhand", SBIN, side, quantity, OrderType.MARKET, Product.MIS)
        self.fill(self.show(order).broker_order_id)


@dataclass
class Desk:
    """An account, its worker and its broker."""

    engine: MemoryEngine
    broker_id: str
    worker: AccountWorker
    at: StubbornAccount
    product: Product = Product.MIS

    @property
    def clock(self) -> ManualClock:
        """The clock that stands."""
        return self.engine.clock

    @property
    def key(self) -> str:
        """The ledger's key."""
        return ledger_key(STRATEGY, self.broker_id, SBIN, self.product)

    async def holds(self, quantity: int, stop: Decimal | None = None) -> None:
        """Let the strategy hold units, wanted as they are, with a stop when a price is given."""
        ledger = Ledger(STRATEGY, self.broker_id, SBIN, self.product, quantity, Decimal(810))
        await self.engine.hold(ledger)
        key = (SBIN, self.product)
        self.at.position_list[key] = Position(
            *key, quantity, Decimal(810), Decimal(815), day_buy_quantity=max(quantity, 0)
        )
        await self.wants(quantity, stop)
        await self.turns(3)

    async def wants(
        self,
        quantity: int,
        stop: Decimal | None = None,
        *,
        run_id: str = "orb|run",
        close: UserClose | None = None,
    ) -> None:
        """Set the strategy's goal as a run does."""
        await put_goal(
            self.engine.store,
            strategy=STRATEGY,
            broker_id=self.broker_id,
            instrument=SBIN,
            product=self.product,
            quantity=quantity,
            stop_price=stop,
            run_id=run_id,
            day=trading_day(self.clock.market_now()),
            at=self.clock.now(),
            close=close,
        )

    async def goal(self) -> Goal:
        """Return the goal."""
        goal = await goal_at(self.engine.store, self.key)
        assert goal is not None
        return goal

    async def turns(self, count: int = 1, *, apart_s: float = 0.1) -> None:
        """Let the worker take turns."""
        for _ in range(count):
            await self.worker.turn()
            await self.clock.advance(apart_s)

    async def orders(self, purpose: Purpose) -> list[Order]:
        """Return the journal's orders of one purpose, oldest first."""
        found = [one for one in await self.engine.orders() if one.purpose is purpose]
        return sorted(found, key=lambda one: (one.created_at, one.attempt))

    async def states(self, purpose: Purpose) -> list[str]:
        """Return their states."""
        return [one.state.value for one in await self.orders(purpose)]

    async def units(self) -> int:
        """Return what the strategy's ledger holds."""
        return sum(one.quantity for one in await self.engine.ledgers())


async def a_desk(
    clock: ManualClock | None = None, *, account: type[StubbornAccount] = StubbornAccount
) -> Desk:
    """Return an account at Zerodha that is logged in and enabled.

    Args:
        clock: The clock that stands.
        account: What it is at its broker.
    """
    engine = await MemoryEngine(clock or ManualClock()).owned()
    broker = engine.brokers[ZERODHA]
    broker.accounts.default_factory = account
    connected = await engine.connect()
    at = broker.accounts[connected.broker_id]
    assert isinstance(at, StubbornAccount)
    worker = engine.wiring.new_worker(connected.broker_id)
    # Known to the control as if its task ran; a test takes the turns itself.
    engine.wiring.pool._workers[connected.broker_id] = worker
    return Desk(engine, connected.broker_id, worker, at)
