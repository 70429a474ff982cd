"""A panic: what is left of it on an account, and what is next there; pure functions (row R2).

A panic ends everything on its accounts: what works is cancelled, what is held is closed. Nothing of
its progress is remembered: it is worked out again and again from the journal, the ledgers and what
the broker shows (decision 0016).
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from core.domain.goal import Goal
from core.domain.instrument import Product
from core.domain.ledger import Ledger, ledger_key
from core.domain.order import (
    EXTERNAL,
    LIVE_STATES,
    MANUAL,
    OPEN_STATES,
    UNKNOWN_STATES,
    Order,
    OrderState,
    OrderType,
    Purpose,
    Side,
)
from core.domain.truth import Key, key_of

__all__ = [
    "CANCELLED_FOR",
    "AccountFacts",
    "Counts",
    "Hindrance",
    "Line",
    "Moves",
    "Panic",
    "PanicEnd",
    "Place",
    "covers",
    "is_of_panic",
    "left_of",
    "moves_of",
    "run_of",
]

CANCELLED_FOR = "cancelled by the panic"
"""Why an order was cancelled, in the journal."""
_PREFIX = "panic|"


def run_of(panic_id: str, broker_id: str, mark: str) -> str:
    """Return the run id of one decision of a panic to close what is held on an account."""
    return f"{_PREFIX}{panic_id}|{broker_id}|{mark}"


def is_of_panic(run_id: str, panic_id: str = "") -> bool:
    """Whether a run is a decision of a panic, or of this one."""
    return run_id.startswith(f"{_PREFIX}{panic_id}|" if panic_id else _PREFIX)


class Hindrance(StrEnum):
    """What stands in the way on an account; '' where nothing does."""

    NONE = ""
    LOGIN = "login"
    """Its login has ended."""
    PERMISSION = "permission"
    """The broker does not let this app order."""
    THROTTLED = "throttled"
    """The broker asks to slow down."""
    SILENT = "silent"
    """The broker does not answer, or cannot be read."""
    NOT_READ = "not_read"
    """The broker was not read yet today."""
    UNSETTLED = "unsettled"
    """Nobody knows whether the broker has an order."""
    DISPUTED = "disputed"
    """Positions and fills contradict one another."""
    NOT_HANDLED = "not_handled"
    """Saarthi sends no orders of this exchange."""
    CLOSED = "closed"
    """The market is closed."""
    CANCEL = "cancel"
    """A cancel is not confirmed."""
    CIRCUIT = "circuit"
    """The price stands at its circuit limit."""
    EXIT = "exit"
    """The exit does not get through; the detail says why."""
    GONE = "gone"
    """The account is disconnected."""


class PanicEnd(StrEnum):
    """How a panic ended; '' while it runs."""

    NONE = ""
    FLAT = "flat"
    STOPPED = "stopped"


@dataclass(frozen=True, slots=True)
class Line:
    """One account in a panic.

    Attributes:
        orders: Orders that work and are to go.
        positions: Positions that are to be closed.
        hindrance: What stands in the way.
        detail: More about it: the broker's words, an instrument.
        is_flat: A read after the last change found nothing left.
        flat_after_s: Seconds from the confirmation to that.
    """

    broker_id: str
    orders: int = 0
    positions: int = 0
    hindrance: Hindrance = Hindrance.NONE
    detail: str = ""
    is_flat: bool = False
    flat_after_s: float | None = None

    @property
    def is_over(self) -> bool:
        """Whether nothing more is done on the account."""
        return self.is_flat or self.hindrance is Hindrance.GONE


@dataclass(frozen=True, slots=True)
class Counts:
    """What the live message counts."""

    accounts: int
    flat: int
    orders: int
    positions: int


@dataclass(frozen=True, slots=True)
class Panic:
    """One panic.

    Attributes:
        began_at: Real time of the confirmation.
        day: Trading day of it.
        by: The user who confirmed it.
        holdings: The accounts whose delivery positions and holdings are closed too.
        is_global: Whether it set the global mode, because every account was chosen.
        lines: One for each account, as they were shown last.
        end: How it ended.
        ended_at: When, real time.
        ended_by: Who ended it, '' when everything was flat.
    """

    panic_id: str
    began_at: datetime
    day: str
    by: str
    holdings: tuple[str, ...]
    is_global: bool
    lines: tuple[Line, ...]
    end: PanicEnd = PanicEnd.NONE
    ended_at: datetime | None = None
    ended_by: str = ""

    @property
    def broker_ids(self) -> tuple[str, ...]:
        """Its accounts."""
        return tuple(line.broker_id for line in self.lines)

    @property
    def is_running(self) -> bool:
        """Whether it still works."""
        return self.end is PanicEnd.NONE

    @property
    def counts(self) -> Counts:
        """The figures of its message."""
        return Counts(
            len(self.lines),
            sum(line.is_flat for line in self.lines),
            sum(line.orders for line in self.lines),
            sum(line.positions for line in self.lines),
        )


def covers(product: Product, *, with_holdings: bool) -> bool:
    """Whether a panic closes this product: delivery is closed only where it was asked for."""
    return with_holdings or product is not Product.CNC


@dataclass(frozen=True, slots=True)
class Place:
    """One (instrument, product) of an account.

    Attributes:
        net: Signed units that an exit could close; None while nobody knows.
        shown: Signed units that the broker showed last.
        owned: Signed units of strategies together.
        is_open: Whether it trades now.
        is_handled: Whether Saarthi sends orders of it.
        is_read: Whether it is known what lived over night.
    """

    key: Key
    net: int | None
    shown: int = 0
    owned: int = 0
    is_open: bool = True
    is_handled: bool = True
    is_read: bool = True

    @property
    def is_held(self) -> bool:
        """Whether something is held, or may be."""
        if self.net is None and (self.is_open or self.shown):
            return True
        return bool(self.net or self.owned)

    @property
    def may_trade(self) -> bool:
        """Whether an exit could go now."""
        return self.is_open and self.is_handled

    @property
    def outside(self) -> int:
        """Signed units that no strategy owns and that an exit could close."""
        net = self.net or 0
        left = net - self.owned
        is_sale = self.key[1] is Product.CNC and net < 0
        return 0 if is_sale or left * net <= 0 else left


@dataclass(frozen=True, slots=True)
class AccountFacts:
    """What is known of one account.

    Attributes:
        orders: The day's orders, in any state.
        goals: Every goal.
        ledgers: Those with units.
        places: Every (instrument, product) in which something is or was.
        with_holdings: Whether delivery is closed too.
        day: Trading day.
        stubborn: Orders of other people whose cancel was asked for in vain, by client order id.
        is_read: Whether the broker was read today.
    """

    orders: Sequence[Order]
    goals: Sequence[Goal]
    ledgers: Sequence[Ledger]
    places: Mapping[Key, Place]
    with_holdings: bool
    day: str
    stubborn: Collection[str] = ()
    is_read: bool = True

    def covers(self, key: Key) -> bool:
        """Whether the panic closes what is held there."""
        return covers(key[1], with_holdings=self.with_holdings)

    @property
    def do_reads_agree(self) -> bool:
        """Whether the positions that were read last show what the fills say.

        A trade by hand shows in the positions before the orders list it.
        """
        places = [place for key, place in self.places.items() if self.covers(key)]
        return all(place.shown == place.net for place in places)

    @property
    def open_orders(self) -> list[Order]:
        """Orders that could still fill."""
        return [order for order in self.orders if order.state in OPEN_STATES]


@dataclass(frozen=True, slots=True)
class Moves:
    """What is to be done next on an account.

    Attributes:
        cancels: Orders to cancel at the broker.
        ledgers: Ledgers of strategies whose goals become flat.
        outside: Signed units, by place, that no strategy owns and that are to be closed.
    """

    cancels: tuple[Order, ...] = ()
    ledgers: tuple[Ledger, ...] = ()
    outside: Mapping[Key, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Left:
    """What is left on an account.

    Attributes:
        orders: Orders that work and are to go.
        places: Positions that are to be closed.
    """

    orders: tuple[Order, ...]
    places: tuple[Place, ...]

    @property
    def is_nothing(self) -> bool:
        """Whether nothing is left."""
        return not self.orders and not self.places


def left_of(facts: AccountFacts) -> Left:
    """Return what is still to be done on an account: orders that work, and positions."""
    orders = [order for order in facts.open_orders if not _stays(order, facts)]
    held = {key_of(ledger) for ledger in facts.ledgers if ledger.quantity}
    places = [
        place
        for key, place in facts.places.items()
        if facts.covers(key) and (place.is_held or key in held)
    ]
    return Left(tuple(orders), tuple(places))


def moves_of(facts: AccountFacts) -> Moves:
    """Return what is next on an account.

    Other people's orders go first: an exit beside one that closes the same units would turn the
    position over, so it would be denied (R8). What a strategy has working follows its goal: the
    account's executor cancels entries and lets stops make way, each when the exit behind it may go
    (R6). What cannot trade now gets no goal: nothing waits at the executor for the open.
    """
    cancels = [order for order in facts.open_orders if _is_cancelled_here(order, facts)]
    blocked = _blocked(facts)
    ledgers = [
        ledger
        for ledger in _to_flatten(facts)
        if facts.covers(key_of(ledger))
        and key_of(ledger) not in blocked
        and _may_trade(key_of(ledger), facts)
        and not _is_flat_goal(ledger, facts)
    ]
    outside = {
        key: place.outside
        for key, place in facts.places.items()
        if facts.covers(key)
        and place.may_trade
        and place.outside
        and key not in blocked
        and not _is_closing(key, facts)
    }
    return Moves(tuple(cancels), tuple(ledgers), outside)


def _may_trade(key: Key, facts: AccountFacts) -> bool:
    place = facts.places.get(key)
    return place is not None and place.may_trade


def _to_flatten(facts: AccountFacts) -> list[Ledger]:
    """Return what strategies hold, and what they still want: an entry may fill for that yet."""
    ledgers = {ledger.key: ledger for ledger in facts.ledgers if ledger.quantity}
    for goal in facts.goals:
        if goal.quantity and goal.strategy != MANUAL and goal.key not in ledgers:
            ledgers[goal.key] = Ledger(goal.strategy, goal.broker_id, goal.instrument, goal.product)
    return list(ledgers.values())


def _is_flat_goal(ledger: Ledger, facts: AccountFacts) -> bool:
    """Whether a ledger's goal is flat already, in every mode and on a disabled account too."""
    goal = next((one for one in facts.goals if one.key == ledger.key), None)
    return goal is not None and goal.quantity == 0 and goal.by_user and goal.despite_pause


def _is_closing(key: Key, facts: AccountFacts) -> bool:
    """Whether what no strategy owns has to wait, or is being closed already.

    What strategies hold there goes first: an exit beside theirs would be denied until theirs is
    seen to have filled.
    """
    if any(key_of(ledger) == key for ledger in facts.ledgers if ledger.quantity):
        return True
    for goal in facts.goals:
        is_here = goal.strategy == MANUAL and (goal.instrument, goal.product) == key
        if is_here and goal.day == facts.day and goal.despite_pause:
            return True
    exits = [order for order in facts.open_orders if order.purpose is Purpose.EXIT]
    return any(key_of(order) == key for order in exits)


def _blocked(facts: AccountFacts) -> set[Key]:
    """Return where another person's order is in the way of an exit, and may still go."""
    return {
        key_of(order)
        for order in facts.open_orders
        if order.strategy == EXTERNAL
        and order.client_order_id not in facts.stubborn
        and not _stays(order, facts)
    }


def _stays(order: Order, facts: AccountFacts) -> bool:
    """Whether an order is left alone: it protects or closes delivery that is not to be closed."""
    key = key_of(order)
    if facts.covers(key):
        return False
    if order.strategy != EXTERNAL:
        return order.purpose.is_reducing
    return _is_stop_of_position(order, facts.places.get(key))


def _is_stop_of_position(order: Order, place: Place | None) -> bool:
    """Whether another person's stop closes what is held there, or what may be."""
    if order.request.order_type not in {OrderType.SL, OrderType.SL_M}:
        return False
    if place is None or place.net is None:
        return True
    return place.net != 0 and order.request.side is Side.of(-place.net)


def _is_cancelled_here(order: Order, facts: AccountFacts) -> bool:
    """Whether the panic itself cancels an order, and does so now."""
    if order.state not in LIVE_STATES or order.state is OrderState.PENDING_CANCEL:
        return False
    if _stays(order, facts):
        return False
    key = key_of(order)
    if order.strategy == EXTERNAL:
        # A stop goes when the exit behind it can: until then it protects (R6).
        place = facts.places.get(key)
        return not _is_stop_of_position(order, place) or _can_be_closed(key, place, facts)
    if not facts.covers(key):
        return True
    owner = ledger_key(order.strategy, order.broker_id, *key)
    return not any(goal.key == owner for goal in facts.goals)


def _can_be_closed(key: Key, place: Place | None, facts: AccountFacts) -> bool:
    """Whether an exit could follow at once where another person's stop is taken away."""
    if place is None or not place.may_trade or place.net is None:
        return False
    same = [order for order in facts.open_orders if order.request.instrument == key[0]]
    return not any(order.state in UNKNOWN_STATES for order in same)
