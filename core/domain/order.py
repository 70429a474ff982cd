"""Orders: what is asked for, the row that the journal keeps, and the table of its states.

The words are FIX's and NautilusTrader's, plus HELD, UNRESOLVED and NOT_PLACED (reliability.md 2.2):
*denied* is our refusal, *rejected* the broker's, *unresolved* means that it is not known yet.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from enum import StrEnum

from core.domain.instrument import InstrumentId, Product
from core.domain.outcome import Cause, Refusal

__all__ = [
    "CLOSED_STATES",
    "EXTERNAL",
    "LIVE_STATES",
    "MANUAL",
    "OPEN_STATES",
    "UNKNOWN_STATES",
    "Order",
    "OrderRequest",
    "OrderState",
    "OrderType",
    "Purpose",
    "Side",
    "Validity",
    "is_alarmed",
    "may_become",
]


MANUAL = "manual"
"""In place of a strategy's name: a user's own order in what no strategy owns."""
EXTERNAL = "external"
"""In place of a strategy's name: an order that was not placed by Saarthi."""


class Side(StrEnum):
    """Buy or sell."""

    BUY = "BUY"
    SELL = "SELL"

    @property
    def sign(self) -> int:
        """1 for a buy, -1 for a sell."""
        return 1 if self is Side.BUY else -1

    @property
    def word(self) -> str:
        """``Buy`` or ``Sell``, as users read it wherever an order is named."""
        return self.value.capitalize()

    @classmethod
    def of(cls, quantity: int) -> Side:
        """Return the side that moves a net position by the signed ``quantity``."""
        return cls.BUY if quantity > 0 else cls.SELL


class OrderType(StrEnum):
    """Kite's names; Fyers numbers them 2, 1, 4 and 3."""

    MARKET = "MARKET"
    LIMIT = "LIMIT"
    SL = "SL"
    SL_M = "SL-M"


class Validity(StrEnum):
    """How long an order rests."""

    DAY = "DAY"
    IOC = "IOC"


class Purpose(StrEnum):
    """Why an order exists; decides what a mode lets through."""

    ENTRY = "entry"
    EXIT = "exit"
    STOP = "stop"
    EXTERNAL = "external"

    @property
    def is_reducing(self) -> bool:
        """Whether it is meant to shrink a position."""
        return self in _REDUCING


_REDUCING = frozenset({Purpose.EXIT, Purpose.STOP})
"""Made once: a run asks for it sixty times for each of its orders."""


class OrderState(StrEnum):
    """States of an order; see ``may_become`` for the table."""

    INITIALIZED = "INITIALIZED"
    DENIED = "DENIED"
    SUBMITTED = "SUBMITTED"
    HELD = "HELD"
    UNRESOLVED = "UNRESOLVED"
    NOT_PLACED = "NOT_PLACED"
    ACCEPTED = "ACCEPTED"
    REJECTED = "REJECTED"
    PARTIALLY_FILLED = "PARTIALLY_FILLED"
    PENDING_CANCEL = "PENDING_CANCEL"
    PENDING_UPDATE = "PENDING_UPDATE"
    FILLED = "FILLED"
    CANCELED = "CANCELED"
    EXPIRED = "EXPIRED"


_S = OrderState
CLOSED_STATES = frozenset(
    {_S.DENIED, _S.NOT_PLACED, _S.REJECTED, _S.FILLED, _S.CANCELED, _S.EXPIRED}
)
"""Final: nothing more is expected (a late fill still alarms)."""
LIVE_STATES = frozenset({_S.ACCEPTED, _S.PARTIALLY_FILLED, _S.PENDING_CANCEL, _S.PENDING_UPDATE})
"""Known to work at the broker."""
UNKNOWN_STATES = frozenset({_S.SUBMITTED, _S.UNRESOLVED})
"""May or may not exist at the broker."""
OPEN_STATES = LIVE_STATES | UNKNOWN_STATES
"""Could still fill: counted by every limit and by EXIT_ONLY."""

_FINAL_AT_BROKER = {_S.FILLED, _S.CANCELED, _S.EXPIRED, _S.REJECTED}
# The steps out of closed states are late truths of the broker, not mistakes: a fill after a cancel,
# an order that was given up and exists. They are taken, because the units are held, and alarmed.
_MOVES: dict[OrderState, set[OrderState]] = {
    _S.INITIALIZED: {_S.DENIED, _S.SUBMITTED, _S.HELD},
    # Sent again with the same id: it is proved that the broker does not have the order.
    _S.HELD: {_S.SUBMITTED, _S.DENIED},
    # At once NOT_PLACED where the broker's list proves it (a paper account's).
    _S.SUBMITTED: {
        *(_S.ACCEPTED, _S.REJECTED, _S.UNRESOLVED, _S.HELD, _S.PARTIALLY_FILLED, _S.NOT_PLACED),
        *_FINAL_AT_BROKER,
    },
    # Never back to SUBMITTED or HELD: an order that may exist is not sent again (I2).
    _S.UNRESOLVED: {_S.ACCEPTED, _S.REJECTED, _S.NOT_PLACED, _S.PARTIALLY_FILLED}
    | _FINAL_AT_BROKER,
    _S.ACCEPTED: {_S.PARTIALLY_FILLED, _S.PENDING_CANCEL, _S.PENDING_UPDATE} | _FINAL_AT_BROKER,
    _S.PARTIALLY_FILLED: {_S.PARTIALLY_FILLED, _S.PENDING_CANCEL, _S.PENDING_UPDATE}
    | _FINAL_AT_BROKER,
    _S.PENDING_CANCEL: {_S.ACCEPTED, _S.PARTIALLY_FILLED} | _FINAL_AT_BROKER,
    _S.PENDING_UPDATE: {_S.ACCEPTED, _S.PARTIALLY_FILLED, _S.PENDING_CANCEL} | _FINAL_AT_BROKER,
    _S.CANCELED: {_S.FILLED, _S.PARTIALLY_FILLED},
    _S.EXPIRED: {_S.FILLED, _S.PARTIALLY_FILLED},
    _S.REJECTED: {_S.FILLED, _S.PARTIALLY_FILLED, _S.ACCEPTED},
    _S.NOT_PLACED: {_S.FILLED, _S.PARTIALLY_FILLED, _S.ACCEPTED, _S.CANCELED, _S.REJECTED},
    _S.DENIED: set(),
    _S.FILLED: set(),
}


def may_become(old: OrderState, new: OrderState) -> bool:
    """Return whether the state table allows this step."""
    return new in _MOVES[old]


def is_alarmed(old: OrderState, new: OrderState) -> bool:
    """Return whether a legal step needs a critical alert: an order came back after its end."""
    return old in CLOSED_STATES and new in _MOVES[old]


@dataclass(frozen=True, slots=True)
class OrderRequest:
    """What goes to the broker. Quantities in units, prices in rupees.

    Attributes:
        client_order_id: Ours, sent as the tag.
    """

    client_order_id: str
    instrument: InstrumentId
    side: Side
    quantity: int
    order_type: OrderType
    product: Product
    limit_price: Decimal | None = None
    trigger_price: Decimal | None = None
    validity: Validity = Validity.DAY


@dataclass(frozen=True, slots=True)
class Order:
    """One row of the journal.

    Attributes:
        strategy: Strategy name, ``MANUAL`` or ``EXTERNAL``.
        run_id: The run or command that caused it.
        day: Trading day, ``YYYY-MM-DD`` IST by the market clock.
        reason: Why it was denied, rejected, held or given up; the broker's words where there are
            any.
        held_for: The class of the refusal that an order is HELD for; None when nothing was sent.
        cause: Why the broker rejected it, by its words; None unless it was rejected.
        largest: The largest quantity of one order that these words name.
        submitted_at: Real time of the commit that allowed the send, UTC.
        filled_at: Real time at which it was last seen to fill, UTC; None before.
        settled_at: Real time it reached a final state, UTC.
        triggered_at: Real time at which a stop was first seen to have triggered, UTC.
        changed_at: Real time at which its terms last changed after it was sent, UTC.
        replaced: Quantity and trigger before that change, which a late read may still show.
        asked: Quantity and trigger of a change that we have asked for and that may yet take effect,
            or has without an answer: the same terms at the broker are no other person's.
        is_changed_outside: Somebody changed it at the broker: its terms are theirs from then on.
        decided_price: The price that an entry was sized by; limits of values are judged by it. None
            for what is no entry, and where no price was known.
        cancel_reason: Why we asked to cancel it; '' when nobody here did, so that a cancel is the
            broker's or a person's.
        realised: Rupees before charges that its fills have taken by closing units of its ledger;
            None while it has closed none.
        version: Raised by every event.
    """

    request: OrderRequest
    broker_id: str
    strategy: str
    run_id: str
    purpose: Purpose
    state: OrderState
    day: str
    created_at: datetime
    attempt: int = 1
    broker_order_id: str | None = None
    filled_quantity: int = 0
    average_price: Decimal = Decimal(0)
    reason: str = ""
    held_for: Refusal | None = None
    cause: Cause | None = None
    largest: int | None = None
    submitted_at: datetime | None = None
    filled_at: datetime | None = None
    settled_at: datetime | None = None
    triggered_at: datetime | None = None
    changed_at: datetime | None = None
    replaced: tuple[int, Decimal | None] | None = None
    asked: tuple[int, Decimal | None] | None = None
    is_changed_outside: bool = False
    cancel_reason: str = ""
    realised: Decimal | None = None
    decided_price: Decimal | None = None
    version: int = 0

    @property
    def client_order_id(self) -> str:
        """The order's own id."""
        return self.request.client_order_id

    @property
    def fill_seen_at(self) -> datetime:
        """When its last fill was seen; of a row without that time, when it ended or began.

        A working order fills for as long as it rests, so its beginning says nothing of that.
        """
        return self.filled_at or self.settled_at or self.created_at

    @property
    def leaves_quantity(self) -> int:
        """Units that may still fill."""
        if self.state in CLOSED_STATES:
            return 0
        return self.request.quantity - self.filled_quantity
