"""Commits whose outcome is unknown, and servers that are killed: exactly once, nothing lost.

A test that kills its server has one of its own.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from pymongo import AsyncMongoClient

from core.adapters.mongo.migrations import migrate
from core.adapters.mongo.server import RunningStore, launch
from core.adapters.mongo.store import Budget, MongoStore, StoreOptions
from core.errors import AlreadyDone, StoreError, StoreUnavailable
from core.ports.store import Change, Document, StoreView
from tests.contract.conftest import PATIENT
from tests.faults.proxy import Loss, StoreProxy, through

# A client that is closed while its monitor connects leaves the socket to the collector (pymongo
# 4.20, pool_shared.py: a cancelled connect does not close it).
pytestmark = pytest.mark.filterwarnings(
    "ignore:Exception ignored in. <socket:pytest.PytestUnraisableExceptionWarning"
)

PATIENCE_S = 60.0
OPTIONS = StoreOptions(
    sessions=4,
    server_selection_s=5.0,
    operation_s=20.0,
    budget=Budget(deadline_s=30.0, commit_s=30.0, abort_s=1.0),
)
HASTY = StoreOptions(
    sessions=2,
    server_selection_s=0.7,
    operation_s=2.5,
    budget=Budget(deadline_s=20.0, commit_s=2.5, abort_s=0.5),
)
"""Gives a server up that is away; what the body does while it is there may take a while."""


@pytest.fixture(params=["embedded", "mongod"])
async def server(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[RunningStore]:
    """A server of the test's own."""
    mongod = request.getfixturevalue("mongod_binary") if request.param == "mongod" else None
    running = await launch(tmp_path, uri=None, mongod=mongod, lookup_path=False)
    yield running
    await running.stop()


async def migrated(server: RunningStore, *chats: Document) -> None:
    """Make the schema, and put some documents there, without the haste of the tests."""
    async with await MongoStore.connect(server.server.uri, "saarthi", PATIENT) as patient:
        await migrate(patient)
        for one in chats:
            await patient.insert("chats", one)


@pytest.fixture
async def truth(server: RunningStore) -> AsyncIterator[MongoStore]:
    """A store that reaches the server without the proxy."""
    await migrated(server)
    async with await MongoStore.connect(server.server.uri, "saarthi", PATIENT) as store:
        await store.insert("chats", {"_id": "one", "n": 0})
        yield store


@pytest.fixture
async def faulty(truth: MongoStore, server: RunningStore) -> AsyncIterator[tuple[StoreProxy, str]]:
    """A proxy to the server, and the URI through it."""
    async with through(server.server.uri) as found:
        yield found


@pytest.fixture
async def shared(
    mongo_store: MongoStore, store_uri: str
) -> AsyncIterator[tuple[MongoStore, StoreProxy, str]]:
    """The session's server, for what kills nothing: a direct store, a proxy, the URI through it."""
    await mongo_store.insert("chats", {"_id": "one", "n": 0})
    async with through(store_uri) as (proxy, uri):
        yield mongo_store, proxy, uri


async def connected(uri: str) -> MongoStore:
    """Connect in haste, as soon as that works."""
    async with asyncio.timeout(PATIENCE_S):
        while True:
            with contextlib.suppress(StoreUnavailable):
                return await MongoStore.connect(uri, "saarthi", HASTY)


async def kill(server: RunningStore) -> None:
    """Kill the server's process and wait until it is gone."""
    pid = server.server.pid
    assert pid is not None
    os.kill(pid, signal.SIGKILL)
    await server.wait_dead()


class Adding:
    """A body that adds one and counts its runs."""

    def __init__(self) -> None:
        self.runs = 0

    async def __call__(self, view: StoreView) -> str:
        self.runs += 1
        await view.update("chats", {"_id": "one"}, Change(inc={"n": 1}))
        return f"run {self.runs}"


async def added(truth: MongoStore) -> int:
    """Return how often something was added."""
    found = await truth.get("chats", "one")
    assert found is not None
    return int(found["n"])


# --- unknown commits -----------------------------------------------------------------------------


@pytest.mark.parametrize("times", [1, 2, 3])
@pytest.mark.parametrize("loss", list(Loss))
@pytest.mark.invariant("I1")
async def test_a_commit_whose_message_is_lost_takes_effect_once(
    shared: tuple[MongoStore, StoreProxy, str], store_database: str, loss: Loss, times: int
) -> None:
    """Whether the request or the reply was lost, once or more often, the caller gets the value."""
    truth, proxy, uri = shared
    async with await MongoStore.connect(uri, store_database, OPTIONS) as store:
        proxy.lose(loss, "commitTransaction", times)
        body = Adding()
        value = await store.transaction(body, nonce="one")
        assert value == f"run {body.runs}"
        # A reply that was lost may be read back before the commit is asked for again.
        assert proxy.lost == times or (loss is Loss.REPLY and proxy.lost >= 1)
        with pytest.raises(AlreadyDone):
            await store.transaction(Adding(), nonce="one")
    assert await added(truth) == 1


@pytest.mark.matrix("C13")
@pytest.mark.invariant("I1")
async def test_a_server_killed_after_the_commit_and_before_its_reply(
    truth: MongoStore, faulty: tuple[StoreProxy, str], server: RunningStore
) -> None:
    """The embedded server has then forgotten that it had committed: the nonce remembers."""
    proxy, uri = faulty

    async def crash() -> None:
        await kill(server)
        await server.restart()

    async with await MongoStore.connect(uri, "saarthi", OPTIONS) as store:
        proxy.after_loss = crash
        proxy.lose(Loss.REPLY, "commitTransaction")
        body = Adding()
        assert await store.transaction(body, nonce="one") == "run 1"
        assert body.runs == 1
        assert proxy.lost == 1
    assert await added(truth) == 1


@pytest.mark.matrix("C13")
@pytest.mark.invariant("I1")
async def test_a_server_killed_before_the_commit_reached_it(
    truth: MongoStore, faulty: tuple[StoreProxy, str], server: RunningStore
) -> None:
    """Nothing had been committed: the body runs again and takes effect once."""
    proxy, uri = faulty

    async def crash() -> None:
        await kill(server)
        await server.restart()

    async with await MongoStore.connect(uri, "saarthi", OPTIONS) as store:
        proxy.after_loss = crash
        proxy.lose(Loss.REQUEST, "commitTransaction")
        assert await store.transaction(Adding(), nonce="one") == "run 2"
    assert await added(truth) == 1


async def test_the_drivers_own_helper_applies_such_a_transaction_twice_when_embedded(
    truth: MongoStore, faulty: tuple[StoreProxy, str], server: RunningStore
) -> None:
    """Why the nonce is there: without it the re-run after such a crash adds a second time."""
    proxy, uri = faulty

    async def crash() -> None:
        await kill(server)
        await server.restart()

    proxy.after_loss = crash
    async with AsyncMongoClient[dict[str, object]](uri, retryWrites=False, w="majority") as client:
        books = client["saarthi"]["chats"]

        async def add(session: object) -> None:
            await books.update_one({"_id": "one"}, {"$inc": {"n": 1}}, session=session)  # type: ignore[arg-type]

        async with client.start_session() as session:
            proxy.lose(Loss.REPLY, "commitTransaction")
            await session.with_transaction(add)
    assert await added(truth) == (2 if server.server.kind == "embedded" else 1)


@pytest.mark.matrix("C13", "D01")
@pytest.mark.invariant("I3")
async def test_an_outcome_that_cannot_be_learned_is_said_to_be_unknown(
    truth: MongoStore, faulty: tuple[StoreProxy, str], server: RunningStore
) -> None:
    """The server commits and stays away: StoreUnavailable, and nothing may be sent on it.

    When it is back, the same nonce tells that it had been done.
    """
    proxy, uri = faulty
    async with await connected(uri) as store:
        proxy.after_loss = lambda: kill(server)
        proxy.lose(Loss.REPLY, "commitTransaction")
        with pytest.raises(StoreUnavailable, match="not known"):
            await store.transaction(Adding(), nonce="one")
        await server.restart()
        with pytest.raises(AlreadyDone):
            await eventually(store, "one")
    assert await added(truth) == 1


async def test_a_caller_cancelled_in_its_commit_leaves_it_whole(
    shared: tuple[MongoStore, StoreProxy, str], store_database: str
) -> None:
    """The commit goes on to its end, and only then is the session used again."""
    truth, proxy, uri = shared
    single = StoreOptions(sessions=1, server_selection_s=20.0, operation_s=30.0)
    async with await MongoStore.connect(uri, store_database, single) as store:
        proxy.hold("commitTransaction")
        task = asyncio.create_task(store.transaction(Adding(), nonce="one"))
        await asyncio.wait_for(proxy.held.wait(), PATIENCE_S)
        task.cancel()
        await asyncio.sleep(0)
        proxy.gate.set()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert await store.transaction(Adding(), nonce="two") == "run 1"
    assert await added(truth) == 2


# --- outages -------------------------------------------------------------------------------------


async def eventually(store: MongoStore, nonce: str) -> str:
    """Add one as soon as the store answers again."""
    async with asyncio.timeout(PATIENCE_S):
        while True:
            try:
                return await store.transaction(Adding(), nonce=nonce)
            except StoreUnavailable:
                await asyncio.sleep(0.05)


@pytest.mark.matrix("D01", "D02")
@pytest.mark.invariant("I3", "I13")
async def test_a_server_that_is_away_is_unavailable_in_bounded_time_and_then_recovers(
    server: RunningStore,
) -> None:
    """Every operation says StoreUnavailable, nothing hangs, and the same client goes on after."""
    await migrated(server, {"_id": "one", "n": 0})
    async with (
        await MongoStore.connect(server.server.uri, "saarthi", PATIENT) as truth,
        await connected(server.server.uri) as store,
    ):
        await kill(server)
        async with asyncio.timeout(150):
            ends = await asyncio.gather(
                store.ping(),
                store.get("chats", "one"),
                store.find("chats", {}),
                store.insert("chats", {"_id": "two"}),
                store.update("chats", {"_id": "one"}, Change(inc={"n": 1})),
                store.delete("chats", {"_id": "one"}),
                store.transaction(Adding(), nonce="away"),
                MongoStore.connect(server.server.uri, "saarthi", HASTY),
                return_exceptions=True,
            )
        assert [type(one) for one in ends] == [StoreUnavailable] * len(ends)
        await server.restart()
        assert await eventually(store, "back") == "run 1"
        assert await added(truth) == 1


@pytest.mark.matrix("C13")
@pytest.mark.invariant("I3")
async def test_what_was_acknowledged_survives_kills_of_the_server(
    server: RunningStore,
) -> None:
    """Writers go on while the server is killed five times.

    Nothing acknowledged is
    lost, no transaction is torn, and none took effect twice.
    """
    await migrated(server)
    async with await MongoStore.connect(server.server.uri, "saarthi", OPTIONS) as store:
        await store.insert("chats", {"_id": "one", "n": 0})
        acknowledged: set[str] = set()
        stop = asyncio.Event()

        async def pair(key: str) -> None:
            async def body(view: StoreView) -> None:
                await view.insert("runs", {"_id": key})
                await view.insert("cards", {"_id": key})
                await view.update("chats", {"_id": "one"}, Change(inc={"n": 1}))

            await store.transaction(body, nonce=key)

        async def writer(name: str) -> None:
            number = 0
            while not stop.is_set():
                number += 1
                key = f"{name}.{number}"
                with contextlib.suppress(StoreError):
                    if number % 3:
                        await pair(key)
                    else:
                        await store.insert("alerts", {"_id": key})
                    acknowledged.add(key)

        async with asyncio.TaskGroup() as group:
            for name in "abcd":
                group.create_task(writer(name))
            for _ in range(5):
                before = len(acknowledged)
                async with asyncio.timeout(PATIENCE_S):
                    while len(acknowledged) < before + 40:
                        await asyncio.sleep(0.01)
                await kill(server)
                await server.restart()
            stop.set()

    async with await MongoStore.connect(server.server.uri, "saarthi", PATIENT) as truth:
        ids = {
            name: {row["_id"] for row in await truth.find(name, {})}
            for name in ("runs", "cards", "alerts", "commits")
        }
        assert ids["runs"] == ids["cards"] == ids["commits"]
        assert len(ids["runs"]) == await added(truth)
        assert acknowledged <= ids["runs"] | ids["alerts"]
