"""The journal of orders: every step of an order is one transaction (reliability.md 2.2, 2.3).

Owns ``orders`` (the rows), ``order_events`` (append-only audit, ``<id>#<version>``), ``fills`` (a
row a trade) and ``ledgers``. One event changes the row, adds the audit row, moves the ledger by
what has newly filled and posts the notices, together or not at all. Keeps I2, I4 and I5: filled
quantity never falls, an illegal step is refused as an anomaly, the same event twice is one event.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal

from core.domain.broker import BrokerTrade
from core.domain.instrument import InstrumentId
from core.domain.ledger import Ledger, ledger_key, with_fill
from core.domain.notices.orders import OrderRejected, OrderRevived
from core.domain.notices.post import (
    Post,
    external_order_card,
    external_order_removal,
    resolved_card,
    run_card,
    unresolved_card,
)
from core.domain.notices.protection import StopChanged
from core.domain.order import (
    CLOSED_STATES,
    EXTERNAL,
    MANUAL,
    OPEN_STATES,
    UNKNOWN_STATES,
    Order,
    OrderState,
    Purpose,
    is_alarmed,
)
from core.domain.panic import is_of_panic
from core.engine.orders.documents import order_of, order_row, trade_of
from core.engine.orders.folding import OrderEvent, folded
from core.engine.orders.ledgers import ledger_at, ledgers_of, put_ledger
from core.engine.orders.results import result_of_close, result_of_ledger
from core.engine.outbox import Outbox
from core.errors import AlreadyDone, NotFound, TransactionConflict
from core.ports.clock import Clock
from core.ports.store import Change, Store, StoreView, parts

__all__ = [
    "Journal",
    "OrderEvent",
    "count_unknown",
    "count_unresolved",
    "forget_steps",
    "orders_in",
    "orders_of_day",
    "pending_orders",
    "unresolved_orders",
    "waiting_exits",
]

_ORDERS = "orders"
_EVENTS = "order_events"
_FILLS = "fills"
_EVENT_ATTEMPTS = 5
_EXACT = Decimal("0.000001")
_JUST_TOLD = timedelta(seconds=10)
OPEN = [state.value for state in OPEN_STATES]
PENDING = [*OPEN, OrderState.INITIALIZED.value, OrderState.HELD.value]


_WITHOUT_LEDGER = frozenset({MANUAL, EXTERNAL})
"""Owners of orders whose fills move no ledger: a ledger is what a strategy holds."""


async def orders_in(
    view: StoreView, broker_id: str, instrument: InstrumentId, day: str
) -> list[Order]:
    """Return an account's orders of a day in one instrument, inside the caller's transaction."""
    where = {"broker_id": broker_id, "instrument": str(instrument), "day": day}
    return [order_of(row) for row in await view.find(_ORDERS, where)]


async def orders_of_day(view: StoreView, broker_id: str | None, day: str) -> list[Order]:
    """Return an account's orders of a day, with None those of all, inside a transaction."""
    where = {"day": day} if broker_id is None else {"day": day, "broker_id": broker_id}
    return [order_of(row) for row in await view.find(_ORDERS, where)]


async def pending_orders(view: StoreView, broker_id: str) -> list[Order]:
    """Return every order of an account that is not final: initialized, held or open."""
    rows = await view.find(_ORDERS, {"broker_id": broker_id, "state": {"$in": PENDING}})
    return [order_of(row) for row in rows]


async def count_unknown(view: StoreView, broker_ids: Iterable[str]) -> int:
    """Return how many orders of these accounts may or may not be at their brokers."""
    states = [state.value for state in UNKNOWN_STATES]
    # By account: no index begins with the state, and the embedded server that reads the whole
    # journal for it gives up at some 200,000 orders.
    found = [
        await view.find(_ORDERS, {"broker_id": broker_id, "state": {"$in": states}})
        for broker_id in broker_ids
    ]
    return sum(map(len, found))


async def unresolved_orders(view: StoreView, broker_id: str) -> list[Order]:
    """Return an account's orders of which nobody knows whether they are at the broker."""
    where = {"broker_id": broker_id, "state": OrderState.UNRESOLVED.value}
    return [order_of(row) for row in await view.find(_ORDERS, where)]


async def count_unresolved(view: StoreView, broker_id: str) -> int:
    """Return how many orders of an account nobody knows to be at the broker or not."""
    return len(await unresolved_orders(view, broker_id))


async def waiting_exits(view: StoreView, broker_id: str) -> tuple[str, ...]:
    """Return the ids of an account's exits and stops that were not sent yet."""
    states = [OrderState.HELD.value, OrderState.INITIALIZED.value]
    rows = await view.find(_ORDERS, {"broker_id": broker_id, "state": {"$in": states}})
    orders = [order_of(row) for row in rows]
    return tuple(o.client_order_id for o in orders if o.purpose is not Purpose.ENTRY)


async def forget_steps(view: StoreView, broker_id: str, since: datetime, until: datetime) -> int:
    """Remove the steps of an account's orders within a time; the orders stay. Return how many."""
    where = {"broker_id": broker_id, "at": {"$gte": since, "$lt": until}}
    ids = [row["_id"] for row in await view.find(_EVENTS, where)]
    return sum([await view.delete(_EVENTS, {"_id": {"$in": some}}) for some in parts(ids)])


class Journal:
    """Reads and advances orders."""

    def __init__(self, store: Store, clock: Clock, outbox: Outbox) -> None:
        self._store = store
        self._clock = clock
        self._outbox = outbox

    async def get(self, client_order_id: str) -> Order:
        """Return one order; raises ``NotFound``."""
        row = await self._store.get(_ORDERS, client_order_id)
        if row is None:
            raise NotFound("That order is not in the journal.")
        return order_of(row)

    async def has(self, client_order_id: str) -> bool:
        """Whether the journal holds an order."""
        return await self._store.get(_ORDERS, client_order_id) is not None

    async def of_day(self, broker_id: str, day: str) -> list[Order]:
        """Return an account's orders of one trading day."""
        rows = await self._store.find(_ORDERS, {"broker_id": broker_id, "day": day})
        return [order_of(row) for row in rows]

    async def within(self, broker_id: str, instrument: InstrumentId, day: str) -> list[Order]:
        """Return an account's orders of one trading day in one instrument."""
        return await orders_in(self._store, broker_id, instrument, day)

    async def pending(self, broker_id: str) -> list[Order]:
        """Return every order of an account that is not final: initialized, held or open."""
        return await pending_orders(self._store, broker_id)

    async def rejected(self, broker_id: str, day: str) -> list[Order]:
        """Return an account's orders of one trading day that its broker rejected."""
        rows = await self._store.find(_ORDERS, {"broker_id": broker_id, "day": day})
        return [order_of(row) for row in rows if row["state"] == OrderState.REJECTED.value]

    async def filled(self, broker_id: str) -> list[Order]:
        """Return every order of an account that has filled, of any day."""
        where = {"broker_id": broker_id, "state": OrderState.FILLED.value}
        return [order_of(row) for row in await self._store.find(_ORDERS, where)]

    async def by_broker_id(self, broker_id: str, broker_order_id: str) -> Order | None:
        """Return the order that has this id at the broker; None when it is not in the journal."""
        where = {"broker_id": broker_id, "broker_order_id": broker_order_id}
        rows = await self._store.find(_ORDERS, where, limit=1)
        return order_of(rows[0]) if rows else None

    async def event_at(self, order: Order) -> datetime | None:
        """Return when an order came to its present state, real time."""
        row = await self._store.get(_EVENTS, f"{order.client_order_id}#{order.version}")
        return row["at"] if row else None

    async def correct_broker_ids(self, view: StoreView, right: Mapping[str, str]) -> None:
        """Set broker ids right, by client order id; the unique index needs them blank between."""
        for key in right:
            await view.update(_ORDERS, {"_id": key}, Change(set={"broker_order_id": None}))
        for key, broker_order_id in right.items():
            found = Change(set={"broker_order_id": broker_order_id})
            await view.update(_ORDERS, {"_id": key}, found)

    async def remove(self, view: StoreView, client_order_id: str) -> None:
        """Remove an order that was adopted as somebody else's and has turned out to be ours.

        Its card goes as well: nothing would bring it to an end.
        """
        row = await view.get(_ORDERS, client_order_id)
        if row is None:
            return
        await view.delete(_ORDERS, {"_id": client_order_id})
        await self._outbox.post(view, external_order_removal(row["broker_id"], client_order_id))

    async def trades_of_day(self, broker_id: str, day: str) -> list[tuple[str, BrokerTrade]]:
        """Return an account's trades of a day, each with the client order id it belongs to."""
        rows = await self._store.find(_FILLS, {"broker_id": broker_id, "day": day})
        return [(row["client_order_id"], trade_of(row)) for row in rows]

    async def of_run(self, run_id: str) -> list[Order]:
        """Return the orders of one run."""
        return [order_of(row) for row in await self._store.find(_ORDERS, {"run_id": run_id})]

    async def ledgers(self, broker_id: str) -> list[Ledger]:
        """Return an account's ledgers."""
        return await ledgers_of(self._store, broker_id)

    async def add(self, view: StoreView, orders: Iterable[Order]) -> None:
        """Insert new orders inside the caller's transaction, with their first audit rows."""
        new = list(orders)
        if new:
            await view.insert(_ORDERS, *(order_row(order) for order in new))
            await view.insert(_EVENTS, *(self._audit(order, "") for order in new))

    async def apply(
        self,
        client_order_id: str,
        event: OrderEvent,
        *,
        first: Callable[[StoreView], Awaitable[None]] | None = None,
    ) -> Order:
        """Advance an order by one event, once.

        Args:
            client_order_id: Which order.
            event: What became known.
            first: What must hold in the same transaction, as its first step.

        Returns:
            The order afterwards; unchanged when the event is nothing new.

        Raises:
            OrderAnomaly: The state table does not allow this step.
        """
        # Folded anew each time: an answer and a read of one order may commit at the same moment,
        # and the one that loses has to be judged against what the other has written (I5).
        for _ in range(_EVENT_ATTEMPTS):
            order = await self.get(client_order_id)
            after = self.after(order, event)
            if after is None:
                return order
            try:
                await self._commit(order, after, first, is_told=event.by_user)
            except AlreadyDone:
                continue
            return after
        raise TransactionConflict(f"order {client_order_id} kept changing under an event")

    def after(self, before: Order, event: OrderEvent) -> Order | None:
        """Return an order after an event, with the times of it; None when it is nothing new."""
        after, now = folded(before, event), self._clock.now()
        if after is None:
            return None
        if after.state in CLOSED_STATES:
            after = replace(after, settled_at=now)
        if after.request != before.request:
            after = replace(after, changed_at=now)
        # A fill proves that a stop has triggered, whatever the broker says of it.
        is_hit = event.is_triggered or after.filled_quantity
        if after.purpose is Purpose.STOP and is_hit and after.triggered_at is None:
            after = replace(after, triggered_at=now)
        return after

    async def _commit(
        self,
        before: Order,
        after: Order,
        first: Callable[[StoreView], Awaitable[None]] | None = None,
        *,
        is_told: bool = False,
    ) -> None:
        async def body(view: StoreView) -> None:
            if first is not None:
                await first(view)
            await self.step(view, before, after, is_told=is_told)

        # One nonce a version: of two events that were folded onto the same row, one commits.
        nonce = f"order:{after.client_order_id}#{after.version}"
        await self._store.transaction(body, nonce=nonce)

    async def step(
        self, view: StoreView, before: Order, after: Order, *, is_told: bool = False
    ) -> None:
        """Write one step inside a transaction: row, audit, ledger, notices.

        Args:
            view: The transaction.
            before: The order as it stands.
            after: The order after the step, its version raised by one.
            is_told: A user has brought the step about, and sees it in the answer.
        """
        ledgers = await _ledgers(view, before, after)
        if ledgers is not None:
            after = _with_realised(after, *ledgers)
        row = order_row(after)
        key = row.pop("_id")
        matched = await view.update(
            _ORDERS, {"_id": key, "version": before.version}, Change(set=row)
        )
        if matched != 1:
            raise AlreadyDone(f"order {key} was changed meanwhile")
        await view.insert(_EVENTS, self._audit(after, before.state.value))
        results = await self._move_ledger(view, before, after, ledgers)
        posts = posts_of(before, after, is_told=is_told or self._was_found_at_once(before, after))
        if is_of_panic(after.run_id):
            results = []
        for post in [*posts, *results]:
            await self._outbox.post(view, post)

    def _was_found_at_once(self, before: Order, after: Order) -> bool:
        """Whether the broker shows an unresolved order whose card came seconds ago."""
        since = self._clock.now() - (before.submitted_at or before.created_at)
        return since < _JUST_TOLD and after.state is not OrderState.NOT_PLACED

    def _audit(self, order: Order, old: str) -> dict[str, object]:
        return {
            "_id": f"{order.client_order_id}#{order.version}",
            "client_order_id": order.client_order_id,
            "broker_id": order.broker_id,
            "n": order.version,
            "old": old,
            "state": order.state.value,
            "filled_quantity": order.filled_quantity,
            "average_price": order.average_price,
            "broker_order_id": order.broker_order_id,
            "reason": order.reason,
            "at": self._clock.now(),
        }

    async def _move_ledger(
        self, view: StoreView, before: Order, after: Order, ledgers: tuple[Ledger, Ledger] | None
    ) -> list[Post]:
        """Move the ledger by what newly filled; return what tells of the end of a position."""
        if ledgers is None:
            if after.strategy != MANUAL or after.filled_quantity <= before.filled_quantity:
                return []
            return await result_of_close(view, after, await self._beside(view, after))
        ledger, moved = ledgers
        await put_ledger(view, replace(moved, day=max(moved.day, after.day)))
        if moved.quantity or not ledger.quantity:
            return []
        return await result_of_ledger(view, after, ledger, moved, await self._beside(view, after))

    async def _beside(self, view: StoreView, order: Order) -> list[Order]:
        """Return the account's orders of the same day and instrument, this one included."""
        return await orders_in(view, order.broker_id, order.request.instrument, order.day)

    async def end_cards(self, view: StoreView, broker_id: str) -> None:
        """Have the cards of an account's pending orders say that nobody follows them any more."""
        rows = await view.find(_ORDERS, {"broker_id": broker_id, "state": {"$in": PENDING}})
        orders = [order_of(row) for row in rows]
        posts = {post.key: post for order in orders for post in _cards_of(order)}
        for order in orders:
            if order.state is OrderState.UNRESOLVED:
                post = unresolved_card(order.client_order_id)
                posts[post.key] = post
        for post in posts.values():
            await self._outbox.post(view, post)

    async def record_trades(
        self, broker_id: str, day: str, trades: Sequence[BrokerTrade], owners: dict[str, str]
    ) -> None:
        """Keep each trade once (I5). ``owners`` maps broker order ids to client order ids."""
        known = {
            row["_id"]
            for row in await self._store.find(_FILLS, {"broker_id": broker_id, "day": day})
        }
        for trade in trades:
            key = f"{broker_id}|{day}|{trade.broker_order_id}|{trade.trade_id}"
            if key not in known:
                await self._store.update(
                    _FILLS,
                    {"_id": key},
                    Change(set_on_insert=_fill_fields(broker_id, day, trade, owners)),
                    upsert=True,
                )


def _fill_fields(
    broker_id: str, day: str, trade: BrokerTrade, owners: dict[str, str]
) -> dict[str, object]:
    return {
        "broker_id": broker_id,
        "day": day,
        "client_order_id": owners.get(trade.broker_order_id, ""),
        "broker_order_id": trade.broker_order_id,
        "trade_id": trade.trade_id,
        "instrument": str(trade.instrument),
        "product": trade.product.value,
        "side": trade.side.value,
        "quantity": trade.quantity,
        "price": trade.price,
        "traded_at": trade.traded_at,
    }


async def _ledgers(view: StoreView, before: Order, after: Order) -> tuple[Ledger, Ledger] | None:
    """Return the ledger before and after what newly filled; None when nothing moves one."""
    # By the difference, in the transaction that raises the total: a repeated event moves the
    # ledger by nothing, and a crash leaves both or neither (I5).
    newly = after.filled_quantity - before.filled_quantity
    if newly <= 0 or after.strategy in _WITHOUT_LEDGER:
        return None
    # Brokers give the average of all fills; the new ones' price is what the total rose by.
    value = (
        after.average_price * after.filled_quantity - before.average_price * before.filled_quantity
    )
    request = after.request
    key = ledger_key(after.strategy, after.broker_id, request.instrument, request.product)
    ledger = await ledger_at(view, key) or _empty_ledger(after)
    return ledger, with_fill(ledger, newly * request.side.sign, value / newly)


def _with_realised(order: Order, before: Ledger, after: Ledger) -> Order:
    """Return the order with what its fills have taken by closing units."""
    if before.quantity * order.request.side.sign >= 0:
        return order
    # The price of what newly filled comes of a division: its last digits are not rupees.
    taken = (after.realised - before.realised).quantize(_EXACT)
    return replace(order, realised=(order.realised or Decimal(0)) + taken)


def _empty_ledger(order: Order) -> Ledger:
    return Ledger(order.strategy, order.broker_id, order.request.instrument, order.request.product)


def _is_foreign_change(before: Order, after: Order) -> bool:
    # Of an order that is final its end is told, not what it was made before.
    if after.state in CLOSED_STATES:
        return False
    terms = (after.request.quantity, after.request.trigger_price)
    return after.request != before.request and terms != before.asked


def _changed(before: Order, after: Order) -> StopChanged:
    return StopChanged(
        after.broker_id,
        str(after.request.instrument),
        after.request.quantity,
        before.request.trigger_price or Decimal(0),
        after.request.trigger_price or Decimal(0),
    )


def _cards_of(order: Order) -> list[Post]:
    """Return the posts that bring the cards on which an order is shown up to date.

    An exit of a panic is shown by the panic's one message, which counts all of them down.
    """
    if is_of_panic(order.run_id):
        return []
    if order.strategy == EXTERNAL:
        return [external_order_card(order.broker_id, order.client_order_id)]
    return [run_card(order.run_id)]


def posts_of(before: Order, after: Order, *, is_told: bool = False) -> list[Post]:
    """Return what a step reports: its cards, and a notice of its own for what is urgent.

    Every card of an order follows it to its end, whoever placed it. That an unresolved order is
    settled stands on its card, and an edit makes no sound: so the card comes anew, unless the users
    have it before their eyes.

    Args:
        before: The order before the step.
        after: The order after it.
        is_told: The user who settled it sees the answer, or it was found seconds after its card.
    """
    key = after.client_order_id
    posts = _cards_of(after)
    if OrderState.UNRESOLVED in {before.state, after.state} and before.state is not after.state:
        posts.append(unresolved_card(key))
    # First, because it is also a change of state: that an order came back after its end outweighs
    # what it came back as.
    if is_alarmed(before.state, after.state):
        posts.append(Post(OrderRevived(key)))
    elif after.is_changed_outside and _is_foreign_change(before, after):
        posts.append(Post(_changed(before, after)))
    elif before.state is after.state:
        return posts
    elif after.state is OrderState.REJECTED:
        posts.append(Post(OrderRejected(key)))
    elif before.state is OrderState.UNRESOLVED and not is_told:
        posts.append(resolved_card(key))
    return posts
