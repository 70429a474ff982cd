"""What a run has brought on an account, and what it did not enter (row E1)."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from decimal import Decimal

from core.domain.instrument import InstrumentId, Product
from core.domain.ledger import Ledger, ledger_key
from core.domain.order import MANUAL, Order, Purpose, Side
from core.domain.panic import Panic, is_of_panic
from core.domain.target import Target
from core.domain.truth import Key, key_of
from core.domain.views import PanicPart
from core.engine.orders.goals import entered_on
from core.engine.orders.results import charges_of_close, result_of_own
from core.engine.runs.plan import target_of
from core.ports.store import Document, StoreView

__all__ = ["never_entered", "no_longer_held", "part_of", "result_of_run"]


async def never_entered(
    view: StoreView, broker_id: str, row: Document, traded: Collection[InstrumentId]
) -> tuple[Target, ...]:
    """Return the targets of earlier signals in a run that an account has never entered on.

    Args:
        view: The store.
        broker_id: The account.
        row: The run's document.
        traded: Instruments in which the run has orders there.
    """
    found = []
    for target in map(target_of, row["targets"]):
        is_old = bool(target.direction) and target.signal_at < row["slot_at"]
        if row.get("kind") or not is_old or target.instrument in traded:
            continue
        keys = [
            ledger_key(row["strategy"], broker_id, target.instrument, product)
            for product in Product
        ]
        entered = [await entered_on(view, key, int(target.direction)) for key in keys]
        if not any(at is not None and at >= target.signal_at for at in entered):
            found.append(target)
    return tuple(found)


def result_of_run(
    orders: Sequence[Order], today: Sequence[Order]
) -> tuple[Decimal | None, Decimal | None]:
    """Return the result of what a run has closed, and its charges.

    Args:
        orders: The run's orders on one account.
        today: The account's orders of the same day.

    Returns:
        Rupees before charges, None when the run has closed nothing; the charges of opening and
        closing these units, None when they are not known.
    """
    closing: dict[tuple[str, Key, Side], list[Order]] = {}
    own: dict[Key, list[Order]] = {}
    for one in orders:
        if one.strategy == MANUAL and one.filled_quantity:
            own.setdefault(key_of(one), []).append(one)
        if one.realised is not None:
            place = (one.strategy, key_of(one), one.request.side)
            closing.setdefault(place, []).append(one)
    result, charges = Decimal(0), Decimal(0)
    known = True
    for where, units in own.items():
        taken, cost = result_of_own(units, [one for one in today if key_of(one) == where])
        if taken is None:
            return None, None  # of a part alone it would be no result
        known = known and cost is not None
        result, charges = result + taken, charges + (cost or Decimal(0))
    for (strategy, key, side), closed in closing.items():
        booked = sum((one.realised or Decimal(0) for one in closed), Decimal(0))
        filled = sum(one.filled_quantity for one in closed)
        value = sum((one.filled_quantity * one.average_price for one in closed), Decimal(0))
        # What is booked is the price less the average, for a sale; the other way round for a buy.
        average = (value + side.sign * booked) / filled
        newest = max(one.created_at for one in closed)
        beside = [
            one
            for one in today
            if one.strategy == strategy and key_of(one) == key and one.created_at <= newest
        ]
        cost = charges_of_close(closed, beside, average)
        known = known and cost is not None
        result, charges = result + booked, charges + (cost or Decimal(0))
    has_closed = bool(closing or own)
    return (result if has_closed else None), (charges if known and has_closed else None)


def no_longer_held(orders: Sequence[Order], ledgers: Sequence[Ledger]) -> tuple[InstrumentId, ...]:
    """Return what entries of a run opened and its strategy holds no more, closed by other orders.

    Args:
        orders: The run's orders on one account.
        ledgers: What strategies hold there.
    """
    held = {one.key: one.quantity for one in ledgers}
    opened: dict[str, int] = {}
    names: dict[str, InstrumentId] = {}
    # Entries first: an exit of a reversal has their side, and closes nothing of theirs.
    for one in sorted(orders, key=lambda order: order.purpose.is_reducing):
        what = one.request
        key = ledger_key(one.strategy, one.broker_id, what.instrument, what.product)
        units = what.side.sign * one.filled_quantity
        if one.purpose is Purpose.ENTRY and units:
            opened[key], names[key] = opened.get(key, 0) + units, what.instrument
        elif one.purpose.is_reducing and opened.get(key, 0) * units < 0:
            opened[key] += units
    gone = [names[key] for key, units in opened.items() if units and held.get(key, 0) * units <= 0]
    return tuple(dict.fromkeys(gone))


def part_of(panic: Panic, orders: Sequence[Order]) -> PanicPart:
    """Return what a panic's exits have closed on an account.

    Args:
        panic: The panic.
        orders: The account's orders of its days.
    """
    # A stop that it has given back or put back belongs to the strategy, and is told by itself.
    closing = [
        one
        for one in orders
        if one.filled_quantity
        and one.purpose is not Purpose.STOP
        and is_of_panic(one.run_id, panic.panic_id)
    ]
    places: dict[tuple[bool, Key], list[Order]] = {}
    for one in closing:
        places.setdefault((one.strategy == MANUAL, key_of(one)), []).append(one)
    found = [result_of_run(some, orders) for some in places.values()]
    known = [(result, charges) for result, charges in found if result is not None]
    costs = [charges for _, charges in known if charges is not None]
    return PanicPart(
        closed=len({key for _, key in places}),
        result=sum((result for result, _ in known), Decimal(0)) if known else None,
        charges=sum(costs, Decimal(0)) if len(costs) == len(known) else None,
        unknown=len(found) - len(known),
    )
