"""The first half of an engine's wiring: orders, accounts, workers and panics."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from functools import cached_property

from core.adapters.paper import PAPER_PROFILE, PaperBroker
from core.bootstrap.foundation import Foundation
from core.bootstrap.services import crash_reporter, lists_all, proof_address
from core.domain.broker_profile import BrokerProfile
from core.domain.target import Strategy
from core.engine.accounts.accounts import Accounts
from core.engine.accounts.connections import Connections
from core.engine.accounts.logins import Logins
from core.engine.accounts.masters import Masters, MasterWatch
from core.engine.accounts.tokens import Tokens
from core.engine.orders.alarm_watch import Alarms
from core.engine.orders.crossings import Crossings
from core.engine.orders.executor import Executor, ExecutorSettings
from core.engine.orders.gateway import Gateway
from core.engine.orders.guards import Guards
from core.engine.orders.inquiries import Inquiries
from core.engine.orders.journal import Journal
from core.engine.orders.looks import Looks
from core.engine.orders.market_hours import MarketHours
from core.engine.orders.net_positions import NetPositions
from core.engine.orders.prices import Prices
from core.engine.orders.protections import Protections
from core.engine.orders.reconciliation import Reconciler
from core.engine.outbox import Outbox
from core.engine.runs.market_data import MarketData
from core.engine.runs.paper_prices import PaperPrices
from core.engine.runs.scheduler import Selection
from core.engine.runs.settings import is_assigned
from core.engine.safeguards.panic import Panics
from core.engine.safeguards.panic_account import PursuitParts
from core.engine.safeguards.panic_facts import PanicFacts
from core.engine.safeguards.reconnection import Reconnection
from core.engine.workers.account_worker import AccountWorker
from core.engine.workers.lease import Lease
from core.engine.workers.pool import WorkerPool
from core.engine.workers.read_watch import ReadWatch
from core.engine.workers.rest import Rest
from core.engine.workers.snapshot_reader import SnapshotReader, WorkerSettings
from core.engine.workers.supervisor import Supervisor
from core.ports.broker import Broker
from core.ports.decisions import Decisions

__all__ = ["AccountWiring"]


class AccountWiring(ABC):
    """What serves the accounts of one engine over a foundation; a property is made once.

    Args:
        foundation: Store, vault, clock, calendar, settings.
        registry: The strategies by name.
        brokers: The brokers by profile.
        decisions: Has the strategies decide.
        selection: Work for this strategy and account alone.
    """

    def __init__(
        self,
        foundation: Foundation,
        registry: Mapping[str, Strategy],
        brokers: Mapping[BrokerProfile, Broker],
        decisions: Decisions,
        selection: Selection | None = None,
    ) -> None:
        self._foundation = foundation
        self._store = foundation.store
        self._clock = foundation.clock
        self._calendar = foundation.calendar
        self._registry = registry
        self._paper_prices = PaperPrices(lambda: self.market_data)
        self.paper = PaperBroker(
            foundation.clock, foundation.store, foundation.calendar, self._paper_prices
        )
        self._brokers: Mapping[BrokerProfile, Broker] = {**brokers, PAPER_PROFILE: self.paper}
        self.decisions = decisions
        self._selection = selection

    @property
    @abstractmethod
    def market_data(self) -> MarketData:
        """Candles and quotes from the data account."""

    @cached_property
    def outbox(self) -> Outbox:
        """Notices for the chat."""
        return Outbox(self._clock)

    # Orders

    @cached_property
    def journal(self) -> Journal:
        """Orders and ledgers."""
        return Journal(self._store, self._clock, self.outbox)

    @cached_property
    def gateway(self) -> Gateway:
        """The only way of an order to a broker."""
        return Gateway(
            self._store,
            self._clock,
            self.journal,
            self.outbox,
            fence=lambda: self.lease.fence,
            is_assigned=is_assigned,
            proof_address=self.proof_address,
        )

    def proof_address(self, broker_id: str) -> str | None:
        """Return where an account has to be proved before it enters, None where it need not."""
        return proof_address(self._foundation.settings, self._brokers, broker_id)

    @cached_property
    def reconciler(self) -> Reconciler:
        """Settles the journal against a broker's orders."""
        return Reconciler(
            self._store,
            self._clock,
            self.journal,
            self.outbox,
            self.inquiries,
            horizon_s=self._foundation.settings.horizon_s,
            in_flight=self.gateway.in_flight,
            lists_all=lambda broker_id: lists_all(self._brokers, broker_id),
        )

    @cached_property
    def inquiries(self) -> Inquiries:
        """What is asked about orders of unknown fate."""
        return Inquiries(self._store, self._clock, self.outbox)

    @cached_property
    def nets(self) -> NetPositions:
        """What accounts hold, by all witnesses."""
        return NetPositions(self._store, self._clock, self._calendar, self.journal, self.outbox)

    @cached_property
    def crossings(self) -> Crossings:
        """Crosses opposite strategies."""
        return Crossings(self._store, self._clock, self.outbox)

    @cached_property
    def hours(self) -> MarketHours:
        """When instruments trade."""
        return MarketHours(self._calendar, self._clock, self.masters.listed)

    @cached_property
    def prices(self) -> Prices:
        """Last prices."""
        return Prices()

    @cached_property
    def protections(self) -> Protections:
        """How positions stand."""
        return Protections(
            store=self._store,
            clock=self._clock,
            journal=self.journal,
            hours=self.hours,
            nets=self.nets,
            prices=self.prices,
        )

    @cached_property
    def guards(self) -> Guards:
        """Tells what is unprotected."""
        alarms = Alarms(self._store, self.outbox, self.journal, self.nets)
        return Guards(self._store, self._clock, self.outbox, self.protections, alarms)

    def new_executor(self, broker_id: str) -> Executor:
        """Return an executor of one account."""
        return Executor(
            broker_id,
            store=self._store,
            clock=self._clock,
            journal=self.journal,
            gateway=self.gateway,
            outbox=self.outbox,
            looks=Looks(broker_id, self._clock, self.journal, self.nets),
            hours=self.hours,
            prices=self.prices,
            settings=ExecutorSettings(),
        )

    # Accounts

    @cached_property
    def accounts(self) -> Accounts:
        """The accounts."""
        return Accounts(self._store, self._foundation.vault, self._clock, self._brokers)

    @cached_property
    def masters(self) -> Masters:
        """Instruments by broker."""
        return Masters(
            self._brokers,
            self._clock,
            archive=self._foundation.masters,
            watch=MasterWatch(self._store, self.outbox),
            lender=self._paper_prices.broker,
        )

    @cached_property
    def connections(self) -> Connections:
        """Clients by account."""
        return Connections(self._brokers, self.accounts, self.masters)

    @cached_property
    def tokens(self) -> Tokens:
        """Watches the tokens."""
        return Tokens(
            self._store,
            self._clock,
            self._calendar,
            self.accounts,
            self.outbox,
            warning_interval_s=self._foundation.settings.warning_interval_s,
        )

    @cached_property
    def logins(self) -> Logins:
        """Offers and completes logins."""
        return Logins(
            store=self._store,
            clock=self._clock,
            vault=self._foundation.vault,
            accounts=self.accounts,
            connections=self.connections,
            tokens=self.tokens,
            outbox=self.outbox,
            public_url=self._foundation.settings.public_url,
            redirect_root=self._foundation.settings.redirect_root,
            on_login=self.pool.wake,
            on_first_login=Reconnection(self._clock, self.accounts).take_over,
        )

    # Workers

    @cached_property
    def lease(self) -> Lease:
        """Lets one controller work on a store."""
        return Lease(
            self._store,
            self._clock,
            session_ids=lambda: self._store.session_ids,
            kill_sessions=self._store.kill_sessions,
            hold=self._store.hold,
            release=self._store.release,
        )

    @cached_property
    def supervisor(self) -> Supervisor:
        """Keeps services running."""
        return Supervisor(self._clock, crash_reporter(self.outbox, self._store))

    @cached_property
    def pool(self) -> WorkerPool:
        """The accounts' workers."""
        only = self._selection.broker_id if self._selection else None
        return WorkerPool(self._clock, self.accounts, self.supervisor, self.new_worker, only)

    def new_worker(self, broker_id: str) -> AccountWorker:
        """Return a worker of one account."""
        settings, clock = WorkerSettings(), self._clock
        reader = SnapshotReader(
            broker_id, clock=clock, reconciler=self.reconciler, nets=self.nets, settings=settings
        )
        return AccountWorker(
            broker_id,
            executor=self.new_executor(broker_id),
            crossings=self.crossings,
            reader=reader,
            clock=self._clock,
            accounts=self.accounts,
            connections=self.connections,
            masters=self.masters,
            journal=self.journal,
            tokens=self.tokens,
            watch=ReadWatch(
                broker_id,
                store=self._store,
                clock=self._clock,
                outbox=self.outbox,
                is_market_open=self.hours.is_any_open,
            ),
            guards=self.guards,
            rest=Rest(self._store),
            settings=settings,
        )

    # Safeguards

    @cached_property
    def panic_facts(self) -> PanicFacts:
        """What a panic knows of accounts."""
        return PanicFacts(
            store=self._store,
            clock=self._clock,
            accounts=self.accounts,
            journal=self.journal,
            nets=self.nets,
            hours=self.hours,
            masters=self.masters,
            worker=self.pool.get,
        )

    @cached_property
    def panics(self) -> Panics:
        """Cancels and closes everything when a user asks for it."""
        parts = PursuitParts(
            self._store,
            self._clock,
            self.outbox,
            self.gateway,
            self.connections,
            self.panic_facts,
            self.pool.get,
        )
        return Panics(
            store=self._store,
            clock=self._clock,
            outbox=self.outbox,
            parts=parts,
            wake=self.pool.wake,
        )
