"""The store's server is killed under a running controller (C13): it waits, and never sends blindly."""

from __future__ import annotations

import os
import signal
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from core.adapters.mongo.server import RunningStore, launch
from core.domain.order import OrderState
from tests.fakes.sandbox_process import Sandbox
from tests.faults.life import KITE, World, living
from tests.faults.watch import Rule, Watch
from tests.invariants import assert_invariants

pytest_plugins = ("tests.faults.fixtures",)


@pytest.fixture
async def running(tmp_path: Path) -> AsyncIterator[RunningStore]:
    """A store's server of this test's own."""
    store = await launch(tmp_path / "store", uri=None, mongod=None, lookup_path=False)
    yield store
    await store.stop()


PLACES = [
    pytest.param(Rule("commit", "before", what="submit:"), id="before-the-journal"),
    pytest.param(Rule("commit", "after", what="submit:"), id="after-the-journal"),
    pytest.param(Rule("place", "after"), id="before-the-record"),
]


@pytest.mark.matrix("C13", "D01")
@pytest.mark.invariant("I1", "I2", "I3", "I4", "I5")
@pytest.mark.parametrize("rule", PLACES)
async def test_store_killed_while_entering(
    simulators: Sandbox, running: RunningStore, tmp_path: Path, rule: Rule
) -> None:
    """At the broker is what the journal knew before; when the server is back the rest follows."""
    world = World(simulators, running.server.uri, "killed", tmp_path / "data")

    async def kill() -> None:
        watch.witness = None
        pid = running.server.pid
        assert pid is not None
        os.kill(pid, signal.SIGKILL)

    watch = Watch(rule, kill)
    async with living(world, watch, running=running) as life:
        kite = await life.connect(KITE)
        await life.run("LONG")
        await life.becomes(OrderState.FILLED, broker_id=kite)
        await life.holds(kite, 1)
        evidence = await assert_invariants(life)
    assert len(evidence.orders()) == 1
    assert len(world.placed(KITE)) == 1
