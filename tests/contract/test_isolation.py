"""One account hung, another without a login, a third healthy: the healthy one does not notice (I7)."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from tests.fakes.sandbox_process import Sandbox
from tests.faults.life import FYERS, KITE, THIRD, Life, World, living, until
from tests.invariants import assert_invariants

pytest_plugins = ("tests.faults.fixtures",)

HEALTHY, HUNG, EXPIRED = KITE, FYERS, THIRD


@pytest.fixture
def world(
    simulators: Sandbox, embedded_store_uri: str, embedded_database: str, tmp_path: Path
) -> World:
    """Simulators as at their start, and an empty store; a hung call lasts eight seconds."""
    return World(
        simulators,
        embedded_store_uri,
        embedded_database,
        tmp_path / "data",
        horizon_s=3.0,
        order_deadline_s=8.0,
    )


async def events(life: Life, **where: Any) -> list[dict[str, Any]]:
    """Return what was noted of an order, oldest first."""
    store = life.foundation.store
    (row,) = await life.rows(**where)
    return await store.find("order_events", {"client_order_id": row["_id"]}, sort=[("n", 1)])


async def acknowledged(life: Life, broker_id: str, direction: str) -> datetime:
    """Run the strategy, and return when an account's order was acknowledged."""
    run_id = await life.run(direction)

    async def is_noted() -> list[datetime]:
        if not await life.rows(run_id=run_id, broker_id=broker_id):
            return []
        noted = await events(life, run_id=run_id, broker_id=broker_id)
        return [one["at"] for one in noted if one["state"] in {"ACCEPTED", "FILLED"}]

    return (await until(is_noted))[0]


@pytest.mark.row("D3", "S2")
@pytest.mark.invariant("I2", "I4", "I7", "I13")
@pytest.mark.matrix("A01", "N11")
async def test_healthy_account_trades_as_if_alone(world: World) -> None:
    """Its order is acknowledged before the hung account's call has ended."""
    async with living(world) as life:
        healthy = await life.connect(HEALTHY)
        hung = await life.connect(HUNG)
        expired = await life.connect(EXPIRED)
        world.sandbox.fault("hang", HUNG.target, match={"api_key": HUNG.api_key}, times=0)
        world.sandbox.ask(
            "POST", "/tokens/expire", {"broker": EXPIRED.target, "api_key": EXPIRED.api_key}
        )
        at = await acknowledged(life, healthy, "LONG")
        # The hung account's order was in the air or not even sent: no answer of its broker came.
        noted = await events(life, broker_id=hung, purpose="entry")
        assert {one["state"] for one in noted if one["at"] <= at} <= {"INITIALIZED", "SUBMITTED"}
        await life.holds(healthy, 1)

        async def parked() -> bool:
            return (await life.system.control.accounts.get(expired)).needs_login

        await until(parked, what="the dead login to be found")
        worker = life.system.worker(hung)
        assert worker is not None

        async def says_so() -> bool:
            return bool(worker.trouble)

        await until(says_so, what="the hung account's trouble to be shown")
        world.sandbox.ask("DELETE", "/faults")
        await life.login(expired)
        await assert_invariants(life)
        # Whether its entry was planned before or after the login was found dead: nothing went.
        assert all(row["state"] == "DENIED" for row in await life.rows(broker_id=expired))
        assert not any(write["applied"] for write in world.placed(EXPIRED))
        assert "token_warning" in world.told.kinds()
