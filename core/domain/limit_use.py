"""What counts against limits: the day's orders, what is held, what is being entered. Pure (R1).

What works counts as if it had filled. What strategies hold on opposite sides is not netted: each
may be closed without the other. What is held outside Saarthi counts in intraday and derivatives
products; delivery shares that no strategy bought are holdings, not positions of the day.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from core.domain.identifiers import is_paper
from core.domain.instrument import InstrumentId, Product
from core.domain.ledger import Ledger
from core.domain.limits import Limits, Load
from core.domain.order import EXTERNAL, OPEN_STATES, Order, OrderState, Purpose, Side
from core.domain.regained import is_regained, was_sent_by_us
from core.domain.truth import Key, filled, key_of

__all__ = [
    "ENTERING",
    "FILLED",
    "TO_ENTER",
    "WAITING",
    "Books",
    "DaySums",
    "Entering",
    "Place",
    "Use",
    "adds",
    "load_of",
    "of_run",
    "sent",
    "sent_in",
    "since",
    "to_send",
    "use_of",
]

Place = tuple[str, Key]
"""An (instrument, product) on an account."""
WAITING = frozenset({OrderState.INITIALIZED, OrderState.HELD})
"""Decided and not sent: planning counts them, the gate does not, for there each is asked itself."""
_MINUTE = timedelta(minutes=1)
_CAME_TO_NOTHING = {OrderState.REJECTED, OrderState.NOT_PLACED}
FILLED, ENTERING, TO_ENTER = "filled", "entering", "to enter"
"""Headings of ``adds``: signed units that filled, units of entries that may still fill, and those
of entries that wait, each by ``Place``."""


@dataclass(frozen=True, slots=True)
class Entering:
    """The entry that is asked about.

    Attributes:
        client_order_id: Of its own row, which does not count beside itself; '' before it has one.
        run_id: Slices of one entry have the same.
    """

    broker_id: str
    strategy: str
    instrument: InstrumentId
    product: Product
    side: Side
    run_id: str
    client_order_id: str = ""

    @property
    def key(self) -> Key:
        """What it would hold."""
        return self.instrument, self.product


@dataclass(frozen=True, slots=True)
class DaySums:
    """What orders add up to that are not looked at one by one.

    Attributes:
        filled: Signed units that they have filled.
        entering: Units of entries that count as if they had filled.
        same_run: Units of the entry's own run and strategy in other orders.
        in_minute: How many went out in the last minute.
        in_day: How many went out.
    """

    filled: Mapping[Place, int] = field(default_factory=dict)
    entering: Mapping[Place, int] = field(default_factory=dict)
    same_run: Mapping[Place, int] = field(default_factory=dict)
    in_minute: int = 0
    in_day: int = 0


@dataclass(frozen=True, slots=True)
class Books:
    """What the store says of one account, or of all.

    Attributes:
        orders: Orders of the day, of every origin.
        ledgers: What strategies hold.
        carried: Units that lived over night.
        is_known: Whether it is known what lived over night of a place. Where it is not, only what
            strategies hold counts.
        sums: What the day's other orders add up to.
    """

    orders: Sequence[Order] = ()
    ledgers: Sequence[Ledger] = ()
    carried: Mapping[Place, int] = field(default_factory=dict)
    is_known: Callable[[str, Key], bool] = lambda _broker_id, key: key[1] is Product.MIS
    sums: DaySums = DaySums()


def adds(order: Order) -> Iterator[tuple[Hashable, Hashable, int]]:
    """Yield what an order adds to the sums of its day: a heading, a place below it, a number."""
    place, quantity = (order.broker_id, key_of(order)), order.request.quantity
    if order.filled_quantity:
        yield FILLED, place, order.filled_quantity * order.request.side.sign
    if order.purpose is Purpose.ENTRY:
        if order.state in OPEN_STATES:
            yield ENTERING, place, order.leaves_quantity
        if order.state in WAITING:
            yield TO_ENTER, place, order.leaves_quantity
        if order.state not in _CAME_TO_NOTHING:
            yield of_run(order.run_id, order.strategy), place, quantity
    is_practice = is_paper(order.broker_id)
    if _went_out(order, OPEN_STATES) and (at := _sent_at(order)) is not None:
        yield sent(is_practice=is_practice), _minute_of(at), 1
        yield sent_in(_minute_of(at), is_practice=is_practice), at, 1
    elif _went_out(order, WAITING):
        yield to_send(is_practice=is_practice), None, 1


def of_run(run_id: str, strategy: str) -> Hashable:
    """Return the heading of a run's entries, by ``Place``."""
    return "run", run_id, strategy


def sent(*, is_practice: bool) -> Hashable:
    """Return the heading of orders that went out, by minute."""
    return "sent", is_practice


def sent_in(minute: int, *, is_practice: bool) -> Hashable:
    """Return the heading of those of one minute, by their times."""
    return "sent", is_practice, minute


def to_send(*, is_practice: bool) -> Hashable:
    """Return the heading of orders that wait and never went out."""
    return "to send", is_practice


def since(now: datetime) -> tuple[datetime, int]:
    """Return after when an order is of the last minute, and the number of the minute of that."""
    return now - _MINUTE, _minute_of(now - _MINUTE)


def _minute_of(at: datetime) -> int:
    return int(at.timestamp() // 60)


@dataclass(frozen=True, slots=True)
class Use:
    """What is used of the counts, and what is open."""

    units: Mapping[Place, int]
    in_minute: int
    in_day: int


def use_of(books: Books, now: datetime, *, counted: Collection[OrderState] = OPEN_STATES) -> Use:
    """Return the units that are held or being entered, and the orders that went out.

    Args:
        books: Of one account, or of all.
        now: Real time.
        counted: The states in which an entry counts as if it had filled.
    """
    units: defaultdict[Place, int] = defaultdict(int)
    for ledger in books.ledgers:
        units[ledger.broker_id, key_of(ledger)] += abs(ledger.quantity)
    for place, outside in _outside(books).items():
        units[place] += abs(outside)
    for place, entering in books.sums.entering.items():
        units[place] += entering
    for order in books.orders:
        if order.purpose is Purpose.ENTRY and order.state in counted:
            units[order.broker_id, key_of(order)] += order.leaves_quantity
    gone = [one for one in books.orders if _went_out(one, counted)]
    # Of a clock that was set back, orders of "later" count too: rather too many than too few.
    after, _ = since(now)
    minute = [one for one in gone if (at := _sent_at(one)) is None or at > after]
    return Use(
        {place: n for place, n in units.items() if n},
        len(minute) + books.sums.in_minute,
        len(gone) + books.sums.in_day,
    )


def load_of(
    limits: Limits,
    books: Books,
    entry: Entering,
    now: datetime,
    *,
    is_all: bool = False,
    counted: Collection[OrderState] = OPEN_STATES,
) -> Load:
    """Return what counts against a set of limits beside an entry."""
    others = [one for one in books.orders if one.client_order_id != entry.client_order_id]
    use = use_of(replace(books, orders=others), now, counted=counted)
    same = sum(n for (_, key), n in use.units.items() if key == entry.key)
    slices = sum(n for (_, key), n in books.sums.same_run.items() if key == entry.key)
    return Load(
        limits,
        is_all,
        entry_units=slices + sum(one.request.quantity for one in _slices(others, entry)),
        # What the strategy itself holds on the other side is closed before the entry goes.
        units=same - _opposite(books.ledgers, entry),
        positions=len(use.units),
        is_open=(entry.broker_id, entry.key) in use.units,
        in_minute=use.in_minute,
        in_day=use.in_day,
    )


def _went_out(order: Order, counted: Collection[OrderState]) -> bool:
    # What was sent before the journal was restored is of the same day's count (D04).
    if was_sent_by_us(order) or is_regained(order):
        return True
    is_ours = order.strategy != EXTERNAL
    return is_ours and (order.submitted_at is not None or order.state in WAITING & set(counted))


def _sent_at(order: Order) -> datetime | None:
    """Return when an order was sent; one that was adopted, when it was found."""
    is_adopted = was_sent_by_us(order) or is_regained(order)
    return order.created_at if is_adopted else order.submitted_at


def _slices(orders: Iterable[Order], entry: Entering) -> list[Order]:
    """Return the other orders of the same entry; one that was refused was cut, or is nothing."""
    return [
        one
        for one in orders
        if one.run_id == entry.run_id
        and one.strategy == entry.strategy
        and one.purpose is Purpose.ENTRY
        and key_of(one) == entry.key
        and one.state not in _CAME_TO_NOTHING
    ]


def _opposite(ledgers: Iterable[Ledger], entry: Entering) -> int:
    return sum(
        abs(one.quantity)
        for one in ledgers
        if (one.broker_id, one.strategy, key_of(one))
        == (entry.broker_id, entry.strategy, entry.key)
        and one.quantity * entry.side.sign < 0
    )


def _outside(books: Books) -> dict[Place, int]:
    """Return the signed units that no strategy holds, by the day's fills of every origin."""
    by_account: defaultdict[str, list[Order]] = defaultdict(list)
    for order in books.orders:
        by_account[order.broker_id].append(order)
    net: defaultdict[Place, int] = defaultdict(int)
    for broker_id, orders in by_account.items():
        for key, units in filled(orders).items():
            net[broker_id, key] += units
    for place, units in books.sums.filled.items():
        net[place] += units
    for place, units in books.carried.items():
        net[place] += units
    for ledger in books.ledgers:
        net[ledger.broker_id, key_of(ledger)] -= ledger.quantity
    return {
        place: units
        for place, units in net.items()
        if units and place[1][1] is not Product.CNC and books.is_known(*place)
    }
