"""NORMAL for all can take accounts along that are EXIT_ONLY by their own mode (C1, R2)."""

from __future__ import annotations

from decimal import Decimal

import pytest

from core.adapters.fyers import FYERS
from core.adapters.zerodha import ZERODHA
from core.domain.account_day import AccountDay
from core.domain.day_result import DayResult
from core.domain.limits import LimitKind
from core.domain.mode import TradingMode
from core.engine.orders.gate import freeze_entries, gate_at
from tests.fakes.clock import ManualClock
from tests.fakes.memory_engine import MemoryEngine

pytestmark = pytest.mark.row("C1", "R2")
NORMAL, EXIT_ONLY, PAUSED = TradingMode.NORMAL, TradingMode.EXIT_ONLY, TradingMode.PAUSED


class Desk:
    """Accounts after a panic: each EXIT_ONLY, and the mode of all too."""

    def __init__(self) -> None:
        self.engine = MemoryEngine(ManualClock())
        self.ids: list[str] = []

    async def opened(self, *own: TradingMode) -> Desk:
        await self.engine.owned()
        for number, mode in enumerate(own):
            account = await self.engine.connect(f"A{number}", (ZERODHA, FYERS)[number % 2])
            self.ids.append(account.broker_id)
            await self.set(mode, account.broker_id)
        await self.set(EXIT_ONLY, None)
        return self

    async def set(self, mode: TradingMode, broker_id: str | None) -> None:
        await self.engine.control.modes.set(self.engine.command(), mode, broker_id)

    async def lose(self, broker_id: str, rupees: int) -> None:
        day = AccountDay(broker_id, DayResult(realised=Decimal(-rupees)))
        await self.engine.wiring.loss_limit.judge({broker_id: day})

    async def modes(self) -> list[TradingMode]:
        gates = [await gate_at(self.engine.store, one) for one in self.ids]
        return [gate.mode for gate in gates if gate]

    async def offered(self) -> list[str]:
        own = await self.engine.control.modes.own_modes(NORMAL)
        return [one.account.broker_id for one in own if one.may_follow]


async def test_accounts_that_are_exit_only_are_set_with_all() -> None:
    """One tap after a panic, and both trade; the mode of all alone leaves them as they are."""
    desk = await Desk().opened(EXIT_ONLY, EXIT_ONLY)
    assert await desk.offered() == desk.ids
    await desk.set(NORMAL, None)
    assert await desk.modes() == [EXIT_ONLY, EXIT_ONLY]
    modes = desk.engine.control.modes
    change = await modes.set(desk.engine.command(), NORMAL, None, also=desk.ids)
    assert await desk.modes() == [NORMAL, NORMAL]
    assert change.own == ()
    accounts = await desk.engine.control.accounts.all()
    assert [one.trading_mode for one in accounts] == [NORMAL, NORMAL]


async def test_what_needs_a_look_is_named_and_stays() -> None:
    """A pause, a daily loss and an anomaly: none is lifted with all, even if its id is sent."""
    desk = await Desk().opened(EXIT_ONLY, PAUSED, NORMAL, EXIT_ONLY)
    free, _, lost, frozen = desk.ids
    limits = desk.engine.control.limits
    await limits.set(desk.engine.command(), lost, LimitKind.DAILY_LOSS, "1000")
    await desk.lose(lost, 1200)
    await with_frozen(desk, frozen)
    assert await desk.offered() == [free]
    modes = desk.engine.control.modes
    change = await modes.set(desk.engine.command(), NORMAL, None, also=desk.ids)
    assert await desk.modes() == [NORMAL, PAUSED, EXIT_ONLY, EXIT_ONLY]
    assert [one.why.split(" ")[0] for one in change.own] == ["", "The", "An"]
    gate = await gate_at(desk.engine.store, frozen)
    assert gate is not None
    assert gate.frozen
    await desk.set(NORMAL, frozen)
    assert (await desk.modes())[3] is NORMAL


async def test_a_loss_that_nobody_judged_yet_is_seen_at_the_tap() -> None:
    """Offered before, refused in the change: the account stays, and the answer says why."""
    desk = await Desk().opened(EXIT_ONLY, EXIT_ONLY)
    one, _ = desk.ids
    limits = desk.engine.control.limits
    await desk.lose(one, 1200)
    await limits.set(desk.engine.command(), one, LimitKind.DAILY_LOSS, "1000")
    assert await desk.offered() == desk.ids
    modes = desk.engine.control.modes
    change = await modes.set(desk.engine.command(), NORMAL, None, also=desk.ids)
    assert await desk.modes() == [EXIT_ONLY, NORMAL]
    (kept,) = change.own
    assert kept.why.startswith("Not set: today's loss")


async def test_a_frozen_account_that_all_lets_go_on_is_named_before() -> None:
    """Its own mode is NORMAL, so the mode of all alone ends the anomaly's stop."""
    desk = await Desk().opened(NORMAL)
    await with_frozen(desk, desk.ids[0])
    assert [one.broker_id for one in await desk.engine.control.modes.frozen()] == desk.ids
    await desk.set(NORMAL, None)
    assert await desk.engine.control.modes.frozen() == ()


async def with_frozen(desk: Desk, broker_id: str) -> None:
    """Stop an account's entries as an anomaly does."""
    await freeze_entries(desk.engine.store, broker_id)
