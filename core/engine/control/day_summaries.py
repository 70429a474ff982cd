"""Tells what a trading day has brought, once it is over (row E2).

Due a minute after the close of the shares' session, on days that have one; where futures or options
were traded or are held, after that of theirs. It waits a little for accounts
that were not read since the close. A nonce for each day keeps a restart from telling it again; a
controller that was away tells it when it is back on the same day. On a day on which nothing was
traded and nothing is held there is nothing to tell. A user may switch it off (``/settings``).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal

from core.domain.account import Account
from core.domain.instrument import Segment
from core.domain.notices.post import Post
from core.domain.notices.summary import DaySummary
from core.domain.sessions import trading_day
from core.engine.accounts.accounts import Accounts
from core.engine.control.run_results import result_of_run
from core.engine.control.views import Views
from core.engine.orders.journal import Journal
from core.engine.outbox import Outbox
from core.engine.stored_settings import read_setting
from core.errors import AlreadyDone
from core.ports.calendar import Calendar
from core.ports.clock import Clock
from core.ports.store import Store, StoreView

__all__ = ["DAY_SUMMARY", "OFF", "DaySummaries"]

DAY_SUMMARY = "day_summary"
"""Its setting: ``OFF``, or no document."""
OFF = "off"
_AFTER = timedelta(minutes=1)
_PATIENCE_S = 120.0
_DERIVATIVES = {"NFO", "BFO"}
_PAISA = Decimal("0.01")


@dataclass(frozen=True, slots=True)
class _AccountDay:
    """One account's day."""

    broker_id: str
    trades: int
    booked: Decimal
    charges: Decimal | None
    unrealised: Decimal = Decimal(0)
    is_read: bool = True


class DaySummaries:
    """Posts the summary of a day when it is due."""

    def __init__(
        self,
        *,
        store: Store,
        clock: Clock,
        calendar: Calendar,
        accounts: Accounts,
        journal: Journal,
        views: Views,
        outbox: Outbox,
    ) -> None:
        self._store = store
        self._clock = clock
        self._calendar = calendar
        self._accounts = accounts
        self._journal = journal
        self._views = views
        self._outbox = outbox
        self._done: date | None = None
        self._due_since: tuple[date, float] | None = None

    async def tick(self) -> None:
        """Tell the day that is over, once."""
        now = self._clock.market_now()
        day = now.date()
        closed_at = None if self._done == day else self._close(day, Segment.CASH)
        if closed_at is None or now < closed_at + _AFTER:
            return
        accounts = await self._accounts.all()
        if await self._has_derivatives(accounts):
            closed_at = self._close(day, Segment.DERIVATIVES) or closed_at
            if now < closed_at + _AFTER:
                return
        if not self._has_waited(day) and not await self._are_read(accounts, closed_at):
            return
        setting = await read_setting(self._store, DAY_SUMMARY)
        if setting is None or setting.get("value") != OFF:
            found = [await self._line(account) for account in accounts]
            lines = [line for line in found if line is not None]
            if lines:
                await self._post(day, lines)
        self._done = day

    def _close(self, day: date, segment: Segment) -> datetime | None:
        """Return when the session of a day ends; None on a day without one."""
        try:
            window = self._calendar.exit_session(day, segment, has_derivatives=False)
        except LookupError:
            return None
        return window.close_at if window is not None else None

    async def _has_derivatives(self, accounts: Sequence[Account]) -> bool:
        """Whether futures or options were traded today or are held."""
        for account in accounts:
            trades = await self._views.trades(account.broker_id)
            held = await self._views.held(account.broker_id)
            traded = {one.trade.instrument.exchange for one in trades}
            if _DERIVATIVES & (traded | {one.instrument.exchange for one in held}):
                return True
        return False

    def _has_waited(self, day: date) -> bool:
        """Whether it waited long enough for accounts that cannot be read."""
        now = self._clock.monotonic()
        if self._due_since is None or self._due_since[0] != day:
            self._due_since = day, now
        return now - self._due_since[1] >= _PATIENCE_S

    async def _are_read(self, accounts: Sequence[Account], closed_at: datetime) -> bool:
        """Whether every account that can be read was read since the close."""
        for account in accounts:
            as_of = await self._views.as_of(account.broker_id)
            if not account.needs_login and (as_of is None or as_of < closed_at):
                return False
        return True

    async def _line(self, account: Account) -> _AccountDay | None:
        """Return one account's day; None when nothing was traded there and nothing is held."""
        broker_id = account.broker_id
        trades = len(await self._views.trades(broker_id))
        if not trades and not await self._views.held(broker_id):
            return None
        result = await self._views.day_result(broker_id)
        if result is not None:
            unrealised = result.unrealised
            return _AccountDay(broker_id, trades, result.realised, result.charges.total, unrealised)
        # Its login has ended: what Saarthi's own orders brought is known all the same.
        orders = await self._journal.of_day(broker_id, trading_day(self._clock.market_now()))
        own = [one for one in orders if one.realised is not None]
        booked, charges = result_of_run(own, orders)
        return _AccountDay(broker_id, trades, booked or Decimal(0), charges, is_read=False)

    async def _post(self, day: date, lines: Sequence[_AccountDay]) -> None:
        notice = DaySummary(
            day.isoformat(),
            tuple(one.broker_id for one in lines),
            tuple(one.trades for one in lines),
            tuple(one.booked.quantize(_PAISA) for one in lines),
            tuple((one.charges or Decimal(0)).quantize(_PAISA) for one in lines),
            tuple(one.unrealised.quantize(_PAISA) for one in lines),
            tuple(one.broker_id for one in lines if not one.is_read),
            tuple(one.broker_id for one in lines if one.charges is None),
            self._opens_at(),
        )

        async def body(view: StoreView) -> None:
            await self._outbox.post(view, Post(notice))

        try:
            await self._store.transaction(body, nonce=f"day-summary:{day.isoformat()}")
        except AlreadyDone:
            return

    def _opens_at(self) -> datetime | None:
        try:
            return self._calendar.next_session(self._clock.market_now(), Segment.CASH).open_at
        except LookupError:
            return None
