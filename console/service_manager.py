"""What the service manager is told: ready, how it goes, that it lives, that it stops (sd_notify).

systemd names a datagram socket in ``NOTIFY_SOCKET`` and, with ``WatchdogSec``, how long it waits
for a sign of life in ``WATCHDOG_USEC``. The sign is sent by the event loop itself, and only while
the trading workers live (``core.engine.workers.liveness``): a process that hangs is ended and
started again. Without these names in the environment nothing is sent.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import socket
from collections.abc import Callable, Coroutine, Iterator, MutableMapping
from typing import Final, Protocol

from core.ports.clock import Clock

__all__ = ["Life", "ServiceManager", "sign_of_life"]

_log = logging.getLogger(__name__)
_ADDRESS: Final = "NOTIFY_SOCKET"
_WATCHDOG: Final = "WATCHDOG_USEC"
_WATCHDOG_PID: Final = "WATCHDOG_PID"
_BEATS: Final = 4
"""Signs of life in the time that the manager waits for one."""
_STATUS_S: Final = 15.0
_EXTENSION_S: Final = 60
_EXTEND_EVERY_S: Final = 20.0
_LONGEST_START_S: Final = 3600.0


class Life(Protocol):
    """What is asked whether the process does its work."""

    @property
    def accounts(self) -> int:
        """How many accounts are worked for."""
        ...

    def trouble(self) -> str:
        """Return what does not move, '' when all lives."""
        ...


class ServiceManager:
    """The socket of the service manager; without one every call does nothing.

    Attributes:
        watchdog_s: Within how many seconds it expects a sign of life; None for no watchdog.
    """

    def __init__(self, address: str = "", watchdog_s: float | None = None) -> None:
        # An abstract socket's name begins with a zero byte, which the environment cannot hold.
        self._address = "\0" + address[1:] if address.startswith("@") else address
        self.watchdog_s = watchdog_s if address else None
        self._has_failed = False

    @classmethod
    def of_environment(cls, environment: MutableMapping[str, str] | None = None) -> ServiceManager:
        """Take what the environment names out of it: child processes are not to speak for us."""
        found = os.environ if environment is None else environment
        address, after = found.pop(_ADDRESS, ""), found.pop(_WATCHDOG, "")
        is_ours = found.pop(_WATCHDOG_PID, "") in {"", str(os.getpid())}
        wants_signs = is_ours and after.isdigit() and int(after) > 0
        return cls(address, int(after) / 1_000_000 if wants_signs else None)

    @property
    def is_there(self) -> bool:
        """Whether somebody listens."""
        return bool(self._address)

    def ready(self) -> None:
        """Say that the start is over."""
        self._send("READY=1", "STATUS=Started.")

    def stopping(self) -> None:
        """Say that the end has begun."""
        self._send("STOPPING=1", "STATUS=Stopping.")

    def lives(self, status: str) -> None:
        """Give a sign of life, and say how it goes."""
        self._send("WATCHDOG=1", f"STATUS={status}")

    def says(self, status: str) -> None:
        """Say how it goes, without a sign of life."""
        self._send(f"STATUS={status}")

    @contextlib.contextmanager
    def starting(self) -> Iterator[None]:
        """Ask for more time again and again while a start takes long: indexes of a large store."""
        loop = asyncio.get_running_loop()
        ends_at = loop.time() + _LONGEST_START_S
        handle: asyncio.TimerHandle | None = None

        def extend() -> None:
            nonlocal handle
            if loop.time() < ends_at:
                self._send(f"EXTEND_TIMEOUT_USEC={_EXTENSION_S * 1_000_000}", "STATUS=Starting.")
                handle = loop.call_later(_EXTEND_EVERY_S, extend)

        extend()
        try:
            yield
        finally:
            if handle is not None:
                handle.cancel()

    def _send(self, *assignments: str) -> None:
        if not self._address:
            return
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as sender:
                sender.setblocking(False)
                sender.sendto("\n".join(assignments).encode(), self._address)
        except OSError as error:
            if not self._has_failed:
                _log.warning("the service manager cannot be told how it goes (%s)", error.strerror)
            self._has_failed = True
        else:
            self._has_failed = False


def sign_of_life(
    manager: ServiceManager, life: Life, clock: Clock
) -> Callable[[], Coroutine[None, None, None]]:
    """Return the service that says how it goes, with a sign of life while all lives."""
    pause = min(_STATUS_S, (manager.watchdog_s or _STATUS_S * _BEATS) / _BEATS)

    async def run() -> None:
        said = ""
        while True:
            trouble = life.trouble()
            if trouble:
                manager.says(f"Stuck: {trouble}.")
            else:
                manager.lives(f"Working for {life.accounts} account(s).")
            if trouble and trouble != said:
                _log.error("no sign of life is given: %s", trouble)
            said = trouble
            await clock.sleep(pause)

    return run
