"""What was asked about an order of unknown fate, and what the broker has shown of it (R4)."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal

from core.domain.broker import BrokerOrder, BrokerStatus
from core.domain.order import OrderType, Side
from core.domain.views import OrderView

__all__ = ["Candidate", "Inquiry", "InquiryView", "candidate_of"]


@dataclass(frozen=True, slots=True)
class Candidate:
    """An order at the broker that could be the unresolved one: same instrument, side and units.

    Attributes:
        placed_at: The broker's time of it; None when the row does not say.
    """

    broker_order_id: str
    side: Side
    quantity: int
    order_type: OrderType
    status: BrokerStatus
    filled_quantity: int = 0
    average_price: Decimal = Decimal(0)
    limit_price: Decimal | None = None
    trigger_price: Decimal | None = None
    placed_at: datetime | None = None


def candidate_of(seen: BrokerOrder) -> Candidate:
    """Return a broker's row as a candidate."""
    return Candidate(
        seen.broker_order_id,
        seen.side,
        seen.quantity,
        seen.order_type,
        seen.status,
        seen.filled_quantity,
        seen.average_price,
        seen.limit_price,
        seen.trigger_price,
        seen.placed_at,
    )


@dataclass(frozen=True, slots=True)
class Inquiry:
    """What is known of one unresolved order; nothing but counts and times before the first look.

    Attributes:
        asked: How often the day's orders were read since it became unknown.
        asked_at: Real time of the last of these.
        candidates: The broker's orders that could be this one, the nearest in time first.
        traded: Units that the day's trades show and no order explains; None while they were not
            read since it was sent.
        gap: Signed units that the positions show beyond the fills; None while they were not read
            since it was sent, or while it is not known what they began the day with.
        is_overdue: The horizon has passed; it is not given up because a candidate could be it, or
            because the reads do not prove that it is not there.
        trouble: Why the broker cannot be read, or ''.
        trouble_at: Real time of the first of the reads that failed.
        settled_by: The user who settled it; '' when the broker's answers did.
    """

    asked: int = 0
    asked_at: datetime | None = None
    candidates: tuple[Candidate, ...] = ()
    traded: int | None = None
    gap: int | None = None
    is_overdue: bool = False
    trouble: str = ""
    trouble_at: datetime | None = None
    settled_by: str = ""

    @property
    def news(self) -> Inquiry:
        """What of it a user should hear of soon: all but the figures of a further look."""
        return replace(self, asked=0, asked_at=None, trouble="x" if self.trouble else "")

    def candidate(self, broker_order_id: str) -> Candidate | None:
        """Return the candidate of this id; None when it is none (any more)."""
        found = (one for one in self.candidates if one.broker_order_id == broker_order_id)
        return next(found, None)


@dataclass(frozen=True, slots=True)
class InquiryView:
    """An order that is or was unresolved, and all that its message says.

    Attributes:
        asked_at: Market time of the last look.
        trouble_at: Market time since when the broker cannot be read.
        gives_up_at: Market time at which it is given up when the broker does not show it.
        left_s: Real seconds until then; 0 or less when that time is over.
        held: What is held there of the same instrument and how it is protected, a sentence each.
        needs_login: Nothing can be asked before the account's login.
    """

    order: OrderView
    inquiry: Inquiry
    asked_at: datetime | None
    trouble_at: datetime | None
    gives_up_at: datetime
    left_s: float
    held: tuple[str, ...] = ()
    needs_login: bool = False
