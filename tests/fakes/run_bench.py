"""Runs over the engine in memory: a strategy that wants what the test says, and bars of its choice."""

# ruff: noqa: ARG002 - the strategy port passes parameters and a context that this one needs not

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, time, timedelta
from decimal import Decimal
from itertools import count

from core.domain.account import Account
from core.domain.broker import Candle, Quote
from core.domain.instrument import InstrumentId, Product
from core.domain.order import MANUAL
from core.domain.sessions import IST, Schedule, trading_day
from core.domain.target import (
    Context,
    DataNeed,
    Direction,
    Parameter,
    ParameterValue,
    Target,
)
from core.engine.orders.goals import Flattening, UserClose, flatten, to_flatten
from core.engine.runs.plan import RunRequest
from core.ports.store import StoreView
from tests.fakes.brokers import SBIN
from tests.fakes.clock import ManualClock
from tests.fakes.memory_engine import MemoryEngine, market_clock
from tests.fakes.scripted_broker import ScriptedAccount

__all__ = ["TEN", "Obedient", "RunBench", "bar"]

TEN = datetime(2026, 11, 23, 10, 0, tzinfo=IST)


def bar(start: datetime, close: str, minutes: int = 5) -> Candle:
    """Return a bar around one price."""
    price = Decimal(close)
    return Candle(start, price, price + 1, price - 1, price, 100)


class Obedient:
    """Wants what ``wanted`` says, by instrument; runs every five minutes from 09:30."""

    name = "obedient"
    title = "Obedient"
    description = "Does as it is told."
    product = Product.MIS
    parameters: tuple[Parameter, ...] = (Parameter("instruments", "Instruments", "NSE:SBIN"),)

    def __init__(self) -> None:
        self.wanted: list[Target] = []
        self.seen: list[Context] = []

    def want(
        self,
        direction: Direction,
        signal_at: datetime = TEN,
        instrument: InstrumentId = SBIN,
        stop: Decimal | None = None,
    ) -> None:
        """Want this from the next run on."""
        self.wanted = [one for one in self.wanted if one.instrument != instrument]
        self.wanted.append(Target(instrument, direction, signal_at, stop, "told so"))

    def instruments(self, parameters: Mapping[str, ParameterValue]) -> tuple[InstrumentId, ...]:
        texts = str(parameters["instruments"]).split(",")
        return tuple(InstrumentId.parse(text) for text in texts)

    def schedule(self, parameters: Mapping[str, ParameterValue]) -> Schedule:
        return Schedule(time(9, 30), time(14, 55), 5)

    def data(self, parameters: Mapping[str, ParameterValue]) -> DataNeed:
        return DataNeed(5)

    def decide(self, context: Context) -> Sequence[Target]:
        self.seen.append(context)
        return list(self.wanted)


class RunBench:
    """One account that runs ``Obedient``, at ten o'clock; SBIN trades at 815.10."""

    def __init__(
        self, strategy: Obedient | None = None, *, clock: ManualClock | None = None
    ) -> None:
        self.strategy = strategy or Obedient()
        registry = {self.strategy.name: self.strategy}
        self.engine = MemoryEngine(clock or market_clock(TEN), registry)
        self.account: Account
        self._numbers = count()

    async def opened(self, quantity: int = 10) -> RunBench:
        """Connect the account and give it bars of today."""
        await self.engine.owned()
        self.account = await self.engine.connect()
        self.worker = self.engine.wiring.new_worker(self.account.broker_id)
        await self.assign(size_value=Decimal(quantity))
        self.bars("815.00")
        return self

    @property
    def broker(self) -> ScriptedAccount:
        """The account at its broker."""
        return self.engine.at_broker(self.account)

    def bars(self, close: str, instrument: InstrumentId = SBIN, until: datetime = TEN) -> None:
        """Give an instrument bars of five minutes from the open until then."""
        start, rows = TEN.replace(hour=9, minute=15), []
        while start + timedelta(minutes=5) <= until:
            rows.append(bar(start, close))
            start += timedelta(minutes=5)
        self.broker.bars[instrument] = rows

    def quoted(self, price: str | None, at: datetime | None = None) -> None:
        """Let SBIN be quoted so, or not at all."""
        quote = None if price is None else Quote(SBIN, Decimal(price), at)
        self.broker.quote_list[SBIN] = quote

    async def assign(self, **fields: object) -> None:
        """Change how the strategy runs on the account."""
        settings = self.engine.control.strategy_settings
        await settings.assign(
            self.engine.command(),
            self.strategy.name,
            self.account.broker_id,
            **fields,  # type: ignore[arg-type]
        )

    async def run(self, slot_at: datetime | None = None) -> str:
        """Run at a slot, by default at the market time of now; return the result line."""
        moment = slot_at or self.engine.clock.market_now()
        request = RunRequest(f"run{next(self._numbers)}", self.strategy.name, moment)
        return await self.engine.wiring.runner.run(request)

    async def turns(self, number: int = 4) -> None:
        """Let the account's worker take some turns."""
        for _ in range(number):
            await self.worker.turn()

    async def close(self, kind: str = "close") -> None:
        """Close everything of the account as a user does, for its worker to carry out."""
        engine, broker_id = self.engine, self.account.broker_id
        now = engine.clock.market_now()
        decision = Flattening(
            f"close{next(self._numbers)}",
            kind,
            MANUAL,
            broker_id,
            trading_day(now),
            engine.clock.now(),
            now,
            UserClose(despite_pause=False),
        )

        async def body(view: StoreView) -> None:
            found = await to_flatten(view, broker_id)
            await flatten(view, engine.wiring.outbox, found, decision)

        await engine.store.transaction(body, nonce=decision.run_id)

    async def held(self) -> int:
        """Return what the strategy's ledgers hold in all."""
        return sum(ledger.quantity for ledger in await self.engine.ledgers())

    async def goal(self) -> int:
        """Return the only goal's units."""
        (row,) = await self.engine.store.find("goals", {})
        return int(row["quantity"])

    async def note(self) -> str:
        """Return why the newest run entered nothing, or ''."""
        rows = await self.engine.store.find("runs", {}, sort=[("created_at", -1), ("_id", -1)])
        return str(rows[0]["notes"].get(self.account.broker_id, ""))

    def sent(self) -> list[tuple[str, int]]:
        """Return what was sent to the broker: side and units."""
        return [(str(order.side), order.quantity) for order in self.broker.placed]
