"""Order updates of both simulators, through the whole engine: hints, reads, and their loss."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from core.bootstrap import account_wiring
from core.domain.account import TokenStatus
from core.domain.notices.post import Delivery
from core.domain.order import OrderState
from core.engine.workers.account_worker import AccountWorker
from core.engine.workers.snapshot_reader import WorkerSettings
from tests.fakes.sandbox_process import Sandbox
from tests.faults.life import FYERS, KITE, Life, Simulated, World, living, until

pytest_plugins = ("tests.faults.fixtures",)

NEVER = WorkerSettings(
    busy_s=3600, idle_s=3600, positions_s=3600, funds_s=3600, working_s=3600, checked_s=3600
)
"""No read comes by itself, so that what is seen was pushed."""
CHECKED = WorkerSettings(idle_s=0.05, checked_s=1.0, working_s=0.5)


@pytest.fixture(params=[KITE, FYERS], ids=["kite", "fyers"])
def who(request: pytest.FixtureRequest) -> Simulated:
    """An account of each broker in turn."""
    found: Simulated = request.param
    return found


@pytest.fixture
def world(simulators: Sandbox, tmp_path: Path) -> World:
    """Simulators that push, and an empty store in memory."""
    return World(simulators, None, "memory", tmp_path / "data", has_streams=True)


def read_as(settings: WorkerSettings, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let every worker of this test read by these pauses."""
    monkeypatch.setattr(account_wiring, "WorkerSettings", lambda: settings)


def by_hand(world: World, who: Simulated, quantity: int) -> None:
    """Buy in the broker's own app; it fills at once."""
    order = {"symbol": "SBIN", "side": "BUY", "quantity": quantity, "product": "MIS"}
    world.sandbox.ask("POST", "/orders", {"broker": who.target, "user_id": who.user_id, **order})


async def live(life: Life, broker_id: str) -> AccountWorker:
    """Return an account's worker once its updates are live and it has read since."""
    worker = life.system.worker(broker_id)
    assert worker is not None

    async def is_live() -> bool:
        since, read = worker.updates.live_since, worker.snapshot.orders_began_at
        return since is not None and read is not None and read >= since

    await until(is_live, what="live updates that were followed by a read")
    return worker


async def journalled(life: Life, *quantities: int) -> None:
    """Wait until the journal has these fills and no others."""

    async def found() -> bool:
        rows: list[dict[str, Any]] = await life.rows(state=OrderState.FILLED.value)
        return sorted(row["filled_quantity"] for row in rows) == sorted(quantities)

    await until(found, what=f"fills of {quantities}")


@pytest.mark.row("R8")
async def test_fill_is_seen_without_a_poll(
    world: World, who: Simulated, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With hours between reads a fill is in the journal, and so is the end of the login, once."""
    read_as(NEVER, monkeypatch)
    async with living(world) as life:
        broker_id = await life.connect(who)
        worker = await live(life, broker_id)
        for quantity in (1, 2):
            by_hand(world, who, quantity)
            await journalled(life, *range(1, quantity + 1))
        login = {"broker": who.target, "api_key": who.api_key}
        world.sandbox.ask("POST", "/tokens/expire", login)

        async def has_expired() -> bool:
            account = await life.system.control.accounts.get(broker_id)
            return account.token_status is TokenStatus.EXPIRED

        await until(has_expired, what="the end of the login")
        await until(_never(worker), what="the end of the stream")
        await until(_warned(world), what="the warning of it")
        await life.settled()
        assert world.told.deliveries("token_warning") == [Delivery.REPLACE]
        await life.login(broker_id)
        await live(life, broker_id)
        by_hand(world, who, 3)
        await journalled(life, 1, 2, 3)


def _warned(world: World) -> Any:
    async def is_told() -> bool:
        return bool(world.told.deliveries("token_warning"))

    return is_told


def _dropped(world: World, login: dict[str, str]) -> Any:
    async def is_one() -> bool:
        return bool(world.sandbox.ask("POST", "/sockets/drop", login)["dropped"])

    return is_one


def _never(worker: AccountWorker) -> Any:
    async def is_gone() -> bool:
        return worker.updates.status is None

    return is_gone


@pytest.mark.row("R8")
async def test_lost_frames_and_lost_connections_are_made_good(
    world: World, who: Simulated, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A frame that never came is found by the check; what came while it was down, by the read after."""
    read_as(CHECKED, monkeypatch)
    async with living(world) as life:
        worker = await live(life, await life.connect(who))
        lost = world.sandbox.fault(
            "lose_frames", who.target, match={"api_key": who.api_key}, times=0
        )
        hints, lives = worker.updates.hints, worker.updates.live_since
        by_hand(world, who, 1)
        await journalled(life, 1)
        # A connection that was made anew meanwhile, on a machine that stood still, hints too.
        assert worker.updates.hints == hints or worker.updates.live_since != lives
        world.sandbox.ask("DELETE", f"/faults/{lost}")
        since = worker.updates.live_since
        login = {"broker": who.target, "api_key": who.api_key}
        await until(_dropped(world, login), what="a socket to drop")
        by_hand(world, who, 2)
        await journalled(life, 1, 2)

        async def is_back() -> bool:
            return worker.updates.live_since not in {None, since}

        await until(is_back, what="a second connection")

        async def is_one() -> bool:
            return bool(world.sandbox.ask("GET", "/sockets", **login) == {"open": 1})

        await until(is_one, what="one socket")
