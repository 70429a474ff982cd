"""One account's worker: reads its broker, settles its orders, brings its ledgers to their goals.

Every account has its own worker, client and lock, so a slow, hung or failing account delays no
other (I7). Everything that is sent for an account is sent under its lock. The worker sends nothing
before its first successful read of the day's orders (reliability.md 2.3.8), nor while its login is
dead.
"""

from __future__ import annotations

import asyncio
import logging
from datetime import datetime, time, timedelta
from functools import partial

from core.domain.account import Account
from core.domain.outcome import Refusal
from core.domain.sessions import trading_day
from core.engine.accounts.accounts import Accounts
from core.engine.accounts.connections import Connections
from core.engine.accounts.masters import Masters
from core.engine.accounts.tokens import Tokens, is_of_the_day
from core.engine.orders.crossings import Crossings
from core.engine.orders.executor import Executor
from core.engine.orders.gateway import WriteRefused
from core.engine.orders.guards import Guards
from core.engine.orders.journal import Journal
from core.engine.orders.reconciliation import Snapshot
from core.engine.workers.account_lane import AccountLane, Work, try_lock
from core.engine.workers.push_wait import HeardBefore, PushWait
from core.engine.workers.read_watch import ReadWatch
from core.engine.workers.rest import Rest
from core.engine.workers.shared_read import SharedRead
from core.engine.workers.snapshot_reader import SnapshotReader, WorkerSettings
from core.engine.workers.updates_follower import UpdatesFollower
from core.errors import BrokerReadError, NotFound, ReadFault, StoreError, VaultError
from core.ports.broker import BrokerClient
from core.ports.clock import Clock

__all__ = ["AccountWorker"]

_log = logging.getLogger(__name__)
_SHORT_S = 0.05
_GRACE_S = 20.0
_UNREADABLE = "its saved secret cannot be read: put the key file back, or send it again"
_FAULT_OF = {
    Refusal.AUTH_REQUIRED: ReadFault.AUTH_REQUIRED,
    Refusal.PERMISSION: ReadFault.PERMISSION,
}


class AccountWorker:
    """Works for one account until it is disconnected.

    Attributes:
        trouble: Why the last turn did nothing, '' when it did.
        fault: The class of that, where the broker refused or did not answer.
        turn_since: When the turn that lasts began, by ``monotonic``; None between turns.
    """

    def __init__(
        self,
        broker_id: str,
        *,
        executor: Executor,
        crossings: Crossings,
        reader: SnapshotReader,
        clock: Clock,
        accounts: Accounts,
        connections: Connections,
        masters: Masters,
        journal: Journal,
        tokens: Tokens,
        watch: ReadWatch,
        guards: Guards,
        rest: Rest,
        settings: WorkerSettings,
    ) -> None:
        self.broker_id = broker_id
        self.executor = executor
        self._crossings = crossings
        self.lock = asyncio.Lock()
        self.trouble = ""
        self.fault: ReadFault | None = None
        self._reading = asyncio.Lock()
        self._reader = reader
        self._clock = clock
        self._accounts = accounts
        self._connections = connections
        self._masters = masters
        self._journal = journal
        self._tokens = tokens
        self._watch = watch
        self._guards = guards
        self._needs_login = self._is_parked = self._is_done = self._rests = False
        self._rest = rest
        self._settings = settings
        self._wake = asyncio.Event()
        self.updates = UpdatesFollower(
            broker_id, clock, self.hinted, lambda: executor.entries.is_sending
        )
        self._push = PushWait(broker_id, self.updates, journal, clock)
        self._is_read_wanted = True
        self._reads_first = False
        self._read_at = 0.0
        self._turn_ended = asyncio.Event()
        self._ready_for: str | None = None
        self._token_time: datetime | None = None
        self._dies_at: time | None = None
        self._client: BrokerClient | None = None
        self._group: asyncio.TaskGroup | None = None
        self.turn_since: float | None = None
        self._from_beside: tuple[Exception, datetime | None] | None = None

    @property
    def snapshot(self) -> Snapshot:
        """What the last reads of the broker showed."""
        return self._reader.snapshot

    @property
    def reads_live(self) -> timedelta:
        """How old the read of the positions may be while all is well, with some seconds' grace."""
        settings = self._settings
        longest = settings.checked_s if self.updates.is_live else settings.positions_s
        return timedelta(seconds=longest + _GRACE_S)

    def wake(self) -> None:
        """Take the next turn now: after a run, a postback or a user's command."""
        self._is_read_wanted, self._reads_first = True, False
        self._push.end()
        self._wake.set()

    def hinted(self) -> None:
        """Take the next turn now, for an order update: its read comes before what is sent."""
        # One that was woken as well has something to send, which goes first.
        if not self._wake.is_set():
            self._reads_first = True
        self._is_read_wanted = True
        self._push.hinted()
        self._wake.set()

    async def next_turn(self) -> None:
        """Take a turn soon, and wait for its end."""
        self.wake()
        await self.turn_ended()

    async def turn_ended(self) -> None:
        """Wait for the end of a turn, taken when the worker takes it: it keeps to its rate."""
        await self._turn_ended.wait()

    async def run(self) -> None:
        """Take turns, and follow the order updates, until the account is disconnected."""
        crash: Exception | None = None
        async with asyncio.TaskGroup() as group:
            self._group = group
            following = group.create_task(self.updates.run(), name=f"{self.broker_id} updates")
            try:
                await self._take_turns()
            except Exception as error:  # noqa: BLE001 - raised below, as it is and not in a group
                crash = error
            finally:
                self._group = None
                following.cancel()
        if crash is not None:
            raise crash

    def take_lane(self) -> AccountLane | None:
        """Return the account's lane when orders can leave at this moment, None otherwise.

        It holds the account's lock, so nothing else is sent for it until the lane ends. A worker in
        the middle of a turn, or woken for one, may have an exit or a stop to send first.
        """
        client = self._client
        is_idle = self.turn_since is None and not self._wake.is_set() and not self.trouble
        if client is None or self._group is None or not is_idle or not self._is_ready():
            return None
        if not try_lock(self.lock):
            return None
        return AccountLane(
            self.executor.entries,
            self.executor.run_exits,
            client,
            start=self._start,
            is_valid=lambda one: one is self._client and self._is_ready(),
            heard=lambda: self.updates.hints,
            ended=partial(self._lane_ended, self._push.begin()),
        )

    def look_ahead(self) -> None:
        """Read what is held, beside the turns, for exits that may be decided in a moment."""
        client = self._client
        if client is not None and self._is_ready():
            self._start(partial(self._look_ahead, client))

    async def _look_ahead(self, client: BrokerClient) -> None:
        try:
            await self.executor.looks.look_ahead(client, self.updates.hints)
        except BrokerReadError:
            self.wake()
            raise
        except StoreError as error:
            # Nothing is lost but a read made early: it must not cost the turn that follows.
            _log.info("account %s: no look ahead: %s", self.broker_id, error)

    def _start(self, work: Work) -> asyncio.Task[None] | None:
        """Start work beside the turns; None when the worker is ending."""
        if self._group is None:
            return None
        beside = self._beside(work)
        try:
            return self._group.create_task(beside, name=f"{self.broker_id} beside")
        except RuntimeError:
            beside.close()
            return None

    async def _beside(self, work: Work) -> None:
        # Raised here, an error would cancel what a turn has on its way at this moment, and a
        # request that is cancelled on its way is ambiguous: the next turn raises it.
        login = self._token_time
        try:
            await work()
        except Exception as error:  # noqa: BLE001 - raised by the next turn
            self._from_beside = error, login

    def _lane_ended(self, before: HeardBefore) -> None:
        self.lock.release()
        self.wake()
        self._push.sent(before)

    async def _take_turns(self) -> None:
        while True:
            self._wake.clear()
            self.turn_since = self._clock.monotonic()
            try:
                pause = await self.turn()
            except NotFound:
                async with self.lock:  # what is on its way ends first
                    await self._connections.drop(self.broker_id)
                return
            finally:
                self.turn_since = None
                ended, self._turn_ended = self._turn_ended, asyncio.Event()
                ended.set()
            try:
                async with asyncio.timeout(pause):
                    await self._wake.wait()
            except TimeoutError:
                continue

    async def turn(self) -> float:
        """Send what can be sent, read, settle; return the pause until the next turn."""
        self.executor.looks.new_turn(self.updates.hints)
        self._rest.begin()
        pause, is_quiet = await self._turn(), False
        if self._rests:
            return pause
        try:
            # However the turn ended: a broker that cannot be read protects nothing either.
            is_quiet = await self._guards.check(
                self.broker_id, needs_login=self._needs_login, is_parked=self._is_parked
            )
        except StoreError as error:
            _log.warning("account %s: %s", self.broker_id, error)
        self._rest.end(is_quiet=is_quiet and self._is_done and not self.executor.has_work)
        return pause

    def _is_at_rest(self) -> bool:
        """Whether this turn could find nothing that the one before has not found."""
        is_wanted = self._is_read_wanted or self._reads_first
        if is_wanted or not self._rest.lasts or not self.updates.is_live or not self._is_ready():
            return False
        return self._clock.monotonic() - self._read_at < self._reader.allowed_age(())

    async def _turn(self) -> float:
        settings, self._is_done, self._rests = self._settings, False, False
        try:
            account = await self._accounts.get(self.broker_id)
            client = await self._connections.client(account)
            # After a new login the day's orders are read before anything is sent: while the login
            # was dead, the account may have been traded elsewhere.
            if client is None or self._token_time != account.token_generated_at:
                self._ready_for = None
            self._token_time = account.token_generated_at
            self._dies_at, self._is_parked = (
                account.broker.tokens_die_at,
                bool(account.parked_reason),
            )
            self._needs_login = client is None
            self._client = client
            self.updates.follow(client)
            if client is None:
                self.trouble, self.fault = "waiting for a login", None
                self._watch.login_ended()
                await self.executor.park()
                return settings.idle_s
            # Send first, read then: a fresh entry must not wait for a slow read. What the read
            # moved is acted on in the same turn, so that a stop follows its fill at once.
            self._raise_from_beside()
            self._rests = self._is_at_rest()
            pause = settings.idle_s if self._rests else await self._act(account, client)
        except BrokerReadError as error:
            await self.read_failed(error)
            return error.retry_after_s or settings.away_s
        except WriteRefused as refused:
            await self.write_refused(refused)
            return settings.away_s
        except VaultError:
            self.trouble, self.fault = _UNREADABLE, None
            return settings.idle_s
        except StoreError as error:
            self.trouble, self.fault = f"the store: {error}", None
            _log.warning("account %s: %s", self.broker_id, error)
            return settings.away_s
        self.trouble, self.fault = "", None
        return await self._pause() if pause is None else pause

    async def _act(self, account: Account, client: BrokerClient) -> float | None:
        """Send, read, and act on what was read; return the pause, None for the usual one."""
        was_ready, held_at = self._is_ready(), self.snapshot.positions_at
        reads_first, self._reads_first = self._reads_first, False
        before = self._push.begin()
        sent = was_ready and not reads_first and await self.advance(account, client)
        if sent:
            self._push.sent(before)
        if left := await self._push.left_s():
            self._is_read_wanted = True
            return left
        if sent or await self._is_read_due():
            moved = await self.read(client)
            # A read that showed nothing new leaves nothing to do that was not done just now.
            has_advanced = was_ready and not reads_first
            is_news = moved or not has_advanced or self.snapshot.positions_at != held_at
            sent |= (moved or not sent) and is_news and await self.advance(account, client)
        return _SHORT_S if sent else None

    def _raise_from_beside(self) -> None:
        """Raise what went wrong beside the turns, as far as it still means something."""
        (error, login), self._from_beside = self._from_beside or (None, None), None
        is_login = (isinstance(error, WriteRefused) and error.kind is Refusal.AUTH_REQUIRED) or (
            isinstance(error, BrokerReadError) and error.fault is ReadFault.AUTH_REQUIRED
        )
        if is_login and login != self._token_time:
            return  # it was renewed meanwhile
        if error is not None:
            raise error

    async def _pause(self) -> float:
        """Return how long nothing can be done, as far as this account knows."""
        settings = self._settings
        is_busy = await self._is_busy()
        pause = settings.busy_s if is_busy else settings.idle_s
        if self.executor.look_again_at is None:
            self._is_done = not is_busy
            return pause
        until = (self.executor.look_again_at - self._clock.now()).total_seconds()
        return min(pause, max(_SHORT_S, until))

    async def _is_read_due(self) -> bool:
        """Whether to read in this turn: in each, but while updates are pushed only as a check."""
        if self._is_read_wanted or not self.updates.is_live or not self._is_ready():
            return True
        age = self._clock.monotonic() - self._read_at
        return age >= self._reader.allowed_age(await self._journal.pending(self.broker_id))

    def _is_ready(self) -> bool:
        """Whether the day's orders were read since the start and since the last login or fault."""
        return self._ready_for == trading_day(self._clock.market_now())

    async def advance(self, account: Account, client: BrokerClient) -> bool:
        """Send what can be sent, under the account's lock."""
        master = await self._masters.at_hand(account.broker)
        async with self.lock:
            day = trading_day(self._clock.market_now())
            settle = SharedRead(lambda: self._read_orders(client, day))
            await self._crossings.cross(self.broker_id, self.snapshot.positions or ())
            sent = await self.executor.advance(client, master, settle)
        if sent and account.parked_reason:
            # The broker takes orders again, so whatever it refused before is over.
            await self._accounts.park(self.broker_id, "")
        return sent

    async def _read_orders(self, client: BrokerClient, day: str) -> bool:
        async with self._reading:
            return await self._see_orders(client, day)

    async def _see_orders(self, client: BrokerClient, day: str) -> bool:
        """Read the day's orders; the executor is to know whether that can be done."""
        try:
            has_moved = await self._reader.read_orders(client, day)
        except BrokerReadError:
            self.executor.are_orders_unread = True
            raise
        self.executor.are_orders_unread = False
        return has_moved

    async def read(self, client: BrokerClient, *, everything: bool = False) -> bool:
        """Read the broker and settle the journal; return whether any order moved.

        Args:
            client: The account's client.
            everything: Read positions, trades, funds and holdings whatever their age.
        """
        # One at a time: of two reads that overlap the older answer may come last, and a user who
        # asks for the figures beside a turn would bring fills back to what they were before.
        async with self._reading:
            # An update that comes from here on is for the next read; a read that fails is wanted
            # still.
            began, self._is_read_wanted, is_done = self._clock.monotonic(), False, False
            self._push.read()
            try:
                day = trading_day(self._clock.market_now())
                has_moved = await self._see_orders(client, day)
                self._ready_for = day
                has_moved = await self._reader.read_rest(
                    client,
                    day,
                    has_moved=has_moved,
                    everything=everything,
                    is_days_login=self._is_days_login(),
                    is_pushed=self.updates.is_live,
                )
                self._read_at, is_done = began, True
            finally:
                self._is_read_wanted |= not is_done
        await self._watch.succeeded()
        return has_moved

    def _is_days_login(self) -> bool:
        if self._token_time is None:
            return False
        logged_in = self._clock.market_at(self._token_time)
        return is_of_the_day(logged_in, self._dies_at, self._clock.market_now())

    async def refresh(self, *, within_s: float | None = None) -> str:
        """Read everything now, for a user who waits; return what went wrong, or ''."""
        try:
            client = await self._connections.client_of(self.broker_id)
            if client is None:
                return "waiting for a login"
            async with asyncio.timeout(within_s or self._settings.positions_s):
                await self.read(client, everything=True)
        except BrokerReadError as error:
            await self.read_failed(error)
            return str(error)
        except VaultError:
            self.trouble, self.fault = _UNREADABLE, None
            return self.trouble
        except TimeoutError:
            return "the broker did not answer in time"
        return ""

    async def read_failed(self, error: BrokerReadError) -> None:
        """Classify a failed read: a dead login parks the account, anything else waits."""
        self.trouble, self.fault = str(error), error.fault
        if error.fault is ReadFault.AUTH_REQUIRED:
            await self._login_refused()
        elif error.fault is ReadFault.PERMISSION:
            await self._not_permitted(str(error))
        else:
            _log.info("account %s: %s", self.broker_id, error)
            await self._watch.failed(str(error))

    async def write_refused(self, refused: WriteRefused) -> None:
        """Park the account when the broker refused a write for its login or permissions."""
        self.trouble, self.fault = str(refused), _FAULT_OF.get(refused.kind)
        if refused.kind is Refusal.AUTH_REQUIRED:
            await self._login_refused()
        else:
            # Reads work from anywhere: what fills meanwhile must be seen, whatever is to be sent.
            self._reads_first = True
            await self._not_permitted(str(refused))

    async def _not_permitted(self, message: str) -> None:
        # Known in this very turn: its look at the alarms must not end the one that this raises.
        self._is_parked = True
        await self._tokens.not_permitted(self.broker_id, message)

    async def _login_refused(self) -> None:
        self._ready_for = None
        self._watch.login_ended()
        self.updates.follow(None)
        reason = "the broker has ended its login"
        await self._tokens.mark_expired(self.broker_id, reason, generated_at=self._token_time)
        if await self._is_login_renewed():
            return  # the next turn goes on with the new one
        async with self.lock:  # what is on its way ends first
            await self._connections.drop(self.broker_id)
        await self.executor.park()

    async def _is_login_renewed(self) -> bool:
        """Whether a user has logged in since the login that this worker has last worked with."""
        try:
            account = await self._accounts.get(self.broker_id)
        except NotFound:
            return False
        return account.token_generated_at != self._token_time

    async def _is_busy(self) -> bool:
        return bool(await self._journal.pending(self.broker_id))
