"""Positions of strategies in the engine over memory, and what is wanted of them."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal

from core.domain.account import Account
from core.domain.broker import Position
from core.domain.instrument import ExchangeFacts, InstrumentId, Product
from core.domain.ledger import Ledger
from core.domain.sessions import trading_day
from core.engine.orders.goals import UserClose, put_goal
from core.engine.workers.account_worker import AccountWorker
from tests.fakes.brokers import SBIN
from tests.fakes.memory_engine import MemoryEngine

__all__ = ["STRATEGY", "Freezes", "hold", "want", "worker_of"]

STRATEGY = "trend"
_PRICE = Decimal("815.10")


class Freezes:
    """What an exchange says of one instrument: its freeze quantity."""

    def __init__(self, units: int, instrument: InstrumentId = SBIN) -> None:
        self._facts = {instrument: ExchangeFacts(units)}

    async def load(self) -> Mapping[InstrumentId, ExchangeFacts]:
        return self._facts


async def hold(
    engine: MemoryEngine,
    account: Account,
    quantity: int,
    *,
    instrument: InstrumentId = SBIN,
    product: Product = Product.MIS,
    strategy: str = STRATEGY,
) -> Ledger:
    """Let a strategy hold units which the broker shows as well; return its ledger."""
    ledger = Ledger(strategy, account.broker_id, instrument, product, quantity, _PRICE)
    await engine.hold(ledger)
    place = (instrument, product)
    shown = engine.at_broker(account).position_list
    before = shown[place].quantity if place in shown else 0
    shown[place] = Position(*place, before + quantity, _PRICE, _PRICE)
    return ledger


async def want(
    engine: MemoryEngine,
    ledger: Ledger,
    quantity: int = 0,
    *,
    stop_price: Decimal | None = None,
    run_id: str = "run",
    day: str | None = None,
    close: UserClose | None = None,
    at: datetime | None = None,
) -> None:
    """Set the goal of a ledger."""
    await put_goal(
        engine.store,
        strategy=ledger.strategy,
        broker_id=ledger.broker_id,
        instrument=ledger.instrument,
        product=ledger.product,
        quantity=quantity,
        stop_price=stop_price,
        run_id=run_id,
        day=day or trading_day(engine.clock.market_now()),
        at=at or engine.clock.now(),
        close=close,
    )


async def worker_of(engine: MemoryEngine, account: Account) -> AccountWorker:
    """Return an account's worker after its first read of the broker."""
    worker = engine.wiring.new_worker(account.broker_id)
    await worker.turn()
    return worker
