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
from typing import TYPE_CHECKING

from core.domain.exits import left_to_exit
from core.domain.mode import TradingMode
from core.domain.order import OPEN_STATES, UNKNOWN_STATES, Order, OrderState, Purpose
from core.domain.outcome import Acked, Ambiguous, NotSent, Refusal, Refused, WriteOutcome
from core.engine.gate import Gate, pass_gate
from core.engine.journal import Journal, OrderEvent, notices_of
from core.engine.rows import order_of
from core.errors import AlreadyDone, Denied, DuplicateKey, SaarthiError

if TYPE_CHECKING:
    from core.engine.outbox import Outbox
    from core.ports.broker import BrokerClient
    from core.ports.clock import Clock
    from core.ports.store import Store, StoreView

__all__ = ["Execution", "Held", "SnapshotStale", "Ticket", "signature"]

_log = logging.getLogger(__name__)

Signature = frozenset[tuple[str, str, int]]


class SnapshotStale(SaarthiError):
    """Orders moved between the look at the positions and the gate; look again."""


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
        held: The broker's truth; needed for a reducing order in EXIT_ONLY and for a person's own.
        ledger_quantity: The strategy's own units, which bound its exits; None for a person's own.
    """

    order: Order
    held: Held | None = None
    ledger_quantity: int | None = None
    by_person: bool = False
    despite_pause: bool = False


class Execution:
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
        submitted = replace(
            order,
            state=OrderState.SUBMITTED,
            submitted_at=self._clock.now(),
            version=0 if is_new else order.version + 1,
        )

        async def body(view: StoreView) -> None:
            gate = await pass_gate(
                view,
                order.broker_id,
                order.purpose,
                fence=self._fence(),
                by_person=ticket.by_person,
                despite_pause=ticket.despite_pause,
            )
            await self._check(view, gate, ticket)
            if is_new:
                await self._journal.add(view, [submitted])
                for notice in notices_of(order, submitted):
                    await self._outbox.post(view, notice)
            else:
                await self._journal.step(view, order, submitted)

        await self._store.transaction(
            body, nonce=f"submit:{order.client_order_id}#{submitted.version}"
        )
        return submitted

    async def _check(self, view: StoreView, gate: Gate, ticket: Ticket) -> None:
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
            return
        same = [row for row in others if row.request.product is order.request.product]
        if ticket.held is not None and signature(same) != ticket.held.orders:
            raise SnapshotStale(f"orders of {order.request.instrument} moved")
        working = [row for row in same if row.state in OPEN_STATES]
        _refuse_growth(gate, ticket, working)

    async def _record(self, order: Order, outcome: WriteOutcome) -> Order:
        return await self._journal.apply(order.client_order_id, event_of(outcome))

    async def cancel(self, client: BrokerClient, order: Order, reason: str) -> WriteOutcome:
        """Journal the wish, ask the broker once, and note what is known to have come to nothing."""
        if order.broker_order_id is None:
            return NotSent("the broker's order id is not known yet")
        await self._journal.apply(
            order.client_order_id, OrderEvent(OrderState.PENDING_CANCEL, reason=reason)
        )
        outcome = await client.cancel(order.broker_order_id)
        if isinstance(outcome, NotSent):
            await self._resume(order)
        return outcome

    async def resize(self, client: BrokerClient, order: Order, changed: Order) -> WriteOutcome:
        """Change a resting order to ``changed.request`` (total quantity, trigger)."""
        if order.broker_order_id is None:
            return NotSent("the broker's order id is not known yet")
        await self._pass(order)
        await self._journal.apply(order.client_order_id, OrderEvent(OrderState.PENDING_UPDATE))
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

    async def _pass(self, order: Order) -> None:
        """A modification passes the gate too: PAUSED sends no stop changes either."""

        async def body(view: StoreView) -> None:
            await pass_gate(view, order.broker_id, order.purpose, fence=self._fence())

        await self._store.transaction(
            body, nonce=f"modify:{order.client_order_id}#{order.version}@{self._clock.now()}"
        )

    async def _resume(self, order: Order) -> None:
        await self._journal.apply(
            order.client_order_id, OrderEvent(OrderState.ACCEPTED, is_resumed=True)
        )


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


def _refuse_growth(gate: Gate, ticket: Ticket, working: list[Order]) -> None:
    """Bound a reducing order by what is held.

    By the ledger always; by the broker's truth in EXIT_ONLY and for a person's own order.
    """
    order = ticket.order
    side, quantity = order.request.side, order.request.quantity
    if ticket.ledger_quantity is not None:
        own = [other for other in working if other.strategy == order.strategy]
        left = left_to_exit(ticket.ledger_quantity, side, own)
        if quantity > left:
            raise Denied("NOT_HELD", f"{quantity} asked, the strategy has {left} left to close")
    needs_truth = ticket.ledger_quantity is None or gate.mode is TradingMode.EXIT_ONLY
    if not needs_truth:
        return
    if ticket.held is None:
        raise Denied("POSITION_UNKNOWN", "the broker's positions could not be read")
    left = left_to_exit(ticket.held.quantity, side, working)
    if quantity > left:
        raise Denied(
            "EXIT_ONLY" if gate.mode is TradingMode.EXIT_ONLY else "NOT_HELD",
            f"{quantity} asked, only {left} may be closed ({ticket.held.quantity} held, the rest "
            "is already being closed)",
        )


def event_of(outcome: WriteOutcome) -> OrderEvent:
    """Turn the outcome of a send into the order's next event."""
    match outcome:
        case Acked(broker_order_id):
            return OrderEvent(OrderState.ACCEPTED, broker_order_id=broker_order_id)
        case Refused(Refusal.REJECTED, message):
            return OrderEvent(OrderState.REJECTED, reason=message)
        case Refused(kind, message):
            return OrderEvent(OrderState.HELD, reason=f"{_HELD_WORDS[kind]}: {message}")
        case NotSent(reason):
            return OrderEvent(OrderState.HELD, reason=f"not sent: {reason}")
        case Ambiguous(reason):
            return OrderEvent(OrderState.UNRESOLVED, reason=reason)


_HELD_WORDS = {
    Refusal.AUTH_REQUIRED: "login needed",
    Refusal.THROTTLED: "the broker asks to slow down",
    Refusal.PERMISSION: "the broker does not let this app order",
}
