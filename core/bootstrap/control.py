"""How the services that the bot and the web server use are put together."""

from __future__ import annotations

from collections.abc import Callable

from core.bootstrap.foundation import Foundation
from core.bootstrap.wiring import Wiring
from core.domain.views import LoopLag
from core.engine.accounts.shared_links import SharedLinks
from core.engine.control.account_addresses import AccountAddresses
from core.engine.control.account_registration import AccountRegistration
from core.engine.control.account_switch import AccountSwitch
from core.engine.control.control import Control
from core.engine.control.controller_health import ControllerHealth
from core.engine.control.day_summaries import DaySummaries
from core.engine.control.deliveries import Deliveries
from core.engine.control.limits import LimitSettings
from core.engine.control.manual_orders import ManualOrders
from core.engine.control.manual_runs import ManualRuns
from core.engine.control.owners import Owners
from core.engine.control.panic import PanicControl
from core.engine.control.paper_accounts import PaperAccounts
from core.engine.control.restored import RestoredWatch
from core.engine.control.result_guards import GuardSettings
from core.engine.control.stops import Stops
from core.engine.control.strategy_views import StrategyViews
from core.engine.control.system_settings import SystemSettings
from core.engine.control.trade_sizes import TradeSizes
from core.engine.control.trading_modes import TradingModes
from core.engine.control.unresolved_orders import UnresolvedOrders
from core.engine.control.views import Views
from core.engine.safeguards.round_trips import RoundTrips

__all__ = ["control_of", "day_summaries", "restored_watch"]


def control_of(
    foundation: Foundation, engine: Wiring, loop_lag: Callable[[], LoopLag] | None = None
) -> Control:
    """Return the services of an engine; ``loop_lag`` says how the event loop does."""
    store, clock = foundation.store, foundation.clock
    views = Views(
        store=store,
        clock=clock,
        accounts=engine.accounts,
        journal=engine.journal,
        worker=engine.pool.get,
        protections=engine.protections,
        proof_address=engine.proof_address,
        instruments=engine.masters.known,
    )
    orders = _orders(foundation, engine)
    return Control(
        accounts=engine.accounts,
        registration=_registration(foundation, engine),
        addresses=_addresses(foundation, engine),
        switch=_switch(foundation, engine, orders),
        modes=TradingModes(
            store=store,
            clock=clock,
            accounts=engine.accounts,
            views=views,
            wake=engine.pool.wake,
            allow_normal=engine.loss_limit.allow_normal,
        ),
        limits=_limits(foundation, engine),
        round_trips=_round_trips(foundation, engine),
        logins=engine.logins,
        links=SharedLinks(store, clock, engine.accounts, foundation.settings.public_url),
        tokens=engine.tokens,
        views=views,
        orders=orders,
        panic=_panic(foundation, engine, views),
        unresolved=_unresolved(foundation, engine),
        stops=Stops(store=store, clock=clock, wake=engine.pool.wake),
        guards=_guards(foundation, engine),
        strategies=_strategies(foundation, engine, views),
        strategy_settings=engine.strategies,
        sizes=_sizes(foundation, engine),
        runs=ManualRuns(
            store=store,
            clock=clock,
            calendar=foundation.calendar,
            strategies=engine.strategies,
            runner=engine.runner,
            requests=engine.run_requests,
        ),
        settings=SystemSettings(store, engine.accounts),
        paper=_paper(foundation, engine),
        health=_health(foundation, engine, loop_lag),
        deliveries=Deliveries(store, clock, engine.outbox),
        owners=Owners(store, engine.outbox),
    )


def _sizes(foundation: Foundation, engine: Wiring) -> TradeSizes:
    return TradeSizes(
        store=foundation.store,
        clock=foundation.clock,
        accounts=engine.accounts,
        strategies=engine.strategies,
        market_data=engine.market_data,
        masters=engine.masters,
        worker=engine.pool.get,
    )


def restored_watch(foundation: Foundation, engine: Wiring, views: Views) -> RestoredWatch:
    """Return what compares a restored store with the brokers."""
    return RestoredWatch(
        foundation.store,
        foundation.clock,
        engine.outbox,
        engine.accounts,
        engine.journal,
        views,
        engine.pool.get,
    )


def day_summaries(foundation: Foundation, engine: Wiring, views: Views) -> DaySummaries:
    """Return what tells of a trading day once it is over."""
    return DaySummaries(
        store=foundation.store,
        clock=foundation.clock,
        calendar=foundation.calendar,
        accounts=engine.accounts,
        journal=engine.journal,
        views=views,
        outbox=engine.outbox,
    )


def _orders(foundation: Foundation, engine: Wiring) -> ManualOrders:
    return ManualOrders(
        store=foundation.store,
        clock=foundation.clock,
        accounts=engine.accounts,
        connections=engine.connections,
        journal=engine.journal,
        gateway=engine.gateway,
        outbox=engine.outbox,
        hours=engine.hours,
        nets=engine.nets,
        masters=engine.masters,
        worker=engine.pool.get,
    )


def _panic(foundation: Foundation, engine: Wiring, views: Views) -> PanicControl:
    return PanicControl(
        store=foundation.store,
        clock=foundation.clock,
        accounts=engine.accounts,
        journal=engine.journal,
        outbox=engine.outbox,
        panics=engine.panics,
        facts=engine.panic_facts,
        worker=engine.pool.get,
        held=views.held,
    )


def _guards(foundation: Foundation, engine: Wiring) -> GuardSettings:
    return GuardSettings(
        store=foundation.store,
        clock=foundation.clock,
        calendar=foundation.calendar,
        hours=engine.hours,
        accounts=engine.accounts,
        strategies=engine.strategies,
        results=engine.day_results,
    )


def _unresolved(foundation: Foundation, engine: Wiring) -> UnresolvedOrders:
    return UnresolvedOrders(
        store=foundation.store,
        clock=foundation.clock,
        accounts=engine.accounts,
        journal=engine.journal,
        inquiries=engine.inquiries,
        protections=engine.protections,
        horizon_s=foundation.settings.horizon_s,
        worker=engine.pool.get,
    )


def _limits(foundation: Foundation, engine: Wiring) -> LimitSettings:
    return LimitSettings(
        store=foundation.store,
        clock=foundation.clock,
        accounts=engine.accounts,
        result=engine.loss_limit.result,
        proof_address=engine.proof_address,
    )


def _round_trips(foundation: Foundation, engine: Wiring) -> RoundTrips:
    return RoundTrips(
        store=foundation.store,
        clock=foundation.clock,
        outbox=engine.outbox,
        journal=engine.journal,
        accounts=engine.accounts,
        strategies=engine.strategies,
        masters=engine.masters,
        market_data=engine.market_data,
        hours=engine.hours,
        proof_address=engine.proof_address,
        wake=engine.pool.wake,
    )


def _registration(foundation: Foundation, engine: Wiring) -> AccountRegistration:
    return AccountRegistration(
        accounts=engine.accounts,
        connections=engine.connections,
        tokens=engine.tokens,
        journal=engine.journal,
        pool=engine.pool,
        paper=_paper(foundation, engine),
        outbox=engine.outbox,
        fence=lambda: engine.lease.fence,
        troubles=engine.supervisor.troubles,
        live_brokers_allowed=foundation.may_serve_live,
    )


def _strategies(foundation: Foundation, engine: Wiring, views: Views) -> StrategyViews:
    return StrategyViews(
        foundation.store,
        engine.strategies,
        engine.accounts,
        engine.scheduler,
        views,
        foundation.clock,
        engine.proof_address,
    )


def _paper(foundation: Foundation, engine: Wiring) -> PaperAccounts:
    return PaperAccounts(foundation.store, engine.accounts, engine.paper, engine.pool.wake)


def _addresses(foundation: Foundation, engine: Wiring) -> AccountAddresses:
    return AccountAddresses(
        store=foundation.store,
        clock=foundation.clock,
        vault=foundation.vault,
        accounts=engine.accounts,
        connections=engine.connections,
        addresses=engine.upkeep.addresses,
        pool=engine.pool,
    )


def _switch(foundation: Foundation, engine: Wiring, orders: ManualOrders) -> AccountSwitch:
    return AccountSwitch(
        store=foundation.store,
        clock=foundation.clock,
        accounts=engine.accounts,
        tokens=engine.tokens,
        outbox=engine.outbox,
        pool=engine.pool,
        orders=orders,
    )


def _health(
    foundation: Foundation, engine: Wiring, loop_lag: Callable[[], LoopLag] | None
) -> ControllerHealth:
    return ControllerHealth(
        store=foundation.store,
        store_kind=foundation.store_kind,
        clock=foundation.clock,
        calendar=foundation.calendar,
        accounts=engine.accounts,
        market_data=engine.market_data,
        feed=engine.price_parts.feed,
        pool=engine.pool,
        troubles=engine.supervisor.troubles,
        keys=foundation.vault,
        proof_address=engine.proof_address,
        addresses=engine.upkeep.addresses,
        loop_lag=loop_lag,
    )
