"""Judges limits, guards and panics of one world together: by commits, each second, and at rest."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

from core.domain.mode import TradingMode
from tests.campaign.guards_umpire import GuardsUmpire
from tests.campaign.limits_umpire import LimitsUmpire
from tests.campaign.panics_umpire import PanicsUmpire
from tests.campaign.verdict import Verdict
from tests.campaign.world import World, Written

__all__ = ["SafeguardsUmpire"]

_LASTS = {"mode": "mode", "panic": "panic", "limit": "limit", "guard": "guard"}
"""Wishes that take effect under a name of their own; by what kind they are asked."""


@dataclass
class SafeguardsUmpire:
    """Listens to the world's commits; ``books`` are the true units by ``strategy|account|…``."""

    world: World
    verdict: Verdict
    books: Counter[str]
    limits: LimitsUmpire = field(init=False)
    guards: GuardsUmpire = field(init=False)
    panics: PanicsUmpire = field(init=False)

    def __post_init__(self) -> None:
        self.limits = LimitsUmpire(self.world, self.verdict, self.books)
        self.guards = GuardsUmpire(self.world, self.verdict)
        self.panics = PanicsUmpire(self.world, self.verdict)
        self.world.listeners.append(self._committed)
        self.world.on_normal = self.limits.set_normal

    def _committed(self, changed: list[Written]) -> None:
        self.limits.committed(changed)
        self.guards.committed(changed)
        self.panics.committed(changed)
        for one in changed:
            if one.collection == "orders" and _leaves(one):
                gate = self.world.database.committed["account_gates"][one.new["broker_id"]]
                if gate["mode"] != TradingMode.NORMAL.value:
                    sentence = f"I6: the entry {one.key} left in {gate['mode']}"
                    self.verdict.bad("invariants broken", sentence)
                for part in (self.limits, self.guards, self.panics):
                    part.left(one.new)

    def observe(self, *, is_hindered: bool) -> None:
        """Look once a second."""
        self.limits.observe(is_hindered=is_hindered)

    def judge(self) -> None:
        """Judge what is left at rest."""
        self.guards.judge()
        self.panics.judge()
        for sentence in self._lost():
            self.verdict.bad("commands lost or doubled", sentence)
        self.verdict.figures["questions answered"] += self.world.answered
        self.verdict.figures["entries denied"] += self._denied()

    def _lost(self) -> Iterable[str]:
        """What was acknowledged is committed under its name (I9)."""
        for command_id, kind, result in self.world.commands:
            if (
                result == "done"
                and kind in _LASTS
                and f"{_LASTS[kind]}:{command_id}" not in (self.world.nonces)
            ):
                yield f"{kind} {command_id} was acknowledged and is not there"

    def _denied(self) -> int:
        """Count the entries that were denied in the gate, and by limit or guard in planning."""
        notes = [str(note) for run in self.world.rows("runs") for note in run["notes"].values()]
        in_planning = sum("the limit" in note or "your guard" in note for note in notes)
        in_gate = [row for row in self.world.rows("orders") if row["state"] == "DENIED"]
        return in_planning + len([row for row in in_gate if row["purpose"] == "entry"])


def _leaves(one: Written) -> bool:
    """Whether an entry goes to the broker by this commit."""
    if one.new["purpose"] != "entry" or one.new["state"] != "SUBMITTED":
        return False
    return one.old is None or one.old["submitted_at"] != one.new["submitted_at"]
