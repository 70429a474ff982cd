"""Judges panics: each account ends flat, nothing is opened meanwhile, the message agrees (row R2)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from core.domain.instrument import Product
from tests.campaign.venue import Key, Venue, VenueOrder
from tests.campaign.verdict import REACTION_S, Verdict
from tests.campaign.world import World, Written

__all__ = ["PanicsUmpire", "is_left_to_a_person"]

Row = Mapping[str, Any]


@dataclass
class PanicsUmpire:
    """Watches the panics of one world."""

    world: World
    verdict: Verdict

    def committed(self, changed: Iterable[Written]) -> None:
        """Take in panics that begin and end."""
        for one in changed:
            if one.collection != "panics":
                continue
            self.verdict.figures["panics"] += one.old is None
            if one.new["end"] == "flat" and (one.old is None or not one.old["end"]):
                for line in one.new["lines"]:
                    self._is_flat(one.new, line)

    def _is_flat(self, panic: Row, line: Row) -> None:
        """At the end of a panic nothing is held or works on an account but what came just now."""
        broker_id = line["broker_id"]
        venue = self.world.venue(broker_id)
        for key in venue.touched():
            orders = [one for one in venue.orders.values() if one.key == key and one.filled]
            is_new = not all(self._is_known(one) for one in orders) or self._is_converted(
                key, venue
            )
            if key[1] is Product.CNC and broker_id not in panic["holdings"]:
                continue
            if venue.net(key) and not is_new:
                self._bad(f"{broker_id} is told flat and holds {venue.net(key)} {key[0]} {key[1]}")
        self._nothing_works(panic, broker_id, venue)

    def _is_known(self, order: VenueOrder) -> bool:
        """Whether the journal has all that has filled of an order; of others' it is read later."""
        return any(
            row["broker_order_id"] == order.order_id and row["filled_quantity"] == order.filled
            for row in self.world.rows("orders")
        )

    def _is_converted(self, key: Key, venue: Venue) -> bool:
        now = self.world.loop.time()
        return any(where == key and now - at < REACTION_S for at, where in venue.conversions)

    def _nothing_works(self, panic: Row, broker_id: str, venue: Venue) -> None:
        for order in venue.orders.values():
            is_new = order.origin != "us" and not self._is_known(order)
            is_left_out = order.product is Product.CNC and broker_id not in panic["holdings"]
            if order.is_live and not is_new and not is_left_out:
                self._bad(f"{broker_id} is told flat and {order.order_id} still works")

    def left(self, entry: Row) -> None:
        """An entry leaves: not on an account on which a panic runs."""
        for panic in self.world.rows("panics"):
            is_there = any(line["broker_id"] == entry["broker_id"] for line in panic["lines"])
            if is_there and not panic["end"]:
                self._bad(f"the entry {entry['_id']} left in the panic {panic['_id']}")

    def judge(self) -> None:
        """At rest every panic has ended, and its message shows how."""
        for panic in self.world.rows("panics"):
            if not panic["end"] and not is_left_to_a_person(self.world, panic):
                lines = [(line["broker_id"], line["hindrance"]) for line in panic["lines"]]
                self._bad(f"the panic {panic['_id']} runs on: {lines}")
            shown = self.world.cards.get(panic["_id"])
            if shown is None or (shown["lines"], shown["end"]) != (panic["lines"], panic["end"]):
                told = shown and (shown["lines"], shown["end"])
                self._bad(f"the message of the panic {panic['_id']} shows {told}")

    def _bad(self, sentence: str) -> None:
        at = f"{self.world.clock.market_now():%H:%M:%S}"
        self.verdict.bad("panics not finished", f"{sentence} ({at})")


def is_left_to_a_person(world: World, panic: Row) -> bool:
    """Whether all that is left of a panic is a question that a person was asked, and is named."""
    left = [line for line in panic["lines"] if not line["is_flat"]]
    return all(
        line["hindrance"] == "disputed"
        and any(
            world.is_asked_about(line["broker_id"], key)
            for key in world.venue(line["broker_id"]).touched()
        )
        for line in left
    )
