"""A user's decision about a stop that somebody cancelled: put it back (R7)."""

from __future__ import annotations

from collections.abc import Callable

from core.domain.command import Command
from core.domain.goal import Goal
from core.engine.control.projections import position_key
from core.engine.orders.goals import goals_of, let_stop_rest
from core.errors import NotFound
from core.ports.clock import Clock
from core.ports.store import Store, StoreView

__all__ = ["Stops"]


class Stops:
    """Puts stops back; ``wake`` lets an account's worker take a turn."""

    def __init__(self, *, store: Store, clock: Clock, wake: Callable[[str], None]) -> None:
        self._store = store
        self._clock = clock
        self._wake = wake

    async def absent(self, broker_id: str) -> tuple[str, ...]:
        """Return the positions of an account whose stop does not rest, as handles for buttons."""
        goals = await goals_of(self._store, broker_id)
        return tuple(_key(goal) for goal in goals if _is_absent(goal))

    async def put_back(self, command: Command, broker_id: str, key: str) -> None:
        """Place the stop of a position again, at the price that its strategy wants now.

        Raises:
            NotFound: The position has no stop that could be put back.
            AlreadyDone: This command took effect before.
        """

        async def body(view: StoreView) -> int:
            goals = [goal for goal in await goals_of(view, broker_id) if _key(goal) == key]
            absent = [goal for goal in goals if _is_absent(goal)]
            for goal in absent:
                await let_stop_rest(view, goal.key, at=self._clock.now())
            return len(absent)

        if not await self._store.transaction(body, nonce=f"put-back:{command.id}"):
            raise NotFound("That position has no stop that could be put back any more.")
        self._wake(broker_id)


def _key(goal: Goal) -> str:
    return position_key(goal.instrument, goal.product)


def _is_absent(goal: Goal) -> bool:
    return bool(goal.quantity) and goal.stop_price is not None and not goal.can_rest
