"""The orders of a run that leave with its commit, where nothing stands in the way.

Entries do by decision 24, exits by decision 44; all others are their account's worker's.
"""

from __future__ import annotations

from collections.abc import Container, Iterable, Mapping, Sequence
from dataclasses import dataclass

from core.domain.account import Account
from core.domain.instrument import Instrument
from core.domain.ledger import Ledger
from core.domain.order import Order, OrderState
from core.domain.target import Target
from core.domain.views import AssignmentView
from core.engine.orders.gateway import Gateway, SnapshotStale
from core.engine.orders.goals import goal_at
from core.engine.orders.journal import with_pending
from core.engine.orders.lanes import Lane
from core.engine.orders.ledgers import holders, ledgers_of
from core.engine.orders.risk import Facts
from core.errors import Denied
from core.ports.store import StoreView

__all__ = [
    "ReducedLedger",
    "WrittenRun",
    "born_entries",
    "born_exits",
    "closes",
    "free_lanes",
    "idle_lanes",
    "usable_lanes",
]


@dataclass(frozen=True, slots=True)
class ReducedLedger:
    """A ledger that a run reduces: its key, and the broker's instrument."""

    key: str
    known: Instrument | None


@dataclass(frozen=True, slots=True)
class WrittenRun:
    """What a run wrote.

    Attributes:
        entries: All of them; those that leave at once are SUBMITTED, the others intents.
        exits: Those that leave at once, SUBMITTED.
        is_signal: Whether the run matters to anybody.
    """

    entries: list[Order]
    exits: list[Order]
    is_signal: bool

    @property
    def born(self) -> dict[str, Order]:
        """What is sent after the commit, by client order id."""
        return {
            one.client_order_id: one
            for one in [*self.entries, *self.exits]
            if one.state is OrderState.SUBMITTED
        }


def closes(assignment: AssignmentView, targets: Iterable[Target], held: Iterable[Ledger]) -> bool:
    """Whether targets are against what a strategy holds on an account, by its ledgers."""
    mine = {
        one.instrument: one.quantity
        for one in held
        if (one.strategy, one.product) == (assignment.strategy, assignment.product)
    }
    return any(
        mine.get(target.instrument, 0) and mine[target.instrument] * int(target.direction) <= 0
        for target in targets
    )


def usable_lanes(lanes: Mapping[str, Lane], accounts: Iterable[Account]) -> dict[str, Lane]:
    """Return the lanes of accounts that the broker has not refused in all.

    Such a one is its worker's, which sees when that is over.
    """
    return {
        account.broker_id: lanes[account.broker_id]
        for account in accounts
        if account.broker_id in lanes and not account.parked_reason
    }


async def idle_lanes(view: StoreView, lanes: Mapping[str, Lane]) -> dict[str, Lane]:
    """Return the lanes of accounts on which no order works or waits."""
    # One question however many accounts there are: one by one they were an eighth of a run.
    return _without(lanes, await with_pending(view, lanes))


async def free_lanes(view: StoreView, idle: Mapping[str, Lane]) -> dict[str, Lane]:
    """Return those that hold nothing either: no exit and no stop is to be sent first."""
    return _without(idle, await holders(view, idle))


def _without(lanes: Mapping[str, Lane], broker_ids: Container[str]) -> dict[str, Lane]:
    return {one: lane for one, lane in lanes.items() if one not in broker_ids}


async def born_entries(
    view: StoreView,
    gateway: Gateway,
    lane: Lane | None,
    entries: list[Order],
    known: Instrument | None,
    facts: Facts,
) -> list[Order]:
    """Return entries as they are committed: SUBMITTED, where they can leave at this moment."""
    if lane is None or len(entries) != 1 or not lane.can_take(entries[0], known):
        return entries
    (entry,) = entries
    try:
        return [await gateway.bear(view, entry, facts)]
    except Denied:
        return entries  # its worker hears it from the gate, and says so on the run's card


async def born_exits(
    view: StoreView,
    gateway: Gateway,
    lane: Lane | None,
    broker_id: str,
    closing: Sequence[ReducedLedger],
) -> list[Order]:
    """Return an account's exits as they are committed, SUBMITTED; none where its worker is to look.

    All of them or none, and only where they close all that the account holds: while the lane, an
    idle one, waits for the broker's answers, nothing else could be sent.
    """
    if lane is None or not closing:
        return []
    held = {one.key for one in await ledgers_of(view, broker_id) if one.quantity}
    if held != {one.key for one in closing}:
        return []
    found = []
    for one in closing:
        goal = await goal_at(view, one.key)
        ticket = await lane.exit_for(view, goal, one.known) if goal is not None else None
        if ticket is None:
            return []
        try:
            found.append(await gateway.bear_exit(view, ticket))
        except (Denied, SnapshotStale):
            return []
    return found
