"""Orders and trades of the exchange, in terms that are no single broker's.

Statuses are Kite's (the richest set); a broker's simulator translates them into its own. Products
are ``CNC``, ``MIS``, ``NRML``, ``MTF``; order types ``MARKET``, ``LIMIT``, ``SL``, ``SL-M``; sides
``BUY``, ``SELL``; validities ``DAY``, ``IOC``. Market times are ISO texts with the IST offset.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

__all__ = [
    "INTERIM",
    "LIVE",
    "RMS_USER",
    "TERMINAL",
    "Change",
    "NewOrder",
    "Order",
    "Refused",
    "Trade",
]

RECEIVED = "PUT ORDER REQ RECEIVED"
VALIDATING = "VALIDATION PENDING"
OPENING = "OPEN PENDING"
OPEN = "OPEN"
TRIGGER_PENDING = "TRIGGER PENDING"
COMPLETE = "COMPLETE"
CANCELLED = "CANCELLED"
REJECTED = "REJECTED"
AMO_RECEIVED = "AMO REQ RECEIVED"

RMS_USER = "ADMINSQF"
"""Who placed an order with which the broker's risk management closes a position."""

INTERIM = frozenset({RECEIVED, VALIDATING, OPENING, AMO_RECEIVED})
LIVE = frozenset({OPEN, TRIGGER_PENDING})
TERMINAL = frozenset({COMPLETE, CANCELLED, REJECTED})


class Refused(Exception):
    """The exchange or the broker's risk system refused a request; no order was created.

    Attributes:
        kind: ``input``, ``margin``, ``holding``, ``order`` (unknown, finished, too many changes).
        message: The reason, in Kite's words.
    """

    def __init__(self, kind: str, message: str) -> None:
        super().__init__(message)
        self.kind = kind
        self.message = message


@dataclass(frozen=True)
class NewOrder:
    """An order as a broker's simulator hands it to the exchange.

    Attributes:
        account: (broker, user_id) of the client.
        api_key: The app that placed it.
        protection: Percent about the last price at which a market order becomes a limit order;
            -1 lets the exchange choose; None keeps it a plain market order.
        after_market: Waits for the next session's start (AMO).
        extra: Kept with the order for the broker's own fields.
    """

    account: tuple[str, str]
    api_key: str
    symbol: str
    side: str
    quantity: int
    product: str
    order_type: str
    price: float = 0.0
    trigger_price: float = 0.0
    validity: str = "DAY"
    disclosed_quantity: int = 0
    protection: float | None = None
    tag: str | None = None
    after_market: bool = False
    extra: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Change:
    """A modification; None leaves a field as it is. ``quantity`` is the new total."""

    quantity: int | None = None
    price: float | None = None
    trigger_price: float | None = None
    order_type: str | None = None
    validity: str | None = None
    disclosed_quantity: int | None = None
    protection: float | None = None


@dataclass
class Trade:
    """An execution; ``at`` is market time."""

    trade_id: str
    order_id: str
    exchange_order_id: str
    broker: str
    user_id: str
    symbol: str
    side: str
    product: str
    quantity: int
    price: float
    at: str


@dataclass
class Order:
    """An order of a client.

    Attributes:
        placed_at: Market time of acceptance by the broker.
        exchange_at: Market time of the exchange's last update, None if it never got there.
        updated_at: Market time of the last change of any kind.
        arrived_at: Market time from which prices count for it (moves on with matching).
        accepted_real: Real time of acceptance; drives the interim statuses.
        visible_real: Real time before which the day's orders hide it.
        reject_real: Real time at which it is rejected although accepted.
        fill_cap: No more than this fills, until ``cap_until_real``.
        late_fill_s: Real seconds after which it fills although it was cancelled.
        late_fill_real: The real time of that, once it was cancelled.
        is_fresh: No price has met it yet, so that it may fill better than its limit.
        history: ``{status, at, filled_quantity, average_price, message}``, oldest first.
    """

    order_id: str
    broker: str
    user_id: str
    api_key: str
    symbol: str
    side: str
    quantity: int
    product: str
    order_type: str
    price: float
    trigger_price: float
    validity: str
    tag: str | None
    placed_at: str
    arrived_at: str
    accepted_real: float
    exchange_order_id: str | None = None
    status: str = RECEIVED
    message: str | None = None
    message_raw: str | None = None
    exchange_at: str | None = None
    updated_at: str = ""
    filled_quantity: int = 0
    average_price: float = 0.0
    cancelled_quantity: int = 0
    disclosed_quantity: int = 0
    protection: float | None = None
    system_tags: list[str] = field(default_factory=list)
    is_triggered: bool = False
    is_fresh: bool = True
    modifications: int = 0
    visible_real: float = 0.0
    reject_real: float | None = None
    reject_message: str | None = None
    fill_cap: int | None = None
    cap_until_real: float | None = None
    late_fill_s: float | None = None
    late_fill_real: float | None = None
    placed_by: str = ""
    extra: dict[str, Any] = field(default_factory=dict)
    history: list[dict[str, Any]] = field(default_factory=list)

    @property
    def account(self) -> tuple[str, str]:
        """(broker, user_id) of the client."""
        return self.broker, self.user_id

    @property
    def is_terminal(self) -> bool:
        """Whether nothing more can happen to it."""
        return self.status in TERMINAL

    @property
    def leaves_quantity(self) -> int:
        """What may still fill; 0 once the order is final."""
        return 0 if self.is_terminal else self.quantity - self.filled_quantity

    @property
    def sign(self) -> int:
        """+1 for a buy, -1 for a sell."""
        return 1 if self.side == "BUY" else -1

    def move(self, status: str, at: datetime, message: str | None = None) -> None:
        """Enter a status at a market time and note it in the history."""
        self.status = status
        self.updated_at = at.isoformat()
        if message is not None:
            self.message = message
        if status in LIVE or (status in TERMINAL and self.exchange_order_id):
            self.exchange_at = at.isoformat()
        self.history.append(
            {
                "status": status,
                "at": at.isoformat(),
                "filled_quantity": self.filled_quantity,
                "average_price": self.average_price,
                "message": message,
            }
        )
