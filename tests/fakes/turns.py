"""One account's reads over a store in memory and a scripted broker, a turn at a time."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from decimal import Decimal

from core.domain.broker import BrokerStatus, Holding, Position
from core.domain.instrument import InstrumentId, Product
from core.domain.ledger import Ledger
from core.domain.order import OrderRequest, OrderState, OrderType, Side
from core.domain.sessions import trading_day
from core.engine.orders.gate import add_gate
from core.engine.workers.snapshot_reader import SnapshotReader, WorkerSettings
from tests.fakes.clock import ManualClock
from tests.fakes.memory_engine import MemoryEngine
from tests.fakes.memory_store import MemoryStore
from tests.fakes.orders import ACCOUNT, SBIN, SENT_AT, order_in
from tests.fakes.scripted_broker import ScriptedAccount

__all__ = ["Turns"]

_PRICE = Decimal(970)


class Turns:
    """One account: its broker, and the reads of its worker, each when a test asks for it.

    A second one over the same ``store`` is what a restart finds.
    """

    def __init__(
        self,
        store: MemoryStore | None = None,
        broker: ScriptedAccount | None = None,
        at: datetime = SENT_AT,
    ) -> None:
        self.engine = MemoryEngine(ManualClock(at, at), store=store or MemoryStore())
        self.broker = broker or ScriptedAccount()
        self.reader = SnapshotReader(
            ACCOUNT,
            clock=self.engine.clock,
            reconciler=self.engine.wiring.reconciler,
            nets=self.engine.wiring.nets,
            settings=WorkerSettings(),
        )

    async def begin(self) -> Turns:
        """Let the account have a gate, and the notices a reader."""
        await self.engine.owned()
        gate = {"_id": ACCOUNT, "mode": "NORMAL", "fence": 0, "seq": 0, "version": 0}
        await add_gate(self.engine.store, {**gate, "frozen": False})
        return self

    @property
    def day(self) -> str:
        return trading_day(self.engine.clock.market_now())

    async def read(self, *, times: int = 1, everything: bool = True) -> bool:
        """Read as the worker does in a turn, ten seconds later; return whether an order moved."""
        has_moved = False
        for _ in range(times):
            await self.engine.clock.advance(10)
            has_moved = await self.reader.read_orders(self.broker, self.day)
            has_moved = await self.reader.read_rest(
                self.broker, self.day, has_moved=has_moved, everything=everything
            )
        return has_moved

    async def enter(
        self, units: int, *, strategy: str = "orb", product: Product = Product.MIS
    ) -> None:
        """Let a strategy's entry fill, at the broker, in the journal and in its ledger."""
        side, tag = Side.of(units), f"S{len(self.broker.order_list):019d}"
        order = order_in(
            OrderState.SUBMITTED,
            client_order_id=tag,
            side=side,
            quantity=abs(units),
            strategy=strategy,
            product=product,
            day=self.day,
        )
        await self.engine.wiring.journal.add(self.engine.store, [order])
        self.broker.fill(self.broker.show(order.request).broker_order_id, _PRICE)
        await self.read(everything=False)

    def by_hand(
        self,
        units: int,
        *,
        product: Product = Product.MIS,
        rests_at: Decimal | None = None,
        instrument: InstrumentId = SBIN,
    ) -> str:
        """Let the user trade in the broker's app; return the broker's id of the order."""
        kind = OrderType.MARKET if rests_at is None else OrderType.LIMIT
        request = OrderRequest(
            "", instrument, Side.of(units), abs(units), kind, product, limit_price=rests_at
        )
        shown = self.broker.show(request)
        found = shown.broker_order_id
        self.broker.order_list[found] = replace(shown, tag=None)
        if rests_at is None:
            self.broker.fill(found, _PRICE)
        return found

    def shows(self, units: int, product: Product = Product.MIS) -> None:
        """Let the broker's positions say this, whatever has filled."""
        key = (SBIN, product)
        self.broker.position_list[key] = Position(*key, units, _PRICE, _PRICE)

    def owns(self, units: int, *, used: int = 0) -> None:
        """Let the broker's holdings say this."""
        held = Holding(SBIN, units, 0, _PRICE, _PRICE, used_quantity=used, names=frozenset({SBIN}))
        self.broker.holding_list = [held]

    def is_hidden(self) -> None:
        """Let the broker list no order and no position any more."""
        self.broker.order_list.clear()
        self.broker.position_list.clear()

    def expires(self, broker_order_id: str) -> None:
        """End an order at the broker."""
        order = self.broker.order_list[broker_order_id]
        self.broker.order_list[broker_order_id] = replace(order, status=BrokerStatus.CANCELED)

    async def ledgers(self) -> dict[str, int]:
        """Return what the strategies hold, by strategy and product; flat ledgers are left out."""
        held: list[Ledger] = await self.engine.ledgers()
        return {f"{one.strategy} {one.product}": one.quantity for one in held if one.quantity}
