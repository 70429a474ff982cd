"""Stops that no broker has, whose price is passed and whose position stays (D9, R7)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from core.domain.instrument import InstrumentId, Product
from tests.campaign.verdict import GRACE_S, Verdict
from tests.campaign.world import World

__all__ = ["PassedUmpire"]

_UNKNOWN = "UNRESOLVED"


@dataclass
class PassedUmpire:
    """Counts the seconds in which the price is through a stop that only the product could keep.

    Attributes:
        through: Seconds by ledger, without those in which something kept the controller from it.
    """

    world: World
    verdict: Verdict
    through: Counter[str] = field(default_factory=Counter)

    def observe(self, ledger: Mapping[str, Any], *, is_naked: bool, is_hindered: bool) -> None:
        """Look at a ledger once a second.

        Args:
            ledger: What is held.
            is_naked: No stop covers it at the broker, and it is not being closed.
            is_hindered: The controller, its store or a login is away, or the account is paused.
        """
        key = ledger["_id"]
        if not is_naked or not self._is_through(ledger):
            self.through.pop(key, None)
        elif not is_hindered and not self._is_held_back(ledger):
            self.through[key] += 1
            if self.through[key] == GRACE_S:
                at = f"{self.world.clock.market_now():%H:%M:%S}"
                self.verdict.bad("stops passed by", f"{key} was through its stop until {at}")

    def _is_through(self, ledger: Mapping[str, Any]) -> bool:
        goal, held = self.world.database.committed["goals"].get(ledger["_id"]), ledger["quantity"]
        if goal is None or goal["quantity"] * held <= 0 or goal["stop_price"] is None:
            return False
        instrument = InstrumentId.parse(ledger["instrument"])
        price = self.world.market.price(instrument, self.world.clock.market_now())
        return bool((price - goal["stop_price"]) * (1 if held > 0 else -1) <= 0)

    def _is_held_back(self, ledger: Mapping[str, Any]) -> bool:
        """Whether no price can be read, or an exit waits for what only a person or time can settle."""
        world, instrument = self.world, ledger["instrument"]
        where = InstrumentId.parse(instrument), Product(ledger["product"])
        return (
            any(world.seat(who).troubles.spoils("quotes") for who in world.accounts)
            or world.is_asked_about(ledger["broker_id"], where)
            or any(
                row["state"] == _UNKNOWN and row["instrument"] == instrument
                for row in world.rows("orders")
                if row["broker_id"] == ledger["broker_id"]
            )
        )
