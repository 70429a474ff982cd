"""Submitting, cancelling and changing orders: journal first, one send, four outcomes.

Keeps I1 (a row is moved to SUBMITTED once, by a commit that a nonce makes unique, and only that
commit is followed by a send), I3 (the commit comes before the first byte) and I6 (the gate is the
first step of that commit). Nothing here retries: what was provably not sent is HELD, and the
account's worker decides whether it goes again with the same id.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from core.domain.exits import left_to_exit
from core.domain.ledger import Ledger, shrunk
from core.domain.mode import TradingMode
from core.domain.order import OPEN_STATES, UNKNOWN_STATES, Order, OrderState, Purpose
from core.domain.outcome import Acked, Ambiguous, NotSent, Refusal, Refused, WriteOutcome
from core.engine.orders.documents import ledger_of, order_of
from core.engine.orders.gate import Gate, hold_fence, pass_gate
from core.engine.orders.journal import Journal, OrderEvent, notices_of
from core.engine.outbox import Outbox
from core.errors import AlreadyDone, Denied, DuplicateKey, OrderAnomaly, SaarthiError
from core.ports.broker import BrokerClient
from core.ports.clock import Clock
from core.ports.store import Store, StoreView

__all__ = ["Gateway", "Held", "SnapshotStale", "Ticket", "WriteRefused", "signature"]

_log = logging.getLogger(__name__)

Signature = frozenset[tuple[str, str, int]]


class SnapshotStale(SaarthiError):
    """Orders moved between the look at the positions and the gate; look again."""


class WriteRefused(SaarthiError):
    """The broker refused a write for a reason that concerns the whole account.

    Attributes:
        kind: AUTH_REQUIRED or PERMISSION.
    """

    def __init__(self, kind: Refusal, message: str) -> None:
        super().__init__(message)
        self.kind = kind


def signature(orders: Sequence[Order]) -> Signature:
    """Return what a look at the positions was consistent with: each order's state and fills."""
    return frozenset((o.client_order_id, o.state.value, o.filled_quantity) for o in orders)


@dataclass(frozen=True, slots=True)
class Held:
    """Units held at the broker for one (instrument, product), and the orders as they stood then."""

    quantity: int
    orders: Signature


@dataclass(frozen=True, slots=True)
class Ticket:
    """What allows one submission.

    Attributes:
        order: What to send; a reducing order is sent for less when less is left to close.
        held: The broker's truth, None when it could not be read: unknown is not flat (B09).
        by_person: A person's own close, of a strategy's ledger or of what no strategy owns.
    """

    order: Order
    held: Held | None = None
    by_person: bool = False
    despite_pause: bool = False


class Gateway:
    """Sends orders for all accounts; holds no state but the ids that are in the air."""

    def __init__(
        self, store: Store, clock: Clock, journal: Journal, outbox: Outbox, fence: Callable[[], int]
    ) -> None:
        self._store = store
        self._clock = clock
        self._journal = journal
        self._outbox = outbox
        self._fence = fence
        self.in_flight: set[str] = set()

    async def submit(
        self, client: BrokerClient, ticket: Ticket
    ) -> tuple[Order, WriteOutcome | None]:
        """Pass the gate, commit SUBMITTED, send once, record the outcome.

        Returns:
            The order afterwards and the outcome; None as outcome when another run of this very
            submission was committed before, in which case nothing was sent.

        Raises:
            Denied: By the gate or a limit; nothing was written or sent.
            SnapshotStale: The look at the positions is out of date.
            StoreUnavailable: Not known to be committed; nothing was sent.
        """
        order = ticket.order
        self.in_flight.add(order.client_order_id)
        try:
            try:
                submitted = await self._commit(ticket)
            except (AlreadyDone, DuplicateKey):
                _log.warning("order %s was submitted before", order.client_order_id)
                return await self._journal.get(order.client_order_id), None
            outcome = await client.place(submitted.request)
            return await self._record(submitted, outcome), outcome
        finally:
            self.in_flight.discard(order.client_order_id)

    async def _commit(self, ticket: Ticket) -> Order:
        order = ticket.order
        is_new = order.version == 0 and order.state is OrderState.SUBMITTED
        version = 0 if is_new else order.version + 1

        async def body(view: StoreView) -> Order:
            gate = await pass_gate(
                view,
                order.broker_id,
                order.purpose,
                fence=self._fence(),
                by_person=ticket.by_person,
                despite_pause=ticket.despite_pause,
            )
            quantity = await self._allowed(view, gate, ticket)
            submitted = replace(
                order,
                request=replace(order.request, quantity=quantity),
                state=OrderState.SUBMITTED,
                submitted_at=self._clock.now(),
                version=version,
            )
            if not is_new:
                await self._journal.step(view, order, submitted)
                return submitted
            await self._journal.add(view, [submitted])
            for notice in notices_of(order, submitted):
                await self._outbox.post(view, notice)
            return submitted

        nonce = f"submit:{order.client_order_id}#{version}"
        return await self._store.transaction(body, nonce=nonce)

    async def _allowed(self, view: StoreView, gate: Gate, ticket: Ticket) -> int:
        """Return the quantity that may be sent; raises ``Denied`` when none may."""
        order = ticket.order
        where = {
            "broker_id": order.broker_id,
            "instrument": str(order.request.instrument),
            "day": order.day,
        }
        rows = [order_of(row) for row in await view.find("orders", where)]
        others = [row for row in rows if row.client_order_id != order.client_order_id]
        _refuse_beside_unknown(others)
        if not order.purpose.is_reducing:
            _refuse_second_entry(order, others)
            return order.request.quantity
        same = [row for row in others if row.request.product is order.request.product]
        if ticket.held is not None and signature(same) != ticket.held.orders:
            raise SnapshotStale(f"orders of {order.request.instrument} moved")
        working = [row for row in same if row.state in OPEN_STATES]
        ledgers = await self._ledgers(view, order)
        return _bounded(gate, ticket, working, ledgers)

    async def _ledgers(self, view: StoreView, order: Order) -> list[Ledger]:
        """Read what strategies hold of the instrument; fills move it with their orders."""
        rows = await view.find("ledgers", {"broker_id": order.broker_id})
        ledgers = [ledger_of(row) for row in rows]
        key = (order.request.instrument, order.request.product)
        return [ledger for ledger in ledgers if (ledger.instrument, ledger.product) == key]

    async def _record(self, order: Order, outcome: WriteOutcome) -> Order:
        return await self._journal.apply(order.client_order_id, event_of(outcome))

    async def cancel(self, client: BrokerClient, order: Order, reason: str) -> WriteOutcome:
        """Journal the wish, ask the broker once, and note what is known to have come to nothing."""
        if order.broker_order_id is None:
            return NotSent("the broker's order id is not known yet")
        wish = OrderEvent(OrderState.PENDING_CANCEL, reason=reason)
        if not await self._journal_wish(order, wish):
            return Refused(Refusal.REJECTED, "the order is final already")
        outcome = await client.cancel(order.broker_order_id)
        if isinstance(outcome, NotSent) or _was_held_back(outcome):
            await self._resume(order)
        return outcome

    async def resize(self, client: BrokerClient, order: Order, changed: Order) -> WriteOutcome:
        """Change a resting order to fewer units or another trigger (``changed.request``)."""
        if order.broker_order_id is None:
            return NotSent("the broker's order id is not known yet")
        if changed.request.quantity > order.request.quantity:
            raise ValueError("a resting order is never made larger")
        if not await self._journal_wish(order, OrderEvent(OrderState.PENDING_UPDATE)):
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
            await self._resume(order)
        return outcome

    async def _journal_wish(self, order: Order, wish: OrderEvent) -> bool:
        """Journal a cancel or change under the fence; False when the order is final already.

        A change passes the gate as a submission does: PAUSED sends none. A cancel passes in every
        mode, but only from the controller that holds the lease (I10).
        """

        async def first(view: StoreView) -> None:
            if wish.state is OrderState.PENDING_UPDATE:
                await pass_gate(view, order.broker_id, order.purpose, fence=self._fence())
            else:
                await hold_fence(view, order.broker_id, self._fence())

        try:
            after = await self._journal.apply(order.client_order_id, wish, first=first)
        except OrderAnomaly:
            return False
        return after.state is wish.state

    async def _resume(self, order: Order) -> None:
        await self._journal.apply(
            order.client_order_id, OrderEvent(OrderState.ACCEPTED, is_resumed=True)
        )


def _was_held_back(outcome: WriteOutcome) -> bool:
    return isinstance(outcome, Refused) and outcome.kind is not Refusal.REJECTED


def _refuse_beside_unknown(others: list[Order]) -> None:
    for other in others:
        if other.state in UNKNOWN_STATES:
            raise Denied(
                "UNRESOLVED",
                f"an order of {other.request.instrument} is not settled yet, nobody knows whether "
                "the broker has it",
            )


def _refuse_second_entry(order: Order, others: list[Order]) -> None:
    for other in others:
        mine = other.strategy == order.strategy and other.request.product is order.request.product
        if mine and other.purpose is Purpose.ENTRY and other.state in OPEN_STATES:
            raise Denied("ENTRY_WORKING", "an entry of this strategy is still working")


def _bounded(gate: Gate, ticket: Ticket, working: list[Order], ledgers: list[Ledger]) -> int:
    """Bound a reducing order by what is left to close; less than asked is sent for what is left.

    A strategy's exit is bounded by its ledger, and by its ledger shrunk to what the broker holds:
    what somebody closed by hand is not closed twice. In EXIT_ONLY, and for a person's own order, it
    is bounded by the broker's net and everything that works against it as well (C3).
    """
    order = ticket.order
    side, asked = order.request.side, order.request.quantity
    bounds = [asked]
    if order.strategy != "manual":
        own = [other for other in working if other.strategy == order.strategy]
        bounds.append(left_to_exit(_ledger_quantity(ticket, ledgers), side, own))
    if ticket.by_person or gate.mode is TradingMode.EXIT_ONLY:
        if ticket.held is None:
            raise Denied("POSITION_UNKNOWN", "the broker's positions could not be read")
        bounds.append(left_to_exit(ticket.held.quantity, side, working))
    left = min(bounds)
    if left > 0:
        return left
    code = "EXIT_ONLY" if gate.mode is TradingMode.EXIT_ONLY else "NOT_HELD"
    truth = "unknown" if ticket.held is None else str(ticket.held.quantity)
    raise Denied(
        code,
        f"{asked} asked, but nothing is left to close (the broker holds {truth}, the rest is "
        "already being closed)",
    )


def _ledger_quantity(ticket: Ticket, ledgers: list[Ledger]) -> int:
    """Return the strategy's units, shrunk to the broker's net where that is known."""
    sizes = {ledger.strategy: ledger.quantity for ledger in ledgers}
    if ticket.held is not None:
        changed = shrunk(ledgers, ticket.held.quantity)
        sizes.update({ledger.strategy: ledger.quantity for ledger in changed})
    return sizes.get(ticket.order.strategy, 0)


def event_of(outcome: WriteOutcome) -> OrderEvent:
    """Turn the outcome of a send into the order's next event."""
    match outcome:
        case Acked(broker_order_id):
            return OrderEvent(OrderState.ACCEPTED, broker_order_id=broker_order_id)
        case Refused(Refusal.REJECTED, message):
            return OrderEvent(OrderState.REJECTED, reason=message)
        case Refused(kind, message):
            reason = f"{_HELD_WORDS[kind]}: {message}"
            return OrderEvent(OrderState.HELD, reason=reason, held_for=kind)
        case NotSent(reason):
            return OrderEvent(OrderState.HELD, reason=f"not sent: {reason}")
        case Ambiguous(reason):
            return OrderEvent(OrderState.UNRESOLVED, reason=reason)


_HELD_WORDS = {
    Refusal.AUTH_REQUIRED: "login needed",
    Refusal.THROTTLED: "the broker asks to slow down",
    Refusal.PERMISSION: "the broker does not let this app order",
}
