"""The service manager hears when Saarthi is ready, how it goes, and that it lives, if it does."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from console.service_manager import ServiceManager, sign_of_life
from tests.fakes.clock import ManualClock
from tests.fakes.log_lines import lines_of

pytestmark = [pytest.mark.invariant("I13"), pytest.mark.matrix("P02")]


class Manager:
    """A service manager's socket."""

    def __init__(self, name: str) -> None:
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(name)
        self.socket.setblocking(False)

    def heard(self) -> list[dict[str, str]]:
        """Return what has arrived, each message as its assignments."""
        found = []
        with contextlib.suppress(BlockingIOError):
            while True:
                lines = self.socket.recv(4096).decode().split("\n")
                found.append(dict(line.split("=", 1) for line in lines))
        return found


@pytest.fixture
def manager(tmp_path: Path) -> Iterator[Manager]:
    made = Manager(str(tmp_path / "notify"))
    yield made
    made.socket.close()


def told(tmp_path: Path, watchdog_us: str = "10000000") -> ServiceManager:
    """Return what the program makes of such an environment."""
    return ServiceManager.of_environment(
        {"NOTIFY_SOCKET": str(tmp_path / "notify"), "WATCHDOG_USEC": watchdog_us}
    )


class Life:
    """Work whose trouble a test sets."""

    accounts = 2

    def __init__(self) -> None:
        self.now = ""

    def trouble(self) -> str:
        return self.now


def test_ready_and_stopping(manager: Manager, tmp_path: Path) -> None:
    """The states of the protocol, each with a status that a person reads."""
    service = told(tmp_path)
    service.ready()
    service.stopping()
    assert manager.heard() == [
        {"READY": "1", "STATUS": "Started."},
        {"STOPPING": "1", "STATUS": "Stopping."},
    ]


def test_abstract_socket() -> None:
    """A manager may name a socket outside the file system, which begins with @."""
    name = f"saarthi-test-{os.getpid()}"
    manager = Manager(f"\0{name}")
    try:
        ServiceManager.of_environment({"NOTIFY_SOCKET": f"@{name}"}).ready()
        assert [one["READY"] for one in manager.heard()] == ["1"]
    finally:
        manager.socket.close()


async def test_sign_of_life_only_while_the_workers_live(manager: Manager, tmp_path: Path) -> None:
    """Four times in the time of the watchdog; none while a worker is stuck, and its name instead."""
    clock, life = ManualClock(), Life()
    task = asyncio.create_task(sign_of_life(told(tmp_path), life, clock)())
    try:
        for _ in range(4):
            await clock.advance(2.5)
        alive = manager.heard()
        assert len(alive) == 5
        assert all(one["WATCHDOG"] == "1" for one in alive)
        assert alive[0]["STATUS"] == "Working for 2 account(s)."

        life.now = "account zerodha_abc123 has been in one turn for 301 s"
        await clock.advance(20)
        stuck = manager.heard()
        assert len(stuck) == 8
        assert not any("WATCHDOG" in one for one in stuck)
        assert stuck[0]["STATUS"] == f"Stuck: {life.now}."

        life.now = ""
        await clock.advance(2.5)
        assert [one["WATCHDOG"] for one in manager.heard()] == ["1"]
    finally:
        task.cancel()


async def test_loop_that_is_blocked_gives_no_sign(manager: Manager, tmp_path: Path) -> None:
    """The sign comes from the event loop and from no thread: while that hangs there is none."""
    before = threading.active_count()
    clock = ManualClock()
    task = asyncio.create_task(sign_of_life(told(tmp_path), Life(), clock)())
    try:
        await clock.advance(2.5)
        manager.heard()
        clock._elapsed += 60  # a minute passes in which the loop does something else
        assert manager.heard() == []
        assert threading.active_count() == before
    finally:
        task.cancel()


async def test_long_start_asks_for_more_time(manager: Manager, tmp_path: Path) -> None:
    """A start that brings a large store to a new schema is not ended by the manager's patience."""
    with told(tmp_path).starting():
        (asked,) = manager.heard()
    assert asked == {"EXTEND_TIMEOUT_USEC": "60000000", "STATUS": "Starting."}


@pytest.mark.parametrize(
    ("environment", "watchdog_s"),
    [
        ({}, None),
        ({"NOTIFY_SOCKET": "/none", "WATCHDOG_USEC": "10000000"}, 10.0),
        ({"NOTIFY_SOCKET": "/none", "WATCHDOG_USEC": "soon"}, None),
        ({"NOTIFY_SOCKET": "/none", "WATCHDOG_USEC": "1", "WATCHDOG_PID": "1"}, None),
        ({"WATCHDOG_USEC": "10000000"}, None),
    ],
)
def test_what_the_environment_names(environment: dict[str, str], watchdog_s: float | None) -> None:
    """It is taken out, so that no child process speaks for us; a watchdog of others is not ours."""
    service = ServiceManager.of_environment(environment)
    assert (service.watchdog_s, environment) == (watchdog_s, {})


def test_manager_that_is_gone_stops_nothing(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """What cannot be told is logged once, and everything goes on."""
    service = told(tmp_path)
    for _ in range(5):
        service.ready()
    assert len(lines_of(caplog, "console")) == 1


def test_nobody_listens() -> None:
    """Without a service manager nothing is sent, and nothing fails."""
    service = ServiceManager.of_environment({})
    service.ready()
    service.stopping()
    assert not service.is_there
