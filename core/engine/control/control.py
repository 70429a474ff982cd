"""What the bot and the web server may ask of the controller: one small service for each subject.

A command carries a ``core.domain.command.Command``: who asks, and an id that makes it take effect
at most once (I9); a repeated id raises ``AlreadyDone``. A user's mistake raises ``UserError`` with
one sentence and changes nothing. No view holds a secret. Each service documents its own promises.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from core.domain.account import Account
from core.domain.command import Command
from core.engine.accounts.logins import Logins
from core.engine.accounts.shared_links import SharedLinks
from core.engine.accounts.tokens import Tokens
from core.engine.control.account_addresses import AccountAddresses
from core.engine.control.account_registration import AccountRegistration
from core.engine.control.account_switch import AccountSwitch
from core.engine.control.controller_health import ControllerHealth
from core.engine.control.deliveries import Deliveries
from core.engine.control.limits import LimitSettings
from core.engine.control.manual_orders import ManualOrders
from core.engine.control.manual_runs import ManualRuns
from core.engine.control.owners import Owners
from core.engine.control.panic import PanicControl
from core.engine.control.paper_accounts import PaperAccounts
from core.engine.control.result_guards import GuardSettings
from core.engine.control.stops import Stops
from core.engine.control.strategy_views import StrategyViews
from core.engine.control.system_settings import SystemSettings
from core.engine.control.trade_sizes import TradeSizes
from core.engine.control.trading_modes import TradingModes
from core.engine.control.unresolved_orders import UnresolvedOrders
from core.engine.control.views import Views
from core.engine.runs.settings import StrategySettings
from core.engine.safeguards.round_trips import RoundTrips

__all__ = ["ConnectedAccounts", "Control"]


class ConnectedAccounts(Protocol):
    """What drivers may ask of the accounts: no secret of theirs is among it."""

    async def all(self) -> tuple[Account, ...]:
        """Return every connected account, in the order of the list."""
        ...

    async def get(self, broker_id: str) -> Account:
        """Return one account; raises ``NotFound``."""
        ...

    async def check_name_is_free(self, name: str, besides: str | None = None) -> None:
        """Raise ``UserError`` when another account has the name."""
        ...

    async def rename(self, command: Command, broker_id: str, name: str) -> Account:
        """Give an account another name."""
        ...

    async def set_default(self, command: Command, broker_id: str) -> Account:
        """Make an account the default one."""
        ...


@dataclass(frozen=True, slots=True)
class Control:
    """The services of a running controller, by subject.

    Attributes:
        accounts: The connected accounts: read them, rename one, choose the default.
        registration: Connect and disconnect accounts.
        addresses: From where accounts' requests leave.
        switch: Enable and disable accounts.
        modes: The trading modes.
        limits: Limits of accounts and of all together.
        round_trips: The round trip of the smallest size that proves an account.
        logins: Offer and complete logins.
        links: Login links to give away.
        tokens: The warning about expired tokens.
        views: Dashboards, positions, orders, trades, profit and runs.
        orders: Close a position, cancel an order.
        panic: Cancel and close everything.
        unresolved: Orders of unknown fate: ask again, link, give up.
        stops: Put a stop back that somebody cancelled.
        guards: Guards on the day's result.
        strategies: Strategies as they are shown.
        strategy_settings: Enable strategies, change parameters and assignments.
        sizes: What strategies would trade, in rupees; instruments with names and prices.
        runs: Extra runs.
        settings: What else can be set from the chat.
        paper: The money of paper accounts.
        health: How the controller and its accounts do.
        deliveries: Notices that could not be delivered; messages that go with a login.
        owners: Who is served.
    """

    accounts: ConnectedAccounts
    registration: AccountRegistration
    addresses: AccountAddresses
    switch: AccountSwitch
    modes: TradingModes
    limits: LimitSettings
    round_trips: RoundTrips
    logins: Logins
    links: SharedLinks
    tokens: Tokens
    views: Views
    orders: ManualOrders
    panic: PanicControl
    unresolved: UnresolvedOrders
    stops: Stops
    guards: GuardSettings
    strategies: StrategyViews
    strategy_settings: StrategySettings
    sizes: TradeSizes
    runs: ManualRuns
    settings: SystemSettings
    paper: PaperAccounts
    health: ControllerHealth
    deliveries: Deliveries
    owners: Owners
