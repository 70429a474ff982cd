"""The running system."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial

from core.bootstrap.foundation import Foundation
from core.bootstrap.wiring import (
    Base,
    base_of,
    brokers_of,
    crash_reporter,
    logins_of,
    may_trade_live,
    pool_of,
    queries_of,
    runner_of,
    store_keeper,
    ticks_of,
    trading_of,
)
from core.domain.account import BrokerType
from core.domain.notices.post import Post
from core.domain.notices.system import Started
from core.domain.target import Strategy
from core.engine.accounts.accounts import Accounts
from core.engine.accounts.connections import Connections
from core.engine.accounts.logins import Logins
from core.engine.accounts.tokens import Tokens
from core.engine.control.controller import Controller
from core.engine.control.parts import ControllerParts
from core.engine.outbox import Outbox, OutboxSender
from core.engine.runs.calendar_watch import CalendarWatch
from core.engine.runs.requests import RunRequests
from core.engine.runs.runner import Runner
from core.engine.runs.scheduler import Scheduler, Selection
from core.engine.runs.settings import StrategySettings
from core.engine.workers.account_worker import AccountWorker
from core.engine.workers.lease import Lease
from core.engine.workers.pool import WorkerPool
from core.engine.workers.supervisor import Service, Supervisor
from core.ports.broker import Broker
from core.ports.notifier import Notifier

__all__ = ["System", "build"]


@dataclass(frozen=True, slots=True)
class System:
    """The wired engine.

    Attributes:
        services: What a supervisor has to keep running, the notifier's sender left out.
        hint: Wakes an account's worker; a postback calls it.
        worker: Returns an account's worker while it runs.
    """

    foundation: Foundation
    control: Controller
    accounts: Accounts
    connections: Connections
    logins: Logins
    tokens: Tokens
    outbox: Outbox
    lease: Lease
    runner: Runner
    scheduler: Scheduler
    calendar_watch: CalendarWatch
    run_requests: RunRequests
    supervisor: Supervisor
    services: Mapping[str, Service]
    hint: Callable[[str], None]
    worker: Callable[[str], AccountWorker | None]

    def sender(self, notifier: Notifier) -> Service:
        """Return the service that delivers notices through ``notifier``."""
        store, clock = self.foundation.store, self.foundation.clock
        return OutboxSender(store, clock, self.outbox, notifier).run

    async def begin(self) -> None:
        """Take the lease, and tell the chat that the controller stands."""
        await self.lease.wait_and_take()
        store = self.foundation.store
        unknown = await store.find("orders", {"state": {"$in": ["SUBMITTED", "UNRESOLVED"]}})
        await self.outbox.post(store, Post(Started(len(unknown))))

    async def end(self) -> None:
        """Close every client and give the lease back."""
        await self.connections.aclose()
        await self.lease.give_back()


def build(
    foundation: Foundation,
    registry: Mapping[str, Strategy],
    *,
    brokers: Mapping[BrokerType, Broker] | None = None,
    selection: Selection | None = None,
) -> System:
    """Wire the engine over a foundation.

    Args:
        foundation: Store, vault, clock, calendar, settings.
        registry: The strategies by name.
        brokers: Other brokers than the real ones; a test that kills the process at a chosen call
            wraps them here.
        selection: Work for this strategy and account alone.
    """
    only = selection.broker_id if selection else None
    base = base_of(foundation, brokers or brokers_of(foundation.settings, foundation.clock))
    supervisor = Supervisor(foundation.clock, crash_reporter(base.outbox, foundation.store))
    pool = pool_of(foundation, base, supervisor, only)
    moving = _moving(foundation, registry, base, pool, selection)
    services: dict[str, Service] = {
        "lease": base.lease.keep,
        "accounts": pool.run,
        "schedule": ticks_of(base, moving.scheduler, moving.logins, moving.calendar_watch),
        "runs": partial(moving.run_requests.work, moving.runner, only),
    }
    if foundation.running is not None:
        services["store"] = store_keeper(foundation.running)
    return System(
        foundation=foundation,
        control=_controller(foundation, base, supervisor, pool, moving),
        accounts=base.accounts,
        connections=base.connections,
        logins=moving.logins,
        tokens=base.tokens,
        outbox=base.outbox,
        lease=base.lease,
        runner=moving.runner,
        scheduler=moving.scheduler,
        calendar_watch=moving.calendar_watch,
        run_requests=moving.run_requests,
        supervisor=supervisor,
        services=services,
        hint=pool.wake,
        worker=pool.get,
    )


@dataclass(frozen=True, slots=True)
class _Moving:
    """The parts of the engine that act by themselves or on a command."""

    strategies: StrategySettings
    runner: Runner
    scheduler: Scheduler
    calendar_watch: CalendarWatch
    run_requests: RunRequests
    logins: Logins


def _moving(
    foundation: Foundation,
    registry: Mapping[str, Strategy],
    base: Base,
    pool: WorkerPool,
    selection: Selection | None,
) -> _Moving:
    store, clock = foundation.store, foundation.clock
    strategies = StrategySettings(store, clock, registry)
    runner = runner_of(foundation, base, strategies, pool)
    scheduler = Scheduler(
        store,
        clock,
        foundation.calendar,
        base.accounts,
        strategies,
        runner,
        base.outbox,
        selection,
    )
    return _Moving(
        strategies=strategies,
        runner=runner,
        scheduler=scheduler,
        calendar_watch=CalendarWatch(store, clock, foundation.calendar, base.outbox),
        run_requests=RunRequests(store, clock),
        logins=logins_of(foundation, base, pool),
    )


def _controller(
    foundation: Foundation, base: Base, supervisor: Supervisor, pool: WorkerPool, moving: _Moving
) -> Controller:
    parts = ControllerParts(
        store=foundation.store,
        clock=foundation.clock,
        calendar=foundation.calendar,
        accounts=base.accounts,
        connections=base.connections,
        logins=moving.logins,
        tokens=base.tokens,
        strategies=moving.strategies,
        scheduler=moving.scheduler,
        runner=moving.runner,
        queries=queries_of(foundation, base, pool),
        trading=trading_of(foundation, base, pool),
        market_data=base.market_data,
        outbox=base.outbox,
        lease=base.lease,
        supervisor=supervisor,
        pool=pool,
        run_requests=moving.run_requests,
        store_kind=foundation.store_kind,
        live_brokers_allowed=may_trade_live(foundation),
    )
    return Controller(parts)
