"""Submitting, cancelling and changing orders: journal first, one send, four outcomes.

Keeps I1 (a row is moved to SUBMITTED once, by a commit that a nonce makes unique, and only that
commit is followed by a send), I3 (the commit comes before the first byte) and I6 (the gate is the
first step of that commit). Nothing here retries: what was provably not sent is HELD, and the
account's worker decides whether it goes again with the same id.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from core.domain.ledger import Ledger
from core.domain.order import EXTERNAL, LIVE_STATES, Order, OrderState, Purpose, may_become
from core.domain.outcome import Acked, Ambiguous, NotSent, Refusal, Refused, WriteOutcome
from core.engine.orders.answers import BurstAnswers
from core.engine.orders.ending import Ending
from core.engine.orders.gate import Gate, gate_at, hold_fence, pass_gate
from core.engine.orders.journal import Journal, OrderEvent, orders_in
from core.engine.orders.ledgers import ledgers_of
from core.engine.orders.limit_use import bounds_of, entering
from core.engine.orders.limits import count_entry
from core.engine.orders.order_posts import posts_of
from core.engine.orders.risk import Facts, allowed_quantity, require
from core.engine.orders.shut import why_shut
from core.engine.outbox import Outbox
from core.errors import AlreadyDone, Denied, DuplicateKey, OrderAnomaly, SaarthiError
from core.ports.broker import BrokerClient
from core.ports.clock import Clock, clock_offset
from core.ports.store import Store, StoreView

__all__ = ["Gateway", "Held", "Signature", "SnapshotStale", "Ticket", "WriteRefused", "signature"]

_log = logging.getLogger(__name__)

Signature = frozenset[tuple[str, str, int]]


class SnapshotStale(SaarthiError):
    """Orders moved between the read of the positions and the gate; read them again."""


class WriteRefused(SaarthiError):
    """The broker refused a write for a reason that concerns the whole account.

    Attributes:
        kind: AUTH_REQUIRED or PERMISSION.
    """

    def __init__(self, kind: Refusal, message: str) -> None:
        super().__init__(message)
        self.kind = kind


def signature(orders: Sequence[Order]) -> Signature:
    """Return what a read of the positions was consistent with: each order's state and fills."""
    return frozenset((o.client_order_id, o.state.value, o.filled_quantity) for o in orders)


@dataclass(frozen=True, slots=True)
class Held:
    """Units held at the broker for one (instrument, product), and the orders as they were then.

    Attributes:
        by_fills: What the fills alone say; it bounds a stop, which must not wait until the broker's
            positions follow a fill.
        by_positions: What the broker's positions alone say; None when they were not read.
    """

    quantity: int
    orders: Signature
    by_fills: int | None = None
    by_positions: int | None = None

    def for_purpose(self, purpose: Purpose) -> int:
        """Return the units that an order of this purpose is bounded by."""
        is_stop = purpose is Purpose.STOP and self.by_fills is not None
        return self.by_fills if is_stop and self.by_fills is not None else self.quantity


@dataclass(frozen=True, slots=True)
class Ticket:
    """What allows one submission.

    Attributes:
        order: What to send; a reducing order is sent for less when less is left to close.
        held: The broker's truth, None when it could not be read: unknown is not flat (B09).
        by_user: A user's own close, of a strategy's ledger or of what no strategy owns.
        despite_pause: The user confirmed it a second time, so it passes in PAUSED.
        late: Why the order comes too late, or ''.
        is_restored: A stop that is put back in the place of one that was cancelled for an exit.
    """

    order: Order
    held: Held | None = None
    by_user: bool = False
    despite_pause: bool = False
    late: str = ""
    is_restored: bool = False


def facts_of(
    order: Order,
    gate: Gate,
    *,
    others: Sequence[Order] = (),
    late: str = "",
    now: datetime | None = None,
) -> Facts:
    """Return the facts of an order that is about to be sent or changed.

    A change of a resting order asks for no new units, so its quantity counts as 0.
    """
    request = order.request
    is_change = order.state in LIVE_STATES
    return Facts(
        purpose=order.purpose,
        strategy=order.strategy,
        instrument=request.instrument,
        product=request.product,
        side=request.side,
        quantity=0 if is_change else request.quantity,
        gate=gate,
        others=others,
        late=late,
        now=now,
        run_id=order.run_id,
    )


class Gateway:
    """Sends orders for all accounts; its only state is what is on its way."""

    def __init__(
        self,
        store: Store,
        clock: Clock,
        journal: Journal,
        outbox: Outbox,
        *,
        fence: Callable[[], int],
        is_assigned: Callable[[StoreView, str, str], Awaitable[bool]],
        proof_address: Callable[[str], str | None] = lambda _broker_id: None,
    ) -> None:
        self._store = store
        self._clock = clock
        self._journal = journal
        self._outbox = outbox
        self._fence = fence
        self._is_assigned = is_assigned
        self._proof_address = proof_address
        self.in_flight: set[str] = set()
        self.ending = Ending(self.in_flight)
        self.answers = BurstAnswers(clock)

    async def submit(
        self, client: BrokerClient, ticket: Ticket
    ) -> tuple[Order, WriteOutcome | None]:
        """Pass the gate, commit SUBMITTED, send once, record the outcome.

        Returns:
            The order afterwards and the outcome; None as outcome when another run of this very
            submission was committed before, in which case nothing was sent.

        Raises:
            Denied: By the gate or a limit; nothing was written or sent.
            SnapshotStale: The read of the positions is out of date.
            StoreUnavailable: Not known to be committed; nothing was sent.
        """
        async with self.ending.write():
            return await self._submit(client, ticket)

    async def _submit(
        self, client: BrokerClient, ticket: Ticket
    ) -> tuple[Order, WriteOutcome | None]:
        order = ticket.order
        # The mark of one that is on its way already is left to whoever has put it there.
        is_marked_here = order.client_order_id not in self.in_flight
        # Before the commit: a reconciliation that runs meanwhile sees the SUBMITTED row, and would
        # take it for one whose answer was lost (I2).
        self.in_flight.add(order.client_order_id)
        try:
            try:
                submitted = await self._commit(ticket)
            except (AlreadyDone, DuplicateKey):
                # The commit is not ours, so the send is not either (I1).
                _log.warning("order %s was submitted before", order.client_order_id)
                return await self._journal.get(order.client_order_id), None
            return await self.send(client, submitted)
        finally:
            if is_marked_here:
                self.in_flight.discard(order.client_order_id)

    async def send(self, client: BrokerClient, submitted: Order) -> tuple[Order, WriteOutcome]:
        """Send what was committed as SUBMITTED by this process, once, and record the outcome."""
        try:
            # Durable by now (I3): a crash from here on leaves a SUBMITTED row, which reconciliation
            # settles, and never an order at the broker that the journal does not know.
            with self.answers.expected():
                outcome = await client.place(submitted.request)
            await self.answers.taken()
            return await self._record(submitted, outcome), outcome
        finally:
            self.forget([submitted.client_order_id])

    async def bear(self, view: StoreView, order: Order, facts: Facts) -> Order:
        """Let an entry be born SUBMITTED in the transaction that decides it (decision 24).

        Whoever commits it puts it among ``in_flight`` before, and sends it after.

        Args:
            view: The transaction.
            order: The intent.
            facts: What the checks have looked at in this transaction, of no size.

        Raises:
            Denied: By the gate or a limit.
            LeaseLost: Another controller has taken over.
        """
        await pass_gate(view, order.broker_id, fence=self._fence())
        # The run has read this one before its transaction (D4), and its time is of then.
        is_on = await self._is_assigned(view, order.strategy, order.broker_id)
        now, offset = self._clock.now(), clock_offset(self._clock)
        units = order.request.quantity
        require(replace(facts, quantity=units, is_assigned=is_on, now=now, clock_offset=offset))
        if any(load.is_all for load in facts.loads):
            await count_entry(view)
        return replace(order, state=OrderState.SUBMITTED, submitted_at=now)

    async def bear_exit(self, view: StoreView, ticket: Ticket) -> Order:
        """Let an exit be born SUBMITTED in the transaction that decides it (decision 44).

        As for ``bear``, but everything is asked here, as in a submission of its own.

        Raises:
            Denied: By the gate.
            SnapshotStale: The read of the positions is out of date.
            LeaseLost: Another controller has taken over.
        """
        return await self._pass(view, ticket, version=0)

    def before_sending(self, orders: Iterable[Order]) -> list[Order]:
        """Return orders with those that are on their way at this moment as the intents they were.

        They are settled before the account's worker comes to what is decided now; only an order of
        which nothing has been heard in time is of unknown fate.
        """
        return [
            replace(order, state=OrderState.INITIALIZED)
            if order.state is OrderState.SUBMITTED and order.client_order_id in self.in_flight
            else order
            for order in orders
        ]

    def forget(self, client_order_ids: Iterable[str]) -> None:
        """Leave orders that will not be sent by this process to the reconciliation."""
        self.in_flight.difference_update(client_order_ids)
        self.ending.moved()

    async def _commit(self, ticket: Ticket) -> Order:
        order = ticket.order
        # An exit is worked out anew and has no row yet; an entry's row was committed with its run.
        is_new = order.version == 0 and order.state is OrderState.SUBMITTED
        if not is_new and not may_become(order.state, OrderState.SUBMITTED):
            raise AlreadyDone(f"order {order.client_order_id} is {order.state}: it may be there")
        version = 0 if is_new else order.version + 1

        async def body(view: StoreView) -> Order:
            submitted = await self._pass(view, ticket, version)
            if not is_new:
                await self._journal.step(view, order, submitted)
                return submitted
            await self._journal.add(view, [submitted])
            for post in posts_of(order, submitted):
                await self._outbox.post(view, post)
            return submitted

        # The version is part of the nonce because a HELD order is submitted again under its id.
        nonce = f"submit:{order.client_order_id}#{version}"
        return await self._store.transaction(body, nonce=nonce)

    async def _pass(self, view: StoreView, ticket: Ticket, version: int) -> Order:
        """Pass the gate; return the order as it is to be committed and sent."""
        order = ticket.order
        gate = await pass_gate(view, order.broker_id, fence=self._fence())
        facts = await self._facts(view, gate, ticket)
        require(facts)
        if any(load.is_all for load in facts.loads):
            await count_entry(view)
        # The size is fixed in here, where no fill, mode change or second exit can move what it is
        # computed from (I6); the quantity that was asked for is only an upper bound.
        return replace(
            order,
            request=replace(order.request, quantity=allowed_quantity(facts)),
            state=OrderState.SUBMITTED,
            submitted_at=self._clock.now(),
            version=version,
        )

    async def clear(self, ticket: Ticket, *, going: Collection[str]) -> None:
        """Ask every check about an order as it would be asked now; nothing is written or sent.

        For what has to be taken away before the order can go: a stop is not cancelled for an exit
        that would be denied (R6).

        Args:
            ticket: What would be sent.
            going: Orders that would be final by then, by client order id.

        Raises:
            Denied: The order would not go.
            SnapshotStale: The read of the positions is out of date.
        """
        gate = await gate_at(self._store, ticket.order.broker_id)
        if gate is None:
            raise Denied("NO_GATE", "the account is not connected any more")
        require(await self._facts(self._store, gate, ticket, going))

    async def _facts(
        self, view: StoreView, gate: Gate, ticket: Ticket, going: Collection[str] = ()
    ) -> Facts:
        """Read what the checks look at, inside the gate's transaction.

        Raises:
            SnapshotStale: The read of the positions is older than what the orders say now.
        """
        order = ticket.order
        request = order.request
        rows = await orders_in(view, order.broker_id, request.instrument, order.day)
        own = order.client_order_id
        read = [row for row in rows if row.client_order_id != own or row.strategy == EXTERNAL]
        others = [row for row in read if row.client_order_id not in going]
        facts = facts_of(order, gate, others=others, late=ticket.late, now=self._clock.now())
        if not order.purpose.is_reducing:
            # Read in here although the run has asked already: an assignment that is switched off
            # touches the gate, so one of the two transactions loses (D4).
            is_on = await self._is_assigned(view, order.strategy, order.broker_id)
            shut = await why_shut(view, order.broker_id, order.strategy, order.day)
            # Read in here as well: orders, ledgers and the numbers themselves move (R1).
            bounds = await bounds_of(
                view,
                entering(order),
                day=order.day,
                now=self._clock.now(),
                address=self._proof_address(order.broker_id),
            )
            return replace(
                facts,
                is_assigned=is_on,
                shut=shut,
                clock_offset=clock_offset(self._clock),
                price=order.decided_price,
                loads=bounds.loads,
                unproved=bounds.unproved,
            )
        same = [row for row in read if row.request.product is request.product]
        # A fill that is in the orders and not in the net (or the other way round) would count twice
        # or not at all; only a pair that was read together bounds an exit (C3).
        if ticket.held is not None and signature(same) != ticket.held.orders:
            raise SnapshotStale(f"orders of {request.instrument} moved")
        return replace(
            facts,
            by_user=ticket.by_user,
            despite_pause=ticket.despite_pause,
            is_restored=ticket.is_restored,
            ledgers=await self._ledgers(view, order),
            held=None if ticket.held is None else ticket.held.for_purpose(order.purpose),
        )

    async def _ledgers(self, view: StoreView, order: Order) -> list[Ledger]:
        """Read what strategies hold of the instrument; fills move it with their orders."""
        ledgers = await ledgers_of(view, order.broker_id)
        key = (order.request.instrument, order.request.product)
        return [ledger for ledger in ledgers if (ledger.instrument, ledger.product) == key]

    async def _record(self, order: Order, outcome: WriteOutcome) -> Order:
        return await self._journal.apply(order.client_order_id, event_of(outcome))

    async def cancel(self, client: BrokerClient, order: Order, reason: str) -> WriteOutcome:
        """Journal the request and send it once; take it back if it is known to have no effect."""
        async with self.ending.write():
            return await self._cancel(client, order, reason)

    async def _cancel(self, client: BrokerClient, order: Order, reason: str) -> WriteOutcome:
        if order.broker_order_id is None:
            return NotSent("the broker's order id is not known yet")
        asked = OrderEvent(OrderState.PENDING_CANCEL, reason=reason)
        if not await self._journal_request(order, asked):
            return Refused(Refusal.REJECTED, "the order is final already")
        outcome = await client.cancel(order.broker_order_id)
        # REJECTED leaves the order PENDING_CANCEL: most often it has filled or was cancelled
        # before, and only the next read of the day's orders can say which (B05).
        if isinstance(outcome, NotSent) or _was_held_back(outcome):
            await self._resume(order)
        return outcome

    async def resize(self, client: BrokerClient, order: Order, changed: Order) -> WriteOutcome:
        """Change a resting order to fewer units or another trigger (``changed.request``)."""
        async with self.ending.write():
            return await self._resize(client, order, changed)

    async def _resize(self, client: BrokerClient, order: Order, changed: Order) -> WriteOutcome:
        if order.broker_order_id is None:
            return NotSent("the broker's order id is not known yet")
        if changed.request.quantity > order.request.quantity:
            # Growing would need the gate's bounds (I6), and those size new orders only.
            raise ValueError("a resting order is never made larger")
        terms = (changed.request.quantity, changed.request.trigger_price)
        if not await self._journal_request(
            order, OrderEvent(OrderState.PENDING_UPDATE, asked=terms)
        ):
            return Refused(Refusal.REJECTED, "the order is final already")
        outcome = await client.modify(order.broker_order_id, changed.request)
        if isinstance(outcome, Acked):
            await self._journal.apply(
                order.client_order_id,
                OrderEvent(
                    OrderState.ACCEPTED,
                    quantity=changed.request.quantity,
                    trigger_price=changed.request.trigger_price,
                    is_resumed=True,
                ),
            )
        elif isinstance(outcome, NotSent | Refused):
            # "Nothing to change" may be the answer to a change that an earlier one has made.
            event = OrderEvent(
                OrderState.ACCEPTED, is_resumed=True, is_answered=True, asked=order.asked
            )
            await self._journal.apply(order.client_order_id, event)
        return outcome

    async def _journal_request(self, order: Order, asked: OrderEvent) -> bool:
        """Journal a cancel or change under the fence; False when the order is final already.

        A change passes the gate as a submission does: PAUSED sends none. A cancel passes in every
        mode, but only from the controller that holds the lease (I10).
        """

        async def first(view: StoreView) -> None:
            if asked.state is OrderState.PENDING_UPDATE:
                gate = await pass_gate(view, order.broker_id, fence=self._fence())
                require(facts_of(order, gate))
            else:
                await hold_fence(view, order.broker_id, self._fence())

        try:
            after = await self._journal.apply(order.client_order_id, asked, first=first)
        except OrderAnomaly:
            # No anomaly of the broker's: the order became final since the caller read it.
            return False
        return after.state is asked.state

    async def _resume(self, order: Order) -> None:
        """Take back a cancel that provably was none; ``order`` is as it was before."""
        event = OrderEvent(OrderState.ACCEPTED, is_resumed=True, cancel_reason=order.cancel_reason)
        await self._journal.apply(order.client_order_id, event)


def _was_held_back(outcome: WriteOutcome) -> bool:
    return isinstance(outcome, Refused) and outcome.kind is not Refusal.REJECTED


def event_of(outcome: WriteOutcome) -> OrderEvent:
    """Turn the outcome of a send into the order's next event."""
    match outcome:
        case Acked(broker_order_id):
            return OrderEvent(OrderState.ACCEPTED, broker_order_id=broker_order_id)
        case Refused(Refusal.REJECTED, message, cause=cause, largest=largest):
            return OrderEvent(OrderState.REJECTED, reason=message, cause=cause, largest=largest)
        case Refused(kind, message):
            reason = f"{_HELD_WORDS[kind]}: {message}"
            return OrderEvent(OrderState.HELD, reason=reason, held_for=kind)
        case NotSent(reason):
            return OrderEvent(OrderState.HELD, reason=f"not sent: {reason}")
        case Ambiguous(reason):
            # Never sent again: it may have taken effect, and only the day's orders prove it (I4).
            return OrderEvent(OrderState.UNRESOLVED, reason=reason)


_HELD_WORDS = {
    Refusal.AUTH_REQUIRED: "login needed",
    Refusal.THROTTLED: "the broker asks to slow down",
    Refusal.PERMISSION: "the broker does not let this app order",
}
