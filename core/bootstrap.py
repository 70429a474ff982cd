"""The only place in core that names concrete classes: settings in, a running system out.

``open_system`` brings up the store and takes nothing; ``build`` wires the engine over it. The
process' own composition root (``bot.process``) adds what faces people: the bot and the web server.
"""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial

from core.adapters.brokers import build_brokers
from core.adapters.calendar import TradingCalendar
from core.adapters.clock import clock_from_setting
from core.adapters.mongo.migrations import migrate
from core.adapters.mongo.server import RunningStore, launch, read_store_file
from core.adapters.mongo.store import MongoStore
from core.adapters.scheduling import run_ticks
from core.adapters.vault import FernetVault, rotate
from core.config import Settings
from core.domain.account import BrokerType
from core.domain.notice import Notice, NoticeKind
from core.domain.target import Strategy
from core.engine.account_worker import AccountWorker, WorkerParts, WorkerSettings
from core.engine.accounts import AccountBook
from core.engine.connections import Connections, Masters
from core.engine.controller import Controller, ControllerParts
from core.engine.desk import Desk, DeskSettings
from core.engine.drift import LedgerDrift
from core.engine.execution import Execution
from core.engine.journal import Journal
from core.engine.lease import Lease
from core.engine.logins import LoginDesk, LoginParts
from core.engine.market_data import MarketData
from core.engine.outbox import Outbox, OutboxSender
from core.engine.queries import Queries, QueryParts
from core.engine.reconciliation import Reconciler
from core.engine.run_queue import RunQueue
from core.engine.runner import Runner, RunnerParts
from core.engine.scheduler import Scheduler, Selection
from core.engine.strategies import StrategyBook
from core.engine.supervisor import Service, Supervisor, Workers
from core.engine.tokens import Tokens
from core.engine.trading_desk import TradingDesk, TradingParts
from core.errors import StoreUnavailable
from core.ports.broker import Broker
from core.ports.calendar import Calendar
from core.ports.clock import Clock
from core.ports.notifier import Notifier

__all__ = ["Foundation", "System", "attach", "build", "open_system", "rotate_secrets"]

_log = logging.getLogger(__name__)
_TICK_S = 0.5
_TOKEN_TICK_S = 2.0


@dataclass(frozen=True, slots=True)
class Foundation:
    """What every command stands on: the store, the vault, the clock and the calendar."""

    settings: Settings
    store: MongoStore
    store_kind: str
    running: RunningStore | None
    vault: FernetVault
    clock: Clock
    calendar: Calendar


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


@asynccontextmanager
async def open_system(settings: Settings) -> AsyncIterator[Foundation]:
    """Bring up the store that the settings ask for; close and stop it at the end.

    Raises:
        StoreUnavailable: Nothing came up.
        ConfigurationError: A setting or a key is wrong.
    """
    clock = clock_from_setting(settings.clock)
    uri = settings.mongodb_uri.get_secret_value() if settings.mongodb_uri else None
    running = await launch(settings.data_dir, uri=uri, mongod=settings.mongod)
    try:
        async with attach(settings, running.server.uri, clock) as foundation:
            yield Foundation(
                settings,
                foundation.store,
                running.server.kind,
                running,
                foundation.vault,
                clock,
                foundation.calendar,
            )
    finally:
        await running.stop()


@asynccontextmanager
async def attach(
    settings: Settings, uri: str | None = None, clock: Clock | None = None
) -> AsyncIterator[Foundation]:
    """Reach a store that runs already: at ``uri``, or where ``store.json`` says.

    Raises:
        StoreUnavailable: No store runs for this data directory.
    """
    if uri is None:
        found = read_store_file(settings.data_dir)
        if found is None:
            raise StoreUnavailable(f"no controller's store runs under {settings.data_dir}")
        uri = found.uri
    secret = settings.secret_key.get_secret_value() if settings.secret_key else None
    vault = FernetVault.from_setting(secret, settings.data_dir)
    async with await MongoStore.connect(uri, settings.db) as store:
        await migrate(store)
        kind = str(store.server_kind())
        moment = clock or clock_from_setting(settings.clock)
        yield Foundation(settings, store, kind, None, vault, moment, TradingCalendar())


async def rotate_secrets(foundation: Foundation) -> tuple[int, list[str]]:
    """Add a key where the keys are a file, and seal every secret with the newest one.

    Returns:
        How many were sealed anew, and the places of those that could not be opened.
    """
    if foundation.vault.is_file_based:
        foundation.vault.add_key()
    done = await rotate(foundation.store, foundation.vault)
    return done.resealed, done.unreadable


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
    base = _base(foundation, brokers or _brokers(foundation.settings, foundation.clock))
    crew = _crew(foundation, base, only)
    moving = _moving(foundation, registry, base, crew, selection)
    services: dict[str, Service] = {
        "lease": base.lease.keep,
        "accounts": moving.workers.run,
        "schedule": _ticks(base, moving.scheduler, moving.logins),
        "runs": partial(moving.run_queue.work, moving.runner, only),
    }
    if foundation.running is not None:
        services["store"] = _store_keeper(foundation.running)
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
    base: _Base,
    crew: _Crew,
    selection: Selection | None,
) -> _Moving:
    store, clock = foundation.store, foundation.clock
    supervisor = Supervisor(clock, _crash_teller(base.outbox, store))
    strategies = StrategyBook(store, clock, registry)
    runner = _runner(foundation, base, strategies, crew)
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
        logins=_logins(foundation, base, crew),
    )


def _controller(foundation: Foundation, base: _Base, crew: _Crew, moving: _Moving) -> Controller:
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
        queries=_queries(foundation, base, crew),
        trading=_trading(foundation, base, crew),
        market_data=base.market_data,
        outbox=base.outbox,
        lease=base.lease,
        supervisor=moving.supervisor,
        workers=moving.workers,
        worker=crew.get,
        run_queue=moving.run_queue,
        store_kind=foundation.store_kind,
        live_brokers_allowed=_may_trade_live(foundation),
    )
    return Controller(parts)


def _may_trade_live(foundation: Foundation) -> bool:
    accepted = foundation.settings.accept_embedded_store_for_live
    return accepted or foundation.store_kind != "embedded"


def _brokers(settings: Settings, clock: Clock) -> Mapping[BrokerType, Broker]:
    return build_brokers(
        clock,
        kite_api=settings.kite_api,
        kite_login=settings.kite_login,
        fyers_api=settings.fyers_api,
        fyers_masters=settings.fyers_masters,
        deadline_s=settings.order_deadline_s,
    )


@dataclass(frozen=True, slots=True)
class _Base:
    """The parts of the engine that the others stand on."""

    outbox: Outbox
    accounts: AccountBook
    masters: Masters
    connections: Connections
    journal: Journal
    lease: Lease
    tokens: Tokens
    execution: Execution
    market_data: MarketData


def _base(foundation: Foundation, brokers: Mapping[BrokerType, Broker]) -> _Base:
    store, clock = foundation.store, foundation.clock
    outbox = Outbox(clock)
    accounts = AccountBook(store, foundation.vault, clock)
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
    execution = Execution(store, clock, journal, outbox, lambda: lease.fence)
    market_data = MarketData(store, clock, accounts, connections)
    return _Base(
        outbox, accounts, masters, connections, journal, lease, tokens, execution, market_data
    )


def _crew(foundation: Foundation, base: _Base, only: str | None) -> _Crew:
    store, clock = foundation.store, foundation.clock
    reconciler = Reconciler(
        store,
        clock,
        base.journal,
        base.outbox,
        horizon_s=foundation.settings.horizon_s,
        in_flight=base.execution.in_flight,
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

    def desk(broker_id: str) -> Desk:
        return Desk(
            broker_id,
            store=store,
            clock=clock,
            journal=base.journal,
            execution=base.execution,
            outbox=base.outbox,
            settings=DeskSettings(),
        )

    return _Crew(parts, desk, only)


def _runner(foundation: Foundation, base: _Base, strategies: StrategyBook, crew: _Crew) -> Runner:
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
            crew.hint,
        )
    )


def _logins(foundation: Foundation, base: _Base, crew: _Crew) -> LoginDesk:
    parts = LoginParts(
        foundation.store,
        foundation.clock,
        foundation.vault,
        base.accounts,
        base.connections,
        base.tokens,
        base.outbox,
    )
    return LoginDesk(parts, public_url=foundation.settings.public_url, on_login=crew.hint)


def _queries(foundation: Foundation, base: _Base, crew: _Crew) -> Queries:
    return Queries(
        QueryParts(foundation.store, foundation.clock, base.accounts, base.journal, crew.get)
    )


def _trading(foundation: Foundation, base: _Base, crew: _Crew) -> TradingDesk:
    parts = TradingParts(
        foundation.store,
        foundation.clock,
        base.accounts,
        base.connections,
        base.journal,
        base.execution,
        base.outbox,
        crew.get,
    )
    return TradingDesk(parts)


def _ticks(base: _Base, scheduler: Scheduler, logins: LoginDesk) -> Service:
    async def watch_tokens() -> None:
        await base.tokens.tick(base.connections)
        await logins.tick()

    async def run() -> None:
        await base.tokens.probe_all(base.connections)
        await run_ticks(
            {"scheduler": (_TICK_S, scheduler.tick), "tokens": (_TOKEN_TICK_S, watch_tokens)}
        )

    return run


class _Crew:
    """The workers that run now, by account; with ``only``, for that account alone."""

    def __init__(
        self, parts: WorkerParts, desk: Callable[[str], Desk], only: str | None = None
    ) -> None:
        self._parts = parts
        self._desk = desk
        self._only = only
        self._workers: dict[str, AccountWorker] = {}

    def get(self, broker_id: str) -> AccountWorker | None:
        return self._workers.get(broker_id)

    def hint(self, broker_id: str) -> None:
        worker = self._workers.get(broker_id)
        if worker is not None:
            worker.wake()

    async def present(self) -> tuple[str, ...]:
        present = (account.broker_id for account in await self._parts.accounts.all())
        return tuple(one for one in present if self._only in {None, one})

    def service(self, broker_id: str) -> Service:
        async def run() -> None:
            worker = AccountWorker(broker_id, self._desk(broker_id), self._parts)
            self._workers[broker_id] = worker
            try:
                await worker.run()
            finally:
                self._workers.pop(broker_id, None)

        return run


def _crash_teller(outbox: Outbox, store: MongoStore) -> Callable[[str, Exception], Awaitable[None]]:
    async def tell(name: str, error: Exception) -> None:
        text = (
            f"A part of Saarthi stopped and is being restarted: {name} "
            f"({type(error).__name__}). The others go on; the log has the details."
        )
        await outbox.post(store, Notice(NoticeKind.TEXT, {"text": text}))

    return tell


def _store_keeper(running: RunningStore) -> Service:
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
