"""What a strategy would trade, in units and rupees, before it is enabled (product.md D4)."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal

from core.domain.account import Account
from core.domain.instrument import Instrument, InstrumentId
from core.domain.kept_out import kept_out
from core.domain.listing import nearest
from core.domain.mode import TradingMode
from core.domain.sessions import trading_day
from core.domain.size_views import InstrumentView, SizeLine, SizeView
from core.domain.sizing import units_for
from core.domain.views import AssignmentView
from core.engine.accounts.accounts import Accounts
from core.engine.accounts.global_mode import global_mode
from core.engine.accounts.masters import Masters
from core.engine.orders.reconciliation import capital_of_day
from core.engine.runs.market_data import MarketData, NoData
from core.engine.runs.settings import StrategySettings
from core.engine.stored_settings import read_setting
from core.engine.workers.account_worker import AccountWorker
from core.ports.clock import Clock
from core.ports.store import Store

__all__ = ["TradeSizes"]

_PATIENCE_S = 3.0
"""How long a source of prices may take while a person waits for a screen."""


class TradeSizes:
    """Works out sizes as a run would, and looks instruments up; changes nothing."""

    def __init__(
        self,
        *,
        store: Store,
        clock: Clock,
        accounts: Accounts,
        strategies: StrategySettings,
        market_data: MarketData,
        masters: Masters,
        worker: Callable[[str], AccountWorker | None],
    ) -> None:
        self._store = store
        self._clock = clock
        self._accounts = accounts
        self._strategies = strategies
        self._market_data = market_data
        self._masters = masters
        self._worker = worker

    async def of(self, name: str, broker_id: str | None = None) -> tuple[SizeView, ...]:
        """Return what a strategy would trade on each account on which it is switched on.

        Args:
            name: The strategy.
            broker_id: One account alone, switched on or not.
        """
        strategy = self._strategies.strategy(name)
        instruments = strategy.instruments(await self._strategies.parameters(name))
        accounts = [one for one in await self._accounts.all() if broker_id in {None, one.broker_id}]
        assignments = await self._strategies.assignments(name, accounts)
        prices, mode = await self.prices(instruments), await global_mode(self._store)
        return tuple(
            [
                await self._size(account, assignment, instruments, prices, mode)
                for account, assignment in zip(accounts, assignments, strict=True)
                if assignment.is_on or broker_id is not None
            ]
        )

    async def _size(
        self,
        account: Account,
        assignment: AssignmentView,
        instruments: Sequence[InstrumentId],
        prices: Mapping[InstrumentId, Decimal],
        mode: TradingMode,
    ) -> SizeView:
        table, capital = self._masters.known(account.broker), await self._capital(account)
        lines = [
            SizeLine(
                one, _units(assignment, table.get(one), prices.get(one), capital), prices.get(one)
            )
            for one in instruments
        ]
        worker = self._worker(account.broker_id)
        funds = worker.snapshot.funds if worker else None
        return SizeView(
            account.broker_id,
            account.label,
            assignment.product,
            tuple(lines),
            funds.available if funds else None,
            kept_out(account, mode),
        )

    async def _capital(self, account: Account) -> Decimal | None:
        own = await read_setting(self._store, f"capital|{account.broker_id}")
        if own:
            return Decimal(str(own["value"]))
        day = trading_day(self._clock.market_now())
        return await capital_of_day(self._store, account.broker_id, day)

    async def prices(self, instruments: Sequence[InstrumentId]) -> Mapping[InstrumentId, Decimal]:
        """Return last prices of those whose price is known within seconds."""
        try:
            found = await self._market_data.quotes(instruments, deadline_s=_PATIENCE_S)
        except NoData:
            return {}
        return {one: quote.last_price for one, quote in found.items() if quote.last_price > 0}

    async def described(self, instruments: Sequence[InstrumentId]) -> tuple[InstrumentView, ...]:
        """Return instruments with their names and last prices."""
        tables = await self._tables()
        prices = await self.prices([one for one in instruments if any(one in t for t in tables)])
        return tuple(
            InstrumentView(
                one, next((t[one].name for t in tables if one in t), ""), prices.get(one)
            )
            for one in instruments
        )

    async def unlisted(
        self, instruments: Sequence[InstrumentId]
    ) -> Mapping[InstrumentId, tuple[InstrumentId, ...]]:
        """Return what no broker lists, with what may be meant; nothing while there are no lists."""
        tables = [table for table in await self._tables() if table]
        known = {name for table in tables for name in table}
        return {one: nearest(one, known) for one in instruments if known and one not in known}

    async def _tables(self) -> list[Mapping[InstrumentId, Instrument]]:
        brokers = dict.fromkeys(account.broker for account in await self._accounts.all())
        return [self._masters.known(broker) for broker in brokers]


def _units(
    assignment: AssignmentView,
    instrument: Instrument | None,
    price: Decimal | None,
    capital: Decimal | None,
) -> int:
    return units_for(
        assignment.size_kind,
        assignment.size_value,
        assignment.multiplier,
        price=price or Decimal(0),
        capital=capital,
        lot_size=instrument.lot_size if instrument else 1,
    )
