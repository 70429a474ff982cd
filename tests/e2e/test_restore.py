"""A machine that is gone: its backup on an empty one goes on, and sends nothing twice (D04)."""

from __future__ import annotations

import json
import shutil
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pymongo
import pytest

from console.backup import run_backup
from core.adapters.zerodha import ZERODHA
from tests.fakes.clock import clock_text
from tests.fakes.installation import Installation
from tests.fakes.sandbox_process import Sandbox, eventually

pytestmark = [
    pytest.mark.matrix("D04"),
    pytest.mark.slow,
    pytest.mark.timeout(900),
]

BREAKOUT = "2026-11-23T09:31:02+05:30"
"""SBIN's close of 09:30 left the opening range: the run of this minute enters."""
SLOW = 0.05
PASSPHRASE = "canary passphrase of the tests"


@pytest.fixture
def here(tmp_path: Path) -> Iterator[Installation]:
    """An installation with a store of its own, in the minute of the breakout."""
    clock = clock_text(BREAKOUT, SLOW)
    sandbox = Sandbox(clock=clock)
    try:
        passphrase = {"SAARTHI_BACKUP_PASSPHRASE": PASSPHRASE}
        yield Installation(sandbox, tmp_path / "data", clock, passphrase)
    finally:
        sandbox.end()


def rows(here: Installation, collection: str) -> list[dict[str, Any]]:
    """Read a collection of the running controller's store; none while it is not up."""
    try:
        found = json.loads((here.data / "store.json").read_text())
    except FileNotFoundError:
        return []
    with pymongo.MongoClient[dict[str, Any]](found["uri"]) as client:
        return list(client["saarthi"][collection].find())


async def test_backup_goes_on_where_everything_was_lost(here: Installation, tmp_path: Path) -> None:
    """What was sent after the backup is adopted and told, and no order is sent a second time."""
    elsewhere = tmp_path / "elsewhere"
    async with here.opened() as system:
        account = await here.connect(system, ZERODHA)
        await system.control.switch.enable(here.command(), account.broker_id)
        owner = {"_id": "1001", "user_id": 1001, "role": "owner", "chat_id": 1001, "name": "Gita"}
        await system.foundation.store.insert("users", owner)
        assert await run_backup(here.settings, elsewhere) == 0
    once = ("--strategy", "opening_range_breakout", "--broker-id", account.broker_id, "--once")
    assert here.run("live", *once).returncode == 0
    sent = here.ledger()
    assert [(one["side"], one["order_type"]) for one in sent] == [
        ("BUY", "MARKET"),
        ("SELL", "SL-M"),
    ]
    shutil.rmtree(here.data)
    (file,) = elsewhere.iterdir()

    done = here.run("restore", str(file))

    assert done.returncode == 0, done.stderr
    assert "restored the by-hand backup of " in done.stdout
    assert PASSPHRASE not in done.stdout + done.stderr
    controller = here.start("run")
    try:
        eventually(
            lambda: (
                {"store_restored", "restored_compared"}
                <= {row["kind"] for row in rows(here, "outbox")}
            ),
            within_s=120,
        )
        (compared,) = [r for r in rows(here, "outbox") if r["kind"] == "restored_compared"]
        (stored,) = rows(here, "broker_accounts")
        orders = rows(here, "orders")
    finally:
        controller.send_signal(signal.SIGTERM)
        _, log = controller.communicate(timeout=300)
    assert controller.returncode == 0, log
    assert compared["data"]["orders"] == 2
    assert "NSE:SBIN MIS +1" in str(compared["data"]["apart"])
    assert "orders that Saarthi sent after the backup" in log
    assert (stored["trading_mode"], stored["token_status"]) == ("EXIT_ONLY", "valid")
    assert sorted(row["_id"] for row in orders) == sorted(one["tag"] for one in sent)
    assert {row["purpose"] for row in orders} == {"external"}
    assert here.ledger() == sent
