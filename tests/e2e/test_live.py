"""``saarthi live`` as a user types it: processes, the sandbox, a store on disk."""

from __future__ import annotations

import re
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from console.live import run_live
from core.adapters.zerodha import ZERODHA
from core.domain.account import Account
from core.errors import SaarthiError
from tests.fakes.clock import clock_text
from tests.fakes.installation import Installation
from tests.fakes.sandbox_process import Sandbox, eventually

pytestmark = [pytest.mark.dates, pytest.mark.row("D5"), pytest.mark.slow, pytest.mark.timeout(900)]

STRATEGY = "opening_range_breakout"
BREAKOUT = "2026-11-23T09:31:02+05:30"
"""SBIN's close of 09:30 left the opening range: the run of this minute enters."""
SLOW = 0.05
"""So slow that the minute lasts as long as a test."""
Place = Callable[..., Installation]


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    """Makes the installation; by default it is the minute of the breakout."""
    started: list[Sandbox] = []

    def make(sim: str = BREAKOUT, speed: float = SLOW) -> Installation:
        clock = clock_text(sim, speed)
        started.append(Sandbox(clock=clock))
        return Installation(started[0], tmp_path / "data", clock)

    yield make
    for sandbox in started:
        sandbox.end()


@pytest.fixture
def processes() -> Iterator[list[subprocess.Popen[str]]]:
    """What a test started; ended after it."""
    running: list[subprocess.Popen[str]] = []
    yield running
    for process in running:
        if process.poll() is None:
            process.kill()
        process.communicate()


async def connected(here: Installation, *, enabled: bool = True, logged_in: bool = True) -> Account:
    async with here.opened() as system:
        account = await here.connect(system, ZERODHA, logged_in=logged_in)
        if enabled:
            await system.control.switch.enable(here.command(), account.broker_id)
    return account


def arguments(account: Account | str, *more: str, strategy: str = STRATEGY) -> list[str]:
    broker_id = account if isinstance(account, str) else account.broker_id
    return ["live", "--strategy", strategy, "--broker-id", broker_id, *more]


def sent(here: Installation) -> list[tuple[Any, ...]]:
    return [(one["side"], one["order_type"], one["quantity"]) for one in here.ledger()]


SLOT = datetime.fromisoformat("2026-11-23T09:31:00+05:30")
ENTRY_AND_STOP = [("BUY", "MARKET", 1), ("SELL", "SL-M", 1)]


async def test_once_enters_and_rests_its_stop(place: Place) -> None:
    """The lease is free: one run, its order and stop, told line by line; again by the chat's names."""
    here = place()
    account = await connected(here)

    done = here.run(*arguments(account, "--once"))

    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert lines[0] == f"{STRATEGY}: 1 entry order(s) on 1 account(s)"
    assert any("entry BUY 1 NSE:SBIN MIS: bought 1 at ₹" in line for line in lines)
    assert lines[-1] == "Zerodha - Main: stop SELL 1 NSE:SBIN MIS: working at the broker"
    assert sent(here) == ENTRY_AND_STOP
    async with here.opened() as system:
        lease = await system.foundation.store.get("lease", "controller")
        assert lease is not None
        assert lease["holder"] == ""

    by_name = arguments("Zerodha - Main", "--once", strategy="Opening range breakout")
    again = here.run(*by_name)

    assert again.returncode == 0, again.stderr
    assert sent(here) == ENTRY_AND_STOP


@pytest.mark.row("F5")
async def test_refusals(
    place: Place,
    embedded_store_uri: str,
    embedded_database: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Unknown names, a disabled account, no login, a beta store without a yes, a closed market.

    Each is one sentence; the command makes one line and exit code 1 of it (tests/unit/test_cli.py).
    """
    monkeypatch.setattr("console.live.set_up_log", lambda _settings: None)
    here = place()
    here.extra = {"MONGODB_URI": embedded_store_uri, "SAARTHI_DB": embedded_database}
    account = await connected(here, enabled=False, logged_in=False)

    async def refused(said: str, broker_id: str, strategy: str = STRATEGY) -> None:
        with pytest.raises(SaarthiError) as error:
            await run_live(here.settings, strategy=strategy, broker_id=broker_id, once=True)
        assert said in str(error.value)
        assert "\n" not in str(error.value)

    await refused(f"expected one of {STRATEGY}", account.broker_id, "guesswork")
    await refused(f"expected one of {account.broker_id}", "zerodha_nobody1")
    await refused("Zerodha - Main is disabled", "zerodha - main")
    async with here.opened() as system:
        await system.control.switch.enable(here.command(), account.broker_id)
    await refused("Zerodha - Main needs a login", account.broker_id)
    async with here.opened() as system:
        await here.log_in(system, account)
    here.extra["SAARTHI_ACCEPT_EMBEDDED_STORE_FOR_LIVE"] = "no"
    await refused("The built-in database is beta", account.broker_id)
    del here.extra["SAARTHI_ACCEPT_EMBEDDED_STORE_FOR_LIVE"]
    here.clock = clock_text("2026-11-23T17:00:00+05:30")
    await refused("The market is closed now", account.broker_id)
    assert capsys.readouterr().out == ""
    assert here.ledger() == []


@pytest.mark.invariant("I10")
async def test_running_controller_does_it(
    place: Place, processes: list[subprocess.Popen[str]]
) -> None:
    """The lease is held: the controller runs it, the command shows the result and the orders."""
    here = place()
    account = await connected(here)
    controller = here.start("run")
    processes.append(controller)
    eventually((here.data / "store.json").exists)

    done = here.run(*arguments(account, "--once"))

    assert done.returncode == 0, done.stderr
    assert "The controller runs: one run is filed with it." in done.stdout
    assert "entry BUY 1 NSE:SBIN MIS: bought 1 at ₹" in done.stdout
    assert sent(here) == ENTRY_AND_STOP
    assert controller.poll() is None
    controller.send_signal(signal.SIGTERM)
    assert controller.wait(300) == 0


async def test_scheduled_slots_until_a_signal(
    place: Place, processes: list[subprocess.Popen[str]]
) -> None:
    """Without --once the slots fire, though the strategy is disabled; SIGTERM ends it in time."""
    here = place("2026-11-23T09:20:00+05:30", 1.0)
    began = time.monotonic()
    account = await connected(here)
    # The slot comes once the process is there, which takes a busy machine longer than an idle one:
    # several times what the engine has taken just now. It may take the one after that, too.
    lead = timedelta(seconds=min(55.0, 8.0 + 4 * (time.monotonic() - began)))
    sim = (SLOT - lead).isoformat()
    here.sandbox.ask("POST", "/clock", {"to": sim})
    here.clock = clock_text(sim)
    process = here.start(*arguments(account))
    processes.append(process)

    eventually(lambda: len(here.ledger()) >= 2)
    assert process.stdout is not None
    shown = ""
    while "entry BUY 1 NSE:SBIN MIS" not in shown:  # it looks at the orders once a moment
        line = process.stdout.readline()
        assert line, shown
        shown += line

    process.send_signal(signal.SIGTERM)
    _, err = process.communicate(timeout=300)
    assert process.returncode == 0, err
    assert re.search(r"next run 23 Nov 09:3\d IST", shown)
    assert sent(here) == ENTRY_AND_STOP
    assert not (here.data / "store.json").exists()
