"""A user who trades another share while an exit is of unknown fate: the broker's list is new then."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from core.domain.order import Purpose

if TYPE_CHECKING:
    from tests.faults.life import World

__all__ = ["Elsewhere"]

# The brokers' stamps are whole seconds.
_SURELY_LATER = timedelta(seconds=1.5)


class Elsewhere:
    """Trades once for each unresolved exit, when the broker's list could show it by now."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._done: set[str] = set()

    def trade(self, orders: Iterable[Mapping[str, Any]], now: datetime) -> None:
        """Buy another share in the app of each broker that an exit's fate is asked of."""
        for row in orders:
            if row["_id"] not in self._done and self._is_overdue(row, now):
                self._done.add(row["_id"])
                who = self._world.accounts[row["broker_id"]]
                whose = {"broker": who.target, "user_id": who.user_id}
                what = {"symbol": "RELIANCE", "side": "BUY", "quantity": 1, "product": "MIS"}
                self._world.sandbox.ask("POST", "/orders", {**whose, **what})

    def _is_overdue(self, row: Mapping[str, Any], now: datetime) -> bool:
        if row["state"] != "UNRESOLVED" or not Purpose(row["purpose"]).is_reducing:
            return False
        sent_at: datetime = row["submitted_at"] or row["created_at"]
        return now > sent_at + timedelta(seconds=self._world.horizon_s) + _SURELY_LATER
