"""Bringing the journal to the broker's truth (reliability.md 2.3.6 to 2.3.8).

Reads the day's orders, has ``core.engine.orders.decisions`` say what they mean for the journal, and
does that; reads trades, positions and funds. A failed read changes nothing: an order is never
believed absent because a request failed. Keeps I2, I4 and I5.
"""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Callable, Sequence
from collections.abc import Set as AbstractSet
from datetime import datetime, timedelta
from decimal import Decimal

from core.domain.broker import BrokerOrder, BrokerTrade
from core.domain.identifiers import is_client_order_id
from core.domain.notices.accounts import Anomaly
from core.domain.notices.positions import ExitUnproved, OrderUnlisted
from core.domain.notices.post import external_order_card
from core.domain.odd_rows import OddRow, odd_rows_of
from core.domain.order import EXTERNAL, UNKNOWN_STATES, Order, OrderState
from core.domain.sessions import trading_day
from core.engine.orders.alarms import AlarmCause, Until, raise_alarm
from core.engine.orders.baselines import baseline_at
from core.engine.orders.decisions import (
    Adopt,
    Advance,
    Ask,
    Correct,
    Decision,
    Disown,
    Freeze,
    OrdersRead,
    changes_asked_for,
    decide,
    external_id,
    external_order,
    foreign_event,
    seen_event,
    were_sent,
)
from core.engine.orders.folding import folded
from core.engine.orders.gate import freeze_entries
from core.engine.orders.inquiries import Inquiries
from core.engine.orders.journal import Journal, OrderEvent
from core.engine.orders.odd_rows import OddRowWatch, is_row_of
from core.engine.orders.restored_goals import regain_stop
from core.engine.orders.snapshot import Snapshot
from core.engine.orders.unseen import compared, doubted_exits, inquiries_of, of_trades, unlisted
from core.engine.outbox import Outbox
from core.errors import AlreadyDone, BrokerReadError, OrderAnomaly
from core.ports.broker import BrokerClient
from core.ports.clock import Clock
from core.ports.store import Change, Store, StoreView

__all__ = ["Reconciler", "Snapshot", "capital_of_day"]

_log = logging.getLogger(__name__)
_DAY_FIGURES = "day_figures"


async def capital_of_day(view: StoreView, broker_id: str, day: str) -> Decimal | None:
    """Return what was available at the start of the day, rupees; None until the funds were read."""
    row = await view.get(_DAY_FIGURES, f"{broker_id}|{day}")
    return None if row is None or row.get("capital") is None else Decimal(str(row["capital"]))


def _apart(orders: Sequence[Order], odd: Sequence[OddRow]) -> tuple[list[Order], list[Order]]:
    """Tell orders that the read can settle from those whose row is, or may be, unreadable.

    The latter stay as they are: a row that cannot be read is neither there nor absent (I2).
    """
    unread = [order for order in orders if any(is_row_of(order, one) for one in odd)]
    ids = {order.client_order_id for order in unread}
    return [order for order in orders if order.client_order_id not in ids], unread


def _unresolved_after(decisions: Sequence[Decision], rows: Sequence[Order]) -> list[Order]:
    """Return the orders that were unresolved before a read and that it did not settle."""
    moved = {one.order.client_order_id for one in decisions if isinstance(one, Advance)}
    return [
        order
        for order in rows
        if order.state is OrderState.UNRESOLVED and order.client_order_id not in moved
    ]


def _is_of_day(trade: BrokerTrade, day: str, orders: AbstractSet[str]) -> bool:
    """Return whether a trade is of a day: by its own time, else because its order is."""
    if trade.traded_at is None:
        return trade.broker_order_id in orders
    return trading_day(trade.traded_at) == day


class Reconciler:
    """Reconciles accounts; one instance serves all, an account's state is in its ``Snapshot``."""

    def __init__(
        self,
        store: Store,
        clock: Clock,
        journal: Journal,
        outbox: Outbox,
        inquiries: Inquiries,
        *,
        horizon_s: float,
        in_flight: set[str],
        lists_all: Callable[[str], bool] = lambda _broker_id: False,
    ) -> None:
        self._store = store
        self._clock = clock
        self._journal = journal
        self._outbox = outbox
        self._inquiries = inquiries
        self._horizon = timedelta(seconds=horizon_s)
        self._in_flight = in_flight
        self._lists_all = lists_all
        self._since = clock.now()
        self._watch = OddRowWatch(store, outbox)
        self._told: set[str] = set()

    async def read_orders(
        self, client: BrokerClient, broker_id: str, snapshot: Snapshot, day: str
    ) -> bool:
        """Read the day's orders and settle the journal; return whether anything moved.

        Raises:
            BrokerReadError: The read failed; nothing was changed.
        """
        # Before the request: what was sent while it was on its way need not be in the answer, and
        # its absence there proves nothing (I4).
        began_at = self._clock.now()
        # Those whose answer comes meanwhile, too: this read says nothing of them.
        in_flight = set(self._in_flight)
        try:
            theirs = await client.orders()
        except BrokerReadError as error:
            await self._inquiries.failed(broker_id, str(error))
            raise
        if snapshot.day != day:
            snapshot.cancels.clear()
        # Until some time in the morning a broker still lists yesterday's orders (case B10).
        snapshot.orders = [one for one in theirs if one.own_day in {None, day}]
        snapshot.orders_at, snapshot.day = self._clock.now(), day
        snapshot.orders_began_at, snapshot.as_of = began_at, self._clock.market_now()
        snapshot.took("orders", theirs, began_at)
        odd = odd_rows_of(theirs)
        ours, unread = _apart(were_sent(await self._rows(broker_id, day)), odd)
        await self._tell(broker_id, snapshot, "order", odd, unread)
        base = await baseline_at(self._store, broker_id, day)
        lists_all = self._lists_all(broker_id)
        read = OrdersRead(
            theirs,
            day,
            began_at,
            self._horizon,
            self._clock.market_at,
            frozenset(in_flight | self._in_flight),
            await self._asked_at(ours),
            doubted_exits(ours, snapshot, base)
            | await self._inquiries.shown_lately(broker_id, ours),
            now=self._clock.now(),
            lists_all=lists_all,
            # Whoever asked before this process began is gone, and what it asked with it.
            settled_before=self._since if lists_all else None,
        )
        moved, decisions = False, decide(ours, read)
        for decision in decisions:
            moved |= await self._do(broker_id, day, decision)
        found = inquiries_of(ours, read, snapshot, base)
        left = _unresolved_after(decisions, [*ours, *unread])
        await self._inquiries.looked(broker_id, left, found)
        await self._notify_unlisted(broker_id, unlisted(ours, read, snapshot))
        return moved

    async def _tell(
        self,
        broker_id: str,
        snapshot: Snapshot,
        kind: str,
        odd: Sequence[OddRow],
        ours: Sequence[Order] = (),
    ) -> None:
        snapshot.odd[kind] = len(odd)
        await self._watch.tell(broker_id, snapshot.day, kind, odd, ours)

    async def _rows(self, broker_id: str, day: str) -> list[Order]:
        rows = {
            order.client_order_id: order for order in await self._journal.of_day(broker_id, day)
        }
        # Of earlier days as well: what a day left open is closed by rule (case B10).
        for order in await self._journal.pending(broker_id):
            rows.setdefault(order.client_order_id, order)
        return list(rows.values())

    async def _asked_at(self, ours: Sequence[Order]) -> dict[str, datetime]:
        found = {}
        for order in changes_asked_for(ours):
            at = await self._journal.event_at(order)
            if at is not None:
                found[order.client_order_id] = at
        return found

    async def _do(self, broker_id: str, day: str, decision: Decision) -> bool:
        """Carry out one decision; return whether an order moved."""
        match decision:
            case Advance(order, event):
                return await self._apply(order, event)
            case Correct(pairs):
                await self._correct(pairs)
            case Freeze(order, text):
                await self._freeze(order, text)
            case Adopt(seen):
                return await self._adopt(broker_id, day, seen)
            case Ask(order):
                await self._ask(order)
            case Disown(order):
                await self._disown(order)
        return False

    async def _correct(self, wrong: Sequence[tuple[Order, BrokerOrder]]) -> None:
        """Set right the broker ids of orders whose acknowledgements were mixed up (N15)."""

        async def body(view: StoreView) -> None:
            # Cleared first: the id is unique in the journal, and a swap of two would collide.
            right = {order.client_order_id: seen.broker_order_id for order, seen in wrong}
            await self._journal.correct_broker_ids(view, right)

        ids = ",".join(sorted(f"{o.client_order_id}={s.broker_order_id}" for o, s in wrong))
        await self._store.transaction(body, nonce=f"untangle:{ids}")
        text = (
            f"the broker's answers to {len(wrong)} orders were mixed up; their ids were set right"
        )
        await self._freeze(wrong[0][0], text)

    async def _apply(self, order: Order, event: OrderEvent) -> bool:
        try:
            # Most of what a read shows is known: that needs no second look at the row.
            if folded(order, event) is None:
                return False
            after = await self._journal.apply(order.client_order_id, event)
        except OrderAnomaly as anomaly:
            await self._freeze(order, str(anomaly))
            return False
        return after.version != order.version

    async def _freeze(self, order: Order, text: str) -> None:
        """Journal an impossible event once, and stop the account's entries."""
        notice = Anomaly(order.broker_id, text)

        async def body(view: StoreView) -> None:
            # This write makes a submission that has just read the gate fail: no entry gets past.
            await freeze_entries(view, order.broker_id)
            await raise_alarm(view, self._outbox, order.broker_id, notice, AlarmCause(Until.THAWED))

        _log.error("anomaly: %s", text)
        try:
            await self._store.transaction(body, nonce=f"anomaly:{order.client_order_id}|{text}")
        except AlreadyDone:
            return

    async def _adopt(self, broker_id: str, day: str, seen: BrokerOrder) -> bool:
        # Adopted before: an order from outside lives on like ours, and its fills count (B08).
        known = await self._journal.by_broker_id(broker_id, seen.broker_order_id)
        if known is not None and known.strategy == EXTERNAL:
            return await self._apply(known, foreign_event(seen))
        if known is not None:
            # Ours, of an earlier day: brokers list a day's orders until some time in the morning.
            return False
        # Of a day that is long over, whoever's it was: it ended then.
        for one in (seen.tag or "", external_id(broker_id, seen.broker_order_id)):
            if await self._journal.is_past(one):
                return False
        key = await self._key_of(broker_id, seen)
        if key == seen.tag and (stop := await self._regain(broker_id, day, seen)) is not None:
            await self._apply(stop, seen_event(seen))
            return True
        order = external_order(broker_id, day, seen, at=self._clock.now(), key=key)

        async def body(view: StoreView) -> None:
            await self._journal.add(view, [order])
            await self._outbox.post(view, external_order_card(broker_id, key))

        try:
            await self._store.transaction(body, nonce=f"adopt:{key}")
        except AlreadyDone:
            return False
        return True

    async def _regain(self, broker_id: str, day: str, seen: BrokerOrder) -> Order | None:
        """Keep a stop of ours that a restored journal lacks for its ledger, if proved."""
        at = self._clock.now()

        async def body(view: StoreView) -> Order | None:
            stop = await regain_stop(view, broker_id, day, seen, at=at)
            if stop is not None:
                await self._journal.add(view, [stop])
            return stop

        try:
            return await self._store.transaction(body, nonce=f"regain:{seen.tag}")
        except AlreadyDone:
            return None

    async def _key_of(self, broker_id: str, seen: BrokerOrder) -> str:
        """Return the journal id of an order that the journal does not know.

        One that Saarthi sent before the journal was restored from a backup keeps the id that its
        tag names, so that no order is ever sent under that id again (D04).
        """
        tag = seen.tag or ""
        if is_client_order_id(tag) and not await self._journal.has(tag):
            return tag
        return external_id(broker_id, seen.broker_order_id)

    async def _disown(self, order: Order) -> None:
        """Remove a row that was kept as somebody else's, and its card."""
        key = order.client_order_id

        async def body(view: StoreView) -> None:
            await self._journal.remove(view, key)

        with contextlib.suppress(AlreadyDone):
            await self._store.transaction(body, nonce=f"disown:{key}#{order.version}")

    async def _ask(self, order: Order) -> None:
        """Ask once about an order of unknown fate that no read will settle."""
        key = order.client_order_id
        cause = AlarmCause(Until.ANSWER, str(order.request.instrument), (key,))
        notice = ExitUnproved(order.broker_id, key)
        await self._once(f"ask:{key}#{order.version}", notice, cause)

    async def _notify_unlisted(self, broker_id: str, orders: Sequence[Order]) -> None:
        """Alert once to orders that the broker took and does not list."""
        for order in orders:
            key = order.client_order_id
            cause = AlarmCause(Until.ORDER, str(order.request.instrument), (key,))
            await self._once(f"unlisted:{key}", OrderUnlisted(broker_id, key), cause)

    async def _once(
        self, nonce: str, notice: ExitUnproved | OrderUnlisted, cause: AlarmCause
    ) -> None:
        if nonce in self._told:
            return

        async def body(view: StoreView) -> None:
            await raise_alarm(view, self._outbox, notice.broker_id, notice, cause)

        with contextlib.suppress(AlreadyDone):
            await self._store.transaction(body, nonce=nonce)
        self._told.add(nonce)

    async def read_trades(
        self, client: BrokerClient, broker_id: str, snapshot: Snapshot, day: str
    ) -> bool:
        """Read and keep the day's trades; those of an earlier day that are still listed are not.

        Returns:
            Whether a trade showed a fill that no order did.
        """
        began_at = self._clock.now()
        theirs = await client.trades()
        snapshot.took("trades", theirs, began_at)
        snapshot.trades_began_at = began_at
        await self._tell(broker_id, snapshot, "trade", odd_rows_of(theirs))
        rows = await self._journal.of_day(broker_id, day)
        owners = {
            order.broker_order_id: order.client_order_id for order in rows if order.broker_order_id
        }
        known = owners.keys() | {one.broker_order_id for one in snapshot.orders or ()}
        snapshot.trades = [one for one in theirs if _is_of_day(one, day, known)]
        await self._journal.record_trades(broker_id, day, snapshot.trades, owners)
        moved = False
        for decision in of_trades(snapshot.trades, rows):
            moved |= await self._do(broker_id, day, decision)
        return moved

    async def has_unknown_exit(self, broker_id: str, day: str) -> bool:
        """Whether an exit or a stop of today may or may not be at the broker."""
        return any(
            order.purpose.is_reducing and order.day == day and order.state in UNKNOWN_STATES
            for order in await self._journal.pending(broker_id)
        )

    async def read_positions(
        self, client: BrokerClient, broker_id: str, snapshot: Snapshot
    ) -> None:
        """Read net positions."""
        began_at = self._clock.now()
        theirs = await client.positions()
        await self._tell(broker_id, snapshot, "position", odd_rows_of(theirs))
        snapshot.took("positions", theirs, began_at)
        snapshot.positions = theirs
        snapshot.positions_began_at, snapshot.positions_at = began_at, self._clock.now()
        snapshot.as_of = self._clock.market_now()
        if self._inquiries.are_open(broker_id):
            ours = were_sent(await self._rows(broker_id, snapshot.day))
            base = await baseline_at(self._store, broker_id, snapshot.day)
            self._inquiries.compared(compared(ours, snapshot, base))

    async def read_funds(
        self,
        client: BrokerClient,
        broker_id: str,
        snapshot: Snapshot,
        day: str,
        *,
        is_days_login: bool = True,
    ) -> None:
        """Read funds and holdings, and keep the capital at the start of the day (D4).

        Args:
            client: The account's client.
            broker_id: The account.
            snapshot: Where the reads are kept.
            day: The trading day.
            is_days_login: Whether the login is the morning's: in the night after midnight a login
                of yesterday still answers, with yesterday's book.
        """
        snapshot.funds = await client.funds()
        snapshot.holdings = await client.holdings()
        await self._tell(broker_id, snapshot, "holding", odd_rows_of(snapshot.holdings))
        snapshot.funds_at = self._clock.now()
        # Sizes are a share of the capital the day began with, not of what is left of it: the second
        # entry of a day must not be smaller because of the first. Kept once a day, hence on insert.
        if not is_days_login:
            return
        capital = snapshot.funds.opening if snapshot.funds.opening > 0 else snapshot.funds.available
        await self._store.update(
            _DAY_FIGURES,
            {"_id": f"{broker_id}|{day}"},
            Change(set_on_insert={"broker_id": broker_id, "day": day, "capital": capital}),
            upsert=True,
        )
