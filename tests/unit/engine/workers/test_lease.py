"""A lease whose holder is gone is taken over, whatever time stands in it (I10, K01)."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any

import pytest

from core.engine.workers.lease import LEASE_S, Lease
from core.errors import LeaseHeld
from core.ports.store import Change
from tests.fakes.clock import ManualClock
from tests.fakes.memory_store import MemoryStore

pytestmark = [pytest.mark.matrix("K01"), pytest.mark.invariant("I10")]


async def nothing(*_: object) -> None:
    """Do nothing."""


def lease_of(store: MemoryStore, clock: ManualClock) -> Lease:
    async def hold(_collection: str, _where: Mapping[str, Any]) -> None:
        return

    async def kill(_ids: Sequence[str]) -> None:
        return

    return Lease(
        store, clock, session_ids=lambda: (), kill_sessions=kill, hold=hold, release=nothing
    )


async def crashed_by_a_fast_clock(store: MemoryStore) -> ManualClock:
    """Leave the lease of a controller that died; return the clock, since set back by hours."""
    clock = ManualClock()
    await lease_of(store, clock).take()
    clock.step_wall(-5.5 * 3600)
    return clock


async def test_holder_that_died_by_a_fast_clock_is_waited_out(memory_store: MemoryStore) -> None:
    """A machine that started with a clock hours ahead: positions wait for no such time."""
    clock = await crashed_by_a_fast_clock(memory_store)
    after = lease_of(memory_store, clock)
    async with asyncio.TaskGroup() as group:
        taking = group.create_task(after.wait_and_take())
        for _ in range(int(2 * LEASE_S)):
            await clock.advance(1)
        assert taking.done()
    assert after.fence == 2


async def test_holder_that_lives_is_not_overtaken(memory_store: MemoryStore) -> None:
    """It renews while the other waits, by whatever clock."""
    clock = await crashed_by_a_fast_clock(memory_store)
    taking = asyncio.create_task(lease_of(memory_store, clock).wait_and_take())
    await clock.advance(3)
    row = await memory_store.get("lease", "controller")
    assert row is not None
    await memory_store.update("lease", {}, Change(set={"renewed_at": clock.now()}))
    await clock.advance(3)
    with pytest.raises(LeaseHeld):
        await taking
