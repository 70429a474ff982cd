"""An account whose rows conflict at the store delays no other's commits (decision 22)."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from typing import Any, TypeVar

import pytest

from core.adapters.single_writer import SingleWriterStore
from core.engine.orders.gate import uncontended
from core.errors import StoreUnavailable, TransactionConflict
from core.ports.store import Batch, BulkView, Change, Condition, StoreView
from tests.fakes.clock import ManualClock
from tests.fakes.counted_store import CountedStore
from tests.fakes.held_writer import LEASE, THEN

T = TypeVar("T")
ACCOUNTS = 24
LOCKED = "zerodha_000007"
_RUNS = 40


class LockedStore(CountedStore):
    """Refuses each transaction that writes a gate which somebody else keeps locked, as servers do.

    ``tries`` counts the bodies that ran, ``refused`` those that met the lock.
    """

    def __init__(self) -> None:
        super().__init__()
        self.locked: set[str] = set()
        self.tries = 0
        self.refused = 0

    async def transaction(self, body: Callable[[BulkView], Awaitable[T]], *, nonce: str) -> T:
        for _ in range(_RUNS):
            met: list[str] = []

            async def run(view: BulkView, met: list[str] = met) -> T:
                self.tries += 1
                return await body(_LockedView(view, self.locked, met))

            try:
                return await super().transaction(run, nonce=nonce)
            except TransactionConflict:
                if not met:
                    raise
                self.refused += 1
        raise TransactionConflict("It is locked.")


class BrokenStore(CountedStore):
    """Loses its connection once in a transaction, and runs the body again, as servers' stores do."""

    def __init__(self) -> None:
        super().__init__()
        self.is_broken = False

    async def transaction(self, body: Callable[[BulkView], Awaitable[T]], *, nonce: str) -> T:
        if self.is_broken:
            self.is_broken = False

            async def breaks(view: BulkView) -> T:
                return await body(_BrokenView())  # type: ignore[arg-type]

            with suppress(StoreUnavailable):
                await super().transaction(breaks, nonce=nonce)
        return await super().transaction(body, nonce=nonce)


class _BrokenView:
    async def apply_all(self, *_: object) -> None:
        raise StoreUnavailable("The connection broke.")


class _LockedView:
    def __init__(self, view: BulkView, locked: set[str], met: list[str]) -> None:
        self._view, self._locked, self._met = view, locked, met

    def __getattr__(self, name: str) -> Any:
        return getattr(self._view, name)

    async def apply_all(self, condition: Condition, batches: Sequence[tuple[str, Batch]]) -> None:
        for collection, batch in batches:
            if any(key in self._locked for key, _ in batch.changes):
                self._met.append(collection)
                raise TransactionConflict("Another's write is under way.")
        await self._view.apply_all(condition, batches)


def ids() -> list[str]:
    return [f"zerodha_{number:06d}" for number in range(ACCOUNTS)]


@pytest.fixture
async def base() -> LockedStore:
    """Gates of some accounts, one of them locked."""
    store = LockedStore()
    await store.insert("lease", dict(LEASE))
    gates = ({"_id": one, "mode": "NORMAL", "fence": 7, "seq": 0} for one in ids())
    await store.insert("account_gates", *gates)
    return store


@pytest.fixture
async def writer(base: LockedStore) -> SingleWriterStore:
    """The writer over it."""
    made = SingleWriterStore(base, ManualClock(THEN))
    await made.hold("lease", LEASE)
    base.locked.add(LOCKED)
    return made


async def submit(writer: SingleWriterStore, *broker_ids: str, nonce: str) -> None:
    """Pass gates as a submission, or a run, does."""

    async def body(view: StoreView) -> None:
        for one in broker_ids:
            assert await view.update("account_gates", {"_id": one}, Change(inc={"seq": 1}))

    await writer.transaction(body, nonce=nonce)


async def test_locked_gate_delays_no_other_account(
    base: LockedStore, writer: SingleWriterStore
) -> None:
    """Nobody repeats what fifty accounts wrote until one account's lock is gone."""
    for slot in range(3):
        base.tries = base.refused = 0
        others = [one for one in ids() if one != LOCKED]
        stuck = asyncio.create_task(submit(writer, LOCKED, nonce=f"{slot}#{LOCKED}"))
        await asyncio.gather(*(submit(writer, one, nonce=f"{slot}#{one}") for one in others))
        assert not stuck.done()
        # The first time it is found by halves; from then on it goes by itself.
        assert base.refused <= (12 if slot == 0 else 3)
        assert writer.contended("account_gates") == {LOCKED}
        assert uncontended(writer, ids()) == others
        stuck.cancel()
        await asyncio.gather(stuck, return_exceptions=True)
    assert await writer.differences() == []


async def test_it_goes_through_when_the_lock_is_gone(
    base: LockedStore, writer: SingleWriterStore
) -> None:
    """Once, and however busy the others are."""
    stuck = asyncio.create_task(submit(writer, LOCKED, nonce="stuck"))
    while not writer.contended("account_gates"):
        await asyncio.sleep(0)

    async def others() -> None:
        for turn in range(30):
            await submit(writer, ids()[0], nonce=f"busy {turn}")

    busy = asyncio.create_task(others())
    base.locked.clear()
    await asyncio.gather(stuck, busy)
    row = await base.get("account_gates", LOCKED)
    assert row is not None
    assert row["seq"] == 1


async def test_who_writes_many_gates_puts_none_under_suspicion(
    base: LockedStore, writer: SingleWriterStore
) -> None:
    """A run that is refused says nothing of its fifty accounts; its body hears it by running again."""
    runs = 0

    async def run(view: StoreView) -> None:
        nonlocal runs
        runs += 1
        taken = ids() if runs <= 2 else ids()[:1]
        for one in taken:
            await view.update("account_gates", {"_id": one}, Change(inc={"seq": 1}))

    await writer.transaction(run, nonce="run")
    assert runs == 3
    assert writer.contended("account_gates") == frozenset()


async def test_what_stays_locked_ends_in_an_error(base: LockedStore) -> None:
    """Within the time of a transaction, as without a writer."""
    writer = SingleWriterStore(base, ManualClock(THEN), deadline_s=0.05)
    await writer.hold("lease", LEASE)
    base.locked.add(LOCKED)
    # Whichever the end of its time strikes: the wait for the lock, or the body that runs again.
    with pytest.raises((TransactionConflict, StoreUnavailable)):
        await submit(writer, LOCKED, nonce="stuck")


async def test_a_line_that_breaks_is_nobody_elses_lock() -> None:
    """The same commit goes again, whole; no account is put under suspicion for it."""
    base = BrokenStore()
    await base.insert("lease", dict(LEASE))
    await base.insert("account_gates", {"_id": LOCKED, "mode": "NORMAL", "fence": 7, "seq": 0})
    writer = SingleWriterStore(base, ManualClock(THEN))
    await writer.hold("lease", LEASE)
    base.is_broken = True
    await submit(writer, LOCKED, nonce="submit")
    assert not base.is_broken
    assert writer.contended("account_gates") == frozenset()
    row = await base.get("account_gates", LOCKED)
    assert row is not None
    assert row["seq"] == 1
