"""``saarthi doctor`` against the sandbox and a store: what is well, and what is broken one by one."""

from __future__ import annotations

import gc
import logging
import re
import signal
import socket
import threading
import warnings
from collections.abc import Awaitable, Callable, Iterator
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

import pymongo
import pytest
from cryptography.fernet import Fernet

from console.doctor import machine, network, run_doctor
from console.doctor.finding import Level, warn
from core.adapters.fyers import FYERS
from core.adapters.mongo.migrations import begin_restoring, end_restoring
from core.adapters.vault import KEY_FILE
from core.adapters.zerodha import ZERODHA
from core.bootstrap import import_days
from core.config import load_settings
from core.domain.backup import BackupKind
from core.domain.calendar_years import known_until
from core.inspection import CALENDAR_FILE, calendar_years
from core.ports.store import Change
from tests.fakes.clock import clock_text
from tests.fakes.installation import TOKEN, Installation
from tests.fakes.ports import free_port
from tests.fakes.sandbox_process import Sandbox, eventually

pytestmark = [
    pytest.mark.dates,
    pytest.mark.row("F4"),
    pytest.mark.timeout(900),
    pytest.mark.filterwarnings("ignore:unclosed <socket:ResourceWarning"),  # see driver_leaves
]

NOON = "2026-11-23T12:00:00+05:30"
LINE = re.compile(r"(ok|warn|fail) +[a-zA-Z]+( [a-zA-Z]+)? {2,}\S.*")
Report = Callable[[], Awaitable[tuple[int, list[str]]]]


@pytest.fixture(autouse=True)
def driver_leaves() -> Iterator[None]:
    """Collect what pymongo leaves when it is closed while its monitor connects: an open socket.

    The doctor opens and closes the store within half a second, so that happens here; a later test
    would be blamed for it.
    """
    gc.freeze()  # only what is made from here on is looked at
    yield
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        gc.collect()


@pytest.fixture(scope="module")
def simulators() -> Iterator[tuple[Sandbox, str]]:
    """One sandbox for all these tests, and its clock."""
    clock = clock_text(NOON)
    sandbox = Sandbox(clock=clock)
    yield sandbox, clock
    sandbox.end()


@pytest.fixture
def here(
    simulators: tuple[Sandbox, str], tmp_path: Path, embedded_store_uri: str, embedded_database: str
) -> Iterator[Installation]:
    """An installation whose store stands at MONGODB_URI."""
    sandbox, clock = simulators
    extra = {"MONGODB_URI": embedded_store_uri, "SAARTHI_DB": embedded_database}
    yield Installation(sandbox, tmp_path / "data", clock, extra)
    sandbox.ask("DELETE", "/faults")


@pytest.fixture
def quiet_logs() -> Iterator[None]:
    """Put the log back as it was: the command sets it up for its process."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)


@pytest.fixture
def report(here: Installation, quiet_logs: None, capsys: pytest.CaptureFixture[str]) -> Report:
    """Runs the doctor; returns its exit code and its lines, each of which has the form."""

    async def run() -> tuple[int, list[str]]:
        capsys.readouterr()
        code = await run_doctor(here.settings, here.environment)
        lines = capsys.readouterr().out.splitlines()
        assert [line for line in lines if not LINE.fullmatch(line)] == []
        assert any(line.startswith("fail") for line in lines) == (code == 1)
        advised = [line for line in lines if line.startswith("ok") or " -> " in line]
        assert advised == lines, "what is not well says what to do"
        return code, lines

    return run


def about(lines: list[str], check: str) -> list[str]:
    """Return the lines of one check, without its name."""
    found = [line for line in lines if line[6:].startswith(f"{check} ")]
    return [line[:4].strip() + " " + line[6 + len(check) :].strip() for line in found]


def contents(uri: str, name: str) -> dict[str, list[Any]]:
    """Return everything in a database."""
    with pymongo.MongoClient[dict[str, Any]](uri) as client:
        return {
            collection: sorted(client[name][collection].find(), key=repr)
            for collection in client[name].list_collection_names()
        }


def listen(manager: socket.socket, told: list[str]) -> None:
    """Gather what a service manager is told, statuses left out, until the end has begun."""
    while "STOPPING=1" not in told:
        told += [one for one in manager.recv(4096).decode().split("\n") if one.endswith("=1")]


def answers(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


# --- all is well -------------------------------------------------------------------------------


@pytest.mark.row("F7")
async def test_everything_is_told_and_nothing_changed(here: Installation, report: Report) -> None:
    """Two accounts, logged in: no failure, each check is there, and store and files are as before."""
    async with here.opened() as system:
        await here.connect(system, ZERODHA)
        await here.connect(system, FYERS, "Second")
        kinds = (ZERODHA, FYERS)
        sent = [f"ok {system.logins.redirect_url(kind)}" for kind in kinds]
    uri, name = here.extra["MONGODB_URI"], here.extra["SAARTHI_DB"]
    before = contents(uri, name)
    files = {path: path.stat().st_mtime_ns for path in here.data.rglob("*")}

    code, lines = await report()

    assert code == 0, lines
    text = "\n".join(lines)
    assert TOKEN not in text
    assert "canary" not in text.lower()
    assert about(lines, "bot token") == ["ok it is @saarthi_100000001_bot"]
    assert about(lines, "owners") == ["ok Telegram users 1001 (listed)"]
    assert about(lines, "store")[0] == "ok embedded, at MONGODB_URI; transactions work"
    assert "you accepted it for live brokers" in about(lines, "store")[1]
    assert [line.partition(" (")[0] for line in about(lines, "accounts")] == [
        "ok Zerodha - Main",
        "ok Fyers - Second",
    ]
    assert [line.partition("  ")[0] for line in about(lines, "redirect URL")] == sent
    assert [line.partition(":")[0] for line in about(lines, "instruments")] == [
        "ok Zerodha",
        "ok Fyers",
    ]
    assert all(line.startswith("ok within") for line in about(lines, "clock"))
    calls, *ways = about(lines, "address")
    assert calls == "ok calls leave from 127.0.0.1, to brokers on this machine"
    assert [line.partition(";")[0] for line in ways] == [
        "ok Zerodha - Main leaves from this machine's own address",
        "ok Fyers - Second leaves from this machine's own address",
    ]
    assert about(lines, "calendar")[0].startswith("ok sessions are known until")
    assert contents(uri, name) == before
    assert {path: path.stat().st_mtime_ns for path in here.data.rglob("*")} == files


async def test_before_the_first_start_nothing_is_made(here: Installation, report: Report) -> None:
    """On an empty machine the doctor starts a store elsewhere, and leaves no file behind."""
    here.extra.clear()
    code, lines = await report()
    assert code == 0, lines
    assert "temporary directory, none exists yet" in about(lines, "store")[0]
    assert "is made at the first start" in about(lines, "secret key")[0]
    assert about(lines, "accounts") == ["ok none yet: /add in the chat connects one"]
    assert not here.data.exists()


@pytest.mark.row("F7")
@pytest.mark.matrix("P02")
@pytest.mark.invariant("I13")
async def test_beside_a_running_controller(here: Installation, report: Report) -> None:
    """It finds the controller's store and web server; the controller goes on, and tells its manager."""
    here.extra.clear()
    manager = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    manager.bind("")  # a free abstract name
    here.extra |= {"NOTIFY_SOCKET": f"@{manager.getsockname()[1:].decode()}"}
    here.extra["WATCHDOG_USEC"] = "10000000"
    told: list[str] = []
    listener = threading.Thread(target=listen, args=(manager, told), daemon=True)
    listener.start()
    port = free_port()
    here.extra["SAARTHI_LISTEN"] = f"127.0.0.1:{port}"
    here.extra["SAARTHI_PUBLIC_URL"] = f"http://127.0.0.1:{port}"
    controller = here.start("run")
    try:
        eventually((here.data / "store.json").exists)
        eventually(lambda: answers(port))

        code, lines = await report()

        assert code == 0, [one for one in lines if not one.startswith("ok")]
        root = f"http://127.0.0.1:{port}"
        assert about(lines, "public URL") == [f"ok {root} leads to the controller"]
        assert about(lines, "web server") == [f"ok the controller listens on 127.0.0.1:{port}"]
        assert about(lines, "store")[0].startswith("ok embedded, of the running controller")
        assert about(lines, "redirect URL")[0].startswith(f"ok {root}/broker/callback/zerodha  ")
        assert about(lines, "postback URL")[1].startswith(f"ok {root}/postback/fyers  ")
        assert controller.poll() is None
    finally:
        controller.send_signal(signal.SIGTERM)
        said, _ = controller.communicate(timeout=300)
        listener.join(300)
        manager.close()
    assert (told[0], told[-1]) == ("READY=1", "STOPPING=1")
    assert said.endswith("Saarthi has ended in order.\n")
    assert set(told[1:-1]) == {"WATCHDOG=1"}


# --- one thing is broken -----------------------------------------------------------------------


async def only(report: Report, check: str, *beginnings: str) -> list[str]:
    """Run the doctor and expect each beginning among the lines of one check."""
    _, lines = await report()
    found = about(lines, check)
    for beginning in beginnings:
        assert any(line.startswith(beginning) for line in found), (beginning, lines)
    return found


async def test_refused_bot_token(here: Installation, report: Report) -> None:
    """A token that Telegram refuses, and a Bot API that is away: neither shows the token."""
    fault = {"match": {"path": "getMe"}, "status": 401, "body": '{"ok":false}', "times": 1}
    here.sandbox.fault("http", "telegram", **fault)
    refused = await only(report, "bot token", "fail Telegram refuses it (HTTP 401)")
    here.extra["SAARTHI_TELEGRAM_API"] = "http://127.0.0.1:1"
    away = await only(
        report, "bot token", "fail http://127.0.0.1:1 does not answer: the connection was refused"
    )
    assert TOKEN not in "".join(refused + away)


@pytest.mark.parametrize(
    ("name", "value", "beginning"),
    [
        ("SAARTHI_TELEGRAM_TOKEN", "", "fail SAARTHI_TELEGRAM_TOKEN is not set"),
        ("SAARTHI_TELEGRAM_TOKEN", "canary", "fail SAARTHI_TELEGRAM_TOKEN: found something"),
        ("SAARTHI_CLOCK", "noon", "fail SAARTHI_CLOCK: found 'noon'; expected SIM@WALL*SPEED"),
        ("SAARTHI_LISTNE", "x", "warn SAARTHI_LISTNE: no such setting"),
        ("SAARTHI_MONGOD", "/nowhere", "warn SAARTHI_MONGOD is not used beside MONGODB_URI"),
    ],
)
async def test_wrong_settings(
    here: Installation, report: Report, name: str, value: str, beginning: str
) -> None:
    """What the form of a setting does not show is told as well."""
    here.extra[name] = value
    found = await only(report, "configuration", beginning)
    assert "canary" not in "".join(found)


@pytest.mark.parametrize(
    ("ahead_s", "beginning"),
    [(-1, "ok"), (8, "warn this machine is"), (-8, "warn this machine is"), (90, "fail this")],
)
async def test_clock_that_is_wrong(
    here: Installation, report: Report, ahead_s: int, beginning: str
) -> None:
    """More than two seconds from a broker is a warning, more than thirty a failure."""
    sim, _, rest = here.clock.partition("@")
    wall, _, speed = rest.rpartition("*")
    shifted = datetime.fromisoformat(sim) + timedelta(seconds=ahead_s)
    here.clock = f"{shifted.isoformat()}@{wall}*{speed}"
    found = await only(report, "clock", beginning)
    assert len(found) == 2
    if ahead_s == 8:
        assert "ahead of Zerodha" in found[0]
    if ahead_s == -8:
        assert "behind Fyers" in found[1]


async def test_open_data_directory(here: Installation, report: Report) -> None:
    """A directory that others may enter is a failure, and is not touched."""
    here.data.mkdir(mode=0o755)
    here.data.chmod(0o755)
    found = await only(report, "data directory", f"fail {here.data}: mode 0755, expected 0700")
    assert found[0].endswith(f"-> chmod 700 {here.data}")
    assert here.data.stat().st_mode & 0o777 == 0o755
    here.data.chmod(0o700)
    (here.data / "notes").touch(mode=0o644)
    await only(report, "data directory", f"warn {here.data}: others may read notes")


@pytest.mark.row("G2")
async def test_wrong_and_lost_keys(here: Installation, report: Report) -> None:
    """A malformed key, a readable key file, a key that is gone: failures that show no key."""
    here.extra["SAARTHI_SECRET_KEY"] = "canary"
    malformed = await only(report, "secret key", "fail SAARTHI_SECRET_KEY: found 1 of them")
    assert "canary" not in "".join(malformed)
    del here.extra["SAARTHI_SECRET_KEY"]

    async with here.opened() as system:
        await here.connect(system, ZERODHA)
    (here.data / KEY_FILE).chmod(0o644)
    await only(report, "secret key", f"fail The key file {here.data / KEY_FILE} has mode 0644")

    (here.data / KEY_FILE).unlink()
    here.extra["SAARTHI_SECRET_KEY"] = Fernet.generate_key().decode()
    await only(report, "secret key", "fail Zerodha - Main: A stored secret cannot be opened")


@pytest.mark.matrix("D04")
async def test_age_of_the_newest_backup(here: Installation, report: Report) -> None:
    """None yet, one of now, one that is days old; and a store that is half restored."""
    await only(report, "backup", "ok none yet in ")
    async with here.opened() as system:
        await here.connect(system, ZERODHA, logged_in=False)
        backups, store = system.foundation.backups, system.foundation.store
        assert backups is not None
        made = Path((await backups.take(BackupKind.BY_HAND)).path)
        found = await only(report, "backup", "ok 1, the newest 0 h old: ")
        assert "opened by its keys alone" in found[0]
        made.rename(made.with_name("saarthi-20200101T120000Z-nightly.backup"))
        await only(report, "backup", "warn 1, the newest ")
        await begin_restoring(store)
        await only(report, "store", "fail a restore into it was not finished")
        await end_restoring(store)


async def test_store_that_is_away(here: Installation, report: Report) -> None:
    """No server at MONGODB_URI, and an address that is none: failures without the password."""
    here.extra["MONGODB_URI"] = "mongodb://u:canary@127.0.0.1:1/?replicaSet=none"
    away = await only(report, "store", "fail ")
    here.extra["MONGODB_URI"] = "canary://127.0.0.1:1/"
    malformed = await only(report, "store", "fail MONGODB_URI: not understood")
    assert "canary" not in "".join(away + malformed)


async def test_newer_store_is_refused(here: Installation, report: Report) -> None:
    """A store that a newer program wrote needs that program."""
    async with here.opened() as system:
        change = Change(set={"version": 99})
        await system.foundation.store.update("schema", {"_id": "schema"}, change)
    await only(report, "store", "fail its schema has version 99")


async def test_beta_store_that_nobody_accepted(here: Installation, report: Report) -> None:
    """With brokers on this machine a warning; the explicit yes is named."""
    here.extra["SAARTHI_ACCEPT_EMBEDDED_STORE_FOR_LIVE"] = "no"
    await only(report, "store", "warn the built-in database is beta; brokers are refused until")


async def test_nobody_owns_the_bot(here: Installation, report: Report) -> None:
    """Without an owner the way to become one is told."""
    here.extra["SAARTHI_OWNERS"] = ""
    await only(report, "owners", "warn nobody may use the bot yet")


@pytest.mark.row("F7")
async def test_public_address_that_leads_elsewhere(here: Installation, report: Report) -> None:
    """Nobody answers: a warning. Somebody else answers: a failure."""
    here.extra["SAARTHI_PUBLIC_URL"] = "http://127.0.0.1:1"
    await only(
        report, "public URL", "warn http://127.0.0.1:1 does not answer: the connection was refused"
    )
    here.extra["SAARTHI_PUBLIC_URL"] = here.sandbox.url("kite")
    await only(report, "public URL", "fail something else than Saarthi answers at")


@pytest.mark.row("F7")
def test_real_brokers_redirect_to_https_only() -> None:
    """A plain public address is a failure with real brokers, and none with simulated ones."""
    given = {"SAARTHI_PUBLIC_URL": "http://saarthi.example.in"}
    (found,) = network._form(load_settings(environment=given))
    assert found.level is Level.FAIL
    given |= {
        "SAARTHI_KITE_API": "http://127.0.0.1:1",
        "SAARTHI_KITE_LOGIN": "http://localhost:1",
        "SAARTHI_FYERS_API": "http://[::1]:1",
    }
    assert network._form(load_settings(environment=given)) == []


async def test_port_of_another_program(here: Installation, report: Report) -> None:
    """The web server's port is taken by something else, or the address is not ours."""
    port = here.sandbox.ports["fyers"]
    here.extra["SAARTHI_LISTEN"] = f"127.0.0.1:{port}"
    await only(report, "web server", f"fail another program listens on 127.0.0.1:{port}")
    here.extra["SAARTHI_LISTEN"] = "192.0.2.1:8443"
    await only(report, "web server", "fail cannot listen on 192.0.2.1:8443", "warn it listens on")


async def test_master_that_cannot_be_loaded(here: Installation, report: Report) -> None:
    """One broker's instrument master is away; the other's is told as loaded."""
    here.sandbox.fault("http", "kite", match={"path": "/instruments"}, status=500, times=9)
    await only(report, "instruments", "fail Zerodha's cannot be loaded", "ok Fyers: ")


@pytest.mark.row("A12")
async def test_accounts_that_need_attention(here: Installation, report: Report) -> None:
    """No login, an address that is not here, and one address for two people's accounts."""
    async with here.opened() as system:
        first = await here.connect(system, ZERODHA)
        second = await here.connect(system, ZERODHA, "Father", logged_in=False)
        await system.control.switch.enable(here.command(), second.broker_id)
        store = system.foundation.store
        change = Change(set={"user_id": "IK2002"})
        await store.update("broker_accounts", {"_id": second.broker_id}, change)
        for account in (first, second):
            this = {"_id": account.broker_id}
            await store.update("broker_accounts", this, Change(set={"source_address": "192.0.2.7"}))

    _, lines = await report()

    assert any("Father" in line and "log in with /login" in line for line in lines)
    addresses = about(lines, "address")
    gone = "leaves from 192.0.2.7: 192.0.2.7 is not an address of this machine"
    assert any(one.startswith("fail") and f"Main {gone}" in one for one in addresses)
    (shared,) = [one for one in addresses if "share an address" in one]
    assert "Main (IK1001)" in shared
    assert "Father (IK2002)" in shared


@pytest.mark.matrix("K04")
def test_calendar_that_ends(tmp_path: Path) -> None:
    """Thirty days before its end a warning; after it, entries are denied and that is a failure."""
    settings = load_settings(environment={"SAARTHI_DATA": str(tmp_path)})
    ends = known_until(calendar_years(settings), date(2026, 11, 23))
    assert ends is not None
    names = ("01-26", "02-23", "03-09", "04-14", "05-01", "08-15", "10-02", "10-17", "12-25")
    lines = [f"holiday,{ends.year + 1}-{name},,,,as listed" for name in names]
    imported = ["kind,date,open,close,square_off,text", f"year,{ends.year + 1},,,,NSE 4711", *lines]
    (tmp_path / "list.csv").write_text("\n".join(imported))

    def line(day: date) -> str:
        (found,) = machine.calendar(settings, day)
        return " ".join(str(found).split())

    assert line(date(2026, 12, 16)).startswith(f"ok calendar sessions are known until {ends}: 2026")
    assert f"{ends.year} derived (worked out before NSE's list" in line(date(2026, 12, 16))
    assert line(date(2026, 12, 17)).endswith("its list: saarthi calendar import FILE")
    assert line(ends).startswith(f"warn calendar sessions are known until {ends} only")
    assert line(ends + timedelta(days=1)).startswith("fail calendar no session of")

    import_days(settings, tmp_path / "list.csv")
    until = ends.replace(year=ends.year + 1)
    assert line(until - timedelta(days=31)) == (
        f"ok calendar sessions are known until {until}: {until.year} published (imported, NSE 4711)"
    )
    assert line(until - timedelta(days=30)).startswith("warn")
    (tmp_path / CALENDAR_FILE).write_text("broken")
    assert line(ends).startswith(
        f"fail calendar {tmp_path / CALENDAR_FILE}: line 1: found 'broken'"
    )


def test_a_finding_is_one_line() -> None:
    """What a server said cannot break the report's form."""
    assert str(warn("store", "down\nok    store", "wait")) == (
        "warn  store           down ok    store -> wait"
    )
