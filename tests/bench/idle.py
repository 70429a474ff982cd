"""What the engine asks the store while nothing happens, counted in virtual time.

``python -m tests.bench.idle --accounts 50`` plays a minute without an event over the store in memory
and prints commands a second, by who asks and by what. It counts, so the machine does not matter.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from datetime import timedelta

from core.domain.protection import WATCH_EVERY_S
from tests.fakes.counted_store import CountedStore
from tests.fakes.memory_engine import MemoryEngine, market_clock
from tests.fakes.run_bench import TEN, Obedient

SECONDS, STEP_S, IDLE_S = 60.0, 0.25, 5.0
_Call = Callable[[], Awaitable[object]]


def ticks_of(engine: MemoryEngine) -> Mapping[str, tuple[float, _Call]]:
    """Return what looks from time to time, as ``core.bootstrap.services`` calls it."""
    wiring = engine.wiring
    return {
        "slots": (0.5, wiring.scheduler.tick_slots),
        "square-off": (0.5, wiring.scheduler.tick_square_offs),
        "prices": (WATCH_EVERY_S, wiring.price_watch.tick),
        "sources": (1.0, wiring.price_parts.sources.tick),
        "tokens": (2.0, lambda: wiring.tokens.tick(wiring.connections)),
        "logins": (2.0, wiring.logins.tick),
        "calendar": (20.0, wiring.upkeep.calendar.tick),
        "instruments": (2.0, wiring.masters.tick),
        "clock": (2.0, wiring.upkeep.clock.tick),
        "symbols": (5.0, wiring.symbol_watch.tick),
        "pruning": (60.0, wiring.upkeep.pruning.tick),
        "accounts": (1.0, wiring.pool._present),
        "last runs": (1.0, wiring.upkeep.last_runs.tick),
        "lease": (4.0, wiring.lease._renew),
    }


async def measure(accounts: int) -> Counter[tuple[str, str]]:
    """Return commands by who asked and what, of an idle minute."""
    store, strategy = CountedStore(), Obedient()
    engine = MemoryEngine(market_clock(TEN), {strategy.name: strategy}, store)
    await engine.owned()
    connected = [await engine.connect(f"Account {number}") for number in range(accounts)]
    settings = engine.control.strategy_settings
    await settings.set_enabled(engine.command(), strategy.name, enabled=True)
    await engine.wiring.lease.take()
    await engine.wiring.strategies.mark_slot(strategy.name, TEN)
    workers = [engine.wiring.new_worker(one.broker_id) for one in connected]
    calls = {name: (every, 0.0, call) for name, (every, call) in ticks_of(engine).items()}
    for number, worker in enumerate(workers):
        calls[f"worker {number}"] = (IDLE_S, number * IDLE_S / accounts, worker.turn)
    for _ in range(2):
        for _, _, call in calls.values():
            await call()
        await engine.clock.advance(timedelta(minutes=1).total_seconds())
    found: Counter[tuple[str, str]] = Counter()
    passed = 0.0
    while passed < SECONDS:
        for name, (every, due, call) in list(calls.items()):
            if due <= passed:
                calls[name] = (every, due + every, call)
                store.commands.clear()
                await call()
                who = "workers" if name.startswith("worker ") else name
                for what, number in store.commands.items():
                    found[who, what] += number
        await engine.clock.advance(STEP_S)
        passed += STEP_S
    return found


def main() -> None:
    """Count once, and print the largest."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.idle", description=__doc__)
    parser.add_argument("--accounts", type=int, default=50)
    accounts: int = parser.parse_args().accounts
    found = asyncio.run(measure(accounts))
    sys.stdout.write(
        f"{accounts} accounts, idle: {found.total() / SECONDS:.0f} commands a second\n"
    )
    for (who, what), number in found.most_common(15):
        sys.stdout.write(f"{number / SECONDS:>8.2f}  {who}: {what}\n")


if __name__ == "__main__":
    main()
