"""What crossed inside (decision 15), and which orders were asked to go."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from core.domain.order import OrderState
from tests.campaign.verdict import GRACE_S
from tests.campaign.world import World, Written

__all__ = ["CrossingsUmpire"]

_GOING = OrderState.PENDING_CANCEL.value
_AGAIN_S = 15.0
"""A cancel that did not get through is asked for again each second; reads that hang come between."""


@dataclass
class CrossingsUmpire:
    """Moves what strategies hold by what crosses inside, for which the broker has no order.

    Attributes:
        books: The true units by ``strategy|account|…``.
    """

    world: World
    books: Counter[str]
    _crossed_at: dict[str, float] = field(default_factory=dict)
    _asked_at: dict[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.world.listeners.append(self._committed)

    def _committed(self, changed: list[Written]) -> None:
        for one in changed:
            if one.collection == "outbox" and one.old is None:
                if one.new["kind"] == "ledgers_crossed":
                    self._cross(one.new["data"])
            elif one.collection == "orders" and _begins_to_go(one):
                self._asked_at[one.key] = self.world.loop.time()

    def _cross(self, told: Mapping[str, Any]) -> None:
        for strategy in told["strategies"]:
            key = f"{strategy}|{told['broker_id']}|{told['instrument']}|{told['product']}"
            self._crossed_at[key] = self.world.loop.time()
            self.books[key] -= told["units"] * (1 if self.books[key] > 0 else -1)

    def excuse(self, row: Mapping[str, Any], key: str) -> bool:
        """Whether an order fills on its way out: what it protected or closed has just crossed."""
        crossed_at = self._crossed_at.get(key)
        if crossed_at is None or self.world.loop.time() - crossed_at > GRACE_S:
            return False
        return self.is_going(row, crossed_at)

    def is_going(self, row: Mapping[str, Any], since: float) -> bool:
        """Whether an order is asked to go.

        Its cancel is under way; or it was asked for ``since``, did not get through, and is asked
        for again in a moment. One that nobody has asked to go is no such one.
        """
        asked_at = self._asked_at.get(str(row["_id"]))
        is_again = asked_at is not None and self.world.loop.time() - asked_at <= _AGAIN_S
        return row["state"] == _GOING or (is_again and asked_at is not None and asked_at >= since)


def _begins_to_go(one: Written) -> bool:
    return one.new["state"] == _GOING and (one.old is None or one.old["state"] != _GOING)
