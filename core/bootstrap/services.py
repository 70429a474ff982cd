"""Services around the engine: what wakes it, keeps its store up, and reports a crash."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable

from core.adapters.mongo.server import RunningStore
from core.adapters.scheduling import run_ticks
from core.config import Settings
from core.domain.broker_profile import BrokerProfile
from core.domain.failures import why_failed
from core.domain.identifiers import broker_of
from core.domain.notices.post import Post
from core.domain.notices.system import ServiceCrashed
from core.domain.protection import WATCH_EVERY_S
from core.engine.accounts.addresses import Addresses
from core.engine.accounts.connections import Connections
from core.engine.accounts.last_runs import LastRuns
from core.engine.accounts.logins import Logins
from core.engine.accounts.masters import Masters
from core.engine.accounts.tokens import Tokens
from core.engine.control.day_summaries import DaySummaries
from core.engine.control.restored import RestoredWatch
from core.engine.outbox import Outbox
from core.engine.runs.calendar_watch import CalendarWatch
from core.engine.runs.clock_watch import ClockWatch
from core.engine.runs.contract_watch import ContractWatch
from core.engine.runs.nightly_backup import NightlyBackup
from core.engine.runs.price_watch import PriceWatch
from core.engine.runs.pruning import Pruning
from core.engine.runs.scheduler import Scheduler
from core.engine.runs.source_watch import SourceWatch
from core.engine.runs.symbol_watch import SymbolWatch
from core.engine.safeguards.round_trips import RoundTrips
from core.engine.workers.key_watch import KeyWatch
from core.engine.workers.store_watch import StoreWatch
from core.engine.workers.supervisor import Service
from core.errors import StoreUnavailable
from core.ports.store import ServedStore

__all__ = ["crash_reporter", "lists_all", "proof_address", "store_keeper", "ticks_of"]

_log = logging.getLogger(__name__)
_TICK_S = 0.5
_TOKEN_TICK_S = 2.0
_CALENDAR_TICK_S = 20.0
_MASTERS_TICK_S = 2.0
_CLOCK_TICK_S = 2.0
_STORE_TICK_S = 5.0
_KEYS_TICK_S = 10.0
_SOURCES_TICK_S = 1.0
_SYMBOLS_TICK_S = 5.0
_TRIPS_TICK_S = 1.0
_PRUNING_TICK_S = 60.0
_LAST_RUNS_TICK_S = 1.0
_ADDRESSES_TICK_S = 5.0
_BACKUP_TICK_S = 60.0
_RESTORED_TICK_S = 1.0
_SUMMARIES_TICK_S = 5.0


def ticks_of(
    scheduler: Scheduler,
    tokens: Tokens,
    logins: Logins,
    connections: Connections,
    calendar_watch: CalendarWatch,
    masters: Masters,
    clock_watch: ClockWatch,
    store_watch: StoreWatch,
    key_watch: KeyWatch,
    symbol_watch: SymbolWatch,
    contract_watch: ContractWatch,
    price_watch: PriceWatch,
    source_watch: SourceWatch,
    round_trips: RoundTrips,
    pruning: Pruning,
    addresses: Addresses,
    last_runs: LastRuns,
    backup: NightlyBackup,
    restored: RestoredWatch,
    summaries: DaySummaries,
) -> Service:
    """Return the service that wakes the scheduler and what watches tokens, instruments and more."""

    async def watch_tokens() -> None:
        await tokens.tick(connections)
        await logins.tick()

    async def begin_runs() -> None:
        # Which logins have ended is known before the first slot.
        await tokens.probe_all(connections)
        await scheduler.run()

    async def run() -> None:
        ticks = {
            "square-off": (_TICK_S, scheduler.tick_square_offs),
            "prices": (WATCH_EVERY_S, price_watch.tick),
            "sources": (_SOURCES_TICK_S, source_watch.tick),
            "tokens": (_TOKEN_TICK_S, watch_tokens),
            "calendar": (_CALENDAR_TICK_S, calendar_watch.tick),
            "instruments": (_MASTERS_TICK_S, masters.tick),
            "clock": (_CLOCK_TICK_S, clock_watch.tick),
            "store": (_STORE_TICK_S, store_watch.tick),
            "keys": (_KEYS_TICK_S, key_watch.tick),
            "symbols": (_SYMBOLS_TICK_S, symbol_watch.tick),
            "contracts": (_SYMBOLS_TICK_S, contract_watch.tick),
            "round trips": (_TRIPS_TICK_S, round_trips.tick),
            "pruning": (_PRUNING_TICK_S, pruning.tick),
            "addresses": (_ADDRESSES_TICK_S, addresses.tick),
            "last runs": (_LAST_RUNS_TICK_S, last_runs.tick),
            "backup": (_BACKUP_TICK_S, backup.tick),
            "restored": (_RESTORED_TICK_S, restored.tick),
            "summaries": (_SUMMARIES_TICK_S, summaries.tick),
        }
        # Stops that are watched here and the square-off wait for no broker that hangs (I7).
        async with asyncio.TaskGroup() as group:
            group.create_task(run_ticks(ticks))
            group.create_task(begin_runs())

    return run


def crash_reporter(
    outbox: Outbox, store: ServedStore
) -> Callable[[str, Exception], Awaitable[None]]:
    """Return a function that notifies the user of a crashed service."""

    async def report(name: str, error: Exception) -> None:
        await outbox.post_alone(store, Post(ServiceCrashed(name, why_failed(error))))

    return report


def proof_address(
    settings: Settings, brokers: Iterable[BrokerProfile], broker_id: str
) -> str | None:
    """Return where an account has to be proved before it enters, None where it need not (F8).

    At the broker's own address always; elsewhere a simulator answers, unless the setting asks.
    """
    for broker in brokers:
        if broker.name == broker_of(broker_id) and broker.roots:
            own = broker.roots[0].default
            address = broker.addresses(settings.roots)[0]
            return address if address == own or settings.prove_accounts else None
    return None


def lists_all(brokers: Iterable[BrokerProfile], broker_id: str) -> bool:
    """Return whether an account's broker lists all orders that it took, always."""
    return any(one.lists_all for one in brokers if one.name == broker_of(broker_id))


def store_keeper(running: RunningStore) -> Service:
    """Restart the store's server when it dies; its address must stay the same."""

    async def keep() -> None:
        while True:
            code = await running.wait_dead()
            _log.error("the store's server ended with %s, restarting it", code)
            before = running.server.uri
            after = await running.restart()
            if after.uri != before:
                raise StoreUnavailable("the store came back at another address; restart Saarthi")

    return keep
