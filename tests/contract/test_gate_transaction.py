"""The engine's gate inside the store's transactions: why it is needed, and that it holds.

Each promise is shown twice, on every store: without the gate it breaks, with it it holds. So the
tests say as well that the stores behave as the design assumes.
"""

from __future__ import annotations

import asyncio
import signal
import sys
import uuid
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Any

import pytest

from core.adapters.mongo.store import MongoStore
from core.domain.instrument import InstrumentId, Product
from core.domain.mode import TradingMode
from core.domain.order import Purpose, Side
from core.engine.orders.gate import add_gate, change_gate, new_gate, pass_gate
from core.engine.orders.risk import Facts, require
from core.errors import Denied, LeaseLost, StoreError
from core.ports.store import Change, Document, ServedStore, StoreView
from tests.contract.conftest import Place

ACCOUNT = "zerodha_abc123"
NOW = datetime(2026, 11, 23, 4, 15, tzinfo=UTC)
PATIENCE_S = 60.0
GATE = {**new_gate(ACCOUNT, TradingMode.NORMAL, fence=1, at=NOW, by="test"), "enabled": True}

Body = Callable[[StoreView], Awaitable[None]]


@pytest.fixture
async def gated(store: ServedStore) -> ServedStore:
    """A store with one account's gate, NORMAL, under fence 1."""
    await add_gate(store, GATE)
    return store


def order(key: str, **fields: Any) -> Document:
    """A row that was submitted."""
    return {
        "_id": key,
        "broker_id": ACCOUNT,
        "state": "SUBMITTED",
        "side": "SELL",
        "purpose": "exit",
        "quantity": 1,
        **fields,
    }


async def through_gate(view: StoreView, fence: int = 1) -> None:
    """Pass the gate as every submission does."""
    gate = await pass_gate(view, ACCOUNT, fence=fence)
    # A change of a resting order: it asks for no units, so only the account's state decides.
    sbin = InstrumentId.parse("NSE:SBIN")
    require(Facts(Purpose.EXIT, "orb", sbin, Product.MIS, Side.SELL, 0, gate))


async def pause(view: StoreView) -> None:
    """Set PAUSED as a command does."""
    await change_gate(view, ACCOUNT, at=NOW, by="test", account_mode=TradingMode.PAUSED)


# --- the mode ------------------------------------------------------------------------------------


async def test_reading_the_mode_alone_lets_an_order_out_after_the_pause(
    gated: ServedStore, other_store: ServedStore
) -> None:
    """Write skew: what a transaction only read may change under it. This is why the gate is there."""

    async def submit(view: StoreView) -> None:
        gate = await view.get("account_gates", ACCOUNT)
        assert gate is not None
        assert gate["mode"] == "NORMAL"
        await other_store.transaction(pause, nonce="pause")
        await view.insert("orders", order("A"))

    await gated.transaction(submit, nonce="submit")
    gate = await gated.get("account_gates", ACCOUNT)
    assert gate is not None
    assert gate["mode"] == "PAUSED"
    assert await gated.get("orders", "A") is not None


async def test_setting_the_value_that_stands_is_no_gate(
    gated: ServedStore, other_store: ServedStore
) -> None:
    """A ``$set`` of the same value writes nothing, so two of them never meet: ``$inc`` does."""
    same = Change(set={"mode": "NORMAL"})
    runs = 0

    async def submit(view: StoreView) -> None:
        nonlocal runs
        runs += 1
        assert await view.update("account_gates", {"_id": ACCOUNT, "mode": "NORMAL"}, same) == 1
        if runs == 1:
            await other_store.transaction(inner, nonce="inner")

    async def inner(view: StoreView) -> None:
        assert await view.update("account_gates", {"_id": ACCOUNT, "mode": "NORMAL"}, same) == 1

    await gated.transaction(submit, nonce="submit")
    assert runs == 1


@pytest.mark.invariant("I6")
@pytest.mark.matrix("O04")
@pytest.mark.row("C4")
async def test_no_order_is_committed_after_a_pause_that_was_confirmed(
    gated: ServedStore, other_store: ServedStore
) -> None:
    """The transaction began under NORMAL; the pause came between; the gate turns it away."""
    paused = False

    async def submit(view: StoreView) -> None:
        nonlocal paused
        assert await view.get("account_gates", ACCOUNT) is not None
        if not paused:
            await other_store.transaction(pause, nonce="pause")
            paused = True
        await through_gate(view)
        await view.insert("orders", order("A"))

    with pytest.raises(Denied, match="PAUSED"):
        await gated.transaction(submit, nonce="submit")
    assert await gated.get("orders", "A") is None


@pytest.mark.invariant("I6")
@pytest.mark.matrix("O04")
async def test_an_order_that_passed_the_gate_first_is_seen_by_the_pause(
    gated: ServedStore, place: Place
) -> None:
    """The pause waits for the order's commit, and its confirmation can list it.

    The only writer makes nobody wait: the pause comes first, and the order is turned away.
    """
    passed, go_on = asyncio.Event(), asyncio.Event()

    async def submit(view: StoreView) -> None:
        await through_gate(view)
        await view.insert("orders", order("A"))
        passed.set()
        await go_on.wait()

    async def pause_and_list(view: StoreView) -> list[str]:
        await pause(view)
        return [row["_id"] for row in await view.find("orders", {"broker_id": ACCOUNT})]

    submitting = asyncio.create_task(gated.transaction(submit, nonce="submit"))
    await passed.wait()
    pausing = asyncio.create_task(gated.transaction(pause_and_list, nonce="pause"))
    if place.is_held:
        assert await pausing == []
        go_on.set()
        with pytest.raises(Denied, match="PAUSED"):
            await submitting
        return
    done, _ = await asyncio.wait({pausing}, timeout=0.2)
    assert not done, "the pause was acknowledged while a submission was under way"
    go_on.set()
    await submitting
    assert await pausing == ["A"]


@pytest.mark.invariant("I10")
async def test_an_old_fence_passes_no_gate(gated: ServedStore) -> None:
    """After a take-over the first controller's next submission is turned away."""
    await gated.update("account_gates", {}, Change(set={"fence": 2}, inc={"seq": 1}), many=True)
    with pytest.raises(LeaseLost):
        await gated.transaction(lambda view: through_gate(view, fence=1), nonce="old")
    await gated.transaction(lambda view: through_gate(view, fence=2), nonce="new")


# --- two exits at once ---------------------------------------------------------------------------


def exit_once(key: str, meeting: asyncio.Barrier, *, with_gate: bool) -> Body:
    """Return the body of an exit that is sent only when none works; both bodies read, then meet."""
    runs = 0

    async def body(view: StoreView) -> None:
        nonlocal runs
        runs += 1
        if runs == 1:
            await meeting.wait()
        if with_gate:
            await through_gate(view)
        working = await view.find("orders", {"broker_id": ACCOUNT, "state": "SUBMITTED"})
        if runs == 1 and not with_gate:
            await meeting.wait()
        if working:
            raise Denied("COVERED", "An exit of this position works already.")
        await view.insert("orders", order(key))

    return body


@pytest.mark.parametrize("with_gate", [False, True])
@pytest.mark.invariant("I6")
@pytest.mark.matrix("O03")
async def test_two_exits_at_once(gated: ServedStore, place: Place, *, with_gate: bool) -> None:
    """Each reads that nothing works: without the gate both are sent, with it one.

    The only writer lets no two bodies pass one another, gate or not.
    """
    meeting = asyncio.Barrier(2)
    results = await asyncio.gather(
        gated.transaction(exit_once("A", meeting, with_gate=with_gate), nonce="a"),
        gated.transaction(exit_once("B", meeting, with_gate=with_gate), nonce="b"),
        return_exceptions=True,
    )
    denied = sum(isinstance(result, Denied) for result in results)
    sent = len(await gated.find("orders", {"broker_id": ACCOUNT}))
    assert (sent, denied) == ((1, 1) if with_gate or place.is_held else (2, 0))


@pytest.mark.invariant("I6")
@pytest.mark.matrix("O02", "O03")
async def test_pauses_and_exits_in_any_interleaving(gated: ServedStore) -> None:
    """Eight exits and a pause at once: at most one exit, and none after the pause's commit."""
    meeting = asyncio.Barrier(8)
    exits = [
        gated.transaction(exit_once(f"E{i}", meeting, with_gate=True), nonce=f"e{i}")
        for i in range(8)
    ]
    results = await asyncio.gather(
        *exits, gated.transaction(pause, nonce="pause"), return_exceptions=True
    )
    assert all(result is None or isinstance(result, Denied) for result in results)
    assert len(await gated.find("orders", {"broker_id": ACCOUNT})) == results[:8].count(None) <= 1


# --- a controller that was killed ----------------------------------------------------------------

KILLED_INSIDE = """
import asyncio, sys
from core.adapters.mongo.store import MongoStore
from core.ports.store import Change

async def main():
    uri, database, account = sys.stdin.readline().split()
    store = await MongoStore.connect(uri, database)

    async def body(view):
        await view.update("account_gates", {"_id": account}, Change(inc={"seq": 1}))
        print(" ".join(store.session_ids), flush=True)
        await asyncio.Event().wait()

    await store.transaction(body, nonce="never")

asyncio.run(main())
"""


@pytest.mark.invariant("I10")
async def test_a_killed_controllers_gate_is_free_as_soon_as_its_sessions_are_killed(
    mongo_store: MongoStore, other_mongo_store: MongoStore, store_uri: str, store_database: str
) -> None:
    """Kill -9 inside a transaction: locked until kill_sessions, then the fence is raised at once."""
    await mongo_store.insert("account_gates", GATE)
    victim = await asyncio.create_subprocess_exec(
        *(sys.executable, "-P", "-c", KILLED_INSIDE),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    try:
        assert victim.stdin is not None
        assert victim.stdout is not None
        victim.stdin.write(f"{store_uri} {store_database} {ACCOUNT}\n".encode())
        line = await asyncio.wait_for(victim.stdout.readline(), PATIENCE_S)
    finally:
        victim.send_signal(signal.SIGKILL)
        await victim.wait()

    async def raise_fence(view: StoreView) -> None:
        change = Change(set={"fence": 2}, inc={"seq": 1})
        assert await view.update("account_gates", {"_id": ACCOUNT}, change) == 1

    with pytest.raises(StoreError):
        await other_mongo_store.transaction(raise_fence, nonce="locked")
    sessions = line.decode().split()
    assert len(sessions) == 16
    await other_mongo_store.kill_sessions(sessions)
    await other_mongo_store.transaction(raise_fence, nonce=uuid.uuid4().hex)
    gate = await mongo_store.get("account_gates", ACCOUNT)
    assert gate is not None
    assert (gate["fence"], gate["seq"]) == (2, 1)


@pytest.mark.invariant("I10")
async def test_a_transaction_whose_session_was_killed_changes_nothing(
    gated: ServedStore, other_store: ServedStore
) -> None:
    """What it held is free at once; should its controller still live, the body meets the truth."""
    wrote, go_on = asyncio.Event(), asyncio.Event()
    fences: list[int] = []

    async def submit(view: StoreView) -> None:
        gate = await view.get("account_gates", ACCOUNT)
        assert gate is not None
        fences.append(gate["fence"])
        await through_gate(view)
        await view.insert("orders", order("A"))
        wrote.set()
        await go_on.wait()

    submitting = asyncio.create_task(gated.transaction(submit, nonce="submit"))
    await wrote.wait()
    await other_store.kill_sessions(gated.session_ids)
    raised = Change(set={"fence": 2}, inc={"seq": 1})
    assert await other_store.update("account_gates", {"_id": ACCOUNT}, raised) == 1
    go_on.set()
    with pytest.raises(LeaseLost):
        await submitting
    assert fences == [1, 2]
    assert await gated.get("orders", "A") is None


async def test_killing_sessions_that_are_gone_is_harmless(gated: ServedStore) -> None:
    """A take-over does not know which of them still live, nor whether the lease named any."""
    await gated.kill_sessions([])
    await gated.kill_sessions([uuid.uuid4().hex])
    await gated.transaction(pause, nonce="after")
