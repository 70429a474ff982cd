"""The one checker of the invariants (reliability.md 3), used by every test that hurts the system.

``gather`` reads all there is to know: the store, the simulators' own ledgers and books, what the
notifier delivered. Each ``check_*`` is a pure function of that and returns sentences about what is
broken. ``assert_invariants`` reads every broker once more first, as I4 asks, and again to see that
a second reconcile changes nothing.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal
from itertools import pairwise
from typing import Any

from core.domain.identifiers import is_client_order_id
from core.domain.notices.orders import OrderUnresolved
from core.domain.order import CLOSED_STATES, LIVE_STATES, OrderState, may_become
from core.ports.store import Document
from tests.faults.life import Life, Simulated, Told, World

__all__ = [
    "CHECKS",
    "Evidence",
    "assert_invariants",
    "changed_again",
    "gather",
    "never_grew",
    "violations",
]

_CLOSED = {state.value for state in CLOSED_STATES}
_LIVE = {state.value for state in LIVE_STATES}
_PRODUCTS = {"INTRADAY": "MIS", "MARGIN": "NRML"}
_CENT = Decimal("0.01")
_ACTS = {"INITIALIZED", "SUBMITTED", "PENDING_CANCEL", "PENDING_UPDATE"}
"""What only a worker of ours does: a reconcile sends nothing."""
_LOOKS = 5
Books = Mapping[str, Mapping[str, Any]]
"""What the brokers hold, by broker_id."""


@dataclass(frozen=True)
class Evidence:
    """All that is known after a test.

    Attributes:
        tables: Documents by collection.
        writes: Order writes that the simulators received, in order.
        books: The truth by broker_id: orders, trades, positions.
        unjournalled: Orders that reached a broker client before the journal showed them.
    """

    tables: Mapping[str, Sequence[Document]]
    writes: Sequence[Mapping[str, Any]]
    books: Books
    accounts: Mapping[str, Simulated]
    told: Told | None
    unjournalled: Sequence[str] = ()

    def orders(self, broker_id: str | None = None) -> list[Document]:
        """Return the journal's rows, of one account or all."""
        rows = self.tables["orders"]
        return [row for row in rows if broker_id in {None, row["broker_id"]}]


_TABLES = ("orders", "order_events", "fills", "ledgers", "outbox", "runs", "run_requests", "users")


async def gather(world: World) -> Evidence:
    """Read the store through a connection of its own, and the simulators."""
    async with world.store() as store:
        tables = {name: await store.find(name, {}) for name in _TABLES}
    return Evidence(
        tables=tables,
        writes=world.ledger(),
        books=_books(world),
        accounts=dict(world.accounts),
        told=world.told,
        unjournalled=tuple(world.unjournalled),
    )


def _books(world: World) -> Books:
    return {broker_id: world.book(who) for broker_id, who in world.accounts.items()}


def check_no_duplicate(evidence: Evidence) -> Iterable[str]:
    """I1: for one client order id the broker holds at most one order."""
    for broker_id, book in evidence.books.items():
        tags = Counter(order["tag"] for order in book["orders"] if order["tag"])
        for tag, times in tags.items():
            if times > 1 and is_client_order_id(_bare(tag)):
                yield f"I1: {broker_id} holds {times} orders of {tag}"
    owners: defaultdict[str, list[str]] = defaultdict(list)
    for row in evidence.orders():
        if row["broker_order_id"]:
            owners[f"{row['broker_id']} {row['broker_order_id']}"].append(row["_id"])
    for order, rows in owners.items():
        if len(rows) > 1:
            yield f"I1: the broker's order {order} is claimed by {rows}"


def check_no_loss(evidence: Evidence) -> Iterable[str]:
    """I2: an intent is final, working, or unresolved with its alert; a broker order has its row."""
    alerted = {
        row["data"].get("client_order_id")
        for row in evidence.tables["outbox"]
        if row["kind"] == OrderUnresolved.kind
    }
    for row in evidence.orders():
        known = row["state"] in _CLOSED | _LIVE
        if not known and not (row["state"] == "UNRESOLVED" and row["_id"] in alerted):
            yield f"I2: {row['_id']} is left {row['state']} ({row['reason']})"
    rows = {row["_id"] for row in evidence.orders()}
    for broker_id, book in evidence.books.items():
        ids = {row["broker_order_id"] for row in evidence.orders(broker_id)}
        for order in book["orders"]:
            if order["order_id"] not in ids and _bare(order["tag"]) not in rows:
                yield f"I2: {broker_id}: the broker's order {order['order_id']} has no row"
    for order_id in {event["client_order_id"] for event in evidence.tables["order_events"]}:
        if order_id not in rows:
            yield f"I2: {order_id} has events and no row"


def check_write_ahead(evidence: Evidence) -> Iterable[str]:
    """I3: whatever reached a simulator had been SUBMITTED in the journal before."""
    submitted: dict[str, list[datetime]] = defaultdict(list)
    for event in evidence.tables["order_events"]:
        if event["state"] == OrderState.SUBMITTED.value:
            submitted[event["client_order_id"]].append(event["at"])
    for write in evidence.writes:
        if write["action"] != "place" or not is_client_order_id(_bare(write["tag"])):
            continue
        times = submitted.get(str(_bare(write["tag"])), [])
        if not any(at.timestamp() <= write["real_at"] for at in times):
            yield f"I3: {write['tag']} was sent before the journal knew it"
    for order_id in evidence.unjournalled:
        yield f"I3: {order_id} was about to be sent and another connection did not see its row"


def _bare(tag: str | None) -> str | None:
    return tag.removeprefix("1:") if tag else tag


_STATES = {"COMPLETE": "FILLED", "CANCELLED": "CANCELED", "REJECTED": "REJECTED"}


def check_truth(evidence: Evidence) -> Iterable[str]:
    """I4: statuses, fills, average prices and net positions are the broker's."""
    yield from check_orders_truth(evidence)
    for broker_id, book in evidence.books.items():
        yield from _net_differences(evidence, broker_id, book)


def check_orders_truth(evidence: Evidence) -> Iterable[str]:
    """I4 without the net, which a user's own trades share with the books."""
    for broker_id, book in evidence.books.items():
        theirs = {order["order_id"]: order for order in book["orders"]}
        for row in evidence.orders(broker_id):
            seen = theirs.get(row["broker_order_id"])
            if seen is not None:
                yield from _differences(row, seen)
            elif row["broker_order_id"]:
                yield f"I4: {row['_id']} claims an order that the broker does not have"


def _differences(row: Document, seen: Mapping[str, Any]) -> Iterable[str]:
    state = _STATES.get(seen["status"])
    right = row["state"] == state if state else row["state"] in _LIVE
    if not right:
        yield f"I4: {row['_id']} is {row['state']}, the broker says {seen['status']}"
    if row["filled_quantity"] != seen["filled_quantity"]:
        yield f"I4: {row['_id']} filled {row['filled_quantity']}, not {seen['filled_quantity']}"
    apart = abs(Decimal(str(seen["average_price"])) - row["average_price"])
    if row["filled_quantity"] and apart > _CENT:
        yield f"I4: {row['_id']} at {row['average_price']}, not {seen['average_price']}"
    if row["quantity"] != seen["quantity"]:
        yield f"I4: {row['_id']} is for {row['quantity']}, not {seen['quantity']}"


def _net_differences(evidence: Evidence, broker_id: str, book: Mapping[str, Any]) -> Iterable[str]:
    ours: Counter[tuple[str, str]] = Counter()
    for row in evidence.tables["ledgers"]:
        if row["broker_id"] == broker_id:
            ours[row["instrument"].removeprefix("NSE:"), row["product"]] += row["quantity"]
    for row in evidence.orders(broker_id):
        # What no ledger holds: other people's orders, and a user's close of what they opened.
        if row["purpose"] == "external" or row["strategy"] == "manual":
            sign = 1 if row["side"] == "BUY" else -1
            key = row["instrument"].removeprefix("NSE:"), row["product"]
            ours[key] += sign * row["filled_quantity"]
    theirs: Counter[tuple[str, str]] = Counter()
    for position in book["positions"]:
        product = _PRODUCTS.get(position["product"], position["product"])
        theirs[position["symbol"], product] += position["quantity"]
    for key in {*ours, *theirs}:
        if ours[key] != theirs[key]:
            yield f"I4: {broker_id} {key}: the books say {ours[key]}, the broker {theirs[key]}"


def check_monotone(evidence: Evidence) -> Iterable[str]:
    """I5: fills never fall, every step is in the table, each trade is counted once."""
    histories: defaultdict[str, list[Document]] = defaultdict(list)
    for event in evidence.tables["order_events"]:
        histories[event["client_order_id"]].append(event)
    for order_id, events in histories.items():
        events.sort(key=lambda event: event["n"])
        if [event["n"] for event in events] != list(range(len(events))):
            yield f"I5: {order_id} has the versions {[event['n'] for event in events]}"
        for before, after in pairwise(events):
            if after["filled_quantity"] < before["filled_quantity"]:
                yield f"I5: {order_id} filled {before['filled_quantity']}, then less"
            old, new = OrderState(before["state"]), OrderState(after["state"])
            if old is not new and not may_become(old, new):
                yield f"I5: {order_id} went from {old} to {new}"
    trades = Counter(
        (row["broker_id"], row["day"], row["broker_order_id"], row["trade_id"])
        for row in evidence.tables["fills"]
    )
    yield from (f"I5: the trade {trade} is counted twice" for trade, n in trades.items() if n > 1)
    yield from _fill_sums(evidence)


def _fill_sums(evidence: Evidence) -> Iterable[str]:
    filled: Counter[str] = Counter()
    for row in evidence.tables["fills"]:
        filled[f"{row['broker_id']} {row['broker_order_id']}"] += row["quantity"]
    for row in evidence.orders():
        key = f"{row['broker_id']} {row['broker_order_id']}"
        if key in filled and filled[key] != row["filled_quantity"]:
            yield f"I5: {row['_id']} filled {row['filled_quantity']}, its trades {filled[key]}"


def check_notifications(evidence: Evidence) -> Iterable[str]:
    """I8: every notice was delivered; those on one subject in order; a repeat has the same id.

    Notices on different subjects may be written at the same time; which is first means nothing.
    """
    if evidence.told is None:
        return
    seen: defaultdict[int, set[str]] = defaultdict(set)
    latest: dict[tuple[int, str], str] = {}
    for chat_id, notice_id, is_repeat, post in evidence.told.delivered:
        if notice_id in seen[chat_id]:
            if not is_repeat:
                yield f"I8: {notice_id} came twice and was not marked as a repeat"
            continue
        seen[chat_id].add(notice_id)
        order = getattr(post.notice, "client_order_id", None)
        if order is None:
            continue
        subject = chat_id, order
        if notice_id < latest.get(subject, ""):
            yield f"I8: {notice_id} on {subject} came after {latest[subject]}"
        latest[subject] = notice_id
    rows = {row["_id"]: row for row in evidence.tables["outbox"]}
    for row in rows.values():
        if row["state"] != "SENT" or _shown_by(row, rows) not in seen[row["chat_id"]]:
            yield f"I8: the notice {row['_id']} ({row['kind']}) is {row['state']} {row['reason']}"


def _shown_by(row: Document, rows: Mapping[str, Document]) -> str:
    """Return the notice that shows what this one was to show: itself, or a later edit.

    A later edit may have been left out for one that is later still.
    """
    while row["reason"].startswith(_LEFT_OUT) and row["reason"] != _LEFT_OUT + row["_id"]:
        row = rows[row["reason"].removeprefix(_LEFT_OUT)]
    return str(row["_id"])


_LEFT_OUT = "shown by "


def check_commands(evidence: Evidence) -> Iterable[str]:
    """I9: a command takes effect once: one run, one order of a user; what was filed was done."""
    runs = Counter(row["_id"] for row in evidence.tables["runs"])
    entries = Counter(
        # Slices of one intent are attempts of their own (row R3).
        (row["run_id"], row["broker_id"], row["instrument"], row["attempt"])
        for row in evidence.orders()
        if row["purpose"] == "entry" or row["strategy"] == "manual"
    )
    yield from (f"I9: the run {run} stands twice" for run, n in runs.items() if n > 1)
    yield from (f"I9: {key} has {n} orders" for key, n in entries.items() if n > 1)
    for row in evidence.tables["run_requests"]:
        if row["state"] != "done":
            yield f"I9: the run {row['_id']} was asked for and is {row['state']}"


def never_grew(trades: Sequence[Mapping[str, Any]], start: int = 0) -> Iterable[str]:
    """I6: from ``start`` on, no trade let |net| grow or turned its sign."""
    net = start
    for trade in trades:
        after = net + trade["quantity"] * (1 if trade["side"] == "BUY" else -1)
        if abs(after) > abs(net) or after * net < 0:
            yield f"I6: {trade['side']} {trade['quantity']} took the position from {net} to {after}"
        net = after


CHECKS: tuple[Callable[[Evidence], Iterable[str]], ...] = (
    check_no_duplicate,
    check_no_loss,
    check_write_ahead,
    check_truth,
    check_monotone,
    check_notifications,
    check_commands,
)


def violations(evidence: Evidence) -> list[str]:
    """Return everything that is broken."""
    return [sentence for check in CHECKS for sentence in check(evidence)]


async def at_rest(life: Life) -> Books:
    """Wait until some reads in a row changed nothing; exits and stops may still be worked out.

    Returns:
        What the brokers held before the last of these reads.
    """
    events, books = -1, _books(life.world)
    for _ in range(40):
        await life.settled()
        found = len(await life.foundation.store.find("order_events", {}))
        if found == events:
            return books
        events, books = found, _books(life.world)
        await life.refresh()
        # Two whole turns of every worker: one may cancel a stop, the next send the exit.
        await life.turned(2)
    raise AssertionError("the journal never comes to rest")


async def assert_invariants(life: Life) -> Evidence:
    """Let the system come to rest, then fail with a list of all that is broken."""
    for _ in range(_LOOKS):
        books = await at_rest(life)
        evidence = await gather(life.world)
        await life.refresh()
        again = await gather(life.world)
        # What the broker did after the first of the two reads is there for the second alone.
        steps = changed_again(replace(evidence, books=books), again)
        if steps or len(again.tables["order_events"]) == len(evidence.tables["order_events"]):
            break
        # A worker's time has come between the two (an exit is tried again some seconds after a
        # refusal), or the exchange moved: that is no doing of the second reconcile. Look anew.
    else:
        steps = ["the journal never comes to rest"]
    broken = violations(evidence)
    broken += [f"I4: a second reconcile changed the journal: {step}" for step in steps]
    assert not broken, "\n".join(broken)
    return evidence


def changed_again(first: Evidence, again: Evidence) -> list[str]:
    """Return what a second reconcile changed although neither we nor the broker did anything."""
    known = {event["_id"] for event in first.tables["order_events"]}
    news = [event for event in again.tables["order_events"] if event["_id"] not in known]
    acted = {event["client_order_id"] for event in news if event["state"] in _ACTS}
    rows = {row["_id"]: row for row in again.orders()}
    return [
        f"{event['client_order_id']} {event['old']} -> {event['state']} {event['reason']}"
        for event in sorted(news, key=lambda event: event["n"])
        if event["client_order_id"] not in acted
        and not _has_moved(rows[event["client_order_id"]], first, again)
    ]


def _has_moved(row: Document, first: Evidence, again: Evidence) -> bool:
    """Return whether the broker shows an order otherwise in the second look than in the first."""
    before, after = (
        [
            o
            for o in one.books[row["broker_id"]]["orders"]
            if o["order_id"] == row["broker_order_id"]
        ]
        for one in (first, again)
    )
    return bool(before != after)
