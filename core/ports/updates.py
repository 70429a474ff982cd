"""The port of order updates that a broker pushes: hints, never facts.

A hint says that something about the account's orders may have changed. What has changed is read
from the broker, as after a postback (reliability.md W01 to W06): frames may come twice, late, in
another order, or not at all, and nothing of their content is applied.

Contract of a stream:

* It belongs to one login. It opens nothing until it is run, reconnects by itself with growing
  pauses, and notices within seconds that the other end has gone silent.
* After every change of its state it gives an empty hint, after the new state can be seen: what
  came while it was down is found by a read, and whoever polls less while it lives learns that it
  does no longer.
* It never raises for what the network or the broker does, keeps no frames, and repeats no part of
  the login in a log or an error.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Protocol

__all__ = ["OrderHint", "OrderUpdates", "UpdatesState", "UpdatesStatus"]


class UpdatesState(StrEnum):
    """How a stream does."""

    DOWN = "down"
    LIVE = "live"
    REFUSED = "refused"


@dataclass(frozen=True, slots=True)
class UpdatesStatus:
    """How a stream does, since when (real time), and why it is not live ('' while it is)."""

    state: UpdatesState
    since: datetime
    why: str = ""

    @property
    def is_live(self) -> bool:
        """Whether a change of an order would be heard of."""
        return self.state is UpdatesState.LIVE


@dataclass(frozen=True, slots=True)
class OrderHint:
    """Something about the account's orders may have changed.

    Attributes:
        broker_order_id: The order that the broker names; None when it names none.
        tag: Its tag, where the broker shows it.
    """

    broker_order_id: str | None = None
    tag: str | None = None


class OrderUpdates(Protocol):
    """The order updates of one login."""

    @property
    def status(self) -> UpdatesStatus:
        """How the stream does."""
        ...

    async def run(self, hint: Callable[[OrderHint], None]) -> None:
        """Keep the stream until cancelled; return only when the broker refuses the login.

        Args:
            hint: Called for each update, in the event loop; it may neither wait nor raise.
        """
        ...
