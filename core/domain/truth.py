"""What an account holds, worked out from several witnesses; pure functions (row R8, decision 0013).

The day's fills, of every origin, are proof: a fill is never taken back. Added to what lived over
night they are the net. What the broker shows as positions is the second witness: it confirms the
net, or makes it disputed, which is a question to a user and never a reason to forget a position.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal

from core.domain.broker import Holding, Position
from core.domain.exits import held_quantity
from core.domain.instrument import InstrumentId, Product
from core.domain.ledger import Ledger, shrunk
from core.domain.order import CLOSED_STATES, EXTERNAL, MANUAL, Order, Side

__all__ = [
    "Conversion",
    "FirstLook",
    "Key",
    "Net",
    "closed_by_hand",
    "collided",
    "conversions",
    "delivery_keys",
    "ended_by_hand",
    "filled",
    "filled_by_strategies",
    "key_of",
    "lived_over_night",
    "owned",
    "result_of_close",
    "shown",
    "voided",
]

Key = tuple[InstrumentId, Product]
_PAIR = 2


@dataclass(frozen=True, slots=True)
class Net:
    """What an account holds of one (instrument, product), in signed units.

    Attributes:
        by_fills: What lived over night and the day's fills; None while the former is not known.
        by_positions: What the broker showed last; None before the first read.
        owned: The sum of the strategies' ledgers.
        is_disputed: The broker's positions contradict the fills.
        is_settling: They do so too, but a fill that the orders did not show yet may explain it.
    """

    by_fills: int | None
    by_positions: int | None = None
    owned: int = 0
    is_disputed: bool = False
    is_settling: bool = False

    @property
    def quantity(self) -> int | None:
        """The net, None while nobody knows it: unknown is not flat (B09).

        While it settles, no more than both witnesses show.
        """
        if self.by_fills is None or self.is_disputed:
            return None
        if self.is_settling and self.by_positions is not None:
            return _smaller(self.by_fills, self.by_positions)
        return self.by_fills

    @property
    def outside(self) -> int | None:
        """What no strategy owns, None while the net is not known."""
        return None if self.quantity is None else self.quantity - self.owned


def _smaller(first: int, second: int) -> int:
    """Return the net that both figures agree is held: none where they are on different sides."""
    return 0 if first * second <= 0 else min(first, second, key=abs)


def key_of(thing: Order | Ledger | Position) -> Key:
    """Return the (instrument, product) of an order, a ledger or a position."""
    named = thing.request if isinstance(thing, Order) else thing
    return named.instrument, named.product


def filled(orders: Iterable[Order]) -> dict[Key, int]:
    """Return the signed units that these orders have filled."""
    found: dict[Key, int] = {}
    for order in orders:
        if order.filled_quantity:
            signed = order.filled_quantity * order.request.side.sign
            found[key_of(order)] = found.get(key_of(order), 0) + signed
    return found


def filled_by_strategies(orders: Iterable[Order]) -> dict[Key, int]:
    """Return the signed units that strategies' orders among these have filled."""
    return filled(order for order in orders if order.strategy not in {EXTERNAL, MANUAL})


def owned(ledgers: Iterable[Ledger]) -> dict[Key, int]:
    """Return the strategies' signed units together; a key without units is left out."""
    found: dict[Key, int] = {}
    for ledger in ledgers:
        if ledger.quantity:
            found[key_of(ledger)] = found.get(key_of(ledger), 0) + ledger.quantity
    return found


def delivery_keys(holdings: Iterable[Holding]) -> set[Key]:
    """Return the keys of delivery shares, under every name at any exchange."""
    return {(name, Product.CNC) for one in holdings for name in {one.instrument, *one.names}}


def shown(
    keys: Iterable[Key], positions: Sequence[Position], holdings: Sequence[Holding] | None
) -> dict[Key, int]:
    """Return what a broker's reads show of these keys; CNC only where holdings are known."""
    return {
        key: held_quantity(*key, positions, holdings or ())
        for key in keys
        if key[1] is not Product.CNC or holdings is not None
    }


def lived_over_night(*, by_positions: int, by_fills: int, by_own_fills: int, owned: int) -> int:
    """Return the units from before the day's first fill, by a look at the positions.

    Args:
        by_positions: What the broker shows.
        by_fills: The day's fills.
        by_own_fills: Those of them that the strategies' ledgers hold already.
        owned: What these say.
    """
    # A first look that shows less than the strategies owned may be a list that is not filled yet:
    # the ledgers stand, the difference is a dispute, and only a user or a later look ends it. What
    # was traded by hand before the look is no such difference: it ends a ledger as it ever does.
    lived, owned_then = by_positions - by_fills, owned - by_own_fills
    sign = -1 if owned_then < 0 else 1
    return lived if lived * sign >= owned_then * sign else owned_then


@dataclass(frozen=True, slots=True)
class FirstLook:
    """The first look at an account: what the broker shows, the day's fills, and the ledgers.

    Attributes:
        shows: What is held by positions and, where ``has_holdings``, holdings.
        fills: The day's fills, whoever's.
        own_fills: Those of the strategies' orders.
        owns: What the strategies' ledgers say.
    """

    shows: Mapping[Key, int]
    fills: Mapping[Key, int]
    own_fills: Mapping[Key, int]
    owns: Mapping[Key, int]
    has_holdings: bool

    def before(self, exchange: str, product: Product) -> dict[Key, int]:
        """Return what lived over night of one product on one exchange."""
        return {
            key: lived_over_night(
                by_positions=net,
                by_fills=self.fills.get(key, 0),
                by_own_fills=self.own_fills.get(key, 0),
                owned=self.owns.get(key, 0),
            )
            for key, net in self.shows.items()
            if key[0].exchange == exchange and key[1] is product
        }

    def contradicted(self, before: Mapping[Key, int]) -> frozenset[Key]:
        """Return where what lived over night stands on the ledgers alone, against the positions."""
        return frozenset(
            key
            for key, units in before.items()
            if units + self.fills.get(key, 0) != self.shows[key]
        )


@dataclass(frozen=True, slots=True)
class Conversion:
    """Units that were moved from one product to another: positions change without fills.

    Attributes:
        units: Signed, as they were held.
    """

    instrument: InstrumentId
    product: Product
    into: Product
    units: int


def conversions(gaps: Mapping[Key, int], by_fills: Mapping[Key, int]) -> list[Conversion]:
    """Find conversions among gaps (positions less fills).

    What is missing in one product of an instrument is there in another, to the unit: no read that
    is merely late looks like that. An empty answer does where opposite sides are held in two
    products, so the product that gained must show something.
    """
    found = []
    for (instrument, product), gap in gaps.items():
        moved = {other: left for (name, other), left in gaps.items() if name == instrument and left}
        was_held = by_fills.get((instrument, product), 0) * gap < 0
        if len(moved) != _PAIR or sum(moved.values()) != 0 or not was_held:
            continue
        into = next(other for other in moved if other is not product)
        if by_fills.get((instrument, into), 0) + moved[into] == 0:
            continue
        found.append(Conversion(instrument, product, into, -gap))
    return found


def voided(ledgers: Iterable[Ledger], day: str, orders: Sequence[Order]) -> list[Ledger]:
    """Return the intraday ledgers of an earlier day, emptied: such a position ended with its day.

    Args:
        ledgers: An account's ledgers.
        day: Today.
        orders: Today's orders; they date a ledger that was stored without its day.
    """
    today = {(order.strategy, key_of(order)) for order in orders if order.filled_quantity}
    return [
        replace(ledger, quantity=0)
        for ledger in ledgers
        if ledger.product is Product.MIS
        and ledger.quantity
        and ledger.day != day
        and (ledger.day or (ledger.strategy, key_of(ledger)) not in today)
    ]


def closed_by_hand(
    before: Sequence[Ledger], net: int, orders: Iterable[Order]
) -> tuple[list[Ledger], Decimal]:
    """Return the ledgers that foreign fills have reduced, and the average price of these units.

    Args:
        before: The ledgers of one (instrument, product).
        net: What is held of it.
        orders: Today's orders of it.
    """
    total = sum(ledger.quantity for ledger in before)
    sign = 1 if total > 0 else -1
    foreign = [
        order
        for order in orders
        if order.strategy in {EXTERNAL, MANUAL}
        and order.filled_quantity
        and order.request.side.sign == -sign
    ]
    units = sum(order.filled_quantity for order in foreign)
    if not units:
        return [], Decimal(0)
    # Never by more than foreign fills account for: what else is missing is not known, and is a
    # dispute of positions and fills.
    floor = max(net * sign, abs(total) - units) * sign
    changed = shrunk(before, floor)
    was = {ledger.key: ledger.quantity for ledger in before}
    gone = abs(sum(was[ledger.key] - ledger.quantity for ledger in changed))
    return changed, _price_of_newest(foreign, gone)


def _price_of_newest(orders: Iterable[Order], units: int) -> Decimal:
    """Return the average price of the last units that these orders filled; 0 where one is unknown.

    Earlier ones closed what was outside, or what left the ledgers before.
    """
    left, value = units, Decimal(0)
    for order in sorted(orders, key=lambda one: one.fill_seen_at, reverse=True):
        taken = min(left, order.filled_quantity)
        if taken and not order.average_price:
            return Decimal(0)
        value += order.average_price * taken
        left -= taken
    return value / (units - left) if units > left else Decimal(0)


def ended_by_hand(orders: Iterable[Order], key: Key, *, since: datetime | None) -> Order | None:
    """Return the one foreign order of ``key`` that was seen to end with a fill; None if not one.

    Args:
        orders: Today's orders.
        key: The position.
        since: When the read began that showed it.
    """
    found = [
        order
        for order in orders
        if order.strategy == EXTERNAL
        and key_of(order) == key
        and order.filled_quantity
        and order.state in CLOSED_STATES
        and since is not None
        and (order.settled_at or order.created_at) >= since
    ]
    return found[0] if len(found) == 1 else None


def collided(orders: Iterable[Order], *, since: datetime) -> list[tuple[Key, Side]]:
    """Return where a foreign order and a reducing one of ours were seen to fill together.

    Both closed the same units, so what is held on their side of flat is nobody's.

    Args:
        orders: Today's orders.
        since: When the read began that showed both.
    """
    ours, foreign = set(), set()
    for order in orders:
        if not order.filled_quantity or order.fill_seen_at < since:
            continue
        place = (key_of(order), order.request.side)
        if order.strategy == EXTERNAL:
            foreign.add(place)
        elif order.purpose.is_reducing and order.strategy != MANUAL:
            ours.add(place)
    return sorted(ours & foreign)


def result_of_close(
    before: Iterable[Ledger], after: Iterable[Ledger], price: Decimal
) -> Decimal | None:
    """Return what units that left these ledgers at ``price`` brought, in rupees before charges.

    None when that price or the average of a ledger is not known.
    """
    was = {ledger.key: ledger for ledger in before}
    gone = [(was[one.key], was[one.key].quantity - one.quantity) for one in after]
    if not price or not gone or any(not ledger.average_price for ledger, _ in gone):
        return None
    return sum(((price - ledger.average_price) * units for ledger, units in gone), Decimal(0))
