"""The pursuit of a panic on one account: looks, decides, acts until nothing is left (row R2).

What is done next is worked out from the store and the last reads alone (``moves_of``), so a
pursuit that is begun anew after a crash goes on where the last one was. Exits are the executor's:
this sets goals. Only what no goal can end is cancelled here, under the account's lock.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from core.domain.account import Account
from core.domain.failures import why_failed
from core.domain.ledger import Ledger
from core.domain.order import EXTERNAL, MANUAL, Order, OrderState, Purpose
from core.domain.outcome import Acked, WriteOutcome
from core.domain.panic import (
    CANCELLED_FOR,
    AccountFacts,
    Hindrance,
    Line,
    Moves,
    Panic,
    left_of,
    moves_of,
    run_of,
)
from core.domain.sessions import trading_day
from core.domain.truth import Key
from core.engine.accounts.connections import Connections
from core.engine.orders.gateway import Gateway, WriteRefused
from core.engine.orders.goals import Flattening, UserClose, flatten
from core.engine.orders.pauses import raise_for_account
from core.engine.outbox import Outbox
from core.engine.safeguards.panic_facts import PanicFacts
from core.engine.safeguards.panics import hold_running
from core.engine.workers.account_worker import AccountWorker
from core.errors import AlreadyDone, BrokerReadError, LeaseLost, StoreError, VaultError
from core.ports.broker import BrokerClient
from core.ports.clock import Clock
from core.ports.store import Store, StoreView

__all__ = ["PanicPursuit", "PursuitParts"]

_log = logging.getLogger(__name__)
_PACE_S = 2.0
_PAUSE_S = 1.0
_FAILED_S = 2.0
_SILENT_S = 8.0
_STUBBORN_S = 6.0
_AGAIN_S = 3.0
_READ_S = 60.0
_WATCH_S = 5.0
_LONG = timedelta(seconds=3)
_ASKED_ABOUT = 3
_UNASKED_S = 2.0
_RESTING = {OrderState.ACCEPTED, OrderState.PARTIALLY_FILLED}
_FIRST_PAUSE_S = 1.0
_LONGEST_PAUSE_S = 20.0


@dataclass(frozen=True, slots=True)
class PursuitParts:
    """What the pursuits of all accounts share; ``worker`` returns an account's worker."""

    store: Store
    clock: Clock
    outbox: Outbox
    gateway: Gateway
    connections: Connections
    facts: PanicFacts
    worker: Callable[[str], AccountWorker | None]


_Reads = tuple[datetime | None, datetime | None]
"""When the last reads of the orders and of the positions began."""
_NEVER: _Reads = (None, None)


def _reads(worker: AccountWorker) -> _Reads:
    snapshot = worker.snapshot
    return snapshot.orders_began_at, snapshot.positions_began_at


@dataclass(slots=True)
class _Asked:
    """A cancel that was asked for: since when, when it may be asked again, and after what pause."""

    since: float
    again: float
    pause: float = _FIRST_PAUSE_S


class PanicPursuit:
    """One account of a running panic.

    Args:
        parts: What it works with.
        broker_id: The account.
        panic: Returns the panic as it stands now.
        line: How the account stood when it was last stored.
        changed: Called when the account stands otherwise.
    """

    def __init__(
        self,
        parts: PursuitParts,
        broker_id: str,
        panic: Callable[[], Panic],
        line: Line,
        changed: Callable[[], None],
    ) -> None:
        self._parts = parts
        self._broker_id = broker_id
        self._panic = panic
        self._line = line
        self._changed = changed
        self._asked: dict[str, _Asked] = {}
        self._closed: dict[Key, float] = {}
        self._reads: _Reads = _NEVER
        self._nothing_since: float | None = None
        self._heard_at = parts.clock.monotonic()

    @property
    def line(self) -> Line:
        """How the account stands; when nothing was heard of it for long, that its broker is silent.

        Whoever asks need not wait for a pursuit that waits for its broker.
        """
        silent_s = self._parts.clock.monotonic() - self._heard_at
        if self._line.is_over or self._line.hindrance or silent_s < _SILENT_S:
            return self._line
        return replace(self._line, hindrance=Hindrance.SILENT, detail="")

    async def run(self) -> None:
        """Pursue until the account is gone; what is away is tried again.

        One that is flat is looked at now and then while the panic runs: an order may still fill
        late, or be placed beside it, and the panic's message must not say flat then.
        """
        while self._line.hindrance is not Hindrance.GONE:
            try:
                if self._line.is_flat and not await self._has_more():
                    await self._parts.clock.sleep(_WATCH_S)
                    continue
                await self.step()
            except LeaseLost:
                raise
            except (StoreError, VaultError) as error:
                _log.warning("panic on %s: %s", self._broker_id, error)
                await self._parts.clock.sleep(_FAILED_S)
                continue
            # The boundary of one account: whatever fails there must not end the pursuit of others.
            except Exception as error:  # noqa: BLE001 - see above
                _log.exception("the panic on %s failed", self._broker_id)
                words = f"something went wrong on my side ({why_failed(error)})"
                self._stand(replace(self._line, hindrance=Hindrance.EXIT, detail=words))
                await self._parts.clock.sleep(_FAILED_S)
                continue
            await self._wait()

    async def _wait(self) -> None:
        """Wait for the end of a turn of the worker: not shorter than a pause, nor than the pace."""
        worker = self._parts.worker(self._broker_id)
        if self._line.is_over:
            return
        if worker is None:
            await self._parts.clock.sleep(_PACE_S)
            return
        try:
            async with asyncio.timeout(_PACE_S):
                await worker.turn_ended()
                self._heard_at = self._parts.clock.monotonic()
                # Twenty accounts share one store: exits need it more than looks do.
                await self._parts.clock.sleep(_PAUSE_S)
        except TimeoutError:
            return

    async def _has_more(self) -> bool:
        """Whether a flat account has something to cancel or close again, by the last reads."""
        account = await self._parts.facts.account(self._broker_id)
        if account is None:
            return False
        is_with = self._broker_id in self._panic().holdings
        facts = await self._parts.facts.of(account, with_holdings=is_with)
        return facts.is_read and not left_of(facts).is_nothing

    async def step(self) -> None:
        """Look once, and do what is next."""
        account = await self._parts.facts.account(self._broker_id)
        if account is None:
            self._stand(Line(self._broker_id, hindrance=Hindrance.GONE))
            return
        facts = await self._look(account)
        moves = moves_of(facts)
        is_told = await self._close(moves)
        worker = self._parts.worker(self._broker_id)
        if worker is None:
            return
        if is_told:
            worker.wake()
        if self._parts.facts.trouble_of(account)[0] not in {Hindrance.NONE, Hindrance.PERMISSION}:
            return
        due = [order for order in moves.cancels if self._is_due(order)]
        resting = [order for order in left_of(facts).orders if self._rests(order)]
        if due:
            await self._cancel(account, worker, due)
        elif resting:
            await self._ask_why(account, worker, resting)
        elif left_of(facts).is_nothing:
            await self._confirm(account, worker, facts)

    async def _look(self, account: Account) -> AccountFacts:
        """Work out how the account stands, and note it."""
        panic = self._panic()
        facts = await self._parts.facts.of(
            account,
            with_holdings=self._broker_id in panic.holdings,
            stubborn=self._stubborn(),
        )
        left = left_of(facts)
        self._note_asked(left.orders)
        worker = self._parts.worker(self._broker_id)
        if worker is not None and (not left.is_nothing or self._reads == _NEVER):
            self._reads, self._nothing_since = _reads(worker), None
        hindrance, detail = self._parts.facts.hindrance_of(account, facts)
        self._stand(Line(self._broker_id, len(left.orders), len(left.places), hindrance, detail))
        return facts

    def _stand(self, line: Line) -> None:
        if line != self._line:
            self._line = line
            self._changed()

    async def _confirm(self, account: Account, worker: AccountWorker, facts: AccountFacts) -> None:
        """Note that the account is flat once both orders and positions were read since the change.

        The worker reads both in the turn of a fill; where it has no reason to, it is asked to.
        """
        now = self._parts.clock.monotonic()
        if self._nothing_since is None:
            self._nothing_since = now
        is_seen = facts.is_read and facts.do_reads_agree
        if not (is_seen and self._has_read_since(worker)):
            if now - self._nothing_since < _UNASKED_S:
                return
            # As long as its requests may take: a broker that answers each of them slowly is no
            # silent one, and would never be seen to be flat.
            if await worker.refresh(within_s=_READ_S):
                return
            self._heard_at = self._parts.clock.monotonic()
            facts = await self._look(account)
            # Where an order moved in this very read, what the fills do not explain is judged by the
            # next: what the broker shows is not flat until then.
            is_shown = any(one.shown for key, one in facts.places.items() if facts.covers(key))
            if not facts.is_read or is_shown or not left_of(facts).is_nothing:
                return
        panic = self._panic()
        if facts.with_holdings is not (self._broker_id in panic.holdings):
            return  # there is more to close since this look
        after = (self._parts.clock.now() - panic.began_at).total_seconds()
        self._stand(Line(self._broker_id, is_flat=True, flat_after_s=max(0.0, round(after, 1))))

    def _has_read_since(self, worker: AccountWorker) -> bool:
        """Whether orders and positions were read since something was left; told apart, not timed.

        A step of the clock would make a later read look earlier.
        """
        reads = _reads(worker)
        return None not in reads and all(
            new != old for new, old in zip(reads, self._reads, strict=True)
        )

    def _rests(self, order: Order) -> bool:
        """Whether an exit has rested for so long that the user wants to know why."""
        is_resting = order.purpose is Purpose.EXIT and order.state in _RESTING
        return is_resting and self._parts.clock.now() - order.created_at > _LONG

    async def _ask_why(
        self, account: Account, worker: AccountWorker, orders: Sequence[Order]
    ) -> None:
        """Ask for the prices of exits that rest; not more often than they would be chased."""
        try:
            client = await self._parts.connections.client(account)
        except BrokerReadError:
            return
        if client is None:
            return
        for order in orders[:_ASKED_ABOUT]:
            await worker.executor.ask_limit(client, order)

    # Closing

    async def _close(self, moves: Moves) -> bool:
        """Set to flat what is to be closed; return whether anything was."""
        outside = {key: units for key, units in moves.outside.items() if self._may_close(key)}
        if not moves.ledgers and not outside:
            return False
        now, market_at = self._parts.clock.now(), self._parts.clock.market_now()
        panic, day = self._panic(), trading_day(market_at)
        # Each decision has a run of its own: what a later look finds is closed by another.
        mark = f"{now.timestamp():.3f}"
        run_id = run_of(panic.panic_id, self._broker_id, mark)
        decision = Flattening(
            run_id, "panic", MANUAL, self._broker_id, day, now, market_at, UserClose(True)
        )

        async def body(view: StoreView) -> bool:
            if not await hold_running(view, panic.panic_id, self._broker_id):
                return False
            if moves.ledgers:
                await flatten(view, self._parts.outbox, list(moves.ledgers), decision)
            for number, ((instrument, product), units) in enumerate(outside.items()):
                close = UserClose(True, units)
                part = replace(decision, run_id=f"{run_id}.{number}", close=close)
                ledger = Ledger(MANUAL, self._broker_id, instrument, product)
                await flatten(view, self._parts.outbox, [ledger], part)
            return True

        try:
            is_set = await self._parts.store.transaction(body, nonce=run_id)
        except AlreadyDone:
            return False
        at = self._parts.clock.monotonic()
        self._closed.update(dict.fromkeys(outside, at))
        return is_set

    def _may_close(self, key: Key) -> bool:
        """Whether what is outside may be closed again: figures may lag behind the last close."""
        at = self._closed.get(key)
        return at is None or self._parts.clock.monotonic() - at >= _AGAIN_S

    # Cancelling

    async def _cancel(
        self, account: Account, worker: AccountWorker, orders: Sequence[Order]
    ) -> None:
        """Ask the broker to cancel orders, each once, beside one another."""
        try:
            client = await self._parts.connections.client(account)
        except BrokerReadError as error:
            await worker.read_failed(error)
            return
        if client is None:
            return
        async with worker.lock:
            # All of them: one that cannot be written down must not free the account while others
            # are on their way, nor hide what came of them.
            ends = await asyncio.gather(
                *(self._cancel_one(client, one) for one in orders), return_exceptions=True
            )
        self._heard_at = self._parts.clock.monotonic()
        try:
            for outcome in ends:
                if not isinstance(outcome, BaseException):
                    raise_for_account(outcome)
        except WriteRefused as refused:
            await worker.write_refused(refused)
        worker.wake()
        for failed in ends:
            if isinstance(failed, BaseException):
                raise failed

    async def _cancel_one(self, client: BrokerClient, order: Order) -> WriteOutcome:
        now = self._parts.clock.monotonic()
        asked = self._asked.setdefault(order.client_order_id, _Asked(now, now))
        outcome = await self._parts.gateway.cancel(client, order, CANCELLED_FOR)
        if not isinstance(outcome, Acked):
            asked.again = self._parts.clock.monotonic() + asked.pause
            asked.pause = min(asked.pause * 2, _LONGEST_PAUSE_S)
        return outcome

    def _note_asked(self, orders: Sequence[Order]) -> None:
        """Note cancels that others or an earlier life asked for: they may be in vain too."""
        now = self._parts.clock.monotonic()
        for order in orders:
            if order.state is OrderState.PENDING_CANCEL and order.strategy == EXTERNAL:
                self._asked.setdefault(order.client_order_id, _Asked(now, now))

    def _is_due(self, order: Order) -> bool:
        asked = self._asked.get(order.client_order_id)
        return asked is None or self._parts.clock.monotonic() >= asked.again

    def _stubborn(self) -> frozenset[str]:
        """Return the orders whose cancel was asked for some time ago, and is not confirmed."""
        now = self._parts.clock.monotonic()
        return frozenset(
            key for key, asked in self._asked.items() if now - asked.since > _STUBBORN_S
        )
