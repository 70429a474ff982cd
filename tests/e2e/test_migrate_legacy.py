"""``saarthi migrate-legacy`` as a user types it, then the account's first login and order (A11)."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pymongo
import pytest

from core.adapters.clock import clock_from_setting
from core.adapters.fyers import FYERS
from tests.fakes.clock import clock_text
from tests.fakes.installation import APPS, Installation
from tests.fakes.sandbox_process import Sandbox

pytestmark = [pytest.mark.row("A11"), pytest.mark.slow, pytest.mark.timeout(900)]

BREAKOUT = "2026-11-23T09:31:02+05:30"
"""SBIN's close of 09:30 left the opening range: the run of this minute enters."""
SLOW = 0.05
TOKEN = "canary-token-of-yesterday-0001"


@pytest.fixture
def here(tmp_path: Path) -> Iterator[Installation]:
    """An installation that has never been started, in the minute of the breakout."""
    clock = clock_text(BREAKOUT, SLOW)
    sandbox = Sandbox(clock=clock)
    try:
        yield Installation(sandbox, tmp_path / "data", clock)
    finally:
        sandbox.end()


@pytest.fixture
def old(mongod_store_uri: str, here: Installation) -> Iterator[Any]:
    """The database of a Flask program with one account, on a real server."""
    _, key, secret, user = APPS[FYERS]
    yesterday = clock_from_setting(here.clock).market_now() - timedelta(days=1)
    with pymongo.MongoClient[dict[str, Any]](mongod_store_uri) as client:
        database = client["flask_trader"]
        database["fyers_tokens"].insert_one(
            {
                "app_id": key,
                "secret_key": secret,
                "fy_id": user,
                "access_token": TOKEN,
                "created_at": yesterday,
            }
        )
        yield database
        client.drop_database("flask_trader")


async def test_account_logs_in_and_trades(
    here: Installation,
    old: Any,
    mongod_store_uri: str,
    embedded_store_uri: str,
    embedded_database: str,
) -> None:
    """Taken over by the command, logged in by its holder, it enters what the strategy decides."""
    _, key, secret, _ = APPS[FYERS]
    own = {"MONGODB_URI": embedded_store_uri, "SAARTHI_DB": embedded_database}
    here.extra = {"SAARTHI_LEGACY_URI": mongod_store_uri, **own}
    before = list(old["fyers_tokens"].find())

    done = here.run("migrate-legacy", "--db", old.name, "--mode", "NORMAL")

    assert done.returncode == 0, done.stderr
    assert "added     Fyers - Main" in done.stdout
    shown = done.stdout + done.stderr
    assert not [one for one in (secret, TOKEN, mongod_store_uri) if one in shown]
    assert list(old["fyers_tokens"].find()) == before
    async with here.opened() as system:
        (account,) = await system.control.accounts.all()
        assert (account.is_default, account.enabled, account.needs_login) == (True, True, True)
        here.register(system, FYERS)
        await here.log_in(system, account)
    traded = here.run(
        "live", "--strategy", "opening_range_breakout", "--broker-id", account.broker_id, "--once"
    )
    assert traded.returncode == 0, traded.stderr
    assert "Fyers - Main: entry BUY 1 NSE:SBIN MIS: bought 1 at ₹" in traded.stdout
    entry, *_ = here.ledger()
    assert (entry["broker"], entry["api_key"], entry["side"]) == ("fyers", key, "BUY")
