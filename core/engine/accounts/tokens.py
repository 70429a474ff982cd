"""The life of tokens: how their end is found, and the one warning about it (product.md B5 to B10).

Tokens die at the time of day that their broker's profile names, and only a user can log in again.
Their end is found in three ways: by the market clock, by a probe at the start and before the
session, and by the broker's own answer in the middle of work. However it is found, it is recorded
once: the account is marked expired, and one warning for all accounts stays in the chat until each
is refreshed or a user dismisses it. It says what is held there and which exits wait. Owns the
document ``token_warning`` of ``settings`` (``episode``, ``dismissed``, ``shown``, ``shown_at``,
``rang_at``, when it last was a new message, and ``changed``, that an account left it).
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable, Sequence
from datetime import datetime, time, timedelta

from core.domain.account import Account, TokenStatus
from core.domain.command import Command
from core.domain.instrument import Segment
from core.domain.notices.accounts import AccountParked
from core.domain.notices.logins import TokenWarning
from core.domain.notices.post import token_warning_card, token_warning_removal
from core.domain.sessions import IST
from core.engine.accounts.accounts import Accounts, update_account
from core.engine.accounts.connections import Connections
from core.engine.orders.alarms import AlarmCause, Until, raise_alarm
from core.engine.orders.journal import waiting_exits
from core.engine.outbox import Outbox
from core.engine.stored_settings import read_setting, write_setting
from core.errors import AlreadyDone, BrokerReadError, NotFound, ReadFault, VaultError
from core.ports.calendar import Calendar
from core.ports.clock import Clock
from core.ports.store import Change, Store, StoreView

__all__ = ["WARNING_KEY", "Tokens", "is_of_the_day", "token_ends_at"]

_log = logging.getLogger(__name__)

WARNING_KEY = "token_warning"
_NEAR_OPEN = timedelta(minutes=45)
_OPEN_FACTOR = 3
_NIGHT_ENDS, _SESSION = time(7, 0), time(9, 0)
_RINGS_ONCE = timedelta(minutes=1)
_PROBE_BEFORE_OPEN = timedelta(minutes=15)


def token_ends_at(logged_in: datetime, dies_at: time) -> datetime:
    """Return when a token of a login at the market time ``logged_in`` dies."""
    moment = logged_in.astimezone(IST)
    end = datetime.combine(moment.date(), dies_at, IST)
    return end if moment < end else end + timedelta(days=1)


def is_of_the_day(logged_in: datetime, dies_at: time | None, now: datetime) -> bool:
    """Whether a login (market time) is the one that a day's session is traded with.

    One of the evening before, or of the small hours, ends before the session begins. Logins that
    do not end by the clock count once the night is over.
    """
    if dies_at is None:
        return now.astimezone(IST).time() >= _NIGHT_ENDS
    opens = datetime.combine(now.astimezone(IST).date(), _SESSION, IST)
    return token_ends_at(logged_in, dies_at) > opens


_Logged = tuple[Account, datetime | None]
"""An account, and the market time of its last login."""


def _first_end(accounts: Iterable[_Logged]) -> datetime | None:
    """Return when the first token dies by the clock; None where none does."""
    ends = (
        token_ends_at(since, one.broker.tokens_die_at)
        for one, since in accounts
        if since is not None and one.broker.tokens_die_at is not None and not one.needs_login
    )
    return min(ends, default=None)


class Tokens:
    """Finds out when tokens end, and keeps the warning in the chat up to date."""

    def __init__(
        self,
        store: Store,
        clock: Clock,
        calendar: Calendar,
        accounts: Accounts,
        outbox: Outbox,
        *,
        warning_interval_s: float,
    ) -> None:
        self._store = store
        self._clock = clock
        self._calendar = calendar
        self._accounts = accounts
        self._outbox = outbox
        self._interval = timedelta(seconds=warning_interval_s)
        self._probed_day = ""
        self._ends_of: Sequence[_Logged] = ()
        self._first_end: datetime | None = None

    async def mark_expired(
        self,
        broker_id: str,
        reason: str,
        *,
        generated_at: datetime | None = None,
        is_expected: bool = False,
    ) -> bool:
        """Record that a token is dead and warn the user once (B8); return whether it is news.

        Args:
            broker_id: The account.
            reason: How it was found, for the chat.
            generated_at: When the token that was found dead was generated; None means the present
                one. A late answer to an old token proves nothing about a newer one.
            is_expected: It ended at the hour at which it does each day; the caller shows the
                warning, once for all accounts.
        """
        try:
            account = await self._accounts.get(broker_id)
        except NotFound:
            return False
        if account.token_status is TokenStatus.EXPIRED:
            return False
        if generated_at is not None and generated_at != account.token_generated_at:
            return False
        dead = {
            "token_status": TokenStatus.EXPIRED.value,
            "token_lost_at": self._clock.now(),
            "parked_reason": reason,
        }

        async def body(view: StoreView) -> None:
            # Read, probe and clock may find the same end at one moment, and a new login may
            # complete meanwhile: only the token that was found dead is marked, by the first that
            # finds it.
            where = {
                "token_status": TokenStatus.VALID.value,
                "token_generated_at": account.token_generated_at,
            }
            if not await update_account(view, broker_id, dead, where=where):
                raise AlreadyDone(broker_id)
            await self._begin_warning(view)

        try:
            await self._store.transaction(
                body, nonce=f"lost:{broker_id}|{account.token_generated_at}"
            )
        except AlreadyDone:
            return False
        _log.info("account %s: token ended, %s", broker_id, reason)
        if not is_expected:
            await self.show_warning(force=True)
        return True

    async def not_permitted(self, broker_id: str, message: str) -> None:
        """Park an account whose app or address the broker refuses: no login helps (N17)."""
        reason = f"refused by the broker: {message}"

        async def body(view: StoreView) -> None:
            if await self._accounts.park(broker_id, reason, view):
                notice, cause = AccountParked(broker_id, reason), AlarmCause(Until.TAKEN)
                await raise_alarm(view, self._outbox, broker_id, notice, cause)

        at = self._clock.now().isoformat()
        await self._store.transaction(body, nonce=f"parked:{broker_id}|{at}")

    async def _begin_warning(self, view: StoreView) -> None:
        """A new expiry starts a new warning, whether the last one was dismissed or not."""
        again = Change(set={"dismissed": False, "shown_at": None}, inc={"episode": 1})
        await write_setting(view, WARNING_KEY, again)

    async def ended(self, view: StoreView) -> None:
        """Begin the warning inside the transaction that ends a login for another reason."""
        await self._begin_warning(view)

    async def refreshed(self, view: StoreView) -> None:
        """Bring the standing warning up to date inside the transaction of a completed login."""
        await write_setting(view, WARNING_KEY, Change(set={"changed": True}))

    async def dismiss_warning(self, command: Command) -> None:
        """Silence the warning until a new expiry, and remove it from the chat."""

        async def body(view: StoreView) -> None:
            dismissed = Change(set={"dismissed": True, "shown": False})
            await write_setting(view, WARNING_KEY, dismissed)
            await self._outbox.post(view, token_warning_removal())

        await self._store.transaction(body, nonce=f"dismiss:{command.id}")

    async def needing_login(self) -> tuple[Account, ...]:
        """Return enabled or default accounts whose login is needed."""
        accounts = await self._accounts.all()
        return tuple(a for a in accounts if a.needs_login and (a.enabled or a.is_default))

    async def show_warning(self, *, force: bool = False) -> None:
        """Show, replace or remove the standing warning as the interval and the accounts ask."""
        row = await read_setting(self._store, WARNING_KEY) or {}
        # An account that never logged in has lost nothing; its set-up asks for the first login.
        accounts = [a for a in await self.needing_login() if a.token_generated_at is not None]
        if not accounts:
            if row.get("shown"):
                await self._mark_shown(shown=False)
                await self._outbox.post_alone(self._store, token_warning_removal())
            return
        if row.get("dismissed"):
            return
        now = self._clock.now()
        shown_at, rang_at = row.get("shown_at"), row.get("rang_at")
        is_due = force or shown_at is None or now - shown_at >= self.interval()
        if not is_due and not row.get("changed"):
            return
        # Logins that end together ring once, and one that is done rings for no other.
        has_rung = rang_at is not None and now - rang_at < _RINGS_ONCE
        is_quiet = bool(row.get("shown")) and (has_rung or not is_due)
        await self._mark_shown(shown=True, rang_at=rang_at if is_quiet else now)
        ids = tuple(account.broker_id for account in accounts)
        exits = [one for key in ids for one in await waiting_exits(self._store, key)]
        warning = token_warning_card(TokenWarning(ids, tuple(exits)), is_quiet=is_quiet)
        await self._outbox.post_alone(self._store, warning)

    async def _mark_shown(self, *, shown: bool, rang_at: datetime | None = None) -> None:
        fields = {"shown": shown, "shown_at": rang_at, "rang_at": rang_at, "changed": False}
        await write_setting(self._store, WARNING_KEY, Change(set=fields))

    def interval(self) -> timedelta:
        """Return how often the warning returns: more often when the market is open or about to."""
        moment = self._clock.market_now()
        try:
            window = self._calendar.exit_session(moment.date(), Segment.CASH, has_derivatives=True)
        except LookupError:
            return self._interval
        if window and window.open_at - _NEAR_OPEN <= moment < window.close_at:
            return self._interval / _OPEN_FACTOR
        return self._interval

    async def tick(self, connections: Connections) -> None:
        """End tokens by the clock, probe before the session, and repeat the warning when due."""
        await self._expire_by_clock()
        await self._probe_before_session(connections)
        await self.show_warning()

    async def _expire_by_clock(self) -> None:
        now, has_ended = self._clock.market_now(), False
        # Of two hundred accounts none ends before the first of them does, until one is changed.
        accounts = await self._accounts.all_with_logins()
        if accounts is not self._ends_of:
            self._ends_of, self._first_end = accounts, _first_end(accounts)
        if self._first_end is None or now < self._first_end:
            return
        for account, since in accounts:
            dies_at = account.broker.tokens_die_at
            if dies_at is None or account.needs_login:
                continue
            if since is not None and now >= token_ends_at(since, dies_at):
                reason = f"its login ended at {dies_at:%H:%M}, as each day"
                has_ended |= await self.mark_expired(account.broker_id, reason, is_expected=True)
        if has_ended:
            await self.show_warning(force=True)

    async def _probe_before_session(self, connections: Connections) -> None:
        moment = self._clock.market_now()
        day = moment.date().isoformat()
        if self._probed_day == day:
            return
        try:
            window = self._calendar.exit_session(moment.date(), Segment.CASH, has_derivatives=True)
        except LookupError:
            return
        if window is None or moment < window.open_at - _PROBE_BEFORE_OPEN:
            return
        # Set before the probe: a broker that cannot be reached is no reason to ask at every tick,
        # and its worker finds a dead login as well.
        self._probed_day = day
        await self.probe_all(connections)

    async def probe_all(self, connections: Connections) -> None:
        """Read the user's profile at each broker, the cheapest read, all at once.

        Raises:
            StoreError: That a login has ended could not be written; of the others it was.
        """
        due = [one for one in await self._accounts.all() if not one.needs_login]
        probes = (self._probe(one, connections) for one in due)
        # No group of tasks: one that fails neither ends the others nor turns into another error.
        for outcome in await asyncio.gather(*probes, return_exceptions=True):
            if isinstance(outcome, BaseException):
                raise outcome

    async def _probe(self, account: Account, connections: Connections) -> None:
        try:
            client = await connections.client(account)
            if client is not None:
                await client.profile()
        except BrokerReadError as error:
            if error.fault is ReadFault.AUTH_REQUIRED:
                since = account.token_generated_at
                reason = "the broker has ended its login"
                await self.mark_expired(account.broker_id, reason, generated_at=since)
        except VaultError as error:
            _log.error("account %s: secrets cannot be opened: %s", account.broker_id, error)
        except NotFound:
            _log.info("account %s was disconnected meanwhile", account.broker_id)
