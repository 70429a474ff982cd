"""Drift of the ledgers from the broker's net (product.md D3): a position closed outside Saarthi.

When three reads in a row show that the broker holds less of an instrument than the strategies'
ledgers together, the ledgers are shrunk to it and the user is notified, so that no exit sells what
is gone. Units beyond the ledgers' sum are the user's own position, and no strategy touches them.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import timedelta

from core.domain.exits import held_quantity
from core.domain.instrument import InstrumentId, Product
from core.domain.ledger import Ledger, shrunk
from core.domain.notices.accounts import PositionShrunk
from core.domain.notices.post import Post
from core.domain.order import LIVE_STATES, Order
from core.engine.orders.journal import Journal
from core.engine.orders.ledgers import ledgers_of, put_ledger
from core.engine.orders.reconciliation import Snapshot
from core.engine.outbox import Outbox
from core.errors import AlreadyDone
from core.ports.clock import Clock
from core.ports.store import Store, StoreView

__all__ = ["Comparison", "LedgerDrift", "RepeatedLooks", "compared"]

_LOOKS = 3
_APART_S = 4.0
_TOGETHER = timedelta(seconds=5)
Key = tuple[InstrumentId, Product]


@dataclass(frozen=True, slots=True)
class Comparison:
    """What the broker holds of one (instrument, product), beside what the ledgers say.

    Attributes:
        net: Signed units at the broker.
        is_short: Whether the ledgers say together more than that.
    """

    key: Key
    net: int
    is_short: bool


def compared(
    ledgers: Iterable[Ledger], pending: Iterable[Order], snapshot: Snapshot
) -> list[Comparison]:
    """Compare ledgers with a snapshot, where both are certain.

    A group is left out while the broker's net is not known, and while one of its orders is not
    known to rest at the broker.
    """
    # An order of unknown fate may have filled without the ledger: that is no drift, and is settled
    # by reconciliation.
    unsettled = {
        (order.request.instrument, order.request.product)
        for order in pending
        if order.state not in LIVE_STATES
    }
    groups: dict[Key, list[Ledger]] = {}
    for ledger in ledgers:
        if ledger.quantity:
            groups.setdefault((ledger.instrument, ledger.product), []).append(ledger)
    found = []
    for key, group in groups.items():
        net = _net(key, snapshot)
        if net is not None and key not in unsettled:
            found.append(Comparison(key, net, is_short=bool(shrunk(group, net))))
    return found


@dataclass(slots=True)
class _Suspicion:
    """A difference that was seen: with which net, how often, when last (monotonic seconds)."""

    net: int
    looks: int
    at: float


class RepeatedLooks:
    """Counts looks at differences: one is certain when it was seen alike often enough."""

    def __init__(self) -> None:
        self._suspicions: dict[tuple[str, Key], _Suspicion] = {}

    def is_certain(self, broker_id: str, seen: Comparison, at: float) -> bool:
        """Count a look, and return whether it makes the difference certain.

        A fill that only one of the two reads shows yet looks like a difference, so the looks must
        be some seconds apart, and any look without it, or with another net, starts the count anew.
        """
        place = (broker_id, seen.key)
        known = self._suspicions.get(place)
        if not seen.is_short:
            self._suspicions.pop(place, None)
            return False
        if known is None or known.net != seen.net:
            self._suspicions[place] = _Suspicion(seen.net, 1, at)
            return False
        if at - known.at < _APART_S:
            return False
        known.looks += 1
        known.at = at
        if known.looks < _LOOKS:
            return False
        del self._suspicions[place]
        return True


class LedgerDrift:
    """Shrinks ledgers to the broker's net once the difference is certain."""

    def __init__(self, store: Store, clock: Clock, journal: Journal, outbox: Outbox) -> None:
        self._store = store
        self._clock = clock
        self._journal = journal
        self._outbox = outbox
        self._looks = RepeatedLooks()

    async def check(self, broker_id: str, snapshot: Snapshot, day: str) -> None:
        """Compare an account's ledgers with its positions; call it when no order moved."""
        if snapshot.positions is None or snapshot.day != day:
            return
        pending = await self._journal.pending(broker_id)
        ledgers = await self._journal.ledgers(broker_id)
        for seen in compared(ledgers, pending, snapshot):
            if self._looks.is_certain(broker_id, seen, self._clock.monotonic()):
                await self._settle(broker_id, seen.key, seen.net)

    async def _settle(self, broker_id: str, key: Key, net: int) -> None:
        instrument, product = key
        notice = PositionShrunk(broker_id, str(instrument), product.value, net)

        async def body(view: StoreView) -> None:
            ledgers = await ledgers_of(view, broker_id)
            same = [ledger for ledger in ledgers if (ledger.instrument, ledger.product) == key]
            for ledger in shrunk(same, net):
                await put_ledger(view, ledger)
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
    # A delivery moves from positions to holdings: read apart, it is in both or in neither.
    if abs(positions_at - holdings_at) > _TOGETHER:
        return None
    return held_quantity(*key, snapshot.positions, snapshot.holdings)
