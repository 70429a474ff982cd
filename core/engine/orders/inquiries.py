"""What is asked about orders of unknown fate, told on one card an order (R4).

Owns the collection ``alerts``: a document an order that is or was unresolved, ``_id``
``inquiry|client_order_id``, with the fields of ``core.domain.inquiry.Inquiry``. Every look is
counted in memory; the document is written with an edit of the card, and an edit is due five seconds
after the last when something new is known, or else after a sixth of the order's age: the count of a
look is no news for long. So an unresolved order costs few writes, and a restart goes on with the
card and the figures that it showed last.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from core.domain.broker import BrokerStatus
from core.domain.inquiry import Candidate, Inquiry
from core.domain.notices.post import unresolved_card
from core.domain.order import Order, OrderState, OrderType, Side
from core.engine.orders.journal import unresolved_orders
from core.engine.outbox import Outbox
from core.ports.clock import Clock
from core.ports.store import Change, Document, Store, StoreView

__all__ = ["Inquiries", "put_settler"]

_ALERTS = "alerts"
_SOON = timedelta(seconds=5)
_SHARE_OF_AGE = 6
_BETWEEN_CARDS = timedelta(seconds=1)
_LISTED_AGAIN = timedelta(seconds=15)
_UNREAD = "a row of its list, perhaps this order's, is not readable"


def _key(client_order_id: str) -> str:
    return f"inquiry|{client_order_id}"


async def put_settler(view: StoreView, client_order_id: str, name: str) -> None:
    """Note which user settles an order, in the transaction that settles it."""
    change = Change(set={"state": "settled", "settled_by": name})
    await view.update(_ALERTS, {"_id": _key(client_order_id)}, change, upsert=True)


@dataclass
class _Kept:
    """One order's inquiry, and what of it the card shows.

    Attributes:
        has_shown: Whether a read has shown a candidate, of this controller or of one before it.
        gone_since: Since which read none shows it any more.
    """

    broker_id: str
    sent_at: datetime
    inquiry: Inquiry
    written: Inquiry
    written_at: datetime
    has_shown: bool = False
    gone_since: datetime | None = None

    def seen(self, *, has_candidates: bool, at: datetime) -> None:
        """Take in whether a read shows a candidate."""
        if has_candidates:
            self.has_shown, self.gone_since = True, None
        elif self.gone_since is None or self.gone_since > at:  # the clock was set back
            self.gone_since = at


class Inquiries:
    """Keeps the inquiries of all accounts, and edits their cards."""

    def __init__(self, store: Store, clock: Clock, outbox: Outbox) -> None:
        self._store = store
        self._clock = clock
        self._outbox = outbox
        self._kept: dict[str, _Kept] = {}
        self._edited_at: datetime | None = None

    async def of(self, client_order_id: str) -> Inquiry:
        """Return what is known of an order that is or was unresolved."""
        stored, kept = await self._stored(client_order_id), self._kept.get(client_order_id)
        return stored if kept is None else replace(kept.inquiry, settled_by=stored.settled_by)

    async def looked(
        self, broker_id: str, orders: Iterable[Order], found: Mapping[str, Inquiry]
    ) -> None:
        """Take in a read of an account's orders.

        Args:
            broker_id: The account.
            orders: Its orders that are unresolved after the read.
            found: What the read showed of each, by client order id; an order is left out when a row
                that may be its own could not be read.
        """
        now = self._clock.now()
        open_ = {order.client_order_id: order for order in orders}
        for key in [key for key, one in self._kept.items() if one.broker_id == broker_id]:
            if key not in open_:
                del self._kept[key]
        for key, order in open_.items():
            kept = self._kept.get(key) or await self._begin(order)
            seen = found.get(key)
            if seen is None:
                seen = replace(
                    kept.inquiry, trouble=_UNREAD, trouble_at=kept.inquiry.trouble_at or now
                )
            kept.seen(has_candidates=bool(seen.candidates), at=now)
            kept.inquiry = replace(seen, asked=kept.inquiry.asked + 1, asked_at=now)
        await self._edit_one()

    async def shown_lately(self, broker_id: str, orders: Iterable[Order]) -> frozenset[str]:
        """Return the orders of which reads had shown a candidate, and not long enough none.

        One read that leaves it out, as brokers' lists do at times, proves nothing: it takes two,
        some seconds apart and with none between that shows it. So it is after a restart, or after a
        time without reads.

        Args:
            broker_id: The account.
            orders: Its orders, which a read is about to settle.
        """
        for order in orders:
            if order.state is OrderState.UNRESOLVED and order.client_order_id not in self._kept:
                await self._begin(order)
        now = self._clock.now()
        return frozenset(
            key
            for key, one in self._kept.items()
            if one.broker_id == broker_id
            and one.has_shown
            and (one.gone_since is None or now - one.gone_since < _LISTED_AGAIN)
        )

    def are_open(self, broker_id: str) -> bool:
        """Whether anything is asked about orders of an account."""
        return any(one.broker_id == broker_id for one in self._kept.values())

    def compared(self, found: Mapping[str, Inquiry]) -> None:
        """Take in what trades and positions that were just read show, by client order id."""
        for key, seen in found.items():
            kept = self._kept.get(key)
            if kept is not None:
                kept.inquiry = replace(kept.inquiry, traded=seen.traded, gap=seen.gap)

    async def failed(self, broker_id: str, reason: str) -> None:
        """Take in that an account's orders could not be read."""
        for order in await unresolved_orders(self._store, broker_id):
            key = order.client_order_id
            kept = self._kept.get(key) or await self._begin(order)
            since = kept.inquiry.trouble_at if kept.inquiry.trouble else self._clock.now()
            kept.inquiry = replace(kept.inquiry, trouble=reason, trouble_at=since)
        await self._edit_one()

    async def show(self, client_order_id: str) -> None:
        """Edit the card now, for a user who has asked."""
        kept = self._kept.get(client_order_id)
        if kept is not None:
            await self._edit(client_order_id, kept)

    async def _begin(self, order: Order) -> _Kept:
        known, now = await self._stored(order.client_order_id), self._clock.now()
        sent_at = order.submitted_at or order.created_at
        kept = _Kept(order.broker_id, sent_at, known, known, now, has_shown=bool(known.candidates))
        self._kept[order.client_order_id] = kept
        return kept

    async def _edit_one(self) -> None:
        """Edit the card that is due for longest, of whichever account."""
        now = self._clock.now()
        # Telegram takes about one message a second in a chat, and urgent ones wait behind these.
        if self._edited_at is not None and now < self._edited_at + _BETWEEN_CARDS:
            return
        due = {key: _due(one, now) for key, one in self._kept.items() if one.inquiry != one.written}
        key = min(due, key=lambda one: due[one], default=None)
        if key is not None and due[key] <= now:
            await self._edit(key, self._kept[key])

    async def _edit(self, key: str, kept: _Kept) -> None:
        # Noted before the first wait: other accounts look meanwhile.
        kept.written = shown = kept.inquiry
        kept.written_at = self._edited_at = self._clock.now()
        # Without a transaction: what a crash leaves between the two is shown by the next edit.
        change = Change(set=_row(shown), set_on_insert={"state": "open"})
        await self._store.update(_ALERTS, {"_id": _key(key)}, change, upsert=True)
        await self._outbox.post_alone(self._store, unresolved_card(key))

    async def _stored(self, client_order_id: str) -> Inquiry:
        row = await self._store.get(_ALERTS, _key(client_order_id))
        return Inquiry() if row is None else _inquiry(row)


def _due(kept: _Kept, now: datetime) -> datetime:
    """Return when a card's next edit is due."""
    if kept.inquiry.news == kept.written.news:
        return kept.written_at + max(_SOON, (now - kept.sent_at) / _SHARE_OF_AGE)
    # The card is as new as the order: whatever the first look shows is worth an edit.
    return kept.written_at if kept.written.asked == 0 else kept.written_at + _SOON


def _row(inquiry: Inquiry) -> Document:
    return {
        "asked": inquiry.asked,
        "asked_at": inquiry.asked_at,
        "candidates": [_candidate_row(one) for one in inquiry.candidates],
        "traded": inquiry.traded,
        "gap": inquiry.gap,
        "is_overdue": inquiry.is_overdue,
        "trouble": inquiry.trouble,
        "trouble_at": inquiry.trouble_at,
    }


def _inquiry(row: Document) -> Inquiry:
    return Inquiry(
        asked=row.get("asked", 0),
        asked_at=row.get("asked_at"),
        candidates=tuple(_candidate(one) for one in row.get("candidates", ())),
        traded=row.get("traded"),
        gap=row.get("gap"),
        is_overdue=row.get("is_overdue", False),
        trouble=row.get("trouble", ""),
        trouble_at=row.get("trouble_at"),
        settled_by=row.get("settled_by", ""),
    )


def _candidate_row(one: Candidate) -> Document:
    return {
        "broker_order_id": one.broker_order_id,
        "side": one.side.value,
        "quantity": one.quantity,
        "order_type": one.order_type.value,
        "status": one.status.value,
        "filled_quantity": one.filled_quantity,
        "average_price": one.average_price,
        "limit_price": one.limit_price,
        "trigger_price": one.trigger_price,
        "placed_at": one.placed_at,
    }


def _candidate(row: Mapping[str, Any]) -> Candidate:
    return Candidate(
        row["broker_order_id"],
        Side(row["side"]),
        row["quantity"],
        OrderType(row["order_type"]),
        BrokerStatus(row["status"]),
        row["filled_quantity"],
        row["average_price"],
        row["limit_price"],
        row["trigger_price"],
        row["placed_at"],
    )
