"""The store's server of a controller: which one, watched while it runs, and for whom (row F5)."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from core.adapters.mongo._process import DirectoryLock
from core.adapters.mongo.server import StoreServer, _starter
from core.adapters.mongo.store import ServerKind, _kind
from core.adapters.paper import PAPER_PROFILE
from core.bootstrap import Foundation, build, open_system
from core.bootstrap import foundation as module
from core.bootstrap.services import store_keeper
from core.config import Settings
from core.domain.account import AccountDraft
from core.errors import ConfigurationError, StoreUnavailable
from tests.fakes.clock import ManualClock
from tests.fakes.deciding import InProcess
from tests.fakes.memory_engine import MemoryEngine
from tests.fakes.memory_store import MemoryStore

pytestmark = pytest.mark.row("F5")
HERE, ELSEWHERE = (
    StoreServer("mongodb://here", "mongod", 1),
    StoreServer("mongodb://x", "mongod", 2),
)


class Dying:
    """A ``RunningStore`` whose server ends as often as a test says."""

    def __init__(self, *after: StoreServer) -> None:
        self.server = HERE
        self.restarts = self.stops = 0
        self.is_idle = asyncio.Event()
        self._after = list(after)

    async def wait_dead(self) -> int:
        if not self._after:
            self.is_idle.set()
            await asyncio.Event().wait()
        return -9

    async def restart(self) -> StoreServer:
        self.restarts += 1
        self.server = self._after.pop(0)
        return self.server

    async def stop(self) -> None:
        self.stops += 1


class Embedded(MemoryStore):
    """The store in memory, under the name of the embedded server."""

    def server_kind(self) -> str:
        return "embedded"


def an_engine(*, accepted: bool) -> MemoryEngine:
    engine = MemoryEngine(ManualClock(), store=Embedded())
    settings = {"accept_embedded_store_for_live": accepted}
    return replace(engine, settings=engine.settings.model_copy(update=settings))


async def test_server_that_ends_is_started_again() -> None:
    """By a service of the controller, each time, on the same address."""
    engine, running = MemoryEngine(ManualClock()), Dying(HERE, HERE)
    foundation = replace(engine.foundation, running=running)
    system = build(foundation, {}, decisions=InProcess({}), brokers=engine.brokers)
    keeping = asyncio.ensure_future(system.services["store"]())
    async with asyncio.timeout(150):
        await running.is_idle.wait()
    keeping.cancel()
    with suppress(asyncio.CancelledError):
        await keeping
    assert running.restarts == 2


@pytest.mark.parametrize("ends_in", ["attach", "work", ""])
async def test_server_stops_with_the_controller(
    ends_in: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """However that ends: by itself, by a failure, or before it had begun."""
    engine, running = MemoryEngine(ManualClock()), Dying()

    async def launched(*_given: Any, **_named: Any) -> Dying:
        return running

    @asynccontextmanager
    async def attached(*_given: Any) -> AsyncIterator[Foundation]:
        if ends_in == "attach":
            raise ConfigurationError("the key is gone")
        yield engine.foundation

    monkeypatch.setattr(module, "launch", launched)
    monkeypatch.setattr(module, "attach", attached)
    with suppress(ConfigurationError, ZeroDivisionError):
        async with open_system(Settings(data=tmp_path)) as foundation:
            assert (foundation.running, running.stops) == (running, 0)
            if ends_in == "work":
                raise ZeroDivisionError
    assert running.stops == 1


async def test_server_at_another_address_ends_the_service() -> None:
    """Clients know the old one: the supervisor says so, and a new start finds the new one."""
    with pytest.raises(StoreUnavailable, match="another address"):
        await store_keeper(Dying(ELSEWHERE))()


def test_named_mongod_is_taken_before_one_on_the_path(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Which of several versions opens the data is the user's choice; without one, the PATH's."""
    found, named = tmp_path / "bin" / "mongod", tmp_path / "own" / "mongod"
    for one in (found, named):
        one.parent.mkdir()
        one.touch(mode=0o755)
    monkeypatch.setenv("PATH", str(found.parent))
    lock = DirectoryLock(tmp_path)
    kinds = [
        (starter.kind, getattr(starter, "_binary", None))
        for starter in (
            _starter(tmp_path, lock, named, True),
            _starter(tmp_path, lock, None, True),
            _starter(tmp_path, lock, None, False),
        )
    ]
    assert kinds == [("mongod", named), ("mongod", found), ("embedded", None)]


@pytest.mark.parametrize("accepted", [True, False])
async def test_controller_with_live_accounts_starts_on_the_beta_store_after_a_yes(
    *, accepted: bool
) -> None:
    """A yes that was taken back, or a backup that was restored there, sends no live order."""
    engine = an_engine(accepted=True)
    await engine.connect(logged_in=False)
    engine = replace(engine, settings=an_engine(accepted=accepted).settings)
    system = build(engine.foundation, {}, decisions=InProcess({}), brokers=engine.brokers)
    if accepted:
        await system.begin()
        return
    with pytest.raises(ConfigurationError, match="SAARTHI_ACCEPT_EMBEDDED_STORE_FOR_LIVE=yes"):
        await system.begin()
    assert await engine.store.find("lease", {}) == [], "the next start has not to wait for it"


async def test_controller_with_paper_accounts_alone_needs_no_yes() -> None:
    """They risk nothing."""
    engine = an_engine(accepted=False)
    draft = AccountDraft(PAPER_PROFILE, "Try", "", "")
    await engine.control.registration.add(engine.command(), draft)
    system = build(engine.foundation, {}, decisions=InProcess({}), brokers=engine.brokers)
    await system.begin()


class Server:
    """What a client is told by the server that it reached."""

    def __init__(self, **answers: dict[str, Any]) -> None:
        self._answers = answers

    @property
    def admin(self) -> Server:
        return self

    async def command(self, name: str) -> dict[str, Any]:
        return self._answers[name]


async def test_standalone_server_at_the_given_address_is_refused() -> None:
    """It has no transactions; the sentence says what is expected instead."""
    alone: Any = Server(hello={"isWritablePrimary": True}, buildInfo={"version": "7.0.0"})
    with pytest.raises(ConfigurationError, match="standalone server; expected a replica set"):
        await _kind(alone)
    kinds = [
        await _kind(Server(hello=hello, buildInfo=info))  # type: ignore[arg-type]
        for hello, info in (
            ({"setName": "rs0"}, {"version": "7.0.0"}),
            ({"setName": "rs0"}, {"secantusVersion": "1"}),
            ({}, {"secantusVersion": "1"}),
        )
    ]
    assert kinds == [ServerKind.MONGOD, ServerKind.EMBEDDED, ServerKind.EMBEDDED]
