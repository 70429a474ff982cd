"""The running system."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from functools import partial

from core.adapters.broker_connections import tls_context
from core.adapters.brokers import build_brokers
from core.adapters.strategies.process import StrategySource
from core.adapters.strategies.processes import StrategyProcesses
from core.bootstrap.control import control_of, day_summaries, restored_watch
from core.bootstrap.foundation import Foundation
from core.bootstrap.services import store_keeper, ticks_of
from core.bootstrap.wiring import Wiring
from core.config import Settings
from core.domain.broker_profile import BrokerProfile
from core.domain.instrument import InstrumentId
from core.domain.notices.post import Post
from core.domain.notices.system import Started
from core.domain.target import Strategy
from core.domain.views import LoopLag
from core.engine.accounts.accounts import Accounts
from core.engine.accounts.connections import Connections
from core.engine.accounts.logins import Logins
from core.engine.accounts.tokens import Tokens
from core.engine.control.account_registration import BETA_STORE
from core.engine.control.control import Control
from core.engine.orders.ending import Ending
from core.engine.orders.journal import count_unknown
from core.engine.outbox import Outbox
from core.engine.outbox_sender import OutboxSender
from core.engine.runs.calendar_watch import CalendarWatch
from core.engine.runs.decider import keep_ready
from core.engine.runs.requests import RunRequests
from core.engine.runs.runner import Runner
from core.engine.runs.scheduler import Scheduler, Selection
from core.engine.workers.account_worker import AccountWorker
from core.engine.workers.lease import Lease
from core.engine.workers.liveness import Liveness
from core.engine.workers.supervisor import Service, Supervisor
from core.errors import ConfigurationError
from core.ports.address_probe import AddressProbe
from core.ports.broker import Broker
from core.ports.clock import Clock
from core.ports.decisions import Decisions
from core.ports.notifier import Notifier

__all__ = ["System", "build", "strategy_processes"]


_HEARD_OUT_S = 5.0
"""An answer that takes longer is looked up by the next controller: a stop takes less than 10 s."""


@dataclass(frozen=True, slots=True)
class System:
    """The wired engine.

    Attributes:
        services: What a supervisor has to keep running, the notifier's sender left out.
        hint: Wakes an account's worker; a postback calls it.
        worker: Returns an account's worker while it runs.
        probe: Looks where accounts' requests leave.
        liveness: Whether the workers live.
        watched_here: Returns the instruments whose stops are watched here alone.
    """

    foundation: Foundation
    control: Control
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
    ending: Ending
    decisions: Decisions
    services: Mapping[str, Service]
    hint: Callable[[str], None]
    worker: Callable[[str], AccountWorker | None]
    probe: AddressProbe
    liveness: Liveness
    watched_here: Callable[[], Awaitable[tuple[InstrumentId, ...]]]

    def sender(self, notifier: Notifier) -> Service:
        """Return the service that delivers notices through ``notifier``."""
        store, clock = self.foundation.store, self.foundation.clock
        return OutboxSender(store, clock, self.outbox, notifier).run

    async def begin(self) -> None:
        """Take the lease, and notify the user that the controller has started.

        Raises:
            ConfigurationError: Live accounts may not be served from this store.
        """
        await self._refuse_beta_store()
        # Reads the bundle of certificates: not on the loop, and not before the first order.
        await asyncio.to_thread(tls_context)
        await self.lease.wait_and_take()
        store = self.foundation.store
        unknown = await count_unknown(store, await self.accounts.ids())
        # Nobody watched them while no controller ran.
        watched = tuple(map(str, await self.watched_here()))
        await self.outbox.post_alone(store, Post(Started(unknown, watched)))
        await self.control.switch.name_unreleased()

    async def _refuse_beta_store(self) -> None:
        if self.foundation.may_serve_live:
            return
        if any(not one.broker.is_paper for one in await self.accounts.all()):
            raise ConfigurationError(BETA_STORE)

    async def finish(self) -> None:
        """Send nothing else, and hear out what is on its way: the controller is about to end."""
        await self.ending.begin(within_s=_HEARD_OUT_S)

    async def end(self) -> None:
        """End the strategies' processes, close every client and give the lease back."""
        await self.decisions.aclose()
        await self.connections.aclose()
        await self.lease.give_back()


def build(
    foundation: Foundation,
    registry: Mapping[str, Strategy],
    *,
    decisions: Decisions,
    brokers: Mapping[BrokerProfile, Broker] | None = None,
    selection: Selection | None = None,
    loop_lag: Callable[[], LoopLag] | None = None,
) -> System:
    """Wire the engine over a foundation.

    Args:
        foundation: Store, vault, clock, calendar, settings.
        registry: The strategies by name.
        decisions: Has them decide; ``strategy_processes`` does so in processes of their own.
        brokers: Other brokers than the real ones; a test that kills the process at a chosen call
            wraps them here.
        selection: Work for this strategy and account alone.
        loop_lag: Says how the event loop does.
    """
    wiring = Wiring(
        foundation,
        registry,
        brokers or _brokers_of(foundation.settings, foundation.clock),
        decisions,
        selection,
    )
    control = control_of(foundation, wiring, loop_lag)
    return System(
        foundation=foundation,
        control=control,
        accounts=wiring.accounts,
        connections=wiring.connections,
        logins=wiring.logins,
        tokens=wiring.tokens,
        outbox=wiring.outbox,
        lease=wiring.lease,
        runner=wiring.runner,
        scheduler=wiring.scheduler,
        calendar_watch=wiring.upkeep.calendar,
        run_requests=wiring.run_requests,
        supervisor=wiring.supervisor,
        ending=wiring.gateway.ending,
        decisions=decisions,
        services=_services(foundation, wiring, control, selection),
        hint=wiring.pool.wake,
        worker=wiring.pool.get,
        probe=wiring.upkeep.addresses.probe,
        liveness=Liveness(
            foundation.clock,
            wiring.pool.turns,
            lambda: wiring.pool.looked_at,
            lambda: wiring.scheduler.last_tick_at,
        ),
        watched_here=wiring.stop_watch.watched_here,
    )


def _services(
    foundation: Foundation, wiring: Wiring, control: Control, selection: Selection | None
) -> Mapping[str, Service]:
    only = selection.broker_id if selection else None
    services: dict[str, Service] = {
        "lease": wiring.lease.keep,
        "accounts": wiring.pool.run,
        "connections": wiring.connections.open_ahead,
        "schedule": ticks_of(
            wiring.scheduler,
            wiring.tokens,
            wiring.logins,
            wiring.connections,
            wiring.upkeep.calendar,
            wiring.masters,
            wiring.upkeep.clock,
            wiring.upkeep.store,
            wiring.upkeep.keys,
            wiring.symbol_watch,
            wiring.contract_watch,
            wiring.price_watch,
            wiring.price_parts.sources,
            control.round_trips,
            wiring.upkeep.pruning,
            wiring.upkeep.addresses,
            wiring.upkeep.last_runs,
            wiring.upkeep.backup,
            restored_watch(foundation, wiring, control.views),
            day_summaries(foundation, wiring, control.views),
        ),
        "prices": wiring.price_parts.feed.run,
        "bars": wiring.price_parts.days.run,
        "strategies": partial(
            keep_ready,
            wiring.decisions,
            wiring.strategies,
            selection.strategy if selection else None,
        ),
        "panic": wiring.panics.run,
        "paper": wiring.paper.run,
        "runs": partial(wiring.run_requests.work, wiring.runner, only),
    }
    if foundation.running is not None:
        services["store"] = store_keeper(foundation.running)
    return services


def strategy_processes(registry: str) -> Decisions:
    """Return what has strategies decide in processes of their own.

    Args:
        registry: ``module:attribute`` of the strategies by name, for each process to import.
    """
    return StrategyProcesses(StrategySource(registry))


def _brokers_of(settings: Settings, clock: Clock) -> Mapping[BrokerProfile, Broker]:
    """Build the real brokers from the settings' roots."""
    return build_brokers(clock, settings.addresses, deadline_s=settings.order_deadline_s)
