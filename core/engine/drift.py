"""Ledgers against the broker's net (product.md D3): what somebody closed by hand is noticed.

When the broker, on three looks in a row, holds less of an instrument than the strategies' ledgers
say together, the ledgers are shrunk to it and the chat is told, so that no exit sells what is gone.
More than the ledgers say is somebody's own position and none of a strategy's business.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from core.domain.broker import Holding, Position
from core.domain.exits import held_quantity
from core.domain.instrument import InstrumentId, Product
from core.domain.ledger import Ledger, shrunk
from core.domain.notice import Notice, NoticeKind
from core.engine.rows import ledger_row
from core.errors import AlreadyDone
from core.ports.store import Change

if TYPE_CHECKING:
    from collections.abc import Sequence

    from core.engine.journal import Journal
    from core.engine.outbox import Outbox
    from core.engine.reconciliation import Book
    from core.ports.clock import Clock
    from core.ports.store import Store, StoreView

__all__ = ["LedgerDrift"]

_LOOKS = 3
Key = tuple[InstrumentId, Product]


class LedgerDrift:
    """Counts looks at a difference and settles it."""

    def __init__(self, store: Store, clock: Clock, journal: Journal, outbox: Outbox) -> None:
        self._store = store
        self._clock = clock
        self._journal = journal
        self._outbox = outbox
        self._seen: dict[tuple[str, Key, int], int] = {}

    async def check(self, broker_id: str, book: Book, day: str) -> None:
        """Compare an account's ledgers with its positions; call it when no order moved."""
        if book.positions is None or book.day != day:
            return
        if await self._journal.pending(broker_id):
            return
        groups: dict[Key, list[Ledger]] = {}
        for ledger in await self._journal.ledgers(broker_id):
            if ledger.quantity:
                groups.setdefault((ledger.instrument, ledger.product), []).append(ledger)
        for key, ledgers in groups.items():
            await self._compare(broker_id, key, ledgers, book.positions, book.holdings or ())

    async def _compare(
        self,
        broker_id: str,
        key: Key,
        ledgers: list[Ledger],
        positions: Sequence[Position],
        holdings: Sequence[Holding],
    ) -> None:
        net = held_quantity(*key, positions, holdings)
        changed = shrunk(ledgers, net)
        counter = (broker_id, key, net)
        self._seen = {k: n for k, n in self._seen.items() if k[:2] != counter[:2] or k == counter}
        if not changed:
            self._seen.pop(counter, None)
            return
        self._seen[counter] = self._seen.get(counter, 0) + 1
        if self._seen[counter] >= _LOOKS:
            self._seen.pop(counter)
            await self._settle(broker_id, key, changed, net)

    async def _settle(self, broker_id: str, key: Key, changed: list[Ledger], net: int) -> None:
        instrument, product = key
        text = (
            f"The broker holds {net} of {instrument} ({product}), less than the strategies' books "
            "said: somebody closed it by hand, or the broker did. The books were shrunk to match."
        )

        async def body(view: StoreView) -> None:
            for ledger in changed:
                fields = ledger_row(ledger)
                identifier = fields.pop("_id")
                await view.update("ledgers", {"_id": identifier}, Change(set=fields))
            data = {"broker_id": broker_id, "text": text}
            await self._outbox.post(view, Notice(NoticeKind.EXTERNAL_ORDER, data))

        at = self._clock.now().isoformat()
        try:
            await self._store.transaction(body, nonce=f"drift:{broker_id}|{instrument}|{at}")
        except AlreadyDone:
            return
