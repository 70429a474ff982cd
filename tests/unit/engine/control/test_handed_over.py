"""A hand-over that a controller does not live to end: the next one says what still rests (row A5)."""

from __future__ import annotations

import asyncio

import pytest

from core.domain.account import Account, DisablePolicy
from core.engine.control.account_switch import AccountSwitch
from tests.campaign.virtual import run_virtually
from tests.fakes.panicking import Trading

pytestmark = pytest.mark.row("A5")


def test_start_names_the_orders_that_were_left_resting(monkeypatch: pytest.MonkeyPatch) -> None:
    """Through a whole controller, which ends between its commit and the first cancel."""

    async def ends(_self: AccountSwitch, _account: Account) -> None:
        """The process is gone before the first cancel."""

    async def live(trading: Trading) -> None:
        await trading.opened()
        await asyncio.sleep(12)
        one = trading.accounts[0]
        assert trading.working(one)
        with monkeypatch.context() as killed:
            killed.setattr(AccountSwitch, "_release", ends)
            await trading.world.ask(
                "switch",
                lambda system, command: system.control.switch.disable(
                    command, one, DisablePolicy.MANUAL
                ),
            )
        await trading.world.restart(1.0)
        await asyncio.sleep(5)
        rows = trading.world.database.committed["outbox"].values()
        assert [row["kind"] for row in rows].count("orders_left_resting") == 1

    run_virtually(lambda loop: live(Trading(loop)), 7)
