"""Notifies, once a day for each account and kind of row, of what a broker's answer left out."""

from __future__ import annotations

import logging
from collections.abc import Sequence

from core.domain.notices.accounts import RowsUnread
from core.domain.notices.post import Post
from core.domain.odd_rows import OddRow
from core.domain.order import Order
from core.engine.outbox import Outbox
from core.errors import AlreadyDone
from core.ports.store import Store, StoreView

__all__ = ["OddRowWatch", "is_row_of"]

_log = logging.getLogger(__name__)


def is_row_of(order: Order, odd: OddRow) -> bool:
    """Return whether an unreadable row is, or may be, of an order of ours.

    Without a tag of its own it may be of any whose broker id is unknown and whose instrument is the
    same: brokers drop tags (B07).
    """
    if odd.tag == order.client_order_id:
        return True
    if order.broker_order_id is not None:
        return odd.broker_order_id == order.broker_order_id
    may_be = odd.instrument is None or odd.instrument == order.request.instrument
    return odd.tag is None and may_be


class OddRowWatch:
    """Posts the notices; one instance serves all accounts."""

    def __init__(self, store: Store, outbox: Outbox) -> None:
        self._store = store
        self._outbox = outbox
        self._told: set[str] = set()

    async def tell(
        self, broker_id: str, day: str, kind: str, odd: Sequence[OddRow], ours: Sequence[Order] = ()
    ) -> None:
        """Post what was left out of a read, unless it was posted today.

        Args:
            broker_id: The account.
            day: The trading day.
            kind: What the rows are, in the singular: ``order``.
            odd: What was left out.
            ours: Orders of ours among them, each of which is told for itself.
        """
        if not odd:
            return
        reasons = tuple(dict.fromkeys(one.reason for one in odd))
        own = tuple(order.client_order_id for order in ours)
        for key in (f"{broker_id}|{day}|{kind}", *(f"{broker_id}|{day}|{one}" for one in own)):
            if key not in self._told:
                await self._post(key, RowsUnread(broker_id, kind, len(odd), reasons, own))
                self._told.add(key)
                _log.warning(
                    "account %s: %d %s row(s) unread: %s", broker_id, len(odd), kind, reasons
                )

    async def _post(self, key: str, notice: RowsUnread) -> None:
        async def body(view: StoreView) -> None:
            await self._outbox.post(view, Post(notice))

        try:
            await self._store.transaction(body, nonce=f"{notice.kind}|{key}")
        except AlreadyDone:
            return
