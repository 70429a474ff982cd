"""The user hears of keys in danger before the start that would miss them (A06)."""

from __future__ import annotations

from pathlib import Path

import pytest

from core.adapters.vault import KEY_FILE, FernetVault
from core.domain.notices.system import KeysInDanger, KeysSafe
from core.engine.workers.key_watch import KeyWatch
from tests.fakes.clock import ManualClock
from tests.fakes.memory_engine import MemoryEngine

pytestmark = [pytest.mark.row("G2"), pytest.mark.matrix("A06")]


class Keys:
    """Keys whose trouble a test sets."""

    def __init__(self) -> None:
        self.now = ""

    def trouble(self) -> str:
        return self.now


async def test_danger_is_told_once_and_its_end_too() -> None:
    """Each look of ten seconds finds the same trouble; the chat hears of it once, health always."""
    engine = await MemoryEngine(ManualClock()).owned()
    keys = Keys()
    watch = KeyWatch(engine.store, keys, engine.wiring.outbox)
    await watch.tick()
    for keys.now in ("gone", "gone", "gone", "", "", "unreadable"):
        await watch.tick()
    told = await engine.notices(KeysInDanger, KeysSafe)
    assert told == [KeysInDanger("gone"), KeysSafe(), KeysInDanger("unreadable")]


@pytest.mark.row("R6")
async def test_danger_is_over_when_the_keys_are_there_at_a_start() -> None:
    """Who puts the key file back and starts anew is not left with the alarm."""
    engine = await MemoryEngine(ManualClock()).owned()
    keys = Keys()
    keys.now = "gone"
    await KeyWatch(engine.store, keys, engine.wiring.outbox).tick()
    keys.now = ""
    for _ in range(2):
        await engine.clock.advance(1)
        await KeyWatch(engine.store, keys, engine.wiring.outbox).tick()
    assert await engine.notices(KeysInDanger, KeysSafe) == [KeysInDanger("gone"), KeysSafe()]


async def test_harmed_key_file_leaves_the_controller_alive(tmp_path: Path) -> None:
    """With its key file emptied, accounts stay readable, new secrets are sealed, health says so."""
    vault = FernetVault.from_setting(None, tmp_path)
    engine = await MemoryEngine(ManualClock(), vault=vault).owned()
    account = await engine.connect()
    (tmp_path / KEY_FILE).write_text("")

    credentials = await engine.wiring.accounts.credentials(account.broker_id)
    health = await engine.control.health.read()
    await engine.wiring.upkeep.keys.tick()

    assert credentials.api_secret
    assert [one for one in health.troubles if "secret.key" in one] == [vault.trouble()]
    assert await engine.notices(KeysInDanger) == [KeysInDanger(vault.trouble())]
