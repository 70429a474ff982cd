"""How the controller and its accounts do (product.md B9, F6)."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import date

from core.domain.account import Account
from core.domain.instrument import Segment
from core.domain.sessions import trading_day
from core.domain.shared_address import address_words, has_way_out
from core.domain.views import AccountHealth, HealthView, LoopLag, Readiness
from core.engine.accounts.accounts import Accounts
from core.engine.accounts.addresses import Addresses
from core.engine.orders.journal import unresolved_orders
from core.engine.orders.limit_use import held_back
from core.engine.outbox import undelivered_notices, waiting_notices
from core.engine.runs.market_data import MarketData
from core.engine.runs.price_feed import PriceFeed
from core.engine.workers.pool import WorkerPool
from core.ports.calendar import Calendar
from core.ports.clock import Clock
from core.ports.store import Store
from core.ports.vault import KeptKeys

__all__ = ["ControllerHealth"]


class ControllerHealth:
    """Reads how the controller does; ``troubles`` holds what its services reported."""

    def __init__(
        self,
        *,
        store: Store,
        store_kind: str,
        clock: Clock,
        calendar: Calendar,
        accounts: Accounts,
        market_data: MarketData,
        feed: PriceFeed,
        pool: WorkerPool,
        troubles: Mapping[str, str],
        keys: KeptKeys,
        proof_address: Callable[[str], str | None],
        addresses: Addresses,
        loop_lag: Callable[[], LoopLag] | None = None,
    ) -> None:
        self._store = store
        self._store_kind = store_kind
        self._clock = clock
        self._calendar = calendar
        self._accounts = accounts
        self._market_data = market_data
        self._feed = feed
        self._pool = pool
        self._troubles = troubles
        self._keys = keys
        self._proof_address = proof_address
        self._addresses = addresses
        self._loop_lag = loop_lag
        self._started_at = clock.market_at(clock.now())

    async def read(self) -> HealthView:
        """Return how the controller does."""
        waiting = await waiting_notices(self._store)
        healths = [await self._account_health(account) for account in await self._accounts.all()]
        sources = await self._market_data.sources()
        return HealthView(
            started_at=self._started_at,
            now=self._clock.now(),
            market_now=self._clock.market_now(),
            session_note=self._session_note(),
            store_kind=self._store_kind,
            data_account=_source(sources),
            outbox_waiting=waiting,
            outbox_dead=await undelivered_notices(self._store),
            accounts=tuple(healths),
            troubles=(*self._troubles.values(), *self._price_trouble(), *self._key_trouble()),
            loop=self._loop_lag() if self._loop_lag else None,
        )

    def _price_trouble(self) -> tuple[str, ...]:
        trouble = self._feed.trouble
        return (f"prices are asked for, not pushed: {trouble}",) if trouble else ()

    def _key_trouble(self) -> tuple[str, ...]:
        trouble = self._keys.trouble()
        return (trouble,) if trouble else ()

    async def _account_health(self, account: Account) -> AccountHealth:
        worker = self._pool.get(account.broker_id)
        unresolved = len(await unresolved_orders(self._store, account.broker_id))
        pushed = worker.updates.status if worker else None
        is_live = pushed is not None and pushed.is_live
        return AccountHealth(
            account,
            worker.snapshot.as_of if worker else None,
            worker.trouble if worker else "not started yet",
            unresolved,
            is_live=is_live,
            polled_since=self._clock.market_at(pushed.since) if pushed and not is_live else None,
            polled_why=pushed.why if pushed else "",
        )

    def _session_note(self) -> str:
        now = self._clock.market_now()
        try:
            window = self._calendar.session(now.date(), Segment.CASH, has_derivatives=True)
        except LookupError:
            return _unknown_day(self._calendar, now.date())
        if window is None:
            return "market closed today"
        if now < window.open_at:
            return f"market opens at {window.open_at:%H:%M}"
        if now >= window.close_at:
            return f"market closed at {window.close_at:%H:%M}"
        return f"market open until {window.close_at:%H:%M}"

    async def readiness(self) -> tuple[Readiness, ...]:
        """Return the readiness of each account for the day, read fresh from its broker (B9)."""
        await self._addresses.check([one for one in await self._accounts.all() if has_way_out(one)])
        # Nobody logs in to a paper account in the morning.
        accounts = [one for one in await self._accounts.all() if not one.broker.is_paper]
        return tuple([await self._readiness(account, accounts) for account in accounts])

    async def _readiness(self, account: Account, accounts: Sequence[Account]) -> Readiness:
        if account.needs_login:
            return Readiness(account, False, None, None, "login needed")
        worker = self._pool.get(account.broker_id)
        trouble = await worker.refresh() if worker else "not started yet"
        funds = worker.snapshot.funds if worker else None
        has_data = self._market_data.has_plan(account.broker_id)
        address = self._proof_address(account.broker_id)
        day = trading_day(self._clock.market_now())
        back = "; ".join(await held_back(self._store, account.broker_id, address, day))
        note = trouble or account.parked_reason or back or ("" if account.enabled else "disabled")
        is_right, left_from = address_words(account, accounts)
        is_ready = is_right and not trouble and not account.parked_reason and not back
        note = "; ".join(part for part in (left_from, note) if part)
        return Readiness(account, is_ready, funds.available if funds else None, has_data, note)


def _unknown_day(calendar: Calendar, day: date) -> str:
    """Say what still happens on a day that the calendar does not know (K04)."""
    window = calendar.exit_session(day, Segment.CASH, has_derivatives=True)
    if window is None:
        return "the calendar does not know today's hours: nothing is entered or squared off"
    hours = f"{window.open_at:%H:%M} to {window.close_at:%H:%M}"
    return f"the calendar does not know this day: no entries, exits from {hours}"


def _source(sources: Sequence[Account]) -> str:
    """Return who gives prices, for the user."""
    if sources and sources[0].broker.is_paper:
        return "nobody: they are made up for practice until you connect a broker"
    return sources[0].label if sources else ""
