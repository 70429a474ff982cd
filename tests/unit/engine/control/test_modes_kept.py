"""Modes are kept with who set them and when, of all and of each account, over a restart (C1)."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import pytest

from core.adapters.fyers import FYERS
from core.domain.command import Command
from core.domain.mode import TradingMode
from core.engine.orders.gate import gate_at
from tests.fakes.clock import ManualClock
from tests.fakes.memory_engine import MemoryEngine

pytestmark = pytest.mark.row("C1")

NORMAL, EXIT_ONLY, PAUSED = TradingMode.NORMAL, TradingMode.EXIT_ONLY, TradingMode.PAUSED


async def of_account(engine: MemoryEngine, broker_id: str) -> tuple[Any, datetime, str]:
    row = await engine.store.get("broker_accounts", broker_id)
    assert row is not None
    return row["trading_mode"], row["mode_set_at"], row["mode_set_by"]


async def test_a_mode_is_kept_with_who_and_when() -> None:
    """Of an account and of all; another change of the account, and a restart, forget neither."""
    engine = await MemoryEngine(ManualClock()).owned()
    account, other = await engine.connect(), await engine.connect("Other", FYERS)
    first = engine.clock.now()
    modes = engine.control.modes
    await modes.set(Command("one", 77, 1), EXIT_ONLY, account.broker_id)
    await engine.clock.advance(60)
    await modes.set(Command("two", 78, 1), PAUSED, None)
    await engine.control.switch.disable(Command("three", 79, 1), account.broker_id, None)

    again = MemoryEngine(engine.clock, store=engine.store, key=engine.key)
    assert await of_account(again, account.broker_id) == ("EXIT_ONLY", first, "77")
    assert await again.control.modes.global_mode() is PAUSED
    row = await again.store.get("settings", "global_mode")
    assert row is not None
    assert (row["changed_by"], row["changed_at"]) == ("78", engine.clock.now())
    own = {one.broker_id: one.trading_mode for one in await again.control.accounts.all()}
    assert own == {account.broker_id: EXIT_ONLY, other.broker_id: NORMAL}


async def test_the_stricter_of_both_holds() -> None:
    """Every pair of a mode of all and one of the account, whichever of them is set last."""
    engine = await MemoryEngine(ManualClock()).owned()
    account = await engine.connect()
    order = (NORMAL, EXIT_ONLY, PAUSED)
    for everyone in order:
        for own in order:
            for scope in ((None, everyone), (account.broker_id, own)):
                await engine.control.modes.set(engine.command(), scope[1], scope[0])
            gate = await gate_at(engine.store, account.broker_id)
            assert gate is not None
            assert gate.mode is max(everyone, own, key=order.index)


async def test_an_account_that_is_added_later_is_under_the_mode_of_all() -> None:
    """It begins NORMAL by itself, and PAUSED holds for it from its first moment."""
    engine = await MemoryEngine(ManualClock()).owned()
    await engine.control.modes.set(engine.command(), PAUSED, None)
    account = await engine.connect()
    gate = await gate_at(engine.store, account.broker_id)
    assert gate is not None
    assert (account.trading_mode, gate.mode) == (NORMAL, PAUSED)
