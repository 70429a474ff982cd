"""A gate's counter makes transactions collide; a server that nobody else writes need not see it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from core.domain.mode import TradingMode
from core.engine.orders.gate import add_gate, change_gate, new_gate, pass_gate, touch_gate
from core.ports.store import StoreView
from tests.fakes.counted_store import CountedStore
from tests.fakes.held_writer import THEN, Held

ACCOUNT = "zerodha_abc123"


class OfKind(CountedStore):
    """A store in memory that says what server it is."""

    kind = "mongod"

    def server_kind(self) -> str:
        return self.kind


@pytest.fixture(params=["mongod", "embedded"])
async def held(request: pytest.FixtureRequest) -> AsyncIterator[Held]:
    """A writer with one gate; at the end it remembers what is stored."""
    base = OfKind()
    base.kind = request.param
    made = await Held(base).opened()
    gate = new_gate(ACCOUNT, TradingMode.NORMAL, fence=7, at=THEN, by="user")

    async def body(view: StoreView) -> None:
        await add_gate(view, gate)

    await made.writer.transaction(body, nonce="gate")
    yield made
    assert await made.writer.differences() == []


async def stored_gate(held: Held) -> dict[str, Any]:
    row = await held.base.get("account_gates", ACCOUNT)
    assert row is not None
    return row


async def submit(held: Held, key: str) -> None:
    async def body(view: StoreView) -> None:
        await pass_gate(view, ACCOUNT, fence=7)
        await view.insert("cards", {"_id": key})

    await held.writer.transaction(body, nonce=key)


async def test_a_submission_raises_it_where_another_process_could_write(held: Held) -> None:
    """On the embedded server it would be a third of what fifty exits write."""
    await asyncio.gather(submit(held, "a"), submit(held, "b"))
    await submit(held, "c")
    assert (await stored_gate(held))["seq"] == (0 if held.writer.server_kind() == "embedded" else 3)
    assert len(await held.base.find("cards", {})) == 3


@pytest.mark.invariant("I6")
@pytest.mark.parametrize("what", ["mode", "touch"])
async def test_what_moves_the_gate_makes_a_submission_run_again(held: Held, what: str) -> None:
    """Whether it changes the mode, or only says that something a submission reads has changed."""
    seen: list[TradingMode] = []
    reading, go_on = asyncio.Event(), asyncio.Event()

    async def submitting(view: StoreView) -> None:
        seen.append((await pass_gate(view, ACCOUNT, fence=7)).mode)
        reading.set()
        await go_on.wait()

    async def moving(view: StoreView) -> None:
        if what == "touch":
            await touch_gate(view, ACCOUNT)
        else:
            paused = TradingMode.PAUSED
            await change_gate(view, ACCOUNT, at=THEN, by="user", account_mode=paused)

    submission = asyncio.ensure_future(held.writer.transaction(submitting, nonce="submission"))
    await reading.wait()
    await held.writer.transaction(moving, nonce="moving")
    go_on.set()
    await submission
    then = TradingMode.NORMAL if what == "touch" else TradingMode.PAUSED
    assert seen == [TradingMode.NORMAL, then]
    assert (await stored_gate(held))["mode"] == then.value
