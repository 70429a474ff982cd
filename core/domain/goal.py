"""The position that a strategy, or a user's close, wants in one ledger."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal
from enum import StrEnum

from core.domain.instrument import InstrumentId, Product
from core.domain.stop_rule import StopRule

__all__ = ["Goal", "NoRest"]


class NoRest(StrEnum):
    """Why a goal's stop does not rest at the broker."""

    REFUSED = "refused"
    """The broker refused it: the price is watched here (D9)."""
    CANCELLED_BY_BROKER = "cancelled_by_broker"
    """The broker cancelled it, and again after it was put back (R7)."""
    CANCELLED_OUTSIDE = "cancelled_outside"
    """A person cancelled it at the broker: asked about once, watched here meanwhile (R7)."""
    CANCELLED_HERE = "cancelled_here"
    """The user cancelled it in the chat: neither placed nor watched."""
    REBASED = "rebased"
    """Its price is of another scale than today's, by a split or a bonus: neither placed nor watched
    until a price is set anew."""

    @property
    def is_by_person(self) -> bool:
        """Whether a person decided it, so that only a person takes it back."""
        return self in {NoRest.CANCELLED_OUTSIDE, NoRest.CANCELLED_HERE}

    @property
    def lasts(self) -> bool:
        """Whether it holds on the next day too."""
        return self.is_by_person or self is NoRest.REBASED

    @property
    def is_watched(self) -> bool:
        """Whether the price is watched here in its place."""
        return self not in {NoRest.CANCELLED_HERE, NoRest.REBASED}


@dataclass(frozen=True, slots=True)
class Goal:
    """The position that a strategy wants in one ledger.

    Attributes:
        quantity: Signed units wanted; the ledger is only ever reduced towards it here.
        stop_price: Trigger of the protective stop in rupees, None without one.
        can_rest: Whether a stop may be placed at the broker.
        no_rest: Why it may not.
        no_rest_reason: The broker's words for it, or why it is of another scale.
        stop_set_at: Real time at which the stop's price was last set anew.
        may_rest_since: Real time at which a run, or a user, last let a stop rest; a stop that only
            moves leaves it as it is.
        stop_day: The trading day on which the stop's price was last set anew; '' in rows of
            versions before.
        run_id: The run that set the goal.
        day: The trading day it was set on.
        by_user: A user asked for it: it is pursued on a disabled account too.
        despite_pause: The user confirmed it a second time, so it is pursued in PAUSED.
        to_close: Signed units of what no strategy owns, for a goal of ``MANUAL``; a strategy's goal
            reduces its ledger instead.
        stop_rule: How the stop follows the position between the runs.
        stuck: The run whose exit was reported as not through, '' for none.
        before: What was wanted when a decision to close took its place; None once something is
            wanted again.
    """

    key: str
    strategy: str
    broker_id: str
    instrument: InstrumentId
    product: Product
    quantity: int
    stop_price: Decimal | None
    run_id: str
    can_rest: bool = True
    no_rest: NoRest | None = None
    no_rest_reason: str = ""
    stop_set_at: datetime | None = None
    may_rest_since: datetime | None = None
    stop_day: str = ""
    day: str = ""
    by_user: bool = False
    despite_pause: bool = False
    to_close: int = 0
    stuck: str = ""
    stop_rule: StopRule | None = None
    before: Goal | None = None

    def on(self, day: str) -> Goal:
        """Return the goal as it holds on a trading day.

        What the broker did not take on an earlier day is asked for anew: a stop of a position that
        is carried lives for a day. What a person took away stays away.
        """
        if self.day == day or self.no_rest is None or self.no_rest.lasts:
            return self
        return replace(self, can_rest=True, no_rest=None)
