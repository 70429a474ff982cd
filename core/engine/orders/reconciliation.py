"""Bringing the journal to the broker's truth (reliability.md 2.3.6 to 2.3.8).

One ``reconcile`` reads the day's orders, settles every row of ours against them, adopts what is not
ours, and reads trades and positions when something moved. A failed read changes nothing: an order
is never believed absent because a request failed. Keeps I2, I4 and I5.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from core.domain.broker import BrokerOrder, BrokerTrade, Funds, Holding, Position
from core.domain.matching import look_alikes, match_orders, state_of
from core.domain.notices.accounts import Anomaly
from core.domain.notices.post import Post, external_order_card
from core.domain.order import (
    CLOSED_STATES,
    EXTERNAL,
    LIVE_STATES,
    UNKNOWN_STATES,
    Order,
    OrderRequest,
    OrderState,
    Purpose,
)
from core.engine.orders.gate import GATES
from core.engine.orders.journal import Journal, OrderEvent
from core.engine.outbox import Outbox
from core.errors import AlreadyDone, OrderAnomaly
from core.ports.broker import BrokerClient
from core.ports.clock import Clock
from core.ports.store import Change, Store, StoreView

__all__ = ["Reconciler", "Snapshot", "external_id"]

_log = logging.getLogger(__name__)
_CANCEL_SETTLES_S = 5.0


@dataclass
class Snapshot:
    """The last successful reads of one account; each None until the first.

    ``orders_at`` and the others are real times; ``as_of`` is the market time of the latest.
    """

    orders: Sequence[BrokerOrder] | None = None
    trades: Sequence[BrokerTrade] | None = None
    positions: Sequence[Position] | None = None
    holdings: Sequence[Holding] | None = None
    funds: Funds | None = None
    orders_at: datetime | None = None
    positions_at: datetime | None = None
    funds_at: datetime | None = None
    as_of: datetime | None = None
    day: str = ""
    cancels: dict[str, int] = field(default_factory=dict)


def external_id(broker_id: str, broker_order_id: str) -> str:
    """Return the journal id of an order that was not placed by Saarthi."""
    return f"X|{broker_id}|{broker_order_id}"


class Reconciler:
    """Reconciles accounts; one instance serves all, an account's state is in its ``Snapshot``."""

    def __init__(
        self,
        store: Store,
        clock: Clock,
        journal: Journal,
        outbox: Outbox,
        *,
        horizon_s: float,
        in_flight: set[str],
    ) -> None:
        self._store = store
        self._clock = clock
        self._journal = journal
        self._outbox = outbox
        self._horizon = timedelta(seconds=horizon_s)
        self._in_flight = in_flight

    async def read_orders(
        self, client: BrokerClient, broker_id: str, snapshot: Snapshot, day: str
    ) -> bool:
        """Read the day's orders and settle the journal; return whether anything moved.

        Raises:
            BrokerReadError: The read failed; nothing was changed.
        """
        started = self._clock.now()
        theirs = await client.orders()
        if snapshot.day != day:
            snapshot.cancels.clear()
        snapshot.orders, snapshot.orders_at, snapshot.day = theirs, self._clock.now(), day
        snapshot.as_of = self._clock.market_now()
        found = match_orders(await self._rows(broker_id, day), theirs)
        await self._untangle(found.pairs)
        moved = await self._close_yesterday(found.missing, day)
        for order, seen in found.pairs:
            moved |= await self._settle(order, seen, started)
        for order in found.swapped:
            moved |= await self._unresolve(order, "the broker's answer named another order")
        perhaps_ours = self._perhaps_ours(found.missing, found.foreign)
        for seen in found.foreign:
            if seen.broker_order_id not in perhaps_ours:
                moved |= await self._adopt(broker_id, day, seen)
        for order in found.missing:
            if order.day == day:
                moved |= await self._not_found(order, found.foreign, started)
        return moved

    async def _rows(self, broker_id: str, day: str) -> list[Order]:
        rows = {
            order.client_order_id: order for order in await self._journal.of_day(broker_id, day)
        }
        for order in await self._journal.pending(broker_id):
            rows.setdefault(order.client_order_id, order)
        return [
            order
            for order in rows.values()
            if order.state not in {OrderState.INITIALIZED, OrderState.DENIED, OrderState.HELD}
        ]

    async def _close_yesterday(self, missing: Sequence[Order], day: str) -> bool:
        """Close what an earlier day left open and the broker no longer lists (case B10).

        The rule of the day closes it, never mere absence within its day.
        """
        moved = False
        for order in missing:
            if order.day < day and order.state not in CLOSED_STATES:
                reason = "the trading day ended"
                await self._apply(order, OrderEvent(OrderState.EXPIRED, reason=reason))
                moved = True
        return moved

    async def _untangle(self, pairs: Sequence[tuple[Order, BrokerOrder]]) -> None:
        """Set right the broker ids of orders whose acknowledgements were mixed up (N15).

        The tag tells whose a broker order is; the id came with an answer, which may have been meant
        for another request. A cancel by a wrong id would hit somebody else's order.
        """
        wrong = [
            (order, seen)
            for order, seen in pairs
            if order.broker_order_id not in {None, seen.broker_order_id}
        ]
        if not wrong:
            return

        async def body(view: StoreView) -> None:
            for order, _ in wrong:
                where = {"_id": order.client_order_id}
                await view.update("orders", where, Change(set={"broker_order_id": None}))
            for order, seen in wrong:
                where = {"_id": order.client_order_id}
                right = Change(set={"broker_order_id": seen.broker_order_id})
                await view.update("orders", where, right)

        ids = ",".join(sorted(f"{o.client_order_id}={s.broker_order_id}" for o, s in wrong))
        await self._store.transaction(body, nonce=f"untangle:{ids}")
        text = (
            f"the broker's answers to {len(wrong)} orders were mixed up; their ids were set right"
        )
        await self._freeze(wrong[0][0], text)

    async def _settle(self, order: Order, seen: BrokerOrder, started: datetime) -> bool:
        if order.submitted_at and order.submitted_at > started:
            return False
        resumed = order.state in {OrderState.PENDING_CANCEL, OrderState.PENDING_UPDATE}
        event = OrderEvent(
            state_of(seen),
            broker_order_id=seen.broker_order_id,
            filled_quantity=seen.filled_quantity,
            average_price=seen.average_price,
            reason=seen.message if state_of(seen) in CLOSED_STATES else "",
            is_resumed=resumed and await self._came_to_nothing(order, seen, started),
        )
        return await self._apply(order, event)

    async def _came_to_nothing(self, order: Order, seen: BrokerOrder, started: datetime) -> bool:
        """Tell whether a cancel or change is known to have had no effect.

        The broker still shows the order at work, without a pending word, well after the wish was
        journalled.
        """
        if "PENDING" in seen.raw_status.upper() and seen.raw_status.upper() != "TRIGGER PENDING":
            return False
        event = await self._store.get("order_events", f"{order.client_order_id}#{order.version}")
        since = event["at"] if event else order.created_at
        return bool(started - since > timedelta(seconds=_CANCEL_SETTLES_S))

    async def _apply(self, order: Order, event: OrderEvent) -> bool:
        try:
            after = await self._journal.apply(order.client_order_id, event)
        except OrderAnomaly as anomaly:
            await self._freeze(order, str(anomaly))
            return False
        return after.version != order.version

    async def _freeze(self, order: Order, text: str) -> None:
        """Journal an impossible event once, and stop the account's entries."""
        post = Post(Anomaly(order.broker_id, text))

        async def body(view: StoreView) -> None:
            await view.update(
                GATES, {"_id": order.broker_id}, Change(set={"frozen": True}, inc={"seq": 1})
            )
            await self._outbox.post(view, post)

        _log.error("anomaly: %s", text)
        try:
            await self._store.transaction(body, nonce=f"anomaly:{text}")
        except AlreadyDone:
            return

    async def _unresolve(self, order: Order, reason: str) -> bool:
        if order.state in CLOSED_STATES | LIVE_STATES:
            await self._freeze(order, f"order {order.client_order_id}: {reason}")
            return False
        return await self._apply(order, OrderEvent(OrderState.UNRESOLVED, reason=reason))

    async def _not_found(
        self, order: Order, foreign: Sequence[BrokerOrder], started: datetime
    ) -> bool:
        if order.state not in UNKNOWN_STATES or order.client_order_id in self._in_flight:
            return False
        submitted = order.submitted_at or order.created_at
        if order.state is OrderState.SUBMITTED:
            reason = "the answer to the order never arrived"
            return await self._apply(order, OrderEvent(OrderState.UNRESOLVED, reason=reason))
        if await self._propose(order, foreign) or started < submitted + self._horizon:
            return False
        seconds = int(self._horizon.total_seconds())
        reason = f"not among the broker's orders {seconds} s after it was sent"
        return await self._apply(order, OrderEvent(OrderState.NOT_PLACED, reason=reason))

    def _perhaps_ours(
        self, missing: Sequence[Order], foreign: Sequence[BrokerOrder]
    ) -> frozenset[str]:
        """Return foreign orders that could be one of ours whose fate is unknown (B07).

        They are nobody's until that is settled: adopted now, they could not be proposed later, and
        would count twice once a person has confirmed them. Meanwhile the unknown order keeps its
        instrument closed to entries.
        """
        return frozenset(
            seen.broker_order_id
            for order in missing
            if order.state in UNKNOWN_STATES
            for seen in look_alikes(order, foreign, self._sent_at(order))
        )

    def _sent_at(self, order: Order) -> datetime:
        """Return the market time at which an order was sent."""
        return self._clock.market_at(order.submitted_at or order.created_at)

    async def _propose(self, order: Order, foreign: Sequence[BrokerOrder]) -> bool:
        """Keep an order unresolved while a look-alike without our tag exists; a person decides."""
        alike = look_alikes(order, foreign, self._sent_at(order))
        if not alike:
            return False
        key, nearest = f"proposal|{order.client_order_id}", alike[0].broker_order_id
        known = await self._store.get("alerts", key)
        if known is None or known["broker_order_id"] != nearest:
            proposal = Change(set={"state": "open", "broker_order_id": nearest})
            await self._store.update("alerts", {"_id": key}, proposal, upsert=True)
        return True

    async def _adopt(self, broker_id: str, day: str, seen: BrokerOrder) -> bool:
        """Keep an order that is not ours as EXTERNAL, so that positions and exits add up (B08)."""
        key = external_id(broker_id, seen.broker_order_id)
        row = await self._store.get("orders", key)
        event = OrderEvent(
            state_of(seen),
            broker_order_id=seen.broker_order_id,
            filled_quantity=seen.filled_quantity,
            average_price=seen.average_price,
            reason=seen.message,
        )
        if row is not None:
            return await self._apply(await self._journal.get(key), event)
        same_id = {"broker_id": broker_id, "broker_order_id": seen.broker_order_id}
        if await self._store.find("orders", same_id, limit=1):
            # Ours, of an earlier day: brokers list a day's orders until some time in the morning.
            return False
        order = self._external(broker_id, day, key, seen)

        async def body(view: StoreView) -> None:
            await self._journal.add(view, [order])
            await self._outbox.post(view, external_order_card(broker_id, key))

        try:
            await self._store.transaction(body, nonce=f"adopt:{key}")
        except AlreadyDone:
            return False
        return True

    def _external(self, broker_id: str, day: str, key: str, seen: BrokerOrder) -> Order:
        request = OrderRequest(
            key,
            seen.instrument,
            seen.side,
            seen.quantity,
            seen.order_type,
            seen.product,
            limit_price=seen.limit_price,
            trigger_price=seen.trigger_price,
        )
        return Order(
            request=request,
            broker_id=broker_id,
            strategy=EXTERNAL,
            run_id=EXTERNAL,
            purpose=Purpose.EXTERNAL,
            state=state_of(seen),
            day=day,
            created_at=self._clock.now(),
            broker_order_id=seen.broker_order_id,
            filled_quantity=seen.filled_quantity,
            average_price=seen.average_price,
            reason=seen.message,
        )

    async def read_trades(
        self, client: BrokerClient, broker_id: str, snapshot: Snapshot, day: str
    ) -> None:
        """Read and keep the day's trades."""
        snapshot.trades = await client.trades()
        owners = {
            order.broker_order_id: order.client_order_id
            for order in await self._journal.of_day(broker_id, day)
            if order.broker_order_id
        }
        await self._journal.record_trades(broker_id, day, snapshot.trades, owners)

    async def read_positions(self, client: BrokerClient, snapshot: Snapshot) -> None:
        """Read net positions."""
        snapshot.positions = await client.positions()
        snapshot.positions_at = self._clock.now()
        snapshot.as_of = self._clock.market_now()

    async def read_funds(
        self, client: BrokerClient, broker_id: str, snapshot: Snapshot, day: str
    ) -> None:
        """Read funds and holdings, and keep the capital at the start of the day (D4)."""
        snapshot.funds = await client.funds()
        snapshot.holdings = await client.holdings()
        snapshot.funds_at = self._clock.now()
        capital = snapshot.funds.opening if snapshot.funds.opening > 0 else snapshot.funds.available
        await self._store.update(
            "day_figures",
            {"_id": f"{broker_id}|{day}"},
            Change(set_on_insert={"broker_id": broker_id, "day": day, "capital": capital}),
            upsert=True,
        )
