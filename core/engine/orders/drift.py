"""Ledgers against the broker's net (product.md D3): what somebody closed by hand is noticed.

When the broker, on three looks in a row, holds less of an instrument than the strategies' ledgers
say together, the ledgers are shrunk to it and the chat is told, so that no exit sells what is gone.
More than the ledgers say is somebody's own position and none of a strategy's business.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from core.domain.exits import held_quantity
from core.domain.instrument import InstrumentId, Product
from core.domain.ledger import Ledger, shrunk
from core.domain.notices.accounts import PositionShrunk
from core.domain.notices.post import Post
from core.domain.order import LIVE_STATES
from core.engine.orders.documents import ledger_of, ledger_row
from core.engine.orders.journal import Journal
from core.engine.orders.reconciliation import Snapshot
from core.engine.outbox import Outbox
from core.errors import AlreadyDone
from core.ports.clock import Clock
from core.ports.store import Change, Store, StoreView

__all__ = ["LedgerDrift"]

_LOOKS = 3
_APART_S = 4.0
_TOGETHER = timedelta(seconds=5)
Key = tuple[InstrumentId, Product]


@dataclass(slots=True)
class _Suspicion:
    """A difference that was seen: with which net, how often, when last (monotonic seconds)."""

    net: int
    looks: int
    at: float


class LedgerDrift:
    """Counts looks at a difference and settles it."""

    def __init__(self, store: Store, clock: Clock, journal: Journal, outbox: Outbox) -> None:
        self._store = store
        self._clock = clock
        self._journal = journal
        self._outbox = outbox
        self._suspicions: dict[tuple[str, Key], _Suspicion] = {}

    async def check(self, broker_id: str, snapshot: Snapshot, day: str) -> None:
        """Compare an account's ledgers with its positions; call it when no order moved."""
        if snapshot.positions is None or snapshot.day != day:
            return
        unsettled = {
            (order.request.instrument, order.request.product)
            for order in await self._journal.pending(broker_id)
            if order.state not in LIVE_STATES
        }
        groups: dict[Key, list[Ledger]] = {}
        for ledger in await self._journal.ledgers(broker_id):
            if ledger.quantity:
                groups.setdefault((ledger.instrument, ledger.product), []).append(ledger)
        for key, ledgers in groups.items():
            net = _net(key, snapshot)
            if net is None or key in unsettled:
                continue
            if self._is_certain(broker_id, key, net, is_drift=bool(shrunk(ledgers, net))):
                await self._settle(broker_id, key, net)

    def _is_certain(self, broker_id: str, key: Key, net: int, *, is_drift: bool) -> bool:
        """Whether the same difference was seen often enough, with time between the looks."""
        place, now = (broker_id, key), self._clock.monotonic()
        seen = self._suspicions.get(place)
        if not is_drift:
            self._suspicions.pop(place, None)
            return False
        if seen is None or seen.net != net:
            self._suspicions[place] = _Suspicion(net, 1, now)
            return False
        if now - seen.at < _APART_S:
            return False
        seen.looks += 1
        seen.at = now
        if seen.looks < _LOOKS:
            return False
        del self._suspicions[place]
        return True

    async def _settle(self, broker_id: str, key: Key, net: int) -> None:
        instrument, product = key
        notice = PositionShrunk(broker_id, str(instrument), product.value, net)

        async def body(view: StoreView) -> None:
            rows = await view.find("ledgers", {"broker_id": broker_id})
            ledgers = [ledger_of(row) for row in rows]
            same = [ledger for ledger in ledgers if (ledger.instrument, ledger.product) == key]
            for ledger in shrunk(same, net):
                fields = ledger_row(ledger)
                identifier = fields.pop("_id")
                await view.update("ledgers", {"_id": identifier}, Change(set=fields))
            await self._outbox.post(view, Post(notice))

        at = self._clock.now().isoformat()
        try:
            await self._store.transaction(body, nonce=f"drift:{broker_id}|{instrument}|{at}")
        except AlreadyDone:
            return


def _net(key: Key, snapshot: Snapshot) -> int | None:
    """Return what the broker holds, None while that is not known: unknown is not flat (B09)."""
    if snapshot.positions is None:
        return None
    if key[1] is not Product.CNC:
        return held_quantity(*key, snapshot.positions, ())
    positions_at, holdings_at = snapshot.positions_at, snapshot.funds_at
    if snapshot.holdings is None or positions_at is None or holdings_at is None:
        return None
    if abs(positions_at - holdings_at) > _TOGETHER:
        return None
    return held_quantity(*key, snapshot.positions, snapshot.holdings)
