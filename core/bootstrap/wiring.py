"""How the parts of the engine are put together."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass

from core.adapters.brokers import build_brokers
from core.adapters.mongo.server import RunningStore
from core.adapters.scheduling import run_ticks
from core.bootstrap.foundation import Foundation
from core.config import Settings
from core.domain.account import BrokerType
from core.domain.notices.post import Post
from core.domain.notices.system import ServiceCrashed
from core.engine.accounts.accounts import Accounts
from core.engine.accounts.connections import Connections, Masters
from core.engine.accounts.logins import LoginParts, Logins
from core.engine.accounts.tokens import Tokens
from core.engine.control.manual_orders import ManualOrderParts, ManualOrders
from core.engine.control.views import ViewParts, Views
from core.engine.orders.drift import LedgerDrift
from core.engine.orders.executor import Executor, ExecutorSettings
from core.engine.orders.gateway import Gateway
from core.engine.orders.journal import Journal
from core.engine.orders.reconciliation import Reconciler
from core.engine.outbox import Outbox
from core.engine.runs.calendar_watch import CalendarWatch
from core.engine.runs.market_data import MarketData
from core.engine.runs.runner import Runner, RunnerParts
from core.engine.runs.scheduler import Scheduler
from core.engine.runs.settings import StrategySettings, is_assigned
from core.engine.workers.account_worker import WorkerParts, WorkerSettings
from core.engine.workers.lease import Lease
from core.engine.workers.pool import WorkerPool
from core.engine.workers.supervisor import Service, Supervisor
from core.errors import StoreUnavailable
from core.ports.broker import Broker
from core.ports.clock import Clock
from core.ports.store import ServedStore

__all__ = [
    "Base",
    "base_of",
    "brokers_of",
    "crash_reporter",
    "logins_of",
    "may_trade_live",
    "pool_of",
    "queries_of",
    "runner_of",
    "store_keeper",
    "ticks_of",
    "trading_of",
]

_log = logging.getLogger(__name__)
_TICK_S = 0.5
_TOKEN_TICK_S = 2.0
_CALENDAR_TICK_S = 20.0


@dataclass(frozen=True, slots=True)
class Base:
    """The parts of the engine that the others stand on."""

    outbox: Outbox
    accounts: Accounts
    masters: Masters
    connections: Connections
    journal: Journal
    lease: Lease
    tokens: Tokens
    gateway: Gateway
    market_data: MarketData


def base_of(foundation: Foundation, brokers: Mapping[BrokerType, Broker]) -> Base:
    """Build the parts that the others stand on."""
    store, clock = foundation.store, foundation.clock
    outbox = Outbox(clock)
    accounts = Accounts(store, foundation.vault, clock)
    masters = Masters(brokers, clock)
    connections = Connections(brokers, accounts, masters)
    journal = Journal(store, clock, outbox)
    lease = Lease(
        store, clock, session_ids=lambda: store.session_ids, kill_sessions=store.kill_sessions
    )
    tokens = Tokens(
        store,
        clock,
        foundation.calendar,
        accounts,
        outbox,
        warning_interval_s=foundation.settings.warning_interval_s,
    )
    gateway = Gateway(
        store, clock, journal, outbox, fence=lambda: lease.fence, is_assigned=is_assigned
    )
    market_data = MarketData(store, clock, accounts, connections)
    return Base(
        outbox, accounts, masters, connections, journal, lease, tokens, gateway, market_data
    )


def pool_of(
    foundation: Foundation, base: Base, supervisor: Supervisor, only: str | None
) -> WorkerPool:
    """Build what makes accounts' workers."""
    store, clock = foundation.store, foundation.clock
    reconciler = Reconciler(
        store,
        clock,
        base.journal,
        base.outbox,
        horizon_s=foundation.settings.horizon_s,
        in_flight=base.gateway.in_flight,
    )
    parts = WorkerParts(
        clock,
        base.accounts,
        base.connections,
        base.masters,
        base.journal,
        reconciler,
        base.tokens,
        LedgerDrift(store, clock, base.journal, base.outbox),
        WorkerSettings(),
    )

    def executor(broker_id: str) -> Executor:
        return Executor(
            broker_id,
            store=store,
            clock=clock,
            journal=base.journal,
            gateway=base.gateway,
            outbox=base.outbox,
            settings=ExecutorSettings(),
        )

    return WorkerPool(parts, supervisor, executor, only)


def runner_of(
    foundation: Foundation, base: Base, strategies: StrategySettings, pool: WorkerPool
) -> Runner:
    """Build the runner."""
    return Runner(
        RunnerParts(
            foundation.store,
            foundation.clock,
            foundation.calendar,
            base.accounts,
            strategies,
            base.market_data,
            base.masters,
            base.journal,
            base.outbox,
            pool.wake,
        )
    )


def logins_of(foundation: Foundation, base: Base, pool: WorkerPool) -> Logins:
    """Build the login service."""
    parts = LoginParts(
        foundation.store,
        foundation.clock,
        foundation.vault,
        base.accounts,
        base.connections,
        base.tokens,
        base.outbox,
    )
    return Logins(parts, public_url=foundation.settings.public_url, on_login=pool.wake)


def queries_of(foundation: Foundation, base: Base, pool: WorkerPool) -> Views:
    """Build the views."""
    return Views(
        ViewParts(foundation.store, foundation.clock, base.accounts, base.journal, pool.get)
    )


def trading_of(foundation: Foundation, base: Base, pool: WorkerPool) -> ManualOrders:
    """Build the service of a user's own orders."""
    parts = ManualOrderParts(
        foundation.store,
        foundation.clock,
        base.accounts,
        base.connections,
        base.journal,
        base.gateway,
        base.outbox,
        pool.get,
    )
    return ManualOrders(parts)


def ticks_of(base: Base, scheduler: Scheduler, logins: Logins, watch: CalendarWatch) -> Service:
    """Return the service that wakes the scheduler and the watches of tokens and calendar."""

    async def watch_tokens() -> None:
        await base.tokens.tick(base.connections)
        await logins.tick()

    async def run() -> None:
        await base.tokens.probe_all(base.connections)
        await run_ticks(
            {
                "slots": (_TICK_S, scheduler.tick_slots),
                "square-off": (_TICK_S, scheduler.tick_square_offs),
                "tokens": (_TOKEN_TICK_S, watch_tokens),
                "calendar": (_CALENDAR_TICK_S, watch.tick),
            }
        )

    return run


def may_trade_live(foundation: Foundation) -> bool:
    """Tell whether live brokers may be used on this store (product.md F5)."""
    accepted = foundation.settings.accept_embedded_store_for_live
    return accepted or foundation.store_kind != "embedded"


def brokers_of(settings: Settings, clock: Clock) -> Mapping[BrokerType, Broker]:
    """Build the real brokers from the settings' roots."""
    return build_brokers(
        clock,
        kite_api=settings.kite_api,
        kite_login=settings.kite_login,
        fyers_api=settings.fyers_api,
        fyers_masters=settings.fyers_masters,
        deadline_s=settings.order_deadline_s,
    )


def crash_reporter(
    outbox: Outbox, store: ServedStore
) -> Callable[[str, Exception], Awaitable[None]]:
    """Return what tells the chat of a crashed service."""

    async def tell(name: str, error: Exception) -> None:
        await outbox.post(store, Post(ServiceCrashed(name, type(error).__name__)))

    return tell


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
