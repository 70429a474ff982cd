"""The journal of orders: every step of an order is one transaction (reliability.md 2.2, 2.3).

Owns ``orders`` (the rows), ``order_events`` (append-only audit, ``<id>#<version>``) and ``fills``
(a row a trade); rows of finished days go on to ``past.py``. One event changes the row, adds the
audit row, moves the ledger by what has newly filled and posts the notices, together or not at all.
Keeps I2, I4 and I5: filled quantity never falls, an illegal step is refused as an anomaly, the same
event twice is one event.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Hashable, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from itertools import accumulate
from typing import Any

from core.domain.broker import BrokerTrade
from core.domain.instrument import InstrumentId
from core.domain.ledger import Ledger
from core.domain.notices.orders import OrderRejected
from core.domain.notices.post import Post, external_order_removal, unresolved_card
from core.domain.order import (
    CLOSED_STATES,
    MANUAL,
    OPEN_STATES,
    UNKNOWN_STATES,
    Order,
    OrderState,
    Purpose,
)
from core.engine.orders.documents import audit_row, fill_fields, order_of, order_row, trade_of
from core.engine.orders.folding import OrderEvent, folded
from core.engine.orders.ledgers import ledgers_of, moved_ledger, put_ledger, with_realised
from core.engine.orders.order_posts import cards_of, is_exit_of_panic, posts_of, was_said
from core.engine.orders.past import (
    Lot,
    forget_past_steps,
    past_order,
    past_orders_of,
    past_orders_of_run,
    past_trades,
    put_lot,
    with_past,
)
from core.engine.orders.results import result_of_close, result_of_ledger
from core.engine.outbox import Outbox
from core.errors import AlreadyDone, NotFound, TransactionConflict
from core.ports.clock import Clock
from core.ports.store import Change, Document, Store, StoreView, Tally, parts

__all__ = [
    "LOT",
    "Journal",
    "OrderEvent",
    "count_unknown",
    "every_order_in",
    "forget_steps",
    "move_finished",
    "orders_in",
    "orders_of_day",
    "pending_orders",
    "total_of_day",
    "unresolved_orders",
    "waiting_exits",
    "with_pending",
]

_ORDERS = "orders"
_EVENTS = "order_events"
_FILLS = "fills"
_EVENT_ATTEMPTS = 5
_JUST_TOLD = timedelta(seconds=10)
PENDING = sorted(one.value for one in (*OPEN_STATES, OrderState.INITIALIZED, OrderState.HELD))
LOT, _LOT_STEPS, _LOT_TRADES = 20, 200, 100
"""What one commit moves at most; the embedded server takes milliseconds for each."""


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


async def total_of_day(
    view: StoreView,
    broker_id: str | None,
    day: str,
    tally: Tally,
    heading: Hashable,
    *,
    besides: str = "",
) -> dict[Any, int]:
    """Return what an account's orders of a day add up to, with None those of all.

    ``besides`` is the id of an order that does not count.
    """
    where = {"day": day} if broker_id is None else {"day": day, "broker_id": broker_id}
    found = await view.total(_ORDERS, where, tally, heading)
    row = await view.get(_ORDERS, besides) if besides else None
    if row is not None and all(row[name] == one for name, one in where.items()):
        for place, number in tally.over([row], heading).items():
            found[place] = found.get(place, 0) - number
    return found


async def pending_orders(view: StoreView, broker_id: str) -> list[Order]:
    """Return every order of an account that is not final: initialized, held or open."""
    rows = await view.find(_ORDERS, {"broker_id": broker_id, "state": {"$in": PENDING}})
    return [order_of(row) for row in rows]


async def with_pending(view: StoreView, broker_ids: Collection[str]) -> set[str]:
    """Return which of these accounts, if there are any, have an order that is not final."""
    where = {"broker_id": {"$in": [*broker_ids]}, "state": {"$in": PENDING}}
    return {row["broker_id"] for row in await view.find(_ORDERS, where)}


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


async def waiting_exits(view: StoreView, broker_id: str) -> tuple[str, ...]:
    """Return the ids of an account's exits and stops that were not sent yet."""
    states = [OrderState.HELD.value, OrderState.INITIALIZED.value]
    rows = await view.find(_ORDERS, {"broker_id": broker_id, "state": {"$in": states}})
    orders = map(order_of, rows)
    return tuple(o.client_order_id for o in orders if o.purpose is not Purpose.ENTRY)


async def forget_steps(
    view: StoreView, broker_id: str, day: str, since: datetime, until: datetime
) -> int:
    """Remove the steps of an account's orders of a day; the orders stay. Return how many.

    Of what is packed, the lots of the time from ``since`` until ``until`` go.
    """
    orders = await view.find(_ORDERS, {"broker_id": broker_id, "day": day})
    ids = [row["_id"] for row in await _steps_of(view, orders)]
    lots = await forget_past_steps(view, broker_id, since, until)
    return lots + sum([await view.delete(_EVENTS, {"_id": {"$in": some}}) for some in parts(ids)])


async def every_order_in(
    view: StoreView, broker_id: str, instrument: InstrumentId, day: str
) -> list[Order]:
    """Return what ``orders_in`` does, of a day that may be long over."""
    where = {"broker_id": broker_id, "instrument": str(instrument), "day": day}
    rows = await with_past(view, await view.find(_ORDERS, where), broker_id, day)
    return [order_of(row) for row in rows if row["instrument"] == str(instrument)]


async def move_finished(
    view: StoreView, broker_id: str, day: str, before: datetime, *, is_begun: bool = False
) -> int | None:
    """Move a lot of an account's rows of a day to where finished days are kept, in a transaction.

    A day is moved when nothing of it can move any more, and then all of it.

    Args:
        view: The transaction.
        broker_id: Whose rows.
        day: Of which day.
        before: All its orders have ended by then.
        is_begun: The lot before this one has just found the whole day finished.

    Returns:
        How many rows, 0 when the day is through; None while one of its orders is not finished.
    """
    whose = {"broker_id": broker_id, "day": day}
    # In this order those of one run come into few lots.
    found = await view.find(_ORDERS, whose, sort=(("created_at", 1), ("_id", 1)), limit=LOT)
    reached = accumulate(row["version"] + 1 for row in found)  # steps, up to each of them
    some = [row for row, n in zip(found, reached, strict=True) if n <= _LOT_STEPS] or found[:1]
    ended = [row for row in some if row["state"] in CLOSED_STATES]
    if ended != some or any((row.get("settled_at") or row["created_at"]) >= before for row in some):
        return None
    if some and not is_begun and not await _are_finished(view, broker_id, day, before):
        return None
    # Not by order: trades are asked for by account and day, and some belong to no order of it.
    trades = await view.find(_FILLS, whose, limit=_LOT_TRADES)
    if not some and not trades:
        return 0
    steps = await _steps_of(view, some)
    await put_lot(view, Lot(broker_id, day, some, trades, steps))
    await view.delete(_ORDERS, {"_id": {"$in": [row["_id"] for row in some]}})
    for few in parts([row["_id"] for row in trades]):
        await view.delete(_FILLS, {"_id": {"$in": list(few)}})
    for few in parts([row["_id"] for row in steps]):
        await view.delete(_EVENTS, {"_id": {"$in": list(few)}})
    return len(some) + len(trades) + len(steps)


async def _are_finished(view: StoreView, broker_id: str, day: str, before: datetime) -> bool:
    """Whether each order that the journal has of a day came to its end before; reads few rows."""
    if any(order.day == day for order in await pending_orders(view, broker_id)):
        return False
    whose = {"broker_id": broker_id, "day": day}
    last = await view.find(_ORDERS, whose, sort=[("settled_at", -1)], limit=1)
    return not any((at := row.get("settled_at")) and at >= before for row in last)


async def _steps_of(view: StoreView, rows: Sequence[Document]) -> list[Document]:
    """Return the steps of orders, by their ids: each version of an order is one."""
    ids = [f"{row['_id']}#{n}" for row in rows for n in range(row["version"] + 1)]
    found = [await view.find(_EVENTS, {"_id": {"$in": list(few)}}) for few in parts(ids)]
    return [step for some in found for step in some]


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
            row = await past_order(self._store, client_order_id)
        if row is None:
            raise NotFound("I do not know that order.")
        return order_of(row)

    async def has(self, client_order_id: str) -> bool:
        """Whether the journal holds an order, or has held it."""
        row = await self._store.get(_ORDERS, client_order_id)
        return row is not None or await self.is_past(client_order_id)

    async def is_past(self, client_order_id: str) -> bool:
        """Whether an order is of a finished day whose rows were moved."""
        return await past_order(self._store, client_order_id) is not None

    async def of_day(self, broker_id: str, day: str) -> list[Order]:
        """Return an account's orders of one trading day."""
        whose = {"broker_id": broker_id, "day": day}
        rows = await self._store.find(_ORDERS, whose)
        if await order_of.ahead(rows):
            rows = await self._store.find(_ORDERS, whose)  # they may have moved on meanwhile
        return [order_of(row) for row in await with_past(self._store, rows, broker_id, day)]

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
        rows = await self._store.find(_ORDERS, where)
        rows = await past_orders_of(self._store, rows, broker_id)
        return [order_of(row) for row in rows if row["state"] == OrderState.FILLED.value]

    async def by_broker_id(self, broker_id: str, broker_order_id: str) -> Order | None:
        """Return the order that has this id at the broker; None when none of these days has."""
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
        rows = await past_trades(self._store, rows, broker_id, day)
        return [(row["client_order_id"], trade_of(row)) for row in rows]

    async def of_run(self, run_id: str) -> list[Order]:
        """Return the orders of one run."""
        rows = await self._store.find(_ORDERS, {"run_id": run_id})
        return [order_of(row) for row in await past_orders_of_run(self._store, rows, run_id)]

    async def ledgers(self, broker_id: str) -> list[Ledger]:
        """Return an account's ledgers."""
        return await ledgers_of(self._store, broker_id)

    async def add(self, view: StoreView, orders: Iterable[Order]) -> None:
        """Insert new orders inside the caller's transaction, with their first audit rows."""
        new = list(orders)
        if new:
            await view.insert(_ORDERS, *(order_row(order) for order in new))
            await view.insert(_EVENTS, *(audit_row(order, "", self._clock.now()) for order in new))

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
            row = await self._store.get(_ORDERS, client_order_id)
            if row is None:  # never there, or of a day that is finished: it changes no more
                raise NotFound("I do not know that order.")
            order = order_of(row)
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
        if after.filled_quantity != before.filled_quantity:
            after = replace(after, filled_at=now)
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
        ledgers = await moved_ledger(view, before, after)
        if ledgers is not None:
            after = with_realised(after, *ledgers)
        row = order_row(after)
        key = row.pop("_id")
        matched = await view.update(
            _ORDERS, {"_id": key, "version": before.version}, Change(set=row)
        )
        if matched != 1:
            raise AlreadyDone(f"order {key} was changed meanwhile")
        await view.insert(_EVENTS, audit_row(after, before.state.value, self._clock.now()))
        results = await self._move_ledger(view, before, after, ledgers)
        posts = posts_of(before, after, is_told=is_told or self._was_found_at_once(before, after))
        if after.state is OrderState.REJECTED and was_said(after, await self._beside(view, after)):
            posts = [post for post in posts if not isinstance(post.notice, OrderRejected)]
        if is_exit_of_panic(after):
            results = []
        for post in [*posts, *results]:
            await self._outbox.post(view, post)

    def _was_found_at_once(self, before: Order, after: Order) -> bool:
        """Whether the broker shows an unresolved order whose card came seconds ago."""
        since = self._clock.now() - (before.submitted_at or before.created_at)
        return since < _JUST_TOLD and after.state is not OrderState.NOT_PLACED

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
        posts = {post.key: post for order in orders for post in cards_of(order)}
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
                    Change(set_on_insert=fill_fields(broker_id, day, trade, owners)),
                    upsert=True,
                )
