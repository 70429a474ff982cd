"""Judges guards on the result: fired once, closed, shut for the day, and never loosened (row R5)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from tests.campaign.limits_umpire import key_of, result_of
from tests.campaign.verdict import REACTION_S, Verdict
from tests.campaign.world import World, Written

__all__ = ["GuardsUmpire"]

Row = Mapping[str, Any]
_WAIT_S = 120.0
_DAY_UNTIL = "2026-11-24"


def _covers(scope: str, broker_id: str, strategy: str) -> bool:
    """``all``, ``account|…`` or ``strategy|name|…``."""
    kind, *rest = scope.split("|")
    return kind == "all" or rest in ([broker_id], [strategy, broker_id])


def _higher(old: Decimal | None, new: Decimal | None) -> bool:
    return old is not None and (new is None or new > old)


def looser_parts(old: Row, new: Row) -> list[str]:
    """Return which parts of a guard let more be lost, or be reached later, than before."""
    found = [name for name in ("stop", "target") if _higher(old[name], new[name])]
    before, after = old["trail"], new["trail"]
    if before is not None:
        lowest = min(before["start"], (after or before)["start"])
        results = [lowest + n * Decimal(10) for n in range(400)]
        if any(_floor(before, one) > _floor(after, one) for one in results):
            found.append("trail")
    return found


def _floor(trail: Mapping[str, Decimal] | None, highest: Decimal) -> Decimal:
    if trail is None or highest < trail["start"]:
        return Decimal("-Infinity")
    steps = (highest - trail["start"]) // trail["each"] if trail["each"] else Decimal(0)
    return trail["keep"] + steps * trail["more"]


@dataclass
class GuardsUmpire:
    """Watches the guards of one world."""

    world: World
    verdict: Verdict
    fired: dict[str, float] = field(default_factory=dict)
    _asked: dict[str, float] = field(default_factory=dict)

    def committed(self, changed: Iterable[Written]) -> None:
        """Take in guards that fire and guards that users change."""
        for one in changed:
            if one.collection == "outbox" and one.new["kind"] == "guard_fired" and not one.old:
                self._fires(one.new["data"]["scope"])
            if one.collection == "result_guards":
                self._changes(one)

    def _fires(self, scope: str) -> None:
        self.verdict.figures["guards fired"] += 1
        if scope in self.fired:
            self._bad(f"the guard of {scope} fired twice")
        self.fired[scope] = self.world.loop.time()

    def _changes(self, one: Written) -> None:
        old, new, now = one.old, one.new, self.world.loop.time()
        waits = new["pending"]
        if waits is not None:
            self._asked.setdefault(waits["id"], now)
        if old is None or old["version"] == new["version"]:
            return
        parts = looser_parts(old, new)
        if old["locked_until"] >= _DAY_UNTIL:
            if parts or new["locked_until"] < old["locked_until"]:
                self._loosened(f"{one.key} was locked, and loosened: {parts}")
            return
        if parts:
            pending = old["pending"]
            waited = now - self._asked.get(pending["id"], now) if pending else 0.0
            if waited < _WAIT_S:
                self._loosened(f"{one.key} was loosened after {waited:.0f} s: {parts}")

    def left(self, entry: Row) -> None:
        """An entry leaves: nothing is entered under a guard that has fired."""
        for scope in self.fired:
            if _covers(scope, entry["broker_id"], entry["strategy"]):
                self._bad(f"the entry {entry['_id']} left under {scope}, which is shut")

    # At rest

    def judge(self) -> None:
        """At rest what fired guards cover is flat, and what is beyond its stop has fired."""
        shut = {row["scope"] for row in self.world.rows("shut_days")}
        if shut != set(self.fired):
            self._bad(f"told of firing {sorted(self.fired)}, shut {sorted(shut)}")
        for scope, at in self.fired.items():
            for row in self.world.rows("ledgers"):
                is_covered = _covers(scope, row["broker_id"], row["strategy"])
                asked = self.world.is_asked_about(row["broker_id"], key_of(row))
                if row["quantity"] and is_covered and not asked:
                    self._bad(f"{row['_id']} holds {row['quantity']} under {scope}, which is shut")
            if not scope.startswith("strategy"):
                self._outside(scope, at)
        for row in self.world.rows("result_guards"):
            self._beyond(row)

    def _outside(self, scope: str, at: float) -> None:
        """What nobody owns was closed as well, but for what others did since."""
        for broker_id in self.world.accounts:
            venue = self.world.venue(broker_id)
            for key in venue.touched():
                since = venue.moved_by_others(key) or 0.0
                asked = self.world.is_asked_about(broker_id, key)
                is_left_out = key[1].value == "CNC" or since > at - REACTION_S or asked
                if venue.net(key) and not is_left_out and _covers(scope, broker_id, ""):
                    self._bad(f"{broker_id} holds {venue.net(key)} {key[0]} under {scope}")

    def _beyond(self, row: Row) -> None:
        scope, stop = row["_id"], row["stop"]
        if stop is None or scope in self.fired or scope.startswith("strategy"):
            return
        accounts = [one for one in self.world.accounts if _covers(scope, one, "")]
        for broker_id in accounts:
            venue = self.world.venue(broker_id)
            asked = any(self.world.is_asked_about(broker_id, key) for key in venue.touched())
            if asked or venue.conversions:
                return  # it is not known, and that was said
        lost = -sum(result_of(self.world, one) for one in accounts)
        if lost >= stop:
            self._bad(f"{scope} lost {lost} of {stop} and its guard has not fired")

    def _bad(self, sentence: str) -> None:
        at = f"{self.world.clock.market_now():%H:%M:%S}"
        self.verdict.bad("guards fired twice or not closed", f"{sentence} ({at})")

    def _loosened(self, sentence: str) -> None:
        self.verdict.bad("locks loosened", sentence)
