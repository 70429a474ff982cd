"""Stops that made way for an exit which never came (R6)."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from core.domain.stops import MAKES_WAY
from tests.campaign.venue import VenueOrder
from tests.campaign.verdict import GRACE_S, REACTION_S
from tests.campaign.world import World

__all__ = ["VainUmpire"]

_LOOK_S = 1.0


@dataclass
class Spell:
    """A time in which a ledger was seen flat, world's seconds; one that was turned over is so once."""

    since: float
    until: float


@dataclass
class VainUmpire:
    """Looks each second at which ledgers were closed, and judges the stops at rest."""

    world: World
    _flat: defaultdict[str, list[Spell]] = field(default_factory=lambda: defaultdict(list))
    _held: dict[str, bool] = field(default_factory=dict)
    """Which ledgers hold something, and whether it is long."""

    def observe(self) -> None:
        """Note which ledgers are flat, or on the other side, that held something before."""
        now = self.world.loop.time()
        for row in self.world.rows("ledgers"):
            key, units, spells = row["_id"], row["quantity"], self._flat[row["_id"]]
            was_long = self._held.pop(key, None)
            if units:
                self._held[key] = units > 0
            if was_long is not None and units * (1 if was_long else -1) <= 0:
                spells.append(Spell(now, now))
            elif spells and not units:
                spells[-1].until = now

    def judge(self, hindered: Sequence[float]) -> Iterable[str]:
        """Say which stops made way for nothing.

        Args:
            hindered: When something kept the controller from its work.
        """
        if self.world.clock.has_stepped:
            return  # the rows' times are of two clocks
        rows = self.world.rows("orders")
        for row in rows:
            stop = self.world.venue(row["broker_id"]).orders.get(row["broker_order_id"] or "")
            if row["purpose"] != "stop" or stop is None or stop.cancelled_by != "us":
                continue
            gone, patience = stop.ended_at, stop.ended_at + GRACE_S
            follows = any(
                _is_of_one_ledger(row, other) and gone <= self._made_at(other) <= patience
                for other in rows
            )
            is_hindered = any(gone - 1 <= at <= patience for at in hindered)
            is_for_exit = row["reason"] == MAKES_WAY
            if follows or is_hindered or not is_for_exit or patience >= self.world.loop.time():
                continue
            if not self._is_closed(row, stop, rows):
                yield f"the stop {row['_id']} made way at {gone:.0f} s and nothing followed"

    def _made_at(self, row: Mapping[str, Any]) -> float:
        return float(row["created_at"].timestamp() - self.world.start.timestamp())

    def _is_closed(
        self, row: Mapping[str, Any], stop: VenueOrder, rows: Sequence[Mapping[str, Any]]
    ) -> bool:
        """Whether others, or another stop, closed what it protected before its exit had to be there.

        The ledger was flat then, and came to be so after such a trade on the side that closes.
        """
        key = f"{row['strategy']}|{row['broker_id']}|{row['instrument']}|{row['product']}"
        stops = {
            other["broker_order_id"]
            for other in rows
            if other["purpose"] == "stop" and other is not row and _is_of_one_ledger(row, other)
        }
        closing = [
            trade.at
            for trade in self.world.venue(row["broker_id"]).trades
            if trade.order.key == stop.key
            and (trade.order.origin != "us" or trade.order.order_id in stops)
            and trade.order.side is stop.side
        ]
        gone, patience = stop.ended_at, stop.ended_at + GRACE_S
        return any(
            spell.since <= patience + _LOOK_S
            and spell.until >= gone
            and any(spell.since - REACTION_S <= at <= spell.since for at in closing)
            for spell in self._flat[key]
        )


def _is_of_one_ledger(one: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    names = ("strategy", "broker_id", "instrument", "product")
    return all(one[name] == other[name] for name in names)
