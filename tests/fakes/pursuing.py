"""A panic on one account over the store in memory: a test takes its looks and the worker's turns."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from decimal import Decimal

from core.domain.broker import BrokerStatus, Position
from core.domain.goal import Goal
from core.domain.instrument import InstrumentId, Product
from core.domain.ledger import ledger_key
from core.domain.order import OrderRequest, OrderType, Side
from core.domain.outcome import WriteOutcome
from core.domain.panic import Hindrance, Line, Panic
from core.engine.orders.goals import goal_at
from core.engine.safeguards.panic_account import PanicPursuit, PursuitParts
from core.engine.safeguards.panics import newest_panic
from tests.fakes.brokers import SBIN
from tests.fakes.clock import ManualClock
from tests.fakes.desk import Desk, StubbornAccount, a_desk

__all__ = ["Cancelling", "Pursuing", "parts_of", "pursuing"]


class Cancelling(StubbornAccount):
    """An account that notes what it was asked, in order, and answers cancels as a test says.

    Attributes:
        asked: Each order that was sent, and each cancel: ``cancel``, or the order's side and units.
        cancels: The answers to the next cancels, which then cancel nothing.
    """

    def __init__(self) -> None:
        super().__init__()
        self.asked: list[str] = []
        self.cancels: list[WriteOutcome] = []

    async def place(self, order: OrderRequest) -> WriteOutcome:
        self.asked.append(f"{order.side.value} {order.quantity}")
        return await super().place(order)

    async def cancel(self, broker_order_id: str) -> WriteOutcome:
        self.asked.append("cancel")
        if self.cancels:
            return self.cancels.pop(0)
        return await super().cancel(broker_order_id)

    def own(
        self,
        side: Side,
        units: int,
        kind: OrderType = OrderType.LIMIT,
        price: Decimal = Decimal(900),
        product: Product = Product.MIS,
    ) -> str:
        """List an order that a person placed in the broker's app; return the broker's id."""
        limit = price if kind is OrderType.LIMIT else None
        trigger = price if kind is OrderType.SL_M else None
        order = OrderRequest("", SBIN, side, units, kind, product, limit, trigger)
        shown = self.show(order)
        self.order_list[shown.broker_order_id] = replace(shown, tag=None)
        return shown.broker_order_id

    def bought(self, units: int, instrument: InstrumentId = SBIN) -> None:
        """Trade in the broker's app: a position and its order."""
        order = OrderRequest(
            "", instrument, Side.of(units), abs(units), OrderType.MARKET, Product.MIS
        )
        shown = self.show(order, BrokerStatus.COMPLETE)
        self.order_list[shown.broker_order_id] = replace(shown, tag=None)
        self.fill(shown.broker_order_id)

    def shows(self, units: int, product: Product = Product.MIS) -> None:
        """Let the positions say this, whatever has filled."""
        key = (SBIN, product)
        self.position_list[key] = Position(*key, units, Decimal(810), Decimal(815))


def parts_of(desk: Desk) -> PursuitParts:
    """Return what the pursuits of an engine work with."""
    wiring = desk.engine.wiring
    return PursuitParts(
        desk.engine.store,
        desk.clock,
        wiring.outbox,
        wiring.gateway,
        wiring.connections,
        wiring.panic_facts,
        wiring.pool.get,
    )


@dataclass
class Pursuing:
    """One account, and a panic on it that does nothing by itself.

    Attributes:
        changes: How often the account stood otherwise.
    """

    desk: Desk
    at: Cancelling
    changes: int = 0
    panic: Panic = field(init=False)
    pursuit: PanicPursuit = field(init=False)

    async def begins(self, *, with_holdings: bool = False) -> None:
        """Confirm a panic on the account."""
        await self.desk.engine.control.panic.start(
            self.desk.engine.command(), [self.desk.broker_id], with_holdings=with_holdings
        )
        await self.goes_on()

    async def goes_on(self) -> None:
        """Pursue what runs, as a controller does that has just begun."""
        panic = await newest_panic(self.desk.engine.store)
        assert panic is not None
        self.panic = panic
        (line,) = panic.lines
        self.pursuit = PanicPursuit(
            parts_of(self.desk), self.desk.broker_id, lambda: self.panic, line, self._changed
        )

    def _changed(self) -> None:
        self.changes += 1

    async def looks(self, times: int = 1, *, apart_s: float = 1.0) -> Line:
        """Look, each time before a turn of the worker; return how the account stands."""
        for _ in range(times):
            await self.pursuit.step()
            await self.desk.turns(apart_s=apart_s)
        return self.pursuit.line

    @property
    def standing(self) -> tuple[Hindrance, str]:
        """What stands in the way, and more about it."""
        return self.pursuit.line.hindrance, self.pursuit.line.detail

    async def goal(self, strategy: str, product: Product = Product.MIS) -> Goal | None:
        """Return what is wanted of SBIN."""
        key = ledger_key(strategy, self.desk.broker_id, SBIN, product)
        return await goal_at(self.desk.engine.store, key)


async def pursuing(clock: ManualClock | None = None) -> Pursuing:
    """Return an account at Zerodha on which nothing is held yet."""
    desk = await a_desk(clock, account=Cancelling)
    assert isinstance(desk.at, Cancelling)
    return Pursuing(desk, desk.at)
