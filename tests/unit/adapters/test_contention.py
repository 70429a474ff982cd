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

    ``refused`` counts the commits that met a lock, looks for locks left out. While ``is_fleeting``
    the locks are gone whenever somebody looks.
    """

    def __init__(self) -> None:
        super().__init__()
        self.locked: set[str] = set()
        self.is_fleeting = False
        self.refused = 0

    async def transaction(self, body: Callable[[BulkView], Awaitable[T]], *, nonce: str) -> T:
        is_look = nonce.startswith("look:")
        locked = set() if is_look and self.is_fleeting else self.locked
        for _ in range(_RUNS):
            met: list[str] = []

            async def run(view: BulkView, met: list[str] = met) -> T:
                return await body(_LockedView(view, locked, met))

            try:
                return await super().transaction(run, nonce=nonce)
            except TransactionConflict:
                if not met:
                    raise
            finally:
                self.refused += bool(met) and not is_look
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
        first = condition.collection, [condition.where["_id"]]
        rest = [(name, [key for key, _ in batch.changes]) for name, batch in batches]
        for collection, keys in (first, *rest):
            if not self._locked.isdisjoint(keys):
                self._met.append(collection)
                error = TransactionConflict("Another's write is under way.")
                error.met = collection, tuple(keys)
                raise error
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


@pytest.mark.parametrize("is_fleeting", [False, True])
async def test_locked_gate_delays_no_other_account(
    base: LockedStore, writer: SingleWriterStore, *, is_fleeting: bool
) -> None:
    """Nobody repeats what fifty accounts wrote until one account's lock is gone."""
    base.is_fleeting = is_fleeting
    for slot in range(3):
        base.refused = 0
        others = [one for one in ids() if one != LOCKED]
        stuck = asyncio.create_task(submit(writer, LOCKED, nonce=f"{slot}#{LOCKED}"))
        await asyncio.gather(*(submit(writer, one, nonce=f"{slot}#{one}") for one in others))
        assert not stuck.done()
        # The first time a look finds it, or it is found by halves; then it goes by itself.
        first, later = (12, 3) if is_fleeting else (1, 0)
        assert base.refused <= (first if slot == 0 else later)
        assert writer.contended("account_gates") == {LOCKED}
        assert uncontended(writer, ids()) == others
        stuck.cancel()
        await asyncio.gather(stuck, return_exceptions=True)
    assert await writer.differences() == []


async def test_several_locked_gates_are_found_at_once(
    base: LockedStore, writer: SingleWriterStore
) -> None:
    """By one refused commit, whichever they are; what the looks wrote is taken back."""
    base.locked = {ids()[0], LOCKED, ids()[-1]}
    stuck = [
        asyncio.create_task(submit(writer, one, nonce=one)) for one in ids() if one in base.locked
    ]
    free = [one for one in ids() if one not in base.locked]
    await asyncio.gather(*(submit(writer, one, nonce=one) for one in free))
    assert base.refused == 1
    assert writer.contended("account_gates") == base.locked
    for one in stuck:
        one.cancel()
    await asyncio.gather(*stuck, return_exceptions=True)
    assert await writer.differences() == []
    gates = await base.find("account_gates", {})
    assert {row["_id"]: row["seq"] for row in gates} == {
        one: 0 if one in base.locked else 1 for one in ids()
    }


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


async def test_run_goes_again_without_the_account_that_is_locked(
    base: LockedStore, writer: SingleWriterStore
) -> None:
    """Its body runs once more, and the other accounts' entries leave with it."""
    taken: list[list[str]] = []

    async def run(view: StoreView) -> None:
        taken.append(uncontended(writer, ids()))
        for one in taken[-1]:
            await view.update("account_gates", {"_id": one}, Change(inc={"seq": 1}))

    await writer.transaction(run, nonce="run")
    assert taken == [ids(), [one for one in ids() if one != LOCKED]]
    assert base.refused == 1


async def test_who_writes_many_gates_puts_none_under_suspicion(
    base: LockedStore, writer: SingleWriterStore
) -> None:
    """A run that is refused for a lock that no look finds says nothing of its fifty accounts."""
    base.is_fleeting = True
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
