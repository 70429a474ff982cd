"""No query of the program reads through a collection that grows: each has an index that leads to it."""

from __future__ import annotations

from collections.abc import Iterator

from core.adapters.mongo.schema import COLLECTIONS, Index
from tests.architecture.queries import Query, queries_of
from tests.architecture.test_repository import modules

DRIVERS = ("bot", "console", "core", "webhooks")
SCHEMA = {one.name: one.indexes for one in COLLECTIONS}
SMALL = frozenset(
    {
        "account_gates",
        "alarms",
        "bare_cards",
        "broker_accounts",
        "chats",
        "goals",
        "guards",
        "lease",
        "ledgers",
        "limits",
        "login_links",
        "panics",
        "result_guards",
        "settings",
        "strategies",
        "users",
    }
)
"""Collections that hold what a person sets up or does by hand, and nothing of what a day brings;
ledgers, goals and guards, one for each instrument that a strategy trades on an account; links, one an account; bare
cards, one for each run that has a position without a stop at this moment."""
ADAPTER = ("core/adapters/mongo/", "core/adapters/single_writer/", "core/adapters/sealed.py")
"""The port itself, migrations (once a version), the change of keys, which reads what it seals, and a
view that passes on what others ask."""
NARROWED = frozenset(
    {
        ("inbox", "bot_id"),  # among the few updates that wait
        ("logins", "told_silent"),  # among the few logins that are open
    }
)
"""Fields beside those of the index, where it leaves a handful of documents."""


def queries() -> list[Query]:
    """Return every query of the program, the store's own adapter left out."""
    return [
        query
        for place, text in modules(*DRIVERS)
        if not place.startswith(ADAPTER)
        for query in queries_of(place, text)
    ]


def problems(query: Query) -> Iterator[str]:
    """Say what of a query cannot be served by an index."""
    if not query.is_read or not query.collection:
        yield f"{query.place}: give the filter as a dict, and the collection by a constant"
    elif query.collection not in SMALL and "_id" not in query.equal:
        wanted = {one for one in query.equal if (query.collection, one) not in NARROWED}
        if not any(serves(one, wanted, query.ranges) for one in SCHEMA[query.collection]):
            fields = sorted(query.equal | query.ranges)
            yield f"{query.place}: {query.collection} has no index for {fields}"


def serves(index: Index, equal: set[str], ranges: frozenset[str]) -> bool:
    """Whether an index leads to what these fields find: they are its first, a range the last."""
    keys = [name for name, _ in index.keys]
    wanted = len(equal) + len(ranges)
    is_whole = all(name in equal for name in (index.where or {}))
    return bool(wanted) and is_whole and set(keys[:wanted]) == equal | ranges


def test_every_query_has_its_index() -> None:
    """A start, a turn, a slot and a view cost what today costs, not what the year costs."""
    assert [problem for query in queries() for problem in problems(query)] == []


def test_queries_are_found() -> None:
    """The search sees literal and named filters, in functions inside others too."""
    text = """
_ORDERS = "orders"

async def outer(view):
    where = {"broker_id": 1, "state": {"$in": [1]}, **more}

    async def body(view):
        await view.delete("goals", {"at": {"$lt": 1}, "kind": {"$ne": 2}})

    await gather(view.find(_ORDERS, where), *others)
    chosen = {"day": 1} if all else {"day": 1, "run_id": 2}
    await view.find(_ORDERS, chosen)
    await view.update(somewhere, given(), change)
    await menu.find(1)
"""
    found = {(q.collection, q.equal, q.ranges, q.is_read) for q in queries_of("x", text)}
    assert found == {
        ("orders", frozenset({"broker_id", "state"}), frozenset(), True),
        ("orders", frozenset({"day"}), frozenset(), True),
        ("orders", frozenset({"day", "run_id"}), frozenset(), True),
        ("goals", frozenset(), frozenset({"at"}), True),
        ("", frozenset(), frozenset(), False),
    }


def test_query_without_index_is_found() -> None:
    """By state alone, the journal of all accounts would be read through."""
    by_state = Query("x", "orders", frozenset({"state"}))
    by_account = Query("x", "orders", frozenset({"state", "broker_id"}))
    assert list(problems(by_state)) == ["x: orders has no index for ['state']"]
    assert list(problems(by_account)) == []
    assert len(list(problems(Query("x", "orders", is_read=False)))) == 1
