"""The last reads of one account, and what they say about themselves: whether they move at all."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime

from core.domain.broker import BrokerOrder, BrokerTrade, Funds, Holding, Position

__all__ = ["Snapshot"]


@dataclass
class Snapshot:
    """The last successful reads of one account; each is None until its first.

    ``orders_at`` and the others are real times; ``orders_began_at`` and the like are when the
    requests left. ``as_of`` is the market time of the latest read.

    Attributes:
        behind_since: When the first read of the orders began whose fills the ledgers do not follow
            yet; None while they follow all.
        moves_since: A read that began then was followed by one of the same kind that differs: what
            the broker answers did not stand still since. None while no two reads have differed.
        odd: For each kind of row, how many of the last read could not be read.
        unlisted: How often each order that works was missing from the day's orders, in a row.
    """

    orders: Sequence[BrokerOrder] | None = None
    trades: Sequence[BrokerTrade] | None = None
    positions: Sequence[Position] | None = None
    holdings: Sequence[Holding] | None = None
    funds: Funds | None = None
    orders_at: datetime | None = None
    orders_began_at: datetime | None = None
    behind_since: datetime | None = None
    positions_at: datetime | None = None
    positions_began_at: datetime | None = None
    trades_began_at: datetime | None = None
    funds_at: datetime | None = None
    as_of: datetime | None = None
    day: str = ""
    cancels: dict[str, int] = field(default_factory=dict)
    odd: dict[str, int] = field(default_factory=dict)
    moves_since: datetime | None = None
    unlisted: dict[str, int] = field(default_factory=dict)
    _read: dict[str, tuple[Sequence[object], datetime]] = field(default_factory=dict)

    def took(self, what: str, rows: Sequence[object], began_at: datetime) -> None:
        """Note a read of the orders, trades or positions, and whether it differs from the last."""
        before = self._read.get(what)
        if before is not None and list(before[0]) != list(rows):
            # From the earlier one on: only two reads that both began after a send prove that what
            # is shown is not a picture from before it.
            known = self.moves_since
            self.moves_since = before[1] if known is None else max(known, before[1])
        self._read[what] = (rows, began_at)

    def missing(self, orders: Sequence[str]) -> dict[str, int]:
        """Count orders that a read did not list; return how often each was missing in a row."""
        self.unlisted = {key: self.unlisted.get(key, 0) + 1 for key in orders}
        return self.unlisted
