"""What counts against the limits, read inside the caller's transaction (row R1, decision 0016)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Hashable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from core.domain.identifiers import is_paper
from core.domain.instrument import Product
from core.domain.ledger import Ledger
from core.domain.limit_use import (
    ENTERING,
    FILLED,
    TO_ENTER,
    WAITING,
    Books,
    DaySums,
    Entering,
    Place,
    adds,
    load_of,
    of_run,
    sent,
    sent_in,
    since,
    to_send,
)
from core.domain.limits import NAMES, Load, missing_live
from core.domain.order import OPEN_STATES, Order, OrderState
from core.domain.truth import Key, voided
from core.engine.orders.baselines import Baseline, baselines_of
from core.engine.orders.documents import order_of
from core.engine.orders.journal import orders_in, total_of_day
from core.engine.orders.ledgers import ledgers_of
from core.engine.orders.limits import ALL, StoredLimits, limits_at
from core.engine.orders.practice import why_practised
from core.ports.store import StoreView, Tally

__all__ = ["PROOF", "EntryBounds", "books_of", "bounds_of", "entering", "held_back", "why_unproved"]

_USE = Tally(lambda row: adds(order_of(row)))
PROOF = "round trip"
"""In place of a strategy's name: the round trip of the smallest size (F8)."""


@dataclass(frozen=True, slots=True)
class EntryBounds:
    """What an entry is held to.

    Attributes:
        loads: What counts against the account's limits, and against those of all together.
        unproved: Why nothing is entered on the account yet (F8), or ''.
        version: Moves with every change of either.
    """

    loads: tuple[Load, ...] = ()
    unproved: str = ""
    version: int = 0


def entering(order: Order) -> Entering:
    """Return what is asked about an entry's row."""
    request = order.request
    return Entering(
        order.broker_id,
        order.strategy,
        request.instrument,
        request.product,
        request.side,
        order.run_id,
        order.client_order_id,
    )


async def bounds_of(
    view: StoreView,
    entry: Entering,
    *,
    day: str,
    now: datetime,
    address: str | None,
    planned: Sequence[Order] | None = None,
) -> EntryBounds:
    """Read what an entry is held to.

    Args:
        view: The transaction in which the entry is decided or sent.
        entry: What is asked about.
        day: The trading day.
        now: Real time.
        address: Where the account has to be proved, None where it need not be (F8).
        planned: When a run is planned, what it has decided before: these and all that waits count
            as well. None in the gate, where each entry is asked itself.
    """
    own, everybody = await limits_at(view, entry.broker_id), await limits_at(view, ALL)
    counted: Collection[OrderState] = OPEN_STATES
    if planned is not None:
        counted = OPEN_STATES | WAITING
    loads = []
    scopes: list[tuple[StoredLimits, str | None]] = [(own, entry.broker_id)]
    if not is_paper(entry.broker_id):  # limits of all together are of money (row F6)
        scopes.append((everybody, None))
    for standing, whose in scopes:
        if not standing.limits.bounds_entries:
            continue
        books = await books_of(view, whose, day, now, entry, is_planned=planned is not None)
        ahead = [one for one in planned or () if _is_of(one.broker_id, whose)]
        books = replace(books, orders=ahead)
        load = load_of(standing.limits, books, entry, now, is_all=whose is None, counted=counted)
        loads.append(load)
    unproved = why_unproved(own, entry.strategy, address)
    if address is not None:  # at a simulator no money is at stake
        unproved = await why_practised(view, entry.broker_id, day) or unproved
    return EntryBounds(tuple(loads), unproved, own.version + everybody.version)


def why_unproved(own: StoredLimits, strategy: str, address: str | None) -> str:
    """Return why a strategy's entries on an account are denied until it is proved (F8), or ''."""
    if address is None:
        return ""
    missing = " and ".join(NAMES[kind] for kind in missing_live(own.limits))
    if missing:
        return f"its limits are not set: set {missing} in /limits"
    if strategy == PROOF or (own.proved is not None and own.proved.address == address):
        return ""
    return "no smallest round trip has passed on it yet: do one in /limits"


async def held_back(
    view: StoreView, broker_id: str, address: str | None, day: str
) -> tuple[str, ...]:
    """Return why an account enters nothing by its limits, a clause each; none when it may."""
    own = await limits_at(view, broker_id)
    found = []
    if own.tripped is not None:
        found.append(f"daily loss reached on {own.tripped.day}, exit only until you set Normal")
    if unproved := why_unproved(own, "", address):
        found.append(f"nothing is entered: {unproved}")
    if address is not None and (practised := await why_practised(view, broker_id, day)):
        found.append(f"nothing is entered: {practised}")
    return tuple(found)


async def books_of(
    view: StoreView,
    broker_id: str | None,
    day: str,
    now: datetime,
    entry: Entering | None = None,
    *,
    is_planned: bool = False,
) -> Books:
    """Read what counts on an account, or with None on all of them but paper accounts.

    Args:
        view: The transaction.
        broker_id: The account.
        day: The trading day.
        now: Real time.
        entry: The entry that is asked about: its own row counts for nothing.
        is_planned: What waits counts as well.
    """
    every = await baselines_of(view, broker_id, day)
    found = [one for one in every if _is_of(one.broker_id, broker_id)]
    carried: dict[Place, int] = {
        (base.broker_id, key): units for base in found for key, units in base.units.items()
    }
    every_ledger = await ledgers_of(view, broker_id)
    ledgers = [one for one in every_ledger if _is_of(one.broker_id, broker_id)]
    # Of an account that nobody has logged in today no read has ended them yet.
    ended = {one.key for one in voided(ledgers, day, await _dating(view, ledgers, day))}
    return Books(
        (),
        [one for one in ledgers if one.key not in ended],
        carried,
        _known({base.broker_id: base for base in found}, day),
        await _sums(view, broker_id, day, now, entry, is_planned=is_planned),
    )


async def _dating(view: StoreView, ledgers: Sequence[Ledger], day: str) -> list[Order]:
    """Return the day's orders that date ledgers which were stored without their day."""
    places = {
        (one.broker_id, one.instrument)
        for one in ledgers
        if one.product is Product.MIS and one.quantity and not one.day
    }
    return [order for place in places for order in await orders_in(view, *place, day)]


async def _sums(
    view: StoreView,
    whose: str | None,
    day: str,
    now: datetime,
    entry: Entering | None,
    *,
    is_planned: bool,
) -> DaySums:
    """Read what a day's orders add up to, whatever their number."""
    besides = entry.client_order_id if entry is not None else ""
    is_practice = whose is not None and is_paper(whose)

    async def under(heading: Hashable) -> dict[Any, int]:
        return await total_of_day(view, whose, day, _USE, heading, besides=besides)

    async def places(heading: Hashable) -> Counter[Place]:
        found = await under(heading)
        return Counter({place: n for place, n in found.items() if _is_of(place[0], whose)})

    entering = await places(ENTERING)
    after, first = since(now)
    minutes = await under(sent(is_practice=is_practice))
    of_first = await under(sent_in(first, is_practice=is_practice))
    in_minute = sum(n for at, n in of_first.items() if at > after)
    in_minute += sum(n for minute, n in minutes.items() if minute > first)
    waiting = 0
    if is_planned:
        entering.update(await places(TO_ENTER))
        waiting = sum((await under(to_send(is_practice=is_practice))).values())
    return DaySums(
        await places(FILLED),
        entering,
        await places(of_run(entry.run_id, entry.strategy)) if entry is not None else {},
        in_minute + waiting,
        sum(minutes.values()) + waiting,
    )


def _is_of(broker_id: str, whose: str | None) -> bool:
    """Whether what an account has counts for another one, or with None for all together."""
    return broker_id == whose if whose is not None else not is_paper(broker_id)


def _known(bases: dict[str, Baseline], day: str) -> Callable[[str, Key], bool]:
    def is_known(broker_id: str, key: Key) -> bool:
        return bases.get(broker_id, Baseline(broker_id, day)).is_kept(key)

    return is_known
