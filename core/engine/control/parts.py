"""What the services of control work with."""

from __future__ import annotations

from dataclasses import dataclass

from core.engine.accounts.accounts import Accounts
from core.engine.accounts.connections import Connections
from core.engine.accounts.logins import Logins
from core.engine.accounts.tokens import Tokens
from core.engine.control.manual_orders import ManualOrders
from core.engine.control.views import Views
from core.engine.outbox import Outbox
from core.engine.runs.market_data import MarketData
from core.engine.runs.requests import RunRequests
from core.engine.runs.runner import Runner
from core.engine.runs.scheduler import Scheduler
from core.engine.runs.settings import StrategySettings
from core.engine.workers.lease import Lease
from core.engine.workers.pool import WorkerPool
from core.engine.workers.supervisor import Supervisor
from core.ports.calendar import Calendar
from core.ports.clock import Clock
from core.ports.store import Store

__all__ = ["ControllerParts"]


@dataclass(frozen=True, slots=True)
class ControllerParts:
    """Everything that the facade speaks to."""

    store: Store
    clock: Clock
    calendar: Calendar
    accounts: Accounts
    connections: Connections
    logins: Logins
    tokens: Tokens
    strategies: StrategySettings
    scheduler: Scheduler
    runner: Runner
    queries: Views
    trading: ManualOrders
    market_data: MarketData
    outbox: Outbox
    lease: Lease
    supervisor: Supervisor
    pool: WorkerPool
    run_requests: RunRequests
    store_kind: str
    live_brokers_allowed: bool
