"""What the engine asks the store while nothing happens: what looks at all accounts asks once."""

from __future__ import annotations

from collections import Counter
from collections.abc import Awaitable, Callable
from datetime import timedelta

from core.domain.instrument import InstrumentId, Product
from core.domain.sessions import trading_day
from core.engine.orders.goals import put_goal
from tests.fakes.counted_store import CountedStore
from tests.fakes.memory_engine import MemoryEngine, market_clock
from tests.fakes.run_bench import TEN, Obedient

LATER = TEN + timedelta(minutes=3)


class Idle:
    """Accounts on which nothing happens, three minutes after their strategy's slot."""

    def __init__(self) -> None:
        self.store, strategy = CountedStore(), Obedient()
        self.engine = MemoryEngine(market_clock(TEN), {strategy.name: strategy}, self.store)

    async def with_accounts(self, number: int) -> Idle:
        """Connect so many accounts; each worker has had its first turns a while ago."""
        engine = await self.engine.owned()
        accounts = [await engine.connect(f"Account {one}") for one in range(number)]
        await engine.become_writer()
        settings, clock = engine.control.strategy_settings, engine.clock
        await settings.set_enabled(engine.command(), "obedient", enabled=True)
        await engine.wiring.strategies.mark_slot("obedient", TEN)
        self.workers = [engine.wiring.new_worker(one.broker_id) for one in accounts]
        for _ in range(2):
            for worker in self.workers:
                await worker.turn()
            await self.asked(*self.ticks)
            await clock.advance((LATER - clock.market_now()).total_seconds())
        return self

    @property
    def ticks(self) -> tuple[Callable[[], Awaitable[object]], ...]:
        """What looks at all accounts from time to time."""
        wiring = self.engine.wiring
        return (
            wiring.scheduler.tick_slots,
            wiring.scheduler.tick_square_offs,
            wiring.price_watch.tick,
            lambda: wiring.tokens.tick(wiring.connections),
            wiring.logins.tick,
            wiring.upkeep.calendar.tick,
            wiring.masters.tick,
            wiring.upkeep.clock.tick,
            wiring.symbol_watch.tick,
            wiring.pool._present,
        )

    async def asked(self, *calls: Callable[[], Awaitable[object]]) -> Counter[str]:
        """Return what the store is asked by these."""
        self.store.commands.clear()
        for call in calls:
            await call()
        return Counter(self.store.commands)


async def test_what_looks_at_all_accounts_asks_once() -> None:
    """Twice an idle second for every account would be more than all orders of a day."""
    few, many = await Idle().with_accounts(2), await Idle().with_accounts(6)
    assert await few.asked(lambda: few.store.find("orders", {})) == {"find orders": 1}
    assert await few.asked(*few.ticks) == await many.asked(*many.ticks)


async def test_idle_turn_asks_nothing() -> None:
    """What the only writer has written it need not ask for: a turn in which nothing moved is free."""
    idle = await Idle().with_accounts(1)
    await idle.engine.clock.advance(5)
    assert not await idle.asked(idle.workers[0].turn)


async def test_turn_with_many_goals_reads_no_more() -> None:
    """Goals of instruments that are flat cost a turn no reads of their own."""
    idle = await Idle().with_accounts(1)
    await _goals(idle.engine, idle.workers[0].broker_id, 20)
    await idle.engine.clock.advance(5)
    assert not await idle.asked(idle.workers[0].turn)


async def _goals(engine: MemoryEngine, broker_id: str, number: int) -> None:
    for one in range(number):
        name = InstrumentId("NSE", f"SHARE{one}")
        await put_goal(
            engine.writer,
            strategy="obedient",
            broker_id=broker_id,
            instrument=name,
            product=Product.MIS,
            quantity=0,
            stop_price=None,
            run_id="run",
            day=trading_day(engine.clock.market_now()),
            at=engine.clock.now(),
        )
