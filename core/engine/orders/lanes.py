"""Orders that leave with the commit of their run (decisions 24 and 44).

A run's entries are otherwise intents, and its exits goals, of which each account's worker makes
orders in its next turn: a second commit, and all that a turn looks at before. Where nothing stands
in the way, an order is born SUBMITTED in the run's own commit, behind the same gate and the same
checks, and sent at once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Protocol

from core.domain.goal import Goal
from core.domain.instrument import Instrument
from core.domain.order import Order
from core.engine.orders.gateway import Ticket
from core.ports.store import StoreView

__all__ = ["Lane", "TakeLanes", "no_lanes"]


class Lane(Protocol):
    """An account that can send this very moment; nothing else is sent for it until ``leave``.

    One of ``send`` and ``leave`` ends it, once; neither raises.
    """

    def can_take(self, order: Order, known: Instrument | None) -> bool:
        """Whether an entry could leave now: its instrument trades, and nothing holds it back."""
        ...

    async def exit_for(
        self, view: StoreView, goal: Goal, known: Instrument | None
    ) -> Ticket | None:
        """Return the exit that a goal asks for, if it could leave now; nothing is sent."""
        ...

    def prepare(self, orders: Sequence[Order]) -> None:
        """Have what is sent for orders ready that are born SUBMITTED and about to be committed."""
        ...

    def send(self, orders: Sequence[Order]) -> None:
        """Send what was born SUBMITTED and has committed, if anything; then the worker goes on."""
        ...

    def leave(self) -> None:
        """Send nothing."""
        ...


TakeLanes = Callable[[Iterable[str]], Mapping[str, Lane]]
"""Takes the lanes of those accounts that can send now, by broker_id; waits for nobody."""


def no_lanes(_broker_ids: Iterable[str]) -> Mapping[str, Lane]:
    """Take none: every entry waits for its account's worker."""
    return {}
