"""Squares ledgers off from their cut-off on, whatever became of their strategies (D7).

It goes by what the ledgers hold, not by the registry: a strategy may have left it, its parameters
may be unreadable, the calendar may have ended, an instrument master may be missing. Each ledger has
its own session and cut-off, the latest in doubt. An intraday ledger that is open after its cut-off
is an alarm at any hour, once, and again when it changes.
"""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta

from core.domain.account import Account
from core.domain.broker_profile import BrokerProfile
from core.domain.goal import Goal
from core.domain.instrument import Instrument, Product
from core.domain.ledger import Ledger
from core.domain.notices.accounts import SquareOffAlarm
from core.domain.notices.exits import LedgersLeft
from core.domain.order import MANUAL
from core.domain.sessions import Schedule, plausible_kinds, trading_day
from core.domain.square_off import square_off_times
from core.engine.accounts.accounts import Accounts
from core.engine.accounts.masters import Masters
from core.engine.orders.alarms import AlarmCause, Until, raise_alarm
from core.engine.orders.goals import Flattening, flatten, goals_of
from core.engine.orders.ledgers import held_ledgers
from core.engine.orders.market_hours import MarketHours
from core.engine.orders.net_positions import NetPositions
from core.engine.outbox import Outbox
from core.engine.runs.settings import StrategySettings
from core.errors import AlreadyDone, StoreError
from core.ports.calendar import Calendar
from core.ports.clock import Clock
from core.ports.store import Store, StoreView

__all__ = ["SquareOff"]

_log = logging.getLogger(__name__)
_ALARM_PAUSE = timedelta(seconds=60)
_FIRST_READ_S = 15.0
"""For how long an alarm waits for the first read of an account: longer, and it is due anyway."""


@dataclass(frozen=True, slots=True)
class _Due:
    """A ledger after its cut-off.

    Attributes:
        day: The day of that cut-off.
        is_alarming: Whether it should be flat by now.
        is_trading: Whether its instrument still trades.
    """

    ledger: Ledger
    day: date
    is_alarming: bool
    is_trading: bool


class SquareOff:
    """Looks at the ledgers of every account; ``wake`` lets an account's worker take a turn."""

    def __init__(
        self,
        *,
        store: Store,
        clock: Clock,
        calendar: Calendar,
        accounts: Accounts,
        strategies: StrategySettings,
        masters: Masters,
        hours: MarketHours,
        outbox: Outbox,
        nets: NetPositions,
        wake: Callable[[str], None],
    ) -> None:
        self._store = store
        self._clock = clock
        self._calendar = calendar
        self._accounts = accounts
        self._strategies = strategies
        self._masters = masters
        self._hours = hours
        self._outbox = outbox
        self._wake = wake
        self._nets = nets
        self._unread_since: dict[str, float] = {}
        self._alarmed_at: dict[tuple[str, str], datetime] = {}
        self._said: set[str] = set()

    async def tick(self, *, strategy: str | None = None, broker_id: str | None = None) -> None:
        """Begin what is due and alarm about what remains; it waits for no request.

        Args:
            strategy: Of this strategy alone.
            broker_id: On this account alone.
        """
        held = await held_ledgers(self._store)
        for account in await self._accounts.all() if held else ():
            # Where strategies send nothing, the user manages the positions (A5).
            if broker_id not in {None, account.broker_id} or not (account.enabled or account.drain):
                continue
            ledgers = [
                ledger
                for ledger in held.get(account.broker_id, ())
                if ledger.strategy != MANUAL and strategy in {None, ledger.strategy}
            ]
            if ledgers:
                await self._account(account, ledgers)

    async def _account(self, account: Account, ledgers: list[Ledger]) -> None:
        now = self._clock.market_now()
        master = self._masters.known(account.broker)
        goals = {goal.key: goal for goal in await goals_of(self._store, account.broker_id)}
        by_strategy: defaultdict[str, list[Ledger]] = defaultdict(list)
        for ledger in ledgers:
            by_strategy[ledger.strategy].append(ledger)
        for name, owned in by_strategy.items():
            schedule, trouble = await self._schedule(name)
            if schedule is None:
                await self._name_what_is_left(account, name, owned, trouble)
            due = []
            for ledger in owned:
                known = master.get(ledger.instrument)
                if found := self._due(account, ledger, schedule, known, now):
                    due.append(found)
            await self._flatten(account, name, due, goals)
            await self._alarm(account, name, [one for one in due if one.is_alarming])

    async def _schedule(self, name: str) -> tuple[Schedule | None, str]:
        """Return a strategy's schedule, or None and why it cannot be had."""
        found = self._strategies.registry.get(name)
        if found is None:
            return None, "the strategy is not in this program"
        try:
            return found.schedule(await self._strategies.parameters(name)), ""
        except StoreError:
            raise
        # A strategy is the user's own code: whatever it raises must keep no exit back.
        except Exception as error:  # noqa: BLE001 - see above
            return None, f"its schedule cannot be read: {error}"

    def _due(
        self,
        account: Account,
        ledger: Ledger,
        schedule: Schedule | None,
        known: Instrument | None,
        now: datetime,
    ) -> _Due | None:
        """Return what is due of a ledger by the newest session of its instrument."""
        window = self._hours.latest(ledger.instrument, known, now)
        if window is None:
            return None
        cut_offs = self._cut_offs(window.day, account.broker, ledger, known)
        times = square_off_times(ledger.product, schedule, list(cut_offs), window)
        if times is None or now < times.begins_at:
            return None
        return _Due(ledger, window.day, now >= times.alarm_at, window.contains(now))

    def _cut_offs(
        self, day: date, broker: BrokerProfile, ledger: Ledger, known: Instrument | None
    ) -> Iterable[time]:
        for segment, has_derivatives in plausible_kinds(ledger.instrument, known):
            try:
                yield self._calendar.square_off(
                    day, broker, segment, has_derivatives=has_derivatives
                )
            except LookupError:
                continue

    async def _flatten(
        self, account: Account, name: str, due: list[_Due], goals: dict[str, Goal]
    ) -> None:
        """Set the goals of these ledgers to flat, where they are not yet."""
        # Every tick comes here until the ledgers are flat: a goal that is flat already must keep
        # its run, whose exits are on their way. One that a run set anew after the cut-off is not
        # kept. Outside the session nothing is decided: it would be sent at the next open, when an
        # intraday ledger of the day before is void.
        not_flat = [
            one.ledger
            for one in due
            if one.is_trading
            and (one.ledger.key not in goals or goals[one.ledger.key].quantity != 0)
        ]
        if not not_flat:
            return
        now = self._clock.market_now()
        run_id = f"{name}|{now:%Y-%m-%dT%H:%M}|square-off|{account.broker_id}"
        decision = Flattening(
            run_id,
            "square-off",
            name,
            account.broker_id,
            now.date().isoformat(),
            self._clock.now(),
            now,
        )

        async def body(view: StoreView) -> None:
            await flatten(view, self._outbox, not_flat, decision)

        try:
            await self._store.transaction(body, nonce=f"run:{run_id}")
        except AlreadyDone:
            return
        _log.info("square-off of %s on %s", name, account.label)
        self._wake(account.broker_id)

    async def _alarm(self, account: Account, name: str, late: list[_Due]) -> None:
        if not late or self._is_unread(account.broker_id):
            return
        # Each fill of a slow exit changes what is open: not an alarm each.
        key, now = (account.broker_id, name), self._clock.now()
        if key in self._alarmed_at and now - self._alarmed_at[key] < _ALARM_PAUSE:
            return
        ledgers = sorted((one.ledger for one in late), key=lambda one: one.key)
        positions = tuple(f"{one.instrument} {one.quantity:+d}" for one in ledgers)
        day = max(one.day for one in late)
        is_closed = not any(one.is_trading for one in late)
        notice = SquareOffAlarm(account.broker_id, name, positions, is_closed)
        if await self._post_once(
            f"alarm:{name}|{account.broker_id}|{day}|{','.join(positions)}", notice, ledgers
        ):
            self._alarmed_at[key] = now

    def _is_unread(self, broker_id: str) -> bool:
        """Whether the first read of today is still to come: what is open may be closed there."""
        if self._nets.has_begun(broker_id, trading_day(self._clock.market_now())):
            return False
        now = self._clock.monotonic()
        return now - self._unread_since.setdefault(broker_id, now) < _FIRST_READ_S

    async def _name_what_is_left(
        self, account: Account, name: str, owned: list[Ledger], trouble: str
    ) -> None:
        """Name, once, what a strategy that cannot be asked carries overnight."""
        positions = tuple(
            f"{ledger.instrument} {ledger.product.value} {ledger.quantity:+d}"
            for ledger in sorted(owned, key=lambda one: one.key)
            if ledger.product is not Product.MIS
        )
        if positions:
            notice = LedgersLeft(account.broker_id, name, positions, trouble)
            nonce = f"left:{name}|{account.broker_id}|{','.join(positions)}"
            await self._post_once(nonce, notice, owned)

    async def _post_once(
        self, nonce: str, notice: SquareOffAlarm | LedgersLeft, ledgers: list[Ledger]
    ) -> bool:
        """Post a notice that this nonce has not posted before; return whether it was posted."""
        # Asked at each tick: what this process has said costs the store nothing.
        if nonce in self._said:
            return False

        names = ", ".join(dict.fromkeys(str(one.instrument) for one in ledgers))
        cause = AlarmCause(Until.FLAT, names, tuple(one.key for one in ledgers))

        async def body(view: StoreView) -> None:
            await raise_alarm(view, self._outbox, notice.broker_id, notice, cause)

        try:
            await self._store.transaction(body, nonce=nonce)
        except AlreadyDone:
            self._said.add(nonce)
            return False
        self._said.add(nonce)
        return True
