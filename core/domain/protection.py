"""Whether a ledger is protected, being closed, or unprotected, and why: one pure function (R6).

A stop counts when it rests at the broker for the units that are held, or when its price is really
watched here: with a fresh price, while an exit may be sent. What is neither is named.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from decimal import Decimal
from enum import StrEnum

from core.domain.goal import Goal, NoRest
from core.domain.ledger import Ledger
from core.domain.money import rupees
from core.domain.order import (
    LIVE_STATES,
    OPEN_STATES,
    UNKNOWN_STATES,
    Order,
    OrderState,
    OrderType,
    Purpose,
    Side,
)
from core.domain.regained import why_it_waits

__all__ = [
    "ON_ITS_WAY",
    "PRICE_LIVES",
    "WATCH_EVERY_S",
    "Lack",
    "LastPrice",
    "Protection",
    "ProtectionFacts",
    "Shelter",
    "awaited",
    "bare_units",
    "exits_of_held",
    "protection_of",
]

ON_ITS_WAY = "is on its way to the broker"
"""How what a view says of a stop or an exit ends while it is a normal step (``awaited``)."""

WATCH_EVERY_S = 3
"""How often the price of a stop that does not rest is asked for, real seconds."""
PRICE_LIVES = timedelta(seconds=15)
"""How old a price may be that is still said to be watched."""
_STOPS = {OrderType.SL, OrderType.SL_M}


class Shelter(StrEnum):
    """How a position stands."""

    PROTECTED = "protected"
    CLOSING = "closing"
    UNPROTECTED = "unprotected"
    AWAITED = "awaited"
    """Its entry has just filled, or its close begun, and what follows goes out within seconds: for
    views alone."""


class Lack(StrEnum):
    """Why a position is unprotected."""

    NO_STOP = "no_stop"
    """Its strategy sets no stop."""
    UNKNOWN = "unknown"
    """What is held is not known; stops rest for all that the ledger has."""
    UNKNOWN_BARE = "unknown_bare"
    """What is held is not known, and no stops rest for all that the ledger has."""
    CANCELLED = "cancelled"
    """The user cancelled its stop in the chat."""
    REBASED = "rebased"
    """Its stop is of prices before a split or a bonus."""
    NOT_RESTING = "not_resting"
    """Its stop is not at the broker, or for too few units; a moment after each fill."""
    NOT_CLOSING = "not_closing"
    """It is to be closed, and neither its exit nor its stop is at the broker."""
    PRICE_OLD = "price_old"
    """Its stop is watched here, and there is no fresh price."""
    NOT_SENT = "not_sent"
    """Its stop is watched here, and no exit may be sent now."""
    MARKET_CLOSED = "market_closed"
    """Its instrument does not trade now; its stop goes out at the open."""


@dataclass(frozen=True, slots=True)
class LastPrice:
    """A last price in rupees, and the real time of it."""

    last: Decimal
    at: datetime


@dataclass(frozen=True, slots=True)
class ProtectionFacts:
    """What is looked at.

    Attributes:
        ledger: What is held.
        goal: What is wanted; None where nothing was ever decided.
        orders: Today's orders of the ledger, in any state.
        foreign: Orders of the same position that were not placed by Saarthi and still work.
        outside: Units of its side that no strategy owns: theirs to close first.
        bare: Units of its side that other strategies hold and that no order of theirs closes.
        price: The last price that was seen.
        now: Real time.
        is_open: Whether the instrument trades now.
        not_sent: Why no exit may be sent now, or ''.
        is_known: Whether it is known what the broker holds.
    """

    ledger: Ledger
    goal: Goal | None
    orders: Sequence[Order]
    now: datetime
    foreign: Sequence[Order] = field(default=())
    outside: int = 0
    bare: int = 0
    price: LastPrice | None = None
    is_open: bool = True
    not_sent: str = ""
    is_known: bool = True

    @property
    def side(self) -> Side:
        """The side that closes."""
        return Side.of(-self.ledger.quantity)


@dataclass(frozen=True, slots=True)
class Protection:
    """How a ledger stands.

    Attributes:
        how: What protects or closes it, or why nothing does; a sentence without its full stop.
        gap: Why it is unprotected; None while it is not.
        is_software: Whether it is watched here alone.
        is_to_come: Whether nothing is known to keep its stop, or its exit, from going out now.
        excess: That its stop is for more than is held and cannot be changed now; '' where it can.
    """

    shelter: Shelter
    how: str
    gap: Lack | None = None
    is_software: bool = False
    is_to_come: bool = False
    excess: str = ""

    @property
    def warning(self) -> str:
        """What every view of the position says of it, '' when it is covered at the broker."""
        if self.shelter is Shelter.UNPROTECTED:
            return f"unprotected: {self.how}"
        if self.shelter is Shelter.AWAITED:
            return self.how
        return f"software stop: {self.how}" if self.is_software else self.excess

    @property
    def is_alarming(self) -> bool:
        """Whether a user has to be told: something could happen to it now."""
        # What is disputed is asked about by a notice of its own.
        return self.gap not in {None, Lack.MARKET_CLOSED, Lack.UNKNOWN}


def awaited(protection: Protection) -> Protection:
    """Return how a ledger stands in the moment that its stop takes after a fill, or its exit.

    For views, while that moment lasts: a card that says "unprotected" for a second after each entry
    and each close teaches not to read it.
    """
    if not protection.is_to_come:
        return protection
    what = "exit" if protection.gap is Lack.NOT_CLOSING else "stop"
    how = f"its {what} {ON_ITS_WAY}"
    return replace(protection, shelter=Shelter.AWAITED, how=how)


def protection_of(facts: ProtectionFacts) -> Protection:
    """Return how a ledger that holds something stands."""
    if not facts.is_known:
        return _disputed(facts)
    if _is_to_close(facts):
        return _closing(facts)
    held = abs(facts.ledger.quantity)
    live = _live(facts, Purpose.STOP)
    hit = [order for order in live if order.triggered_at is not None]
    # One that is hit for a part closes that part: in PAUSED nothing follows for the rest.
    if hit and sum(order.leaves_quantity for order in live) >= held:
        return Protection(Shelter.CLOSING, f"its stop at {_at(hit)} has triggered")
    stops = _resting(facts)
    covered = sum(order.leaves_quantity for order in stops)
    if covered >= held:
        how = f"a stop rests at the broker at {_at(stops)}"
        return Protection(Shelter.PROTECTED, how, excess=_excess(facts, covered))
    theirs = _foreign_stops(facts)
    if covered + _covered_by(theirs, facts) >= held:
        return Protection(Shelter.PROTECTED, f"your own stop rests at the broker at {_at(theirs)}")
    return _uncovered(facts, held - covered)


def _open(gap: Lack, why: str) -> Protection:
    return Protection(Shelter.UNPROTECTED, why, gap)


def _is_to_close(facts: ProtectionFacts) -> bool:
    goal = facts.goal
    return goal is not None and goal.quantity * facts.ledger.quantity <= 0


def _live(facts: ProtectionFacts, purpose: Purpose) -> list[Order]:
    return [
        order
        for order in facts.orders
        if order.purpose is purpose
        and order.state in LIVE_STATES
        and order.request.side is facts.side
    ]


def _resting(facts: ProtectionFacts) -> list[Order]:
    """Return the stops that count: one whose cancel is on the way may be gone already."""
    # For the moment until its exit goes, the guards wait before they tell anybody.
    return [
        order
        for order in _live(facts, Purpose.STOP)
        if order.state is not OrderState.PENDING_CANCEL
    ]


def _excess(facts: ProtectionFacts, covered: int) -> str:
    """Say that a stop would open a position when it is hit, while nothing can make it smaller."""
    held = abs(facts.ledger.quantity)
    if covered <= held or not facts.not_sent:
        return ""
    return f"stop too large: for {covered} units, {held} held"


def _disputed(facts: ProtectionFacts) -> Protection:
    why = "it is not known what the broker holds of it"
    held = abs(facts.ledger.quantity)
    own = sum(order.leaves_quantity for order in _resting(facts))
    covered = own + _covered_by(_foreign_stops(facts), facts)
    if covered >= held or not facts.is_open or (_is_to_close(facts) and _exits(facts)):
        return _open(Lack.UNKNOWN, why)
    stops = f"stops rest for {covered} of {held}" if covered else "no stop rests at the broker"
    return _open(Lack.UNKNOWN_BARE, f"{why}, and {stops}")


def _exits(facts: ProtectionFacts) -> list[Order]:
    """Return the exits that are at the broker, or may be."""
    return [
        order
        for order in facts.orders
        if order.purpose is Purpose.EXIT and order.state in OPEN_STATES
    ]


def exits_of_held(orders: Sequence[Order]) -> list[Order]:
    """Return the exits of what is held now, in any state.

    Those of before its entry were of another position: why they came to nothing says nothing of it.

    Args:
        orders: The day's orders of one ledger.
    """
    entries = [one for one in orders if one.purpose is Purpose.ENTRY and one.filled_quantity]
    since = max((one.created_at for one in entries), default=None)
    exits = [one for one in orders if one.purpose is Purpose.EXIT]
    return [one for one in exits if since is None or one.created_at >= since]


def _foreign_stops(facts: ProtectionFacts) -> list[Order]:
    return [one for one in _foreign_closes(facts) if one.request.order_type in _STOPS]


def _foreign_closes(facts: ProtectionFacts) -> list[Order]:
    return [order for order in facts.foreign if order.request.side is facts.side]


def _of_strategies(foreign: Sequence[Order], facts: ProtectionFacts) -> int:
    """Return the units that these orders would close of what strategies hold."""
    return max(0, sum(order.leaves_quantity for order in foreign) - facts.outside)


def _covered_by(stops: Sequence[Order], facts: ProtectionFacts) -> int:
    """Return the units of this ledger that foreign stops are sure to close."""
    # A stop closes units of one strategy only, and nobody can say of which.
    return max(0, _of_strategies(stops, facts) - facts.bare)


def bare_units(ledger: Ledger, orders: Iterable[Order]) -> int:
    """Return the units of a ledger that none of its own orders at the broker is there to close.

    Args:
        ledger: What is held.
        orders: Today's orders of it.
    """
    closes = Side.of(-ledger.quantity)
    closing = sum(
        order.leaves_quantity
        for order in orders
        if order.state in OPEN_STATES and order.request.side is closes and order.purpose.is_reducing
    )
    return max(0, abs(ledger.quantity) - closing)


def _waits_for_theirs(facts: ProtectionFacts) -> str:
    """Return why an exit waits for orders that would close the same units, '' where none does."""
    theirs = _foreign_closes(facts)
    if not _of_strategies(theirs, facts):
        return ""
    units = sum(order.leaves_quantity for order in theirs)
    return why_it_waits(theirs, f"{facts.side.word} {units} {facts.ledger.instrument}")


def _at(stops: Sequence[Order]) -> str:
    prices = sorted({order.request.trigger_price or Decimal(0) for order in stops})
    return " and ".join(map(rupees, prices))


def _closing(facts: ProtectionFacts) -> Protection:
    if exits := _exits(facts):
        if all(order.state is OrderState.UNRESOLVED for order in exits):
            how = "nobody knows yet whether its exit is at the broker"
            return Protection(Shelter.CLOSING, how)
        return Protection(Shelter.CLOSING, "its exit is at the broker")
    stops = _resting(facts)
    if sum(order.leaves_quantity for order in stops) >= abs(facts.ledger.quantity):
        how = f"its stop rests at the broker at {_at(stops)} until its exit may go"
        return Protection(Shelter.PROTECTED, how)
    if not facts.is_open:
        return _open(Lack.MARKET_CLOSED, "the market is closed; its exit goes out at the open")
    ended = exits_of_held(facts.orders)
    newest = max(ended, key=lambda order: (order.created_at, order.attempt), default=None)
    waits = facts.not_sent or _waits_for_theirs(facts)
    why = waits or (newest.reason.removesuffix(".") if newest else "")
    is_to_come = not waits and (newest is None or newest.state is OrderState.FILLED)
    if not why and len(stops) < len(_live(facts, Purpose.STOP)):
        why = "the cancel of its stop is not confirmed"
    bare = _open(Lack.NOT_CLOSING, f"its exit is not at the broker{f': {why}' if why else ''}")
    return replace(bare, is_to_come=is_to_come)


def _uncovered(facts: ProtectionFacts, units: int) -> Protection:
    """Say what is with the units that no resting stop covers."""
    goal = facts.goal
    if goal is None or goal.stop_price is None:
        return _open(Lack.NO_STOP, "its strategy sets no stop")
    if goal.no_rest is NoRest.CANCELLED_HERE:
        return _open(Lack.CANCELLED, "you cancelled its stop")
    if goal.no_rest is NoRest.REBASED:
        return _open(Lack.REBASED, goal.no_rest_reason)
    if not facts.is_open:
        return _open(Lack.MARKET_CLOSED, "the market is closed; its stop goes out at the open")
    sent = [one for one in facts.orders if one.purpose is Purpose.STOP]
    if any(one.state in UNKNOWN_STATES for one in sent):
        unknown = _open(Lack.NOT_RESTING, "nobody knows whether its stop is at the broker")
        # Sent, and not answered yet: in a moment it is known.
        is_lost = any(one.state is OrderState.UNRESOLVED for one in sent)
        return replace(unknown, is_to_come=not is_lost)
    if goal.can_rest:
        held = abs(facts.ledger.quantity)
        part = "" if units == held else f" for {units} of {held}"
        why = f": {facts.not_sent}" if facts.not_sent else ""
        bare = _open(Lack.NOT_RESTING, f"its stop is not at the broker{part}{why}")
        return replace(bare, is_to_come=not facts.not_sent)
    return _watched(facts, goal.stop_price)


def _watched(facts: ProtectionFacts, price: Decimal) -> Protection:
    if not_sent := facts.not_sent or _waits_for_theirs(facts):
        why = f"its stop at {rupees(price)} is watched here, but {not_sent}"
        return _open(Lack.NOT_SENT, why)
    if facts.price is None:
        return _open(
            Lack.PRICE_OLD, f"its stop at {rupees(price)} is watched here, but there is no price"
        )
    age = facts.now - facts.price.at
    if age > PRICE_LIVES:
        seconds = int(age.total_seconds())
        why = f"its stop at {rupees(price)} is watched here, but the price is {seconds} s old"
        return _open(Lack.PRICE_OLD, why)
    how = (
        f"I watch its stop at {rupees(price)} myself, about every {WATCH_EVERY_S} s and only "
        "while I run"
    )
    return Protection(Shelter.PROTECTED, how, is_software=True)
