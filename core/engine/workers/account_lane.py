"""An account's lane: its worker's lock, held from the plan of a run until its entries are sent."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from core.domain.instrument import Instrument
from core.domain.order import Order
from core.engine.orders.entries import Entries

__all__ = ["AccountLane"]


class AccountLane:
    """The lane of one account (``core.engine.orders.lanes.Lane``).

    Args:
        entries: Of the account's executor.
        start: Starts the sending; the lane is the worker's again.
        release: Gives the lane back.
    """

    def __init__(
        self,
        entries: Entries,
        start: Callable[[Sequence[Order]], None],
        release: Callable[[], None],
    ) -> None:
        self._entries = entries
        self._start = start
        self._release = release

    def can_take(self, order: Order, known: Instrument | None) -> bool:
        """Whether an entry could leave now."""
        return self._entries.can_leave(order, known)

    def send(self, orders: Sequence[Order]) -> None:
        """Send what was born SUBMITTED and has committed."""
        self._start(orders)

    def leave(self) -> None:
        """Send nothing."""
        self._release()
