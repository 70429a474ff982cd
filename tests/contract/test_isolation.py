"""One account hung, another without a login, a third healthy: the healthy one does not notice (I7)."""

from __future__ import annotations

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
    """Simulators as at their start, and an empty store; a hung call lasts four seconds."""
    return World(
        simulators,
        embedded_store_uri,
        embedded_database,
        tmp_path / "data",
        horizon_s=3.0,
        order_deadline_s=4.0,
    )


async def acknowledged_in(life: Life, broker_id: str, direction: str) -> float:
    """Run the strategy, and return the real seconds from the run's row to the acknowledgement."""
    run_id = await life.run(direction)
    store = life.foundation.store

    async def acknowledged() -> list[dict[str, Any]]:
        rows = await life.rows(run_id=run_id, broker_id=broker_id)
        if not rows:
            return []
        where = {"client_order_id": rows[0]["_id"], "state": {"$in": ["ACCEPTED", "FILLED"]}}
        return await store.find("order_events", where, sort=[("n", 1)], limit=1)

    (event,) = await until(acknowledged)
    run = await store.get("runs", run_id)
    assert run is not None
    return float((event["at"] - run["created_at"]).total_seconds())


@pytest.mark.row("D3")
@pytest.mark.invariant("I2", "I4", "I7", "I13")
@pytest.mark.matrix("A01", "N11")
async def test_healthy_account_trades_as_if_alone(world: World) -> None:
    """Its orders are acknowledged before the hung account's call has ended, as fast as alone."""
    async with living(world) as life:
        healthy = await life.connect(HEALTHY)
        alone = await acknowledged_in(life, healthy, "LONG")
        await life.holds(healthy, 1)
        await acknowledged_in(life, healthy, "FLAT")
        await life.holds(healthy, 0)
        hung = await life.connect(HUNG)
        expired = await life.connect(EXPIRED)
        world.sandbox.fault("hang", HUNG.target, match={"api_key": HUNG.api_key}, times=0)
        world.sandbox.ask(
            "POST", "/tokens/expire", {"broker": EXPIRED.target, "api_key": EXPIRED.api_key}
        )
        beside = await acknowledged_in(life, healthy, "LONG")
        # The hung account's order is in the air or not even sent: no answer of its broker came.
        (stuck,) = await life.rows(broker_id=hung, purpose="entry")
        assert stuck["state"] in {"INITIALIZED", "SUBMITTED"}
        assert beside < min(world.order_deadline_s, alone + 1.0)
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
