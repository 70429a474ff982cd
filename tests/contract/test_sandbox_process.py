"""The sandbox as a program: start, ports, restart, replay, exit codes."""

import json
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import requests

from tests.fakes.kite_client import (
    API_KEY,
    buy,
    filled,
    kite_errors,
    log_in,
    patient,
    row,
    truth,
)
from tests.fakes.sandbox_process import ROOT, Sandbox, eventually

pytestmark = pytest.mark.dates

Start = Callable[..., Sandbox]


@pytest.fixture
def start() -> Iterator[Start]:
    """Start sandboxes that end with the test."""
    started: list[Sandbox] = []

    def begin(*options: str, **settings: Any) -> Sandbox:
        started.append(Sandbox(*options, **settings))
        return started[-1]

    yield begin
    for sandbox in started:
        sandbox.end()


def failure(*options: str) -> subprocess.CompletedProcess[str]:
    """Run a sandbox that cannot start."""
    command = [sys.executable, "-P", "-m", "sandbox", *options]
    return subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, timeout=300, check=False
    )


def test_starts_ready_and_stops(start: Start) -> None:
    """The ports line means that every simulator answers; SIGTERM ends it with 0."""
    sandbox = start()
    health = sandbox.call("GET", "/health")
    assert health.status_code == 200
    assert set(health.json()["simulators"]) == set(sandbox.ports) - {"control"}
    other = start()
    assert set(other.ports.values()).isdisjoint(sandbox.ports.values())
    assert sandbox.stop() == 0


def test_restart_forgets_nothing(start: Start, tmp_path: Path) -> None:
    """A killed sandbox goes on where it was: session, orders, ledger, accounts, faults, clock."""
    first = start("--state", str(tmp_path))
    account = {"broker": "kite", "api_key": "newkey", "api_secret": "s3", "user_id": "ZZ0001"}
    first.ask("POST", "/accounts", account | {"cash": 50_000, "user_name": "Zed"})
    kite = log_in(first, "newkey", "s3", "ZZ0001")
    done = buy(kite, quantity=1, tag="kept")
    eventually(lambda: truth(first, "newkey")["trades"])
    first.ask("POST", "/clock", {"by": 3600})
    fault_id = first.fault("hang", match={"path": "/never"})
    book, ledger = truth(first, "newkey"), first.ask("GET", "/ledger")
    now = datetime.fromisoformat(first.ask("GET", "/clock")["now"])
    first.kill()

    second = start("--state", str(tmp_path))
    kite.root = second.url("kite")
    assert kite.profile()["user_name"] == "Zed"
    assert [order["order_id"] for order in kite.orders()] == [done]
    assert truth(second, "newkey")["trades"] == book["trades"]
    assert second.ask("GET", "/ledger") == ledger
    assert [fault["id"] for fault in second.ask("GET", "/faults")] == [fault_id]
    again = datetime.fromisoformat(second.ask("GET", "/clock")["now"])
    assert timedelta() < again - now < timedelta(minutes=1)
    buy(kite, quantity=1)
    assert [entry["seq"] for entry in second.ask("GET", "/ledger")] == [1, 2]


def test_restart_keeps_what_the_market_was_told(start: Start, tmp_path: Path) -> None:
    """Instruments, sessions, liquidity, prices and conversions are there again; a reset ends them."""
    first = start("--state", str(tmp_path))
    kite = log_in(first)
    first.ask("POST", "/instruments", {"symbol": "SBIN", "freeze_quantity": 50})
    new = {"exchange_token": 2031, "name": "MAHINDRA", "isin": "INE101A01026", "base_price": 3600}
    first.ask("POST", "/instruments", {"symbol": "M&M"} | new)
    first.ask("POST", "/sessions", {"day": "2026-11-28", "open": "18:00", "close": "19:00"})
    first.ask("POST", "/sessions", {"day": "2026-11-26"})
    filled(first, buy(kite))
    move = {"broker": "kite", "api_key": API_KEY, "symbol": "SBIN", "from": "MIS", "to": "CNC"}
    first.ask("POST", "/positions/convert", move | {"quantity": 4})
    first.ask("POST", "/market/liquidity", {"symbol": "SBIN", "quantity": 0})
    first.kill()

    second = start("--state", str(tmp_path))
    kite.root = second.url("kite")
    instruments = {item["key"]: item for item in second.ask("GET", "/instruments")}
    assert instruments["SBIN"]["freeze_quantity"] == 50
    assert instruments["M&M"]["name"] == "MAHINDRA"
    saturday = second.ask("GET", "/sessions", day="2026-11-28")["segments"]
    assert saturday["cash"][0].startswith("2026-11-28T18:00")
    assert second.ask("GET", "/sessions", day="2026-11-26")["segments"] == {}
    held = {item["product"]: item["quantity"] for item in kite.positions()["net"]}
    assert held == {"MIS": 6, "CNC": 4}
    waiting = buy(kite, quantity=1)
    eventually(lambda: row(second, waiting)["status"] == "OPEN")
    second.ask("POST", "/reset")
    instruments = {item["key"]: item for item in second.ask("GET", "/instruments")}
    assert instruments["SBIN"]["freeze_quantity"] == 100_000
    assert "M&M" not in instruments
    assert second.ask("GET", "/sessions", day="2026-11-28")["segments"] == {}
    filled(second, buy(log_in(second)))


def test_reset_puts_everything_back(start: Start) -> None:
    """After a reset there are the built-in accounts, three of each broker, and nothing else."""
    sandbox = start()
    before = sandbox.ask("GET", "/accounts")
    assert Counter(row["broker"] for row in before).items() >= {"fyers": 3, "kite": 3}.items()
    kite = log_in(sandbox)
    buy(kite)
    sandbox.ask("POST", "/clock", {"by": 60})
    sandbox.ask("POST", "/reset")
    assert sandbox.ask("GET", "/accounts") == before
    assert sandbox.ask("GET", "/ledger") == []
    assert truth(sandbox)["orders"] == []
    with pytest.raises(kite_errors.TokenException):
        kite.profile()


def test_clock_runs_at_its_speed(start: Start) -> None:
    """Market time follows SIM@WALL*SPEED and only steps forward."""
    wall = "2026-11-23T00:00:00+05:30"
    sandbox = start(clock=f"2026-11-20T09:00:00@{wall}*0.001")
    now = datetime.fromisoformat(sandbox.ask("GET", "/clock")["now"])
    assert now.tzinfo is not None
    stepped = sandbox.ask("POST", "/clock", {"by": 90})
    assert datetime.fromisoformat(stepped["now"]) - now < timedelta(seconds=91)
    assert stepped["clock"].endswith(f"@{wall}*0.001")
    for wrong in ({}, {"by": -1}, {"to": "2020-01-01T00:00:00"}, {"to": "soon"}, {"by": "x"}):
        assert sandbox.call("POST", "/clock", wrong).status_code == 400


def test_halt_stops_trading(start: Start) -> None:
    """A halt freezes the price and nothing fills until it is lifted; a moved price holds."""
    sandbox = start()
    kite = log_in(sandbox)
    sandbox.ask("POST", "/market", {"symbol": "NSE:SBIN", "last_price": 900})
    sandbox.ask("POST", "/market/halt", {"symbol": "SBIN"})
    order_id = buy(kite)
    eventually(lambda: row(sandbox, order_id)["status"] == "OPEN")
    sandbox.ask("POST", "/clock", {"by": 600})
    assert row(sandbox, order_id)["status"] == "OPEN"
    sandbox.ask("POST", "/market/halt", {"symbol": "SBIN", "halted": False})
    assert filled(sandbox, order_id)["average_price"] == 900
    assert (
        eventually(lambda: patient(lambda: kite.ltp("NSE:SBIN")))["NSE:SBIN"]["last_price"] == 900
    )
    released = sandbox.ask("POST", "/market", {"symbol": "SBIN", "last_price": None})
    assert released["last_price"] == pytest.approx(900, abs=0.5)
    for wrong in ({"symbol": "SBIN"}, {"symbol": "NO", "last_price": 1}, {"last_price": 5}):
        assert sandbox.call("POST", "/market", wrong).status_code == 400


@pytest.mark.parametrize(
    "clock", ["noon", "2026-11-23T10:00:00*61", "2026-11-23T10:00:00*fast", "x@y*1"]
)
def test_wrong_clock(clock: str) -> None:
    """A clock that cannot be read ends the start with 1 and one line."""
    ended = failure("--clock", clock)
    assert (ended.returncode, ended.stdout, ended.stderr.count("\n")) == (1, "", 1)
    assert ended.stderr.startswith("sandbox: ")


def test_wrong_usage_and_busy_port(start: Start) -> None:
    """Unknown options end with 2, a port in use with 1 and one line."""
    assert failure("--colour", "red").returncode == 2
    ended = failure("--control", str(start().ports["control"]))
    assert (ended.returncode, ended.stderr.count("\n")) == (1, 1)


# --- replay ---------------------------------------------------------------------------------

BARS = [
    ("09:59", 350, 351, 349, 350.5, 1000),
    ("10:00", 350.5, 352, 350, 351, 1000),
    ("10:01", 351.2, 353, 351, 352, 1000),
    ("10:05", 360, 361, 346, 347, 1000),
    ("10:06", 347.5, 348, 347, 348, 1000),
]


def recording(directory: Path, name: str = "SBIN.csv", text: str | None = None) -> Path:
    lines = ["timestamp,open,high,low,close,volume"]
    for minute, *values in BARS:
        lines.append(",".join([f"2021-05-10T{minute}:00+05:30", *map(str, values)]))
    (directory / name).write_text("\n".join(lines) + "\n" if text is None else text)
    return directory


def test_replay_fills_at_the_next_open(start: Start, tmp_path: Path) -> None:
    """A market order fills at the open of the next bar, over a gap too; no bar means no fill."""
    sandbox = start("--replay", str(recording(tmp_path)), clock="2021-05-10T10:00:30")
    kite = log_in(sandbox)
    quote = kite.quote("NSE:SBIN")["NSE:SBIN"]
    assert quote["last_price"] == 350.5
    candles = kite.historical_data(3045 << 8 | 1, "2021-05-10", "2021-05-10", "minute")
    assert [bar["close"] for bar in candles] == [350.5]
    order_id = buy(kite, market_protection=10)
    eventually(lambda: row(sandbox, order_id)["status"] == "OPEN")
    sandbox.ask("POST", "/clock", {"to": "2021-05-10T10:01:15"})
    assert filled(sandbox, order_id)["average_price"] == 351.2

    waiting = buy(kite, market_protection=10)
    limit = buy(kite, order_type="LIMIT", price=348, market_protection=None)
    eventually(lambda: row(sandbox, limit)["status"] == "OPEN")
    sandbox.ask("POST", "/clock", {"to": "2021-05-10T10:04:30"})
    assert row(sandbox, waiting)["status"] == "OPEN"
    sandbox.ask("POST", "/clock", {"to": "2021-05-10T10:05:01"})
    assert filled(sandbox, waiting)["average_price"] == 360
    assert row(sandbox, limit)["status"] == "OPEN"
    sandbox.ask("POST", "/clock", {"to": "2021-05-10T10:06:00"})
    assert filled(sandbox, limit)["average_price"] == 348


def test_replay_prices_what_follows_a_recording(start: Start, tmp_path: Path) -> None:
    """Futures and the twin at BSE follow the recorded share; what has no recording has no price."""
    sandbox = start("--replay", str(recording(tmp_path)), clock="2021-05-10T10:00:30")
    kite = log_in(sandbox)
    quotes = kite.quote("NSE:SBIN", "BSE:SBIN", "NFO:SBIN21MAYFUT", "NFO:ITC21MAYFUT")
    assert quotes["BSE:SBIN"]["last_price"] == quotes["NSE:SBIN"]["last_price"] == 350.5
    assert 350.5 < quotes["NFO:SBIN21MAYFUT"]["last_price"] < 353
    assert quotes["NFO:ITC21MAYFUT"]["last_price"] == 0


def test_replay_fills_a_prompt_order_at_the_open_just_gone(start: Start, tmp_path: Path) -> None:
    """A market order that follows a bar's start at once gets that bar's open; a late one does not."""
    sandbox = start("--replay", str(recording(tmp_path)), clock="2021-05-10T10:05:01*0.001")
    kite = log_in(sandbox)
    prompt = filled(sandbox, buy(kite, market_protection=10))
    assert prompt["average_price"] == 360
    assert prompt["placed_at"] <= truth(sandbox)["trades"][0]["at"] < "2021-05-10T10:06"
    sandbox.ask("POST", "/clock", {"by": 15})
    late = buy(kite, market_protection=10)
    eventually(lambda: row(sandbox, late)["status"] == "OPEN")
    sandbox.ask("POST", "/clock", {"to": "2021-05-10T10:06:00"})
    assert filled(sandbox, late)["average_price"] == 347.5


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("SBIN.csv", "time,o,h,l,c,v\n", "SBIN.csv: the first line must be"),
        ("NOSUCH.csv", None, "no instrument 'NOSUCH'"),
        ("SBIN.csv", "timestamp,open,high,low,close,volume\n2021-05-10,1,2\n", "line 2: 3 columns"),
        (
            "SBIN.csv",
            "timestamp,open,high,low,close,volume\n2021-05-10T09:15:00+05:30,5,4,6,5,1\n",
            "line 2: open, high, low and close",
        ),
        (
            "NIFTY_50.csv",
            "timestamp,open,high,low,close,volume\nyesterday,5,6,4,5,1\n",
            "NIFTY_50.csv line 2: Invalid isoformat",
        ),
        ("notes.txt", "", "no csv file"),
    ],
)
def test_bad_recordings(tmp_path: Path, name: str, text: str | None, said: str) -> None:
    """A recording that cannot be used ends the start with 1 and one line that says where."""
    ended = failure("--replay", str(recording(tmp_path, name, text)))
    assert (ended.returncode, ended.stderr.count("\n")) == (1, 1)
    assert said in ended.stderr


def test_torn_state_is_read(start: Start, tmp_path: Path) -> None:
    """A half-written last line, left by a crash, costs nothing that was answered."""
    first = start("--state", str(tmp_path))
    buy(log_in(first))
    first.kill()
    for name in ("state.jsonl", "ledger.jsonl"):
        with (tmp_path / name).open("a") as stream:
            stream.write('{"seq": 2, "bro')
    second = start("--state", str(tmp_path))
    assert len(second.ask("GET", "/ledger")) == len(truth(second)["orders"]) == 1
    buy(log_in(second))
    second.kill()
    third = start("--state", str(tmp_path))
    one, two = third.ask("GET", "/ledger")
    assert (one["seq"], two["seq"]) == (1, 2)
    assert set(one) == set(two)


def test_control_refuses_what_it_cannot_read(start: Start) -> None:
    """Wrong bodies, unknown accounts and unknown users get one line of explanation."""
    sandbox = start()
    for path in ("/accounts", "/faults", "/market", "/clock"):
        answer = requests.post(sandbox.url("control") + path, data="{", timeout=60)
        assert answer.status_code == 400
        assert "not JSON" in answer.json()["error"]
    wrong: tuple[dict[str, Any], ...] = (
        {},
        {"broker": "x"},
        {"broker": "kite", "api_key": "k"},
        {"broker": "kite", "api_key": 5},
    )
    for body in wrong:
        assert sandbox.call("POST", "/accounts", body).status_code == 400
    assert sandbox.call("GET", "/book", broker="kite", api_key="none").status_code == 404
    missing = sandbox.call("GET", "/book", broker="kite", api_key=API_KEY, user_id="NO")
    assert missing.status_code == 404
    assert json.loads(missing.text)["error"]
