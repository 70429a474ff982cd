"""The running system."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial

from core.bootstrap.crew import Crew
from core.bootstrap.foundation import Foundation
from core.bootstrap.wiring import (
    Base,
    base_of,
    brokers_of,
    crash_teller,
    crew_of,
    logins_of,
    may_trade_live,
    queries_of,
    runner_of,
    store_keeper,
    ticks_of,
    trading_of,
)
from core.domain.account import BrokerType
from core.domain.notice import Notice, NoticeKind
from core.domain.target import Strategy
from core.engine.account_worker import AccountWorker
from core.engine.accounts import AccountBook
from core.engine.connections import Connections
from core.engine.controller import Controller, ControllerParts
from core.engine.lease import Lease
from core.engine.logins import LoginDesk
from core.engine.outbox import Outbox, OutboxSender
from core.engine.run_queue import RunQueue
from core.engine.runner import Runner
from core.engine.scheduler import Scheduler, Selection
from core.engine.strategies import StrategyBook
from core.engine.supervisor import Service, Supervisor, Workers
from core.engine.tokens import Tokens
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
    accounts: AccountBook
    connections: Connections
    logins: LoginDesk
    tokens: Tokens
    outbox: Outbox
    lease: Lease
    runner: Runner
    scheduler: Scheduler
    run_queue: RunQueue
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
        notice = Notice(NoticeKind.STARTED, {"text": await _started_text(self)})
        await self.outbox.post(self.foundation.store, notice)

    async def end(self) -> None:
        """Close every client and give the lease back."""
        await self.connections.aclose()
        await self.lease.give_back()


async def _started_text(system: System) -> str:
    store = system.foundation.store
    rows = await store.find("orders", {"state": {"$in": ["SUBMITTED", "UNRESOLVED"]}})
    if not rows:
        return "Saarthi is running."
    return (
        f"Saarthi is running again. {len(rows)} order(s) were on their way when it stopped; the "
        "brokers are being asked what became of them."
    )


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
    crew = crew_of(foundation, base, only)
    moving = _moving(foundation, registry, base, crew, selection)
    services: dict[str, Service] = {
        "lease": base.lease.keep,
        "accounts": moving.workers.run,
        "schedule": ticks_of(base, moving.scheduler, moving.logins),
        "runs": partial(moving.run_queue.work, moving.runner, only),
    }
    if foundation.running is not None:
        services["store"] = store_keeper(foundation.running)
    return System(
        foundation=foundation,
        control=_controller(foundation, base, crew, moving),
        accounts=base.accounts,
        connections=base.connections,
        logins=moving.logins,
        tokens=base.tokens,
        outbox=base.outbox,
        lease=base.lease,
        runner=moving.runner,
        scheduler=moving.scheduler,
        run_queue=moving.run_queue,
        supervisor=moving.supervisor,
        services=services,
        hint=crew.hint,
        worker=crew.get,
    )


@dataclass(frozen=True, slots=True)
class _Moving:
    """The parts of the engine that act by themselves or on a command."""

    supervisor: Supervisor
    workers: Workers
    strategies: StrategyBook
    runner: Runner
    scheduler: Scheduler
    run_queue: RunQueue
    logins: LoginDesk


def _moving(
    foundation: Foundation,
    registry: Mapping[str, Strategy],
    base: Base,
    crew: Crew,
    selection: Selection | None,
) -> _Moving:
    store, clock = foundation.store, foundation.clock
    supervisor = Supervisor(clock, crash_teller(base.outbox, store))
    strategies = StrategyBook(store, clock, registry)
    runner = runner_of(foundation, base, strategies, crew)
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
        supervisor=supervisor,
        workers=Workers(clock, supervisor, crew.present, crew.service),
        strategies=strategies,
        runner=runner,
        scheduler=scheduler,
        run_queue=RunQueue(store, clock),
        logins=logins_of(foundation, base, crew),
    )


def _controller(foundation: Foundation, base: Base, crew: Crew, moving: _Moving) -> Controller:
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
        queries=queries_of(foundation, base, crew),
        trading=trading_of(foundation, base, crew),
        market_data=base.market_data,
        outbox=base.outbox,
        lease=base.lease,
        supervisor=moving.supervisor,
        workers=moving.workers,
        worker=crew.get,
        run_queue=moving.run_queue,
        store_kind=foundation.store_kind,
        live_brokers_allowed=may_trade_live(foundation),
    )
    return Controller(parts)
