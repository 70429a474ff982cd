"""A run's commit passes the gates of many accounts: one that is locked holds up none of the others."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import pytest

from core.domain.target import Direction
from core.errors import TransactionConflict
from core.ports.store import BulkView
from tests.fakes.laned_bench import Laned

pytestmark = pytest.mark.invariant("I1")


async def _commits_before_the_send(bench: Laned) -> int:
    """Run, and return how many groups were committed when the entry left."""
    commits: list[int] = []
    landed: list[str] = []
    place, commit = bench.broker.place, bench.store.transaction

    async def seen(order: Any) -> Any:
        commits.append(len(landed))
        return await place(order)

    async def noted(body: Callable[[BulkView], Awaitable[Any]], *, nonce: str) -> Any:
        value = await commit(body, nonce=nonce)
        landed.extend([nonce] if nonce.startswith("group:") else [])  # looks for locks are none
        return value

    bench.broker.place = seen  # type: ignore[method-assign]
    bench.store.transaction = noted  # type: ignore[method-assign]
    await bench.run()
    await bench.until(lambda: bench.sent() == [("BUY", 10)])
    await bench.until(bench.is_calm)
    assert bench.sent() == [("BUY", 10)]
    (found,) = commits
    return found


async def test_run_that_is_refused_twice_takes_no_entry_along() -> None:
    """Each account passes its own gate then, in a commit of its own, and once."""
    async with Laned().running() as bench:
        bench.strategy.want(Direction.LONG)
        commit, refusals = bench.store.transaction, iter((True, True))

        async def refused(body: Callable[[BulkView], Awaitable[Any]], *, nonce: str) -> Any:
            if nonce.startswith("group:") and next(refusals, False):
                raise TransactionConflict("A gate is locked.")
            return await commit(body, nonce=nonce)

        bench.store.transaction = refused  # type: ignore[method-assign]
        assert await _commits_before_the_send(bench) == 2


async def test_run_that_meets_a_locked_gate_leaves_that_account_out() -> None:
    """Its server names the gate; the run goes again at once, and that account passes its own."""
    async with Laned().running() as bench:
        bench.strategy.want(Direction.LONG)
        commit, refusals = bench.store.transaction, iter((True,))

        async def refused(body: Callable[[BulkView], Awaitable[Any]], *, nonce: str) -> Any:
            if nonce.startswith("group:") and next(refusals, False):
                error = TransactionConflict("A gate is locked.")
                error.met = "account_gates", (bench.account.broker_id,)
                raise error
            return await commit(body, nonce=nonce)

        bench.store.transaction = refused  # type: ignore[method-assign]
        assert await _commits_before_the_send(bench) == 2
        gates = bench.engine.writer.contended("account_gates")
        assert gates == {bench.account.broker_id}


async def test_account_with_a_locked_gate_has_no_lane() -> None:
    """Its entry is an intent, and the run waits for nobody's lock."""
    async with Laned().running() as bench:
        bench.strategy.want(Direction.LONG)
        contended: Mapping[str, frozenset[str]] = {
            "account_gates": frozenset({bench.account.broker_id})
        }
        bench.engine.writer.contended = contended.__getitem__  # type: ignore[assignment, method-assign]
        assert await _commits_before_the_send(bench) == 2
