"""How the objects of the engine are put together: each is made once, when it is first asked for."""

from __future__ import annotations

from functools import cached_property

from core.adapters.wakefulness import Wakefulness
from core.bootstrap.account_wiring import AccountWiring
from core.bootstrap.price_parts import PriceParts, price_parts
from core.bootstrap.upkeep import Upkeep
from core.engine.orders.gate import uncontended
from core.engine.orders.stop_hits import StopHits
from core.engine.runs.contract_watch import ContractWatch
from core.engine.runs.decider import Decider
from core.engine.runs.market_data import MarketData
from core.engine.runs.price_watch import PriceWatch
from core.engine.runs.requests import RunRequests
from core.engine.runs.runner import Runner
from core.engine.runs.scheduler import Scheduler
from core.engine.runs.settings import StrategySettings
from core.engine.runs.square_off import SquareOff
from core.engine.runs.stop_watch import StopWatch
from core.engine.runs.strikes import Strikes
from core.engine.runs.symbol_watch import SymbolWatch
from core.engine.runs.symbols import Symbols
from core.engine.safeguards.day_results import DayResults, DayWatch
from core.engine.safeguards.guard_firing import GuardFiring
from core.engine.safeguards.loss_limit import LossLimit
from core.engine.safeguards.result_guards import ResultGuards

__all__ = ["Wiring"]


class Wiring(AccountWiring):
    """The objects of one engine over a foundation, room by room; a property is made once."""

    # Runs

    @cached_property
    def strategies(self) -> StrategySettings:
        """Strategies and how they run on accounts."""
        return StrategySettings(
            self._store, self._clock, self.accounts, self._registry, self.symbols
        )

    @cached_property
    def symbols(self) -> Symbols:
        """Instruments by the brokers' lists."""
        return Symbols(self.accounts, self.masters, self._clock)

    @cached_property
    def symbol_watch(self) -> SymbolWatch:
        """Says when an instrument that a strategy trades is gone."""
        return SymbolWatch(
            self._store, self._clock, self.outbox, self.accounts, self.symbols, self.strategies
        )

    @cached_property
    def contract_watch(self) -> ContractWatch:
        """Says when a contract that is held ends, and ends its ledger."""
        return ContractWatch(
            self._store,
            self._clock,
            self.outbox,
            self.accounts,
            self.masters,
            self.hours,
            self.nets,
        )

    @cached_property
    def price_parts(self) -> PriceParts:
        """What brings prices and bars."""
        return price_parts(self._foundation, self)

    @property
    def market_data(self) -> MarketData:
        """Candles and quotes from the data account."""
        return self.price_parts.data

    @cached_property
    def runner(self) -> Runner:
        """Runs a strategy once."""
        return Runner(
            store=self._store,
            clock=self._clock,
            calendar=self._calendar,
            accounts=self.accounts,
            strategies=self.strategies,
            decider=Decider(self.decisions, Strikes(self._store, self.outbox, self.strategies)),
            market_data=self.market_data,
            bars=self.price_parts.bars,
            live=self.price_parts.live,
            masters=self.masters,
            symbols=self.symbols,
            journal=self.journal,
            outbox=self.outbox,
            gateway=self.gateway,
            lanes=lambda ids: self.pool.lanes(uncontended(self._store, ids)),
            uncontended=lambda ids: uncontended(self._store, ids),
            wake=self.pool.wake,
            wake_store=self._store.wake,
            stay_awake=Wakefulness().stay_awake,
            warm=self.connections.warm,
            look_ahead=self.pool.look_ahead,
            ran=self.upkeep.last_runs.note,
            proof_address=self.proof_address,
        )

    @cached_property
    def square_off(self) -> SquareOff:
        """Squares ledgers off from their cut-off on."""
        return SquareOff(
            store=self._store,
            clock=self._clock,
            calendar=self._calendar,
            accounts=self.accounts,
            strategies=self.strategies,
            masters=self.masters,
            hours=self.hours,
            outbox=self.outbox,
            nets=self.nets,
            wake=self.pool.wake,
        )

    @cached_property
    def scheduler(self) -> Scheduler:
        """Begins runs and square-offs when they are due."""
        return Scheduler(
            self._store,
            self._clock,
            self._calendar,
            self.strategies,
            self.runner,
            self.square_off,
            self.outbox,
            self._selection,
        )

    @cached_property
    def stop_watch(self) -> StopWatch:
        """Closes what is through its stop."""
        return StopWatch(
            store=self._store,
            clock=self._clock,
            accounts=self.accounts,
            journal=self.journal,
            hours=self.hours,
            prices=self.prices,
            hits=StopHits(self._store, self._clock, self.outbox, self.prices),
            wake=self.pool.wake,
            only=self._selection.broker_id if self._selection else None,
        )

    @cached_property
    def price_watch(self) -> PriceWatch:
        """One look at prices, for all who judge by them."""
        # Each safeguard that judges the days' results is named here.
        results = DayWatch(
            self.accounts, self.hours, self.day_results, (self.loss_limit, self.result_guards)
        )
        return self.price_parts.watch((self.stop_watch, results))

    # Safeguards

    @cached_property
    def day_results(self) -> DayResults:
        """The days of accounts, as they stand."""
        return DayResults(
            clock=self._clock,
            accounts=self.accounts,
            journal=self.journal,
            nets=self.nets,
            prices=self.prices,
            worker=self.pool.get,
        )

    @cached_property
    def result_guards(self) -> ResultGuards:
        """Guards on the day's result."""
        firing = GuardFiring(
            store=self._store,
            clock=self._clock,
            outbox=self.outbox,
            journal=self.journal,
            nets=self.nets,
            wake=self.pool.wake,
        )
        return ResultGuards(
            store=self._store,
            clock=self._clock,
            outbox=self.outbox,
            accounts=self.accounts,
            firing=firing,
        )

    @cached_property
    def loss_limit(self) -> LossLimit:
        """Turns accounts to EXIT_ONLY at their daily loss."""
        return LossLimit(
            store=self._store,
            clock=self._clock,
            outbox=self.outbox,
            wake=self.pool.wake,
        )

    @cached_property
    def upkeep(self) -> Upkeep:
        """What looks after calendar, clock and store."""
        return Upkeep(
            self._foundation,
            self.outbox,
            self.accounts,
            self.journal,
            self.hours,
            self._registry,
        )

    @cached_property
    def run_requests(self) -> RunRequests:
        """The runs that users asked for."""
        return RunRequests(self._store, self._clock)
