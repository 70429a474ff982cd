"""The day's result of each account at each look at prices, for whoever stops trading by it (R5).

By the broker's truth: the positions that its worker read last, with the fills that are newer. An
account that cannot be read, or whose positions are disputed, has no result.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from datetime import date, datetime
from decimal import Decimal
from typing import Protocol

from core.domain.account import Account
from core.domain.account_day import AccountDay, caught_up
from core.domain.broker import Position
from core.domain.day_result import DayResult, day_result, priced
from core.domain.failures import why_failed
from core.domain.identifiers import broker_of
from core.domain.instrument import InstrumentId
from core.domain.ledger import Ledger
from core.domain.order import EXTERNAL, MANUAL, Order
from core.domain.sessions import trading_day
from core.domain.strategy_result import strategy_result
from core.domain.truth import key_of
from core.engine.accounts.accounts import Accounts
from core.engine.orders.journal import Journal
from core.engine.orders.market_hours import MarketHours
from core.engine.orders.net_positions import NetPositions
from core.engine.orders.prices import Prices
from core.engine.orders.snapshot import Snapshot
from core.engine.runs.price_watch import Need
from core.engine.workers.account_worker import AccountWorker
from core.errors import StoreError
from core.ports.clock import Clock

__all__ = ["DayResults", "DayWatch", "ResultJudge"]

_log = logging.getLogger(__name__)
_EVERY_S = 3.0
"""How often prices are asked for, so that none is older than five seconds at a look."""
_ZERO = Decimal(0)


class DayResults:
    """Works out the day of an account; ``worker`` returns an account's worker while it runs."""

    def __init__(
        self,
        *,
        clock: Clock,
        accounts: Accounts,
        journal: Journal,
        nets: NetPositions,
        prices: Prices,
        worker: Callable[[str], AccountWorker | None],
    ) -> None:
        self._clock = clock
        self._accounts = accounts
        self._journal = journal
        self._nets = nets
        self._prices = prices
        self._worker = worker

    async def of(self, account: Account) -> AccountDay:
        """Return the day of an account as it stands now."""
        broker_id = account.broker_id
        today = trading_day(self._clock.market_now())
        ledgers = [one for one in await self._journal.ledgers(broker_id) if one.strategy != MANUAL]
        orders = await self._journal.of_day(broker_id, today)
        snapshot = self._snapshot(broker_id, today)
        traded = [one for one in orders if one.filled_quantity]
        is_idle = not traded and not any(one.quantity for one in ledgers)
        if account.needs_login and is_idle and (snapshot is None or not snapshot.positions):
            # Nobody can trade on it here, and nothing of ours is on it.
            return AccountDay(broker_id, DayResult())
        if why := self._unreadable(account, snapshot):
            return AccountDay(broker_id, None, why)
        assert snapshot is not None  # noqa: S101 - it is unreadable otherwise
        return await self._day(broker_id, snapshot, traded, ledgers)

    def held(self, broker_id: str) -> frozenset[InstrumentId]:
        """Return what the broker shows as held on an account, by the last read."""
        snapshot = self._snapshot(broker_id, trading_day(self._clock.market_now()))
        positions = snapshot.positions if snapshot else None
        return frozenset(one.instrument for one in positions or () if one.quantity)

    def _snapshot(self, broker_id: str, today: str) -> Snapshot | None:
        worker = self._worker(broker_id)
        return worker.snapshot if worker and worker.snapshot.day == today else None

    def _unreadable(self, account: Account, snapshot: Snapshot | None) -> str:
        """Return why it is not known what an account holds, or ''."""
        if account.needs_login:
            return "it needs a login"
        if snapshot is None or snapshot.positions is None or snapshot.positions_at is None:
            return "its positions were not read yet today"
        if snapshot.odd.get("position"):
            return "a row of its positions cannot be read"
        age = self._clock.now() - snapshot.positions_at
        worker = self._worker(account.broker_id)
        if worker is None or age > worker.reads_live:
            return f"its positions were last read {age.total_seconds():.0f} s ago"
        return ""

    async def _day(
        self,
        broker_id: str,
        snapshot: Snapshot,
        traded: Sequence[Order],
        ledgers: Sequence[Ledger],
    ) -> AccountDay:
        rows = {key_of(one): one for one in snapshot.positions or ()}
        owned = {key_of(one) for one in ledgers if one.quantity}
        keys = {*rows, *owned, *(key_of(one) for one in traded)}
        nets = await self._nets.nets(broker_id, keys, traded, ledgers, snapshot.day)
        found: list[Position] = []
        times: list[datetime] = []
        for key, net in nets.items():
            row = rows.get(key) or Position(*key, 0, _ZERO, _ZERO)
            position = caught_up(row, net, [one for one in traded if key_of(one) == key])
            if position is None:
                why = f"the broker's positions and the fills of {key[0]} contradict one another"
                if not net.is_disputed:
                    why = f"the broker does not show yet at what price {key[0]} was filled"
                return AccountDay(broker_id, None, why)
            last, at = self._price(key[0], row, snapshot.positions_at)
            if position.quantity or key in owned:
                if at is None:
                    return AccountDay(broker_id, None, f"no price of {key[0]} is known yet")
                times.append(at)
            found.append(priced(position, last))
        trades, holdings = snapshot.trades or (), snapshot.holdings or ()
        broker, day = broker_of(broker_id), date.fromisoformat(snapshot.day)
        result = day_result(found, trades, holdings, broker, day)
        if result.is_since_entry:
            # Counted from its entry, a loss of last week would be one of today.
            return AccountDay(broker_id, None, "a previous close of what was carried is not known")
        names = {one.strategy for one in ledgers} | {one.strategy for one in traded}
        return AccountDay(
            broker_id,
            result,
            "",
            {
                name: strategy_result(name, ledgers, traded, found, holdings, broker, day)
                for name in sorted(names - {MANUAL, EXTERNAL})
            },
            min(times, default=None),
        )

    def _price(
        self, name: InstrumentId, row: Position, read_at: datetime | None
    ) -> tuple[Decimal, datetime | None]:
        """Return the newest price of an instrument and its time; None where none is known."""
        asked = self._prices.get(name)
        if asked is not None and (read_at is None or asked.at >= read_at or not row.last_price):
            return asked.last, asked.at
        return row.last_price, read_at if row.last_price else None


class ResultJudge(Protocol):
    """Judges the results of accounts after each look at prices: the loss limit, guards."""

    async def accounts(self) -> frozenset[str]:
        """Return the accounts whose result it needs now."""
        ...

    async def judge(self, days: Mapping[str, AccountDay]) -> None:
        """Judge; ``days`` holds at least the accounts that it asked for, as far as they exist."""
        ...


class DayWatch:
    """A judge of the look at prices: works the days out once, for all who judge by them.

    Args:
        accounts: The accounts.
        hours: When instruments trade: nothing is judged while nothing does.
        results: Works a day out.
        judges: Asked one after another.
    """

    def __init__(
        self,
        accounts: Accounts,
        hours: MarketHours,
        results: DayResults,
        judges: Sequence[ResultJudge],
    ) -> None:
        self._accounts = accounts
        self._hours = hours
        self._results = results
        self._judges = judges
        self._wanted: frozenset[str] = frozenset()

    async def need(self) -> Need | None:
        """Return what is held on the accounts whose results are judged."""
        self._wanted = frozenset()
        if not self._hours.is_any_open():
            return None
        for judge in self._judges:
            self._wanted |= await judge.accounts()
        if not self._wanted:
            return None
        held = {name for broker_id in self._wanted for name in self._results.held(broker_id)}
        trading = frozenset(name for name in held if self._hours.is_open(name, None))
        return Need(trading, _EVERY_S)

    async def judge(self) -> None:
        """Work out the results, and let the judges judge."""
        days = {}
        for account in await self._accounts.all():
            if account.broker_id in self._wanted:
                days[account.broker_id] = await self._day(account)
        failed: Exception | None = None
        for judge in self._judges:
            try:
                await judge.judge(days)
            except Exception as error:  # noqa: BLE001 - raised below, after the other judges
                _log.warning("%s could not judge: %s", type(judge).__name__, error)
                failed = failed or error
        if failed is not None:
            raise failed

    async def _day(self, account: Account) -> AccountDay:
        """Return the day of an account; one that cannot be worked out keeps no other from it."""
        try:
            return await self._results.of(account)
        except StoreError:
            raise
        except Exception as error:  # noqa: BLE001 - said to whoever judges
            _log.exception("the day of %s", account.label)
            why = f"its day cannot be worked out: {why_failed(error)}"
            return AccountDay(account.broker_id, None, why)
