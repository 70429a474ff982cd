"""A server that runs as a child process, and the lock that keeps its directory to one process.

Invariants: the child never outlives this process, however this process ends; it inherits nothing
of our environment (which may hold secrets); everything it writes is private to the user; it gets
one SIGTERM at most.
"""

from __future__ import annotations

import asyncio
import fcntl
import os
import secrets
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from core.errors import StoreUnavailable

__all__ = ["ChildProcess", "DirectoryLock", "free_port", "private_directory", "write_private"]

_TETHER = Path(__file__).with_name("_tether.py")
_LOWEST_PORT, _HANDED_OUT_FROM = 16_384, 32_768
_POLL_S = 0.05
_STOP_S = 5.0
_LOG_LIMIT = 16 * 1024 * 1024
_LOG_TAIL = 2000
_INHERITED = ("PATH", "HOME", "LANG", "LC_ALL", "TMPDIR", "TZ", "LD_LIBRARY_PATH")


def private_directory(path: Path) -> Path:
    """Make ``path`` a directory that only its owner may enter, and return it."""
    path.mkdir(mode=0o700, parents=True, exist_ok=True)
    path.chmod(0o700)
    return path


def free_port(wanted: int = 0) -> int:
    """Return ``wanted`` when it is free on loopback, else some other free port.

    The server binds it a while later. A port that the system hands out by itself could be taken
    meanwhile, so those are the last resort.
    """
    others = [_LOWEST_PORT + secrets.randbelow(_HANDED_OUT_FROM - _LOWEST_PORT) for _ in range(64)]
    for port in (*([wanted] if wanted else ()), *others, 0):
        with socket.socket() as probe, suppress(OSError):
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(("127.0.0.1", port))
            return int(probe.getsockname()[1])
    raise StoreUnavailable("No port is free on 127.0.0.1.")


def write_private(path: Path, text: str) -> None:
    """Replace ``path`` by a file with ``text`` that only its owner may read, all or nothing."""
    draft = path.with_name(f".{path.name}.new")
    draft.unlink(missing_ok=True)
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    draft.replace(path)


class DirectoryLock:
    """An advisory lock on a directory, held by this process and by the child it hands it to.

    It is free again only when both are gone, so a new controller waits for the old one's server.
    """

    def __init__(self, directory: Path) -> None:
        self._path = directory / "lock"
        self._descriptor: int | None = None

    @property
    def descriptor(self) -> int:
        """The open file that a child inherits."""
        if self._descriptor is None:
            msg = "the lock is not held"
            raise RuntimeError(msg)
        return self._descriptor

    async def acquire(self, within_s: float) -> None:
        """Take the lock.

        Raises:
            StoreUnavailable: Another process still holds it after ``within_s`` seconds.
        """
        descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            async with asyncio.timeout(within_s):
                while not _try_lock(descriptor, fcntl.LOCK_EX):  # noqa: ASYNC110 - another process
                    await asyncio.sleep(_POLL_S)
        except TimeoutError:
            os.close(descriptor)
            message = f"the store in {self._path.parent} is in use by another process"
            raise StoreUnavailable(message) from None
        except BaseException:
            os.close(descriptor)
            raise
        self._descriptor = descriptor

    def release(self) -> None:
        """Give the lock back; harmless when it is not held."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None

    @staticmethod
    def is_held(directory: Path) -> bool:
        """Return whether some process holds the lock of ``directory``."""
        try:
            descriptor = os.open(directory / "lock", os.O_RDWR | os.O_CLOEXEC)
        except FileNotFoundError:
            return False
        try:
            return not _try_lock(descriptor, fcntl.LOCK_SH)
        finally:
            os.close(descriptor)


def _try_lock(descriptor: int, mode: int) -> bool:
    try:
        fcntl.flock(descriptor, mode | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


class ChildProcess:
    """One running child. Its output goes to ``log``, which is emptied when it grows too long."""

    def __init__(self, process: subprocess.Popen[bytes], log: Path) -> None:
        self._process = process
        self._log = log

    @classmethod
    def start(
        cls, command: Sequence[str], *, directory: Path, log: Path, lock: DirectoryLock
    ) -> ChildProcess:
        """Start ``command`` in ``directory``.

        Raises:
            RuntimeError: Not called from the main thread. The kernel kills the child when the
                thread that started it ends, so only a thread that lives as long as we do may.
        """
        if threading.current_thread() is not threading.main_thread():
            msg = "a store server must be started from the main thread"
            raise RuntimeError(msg)
        tether = [sys.executable, "-I", "-S", str(_TETHER), str(os.getpid())]
        descriptor = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_APPEND, 0o600)
        try:
            process = subprocess.Popen(  # noqa: S603 - our own fixed command, no shell
                [*tether, *command],
                cwd=directory,
                env={name: os.environ[name] for name in _INHERITED if name in os.environ},
                stdin=subprocess.DEVNULL,
                stdout=descriptor,
                stderr=descriptor,
                pass_fds=(lock.descriptor,),
                start_new_session=True,
            )
        finally:
            os.close(descriptor)
        return cls(process, log)

    @property
    def pid(self) -> int:
        """The process id, which is the server's own: the tether turned into it."""
        return self._process.pid

    @property
    def exit_code(self) -> int | None:
        """The exit code, negative for a signal; None while it runs."""
        return self._process.poll()

    def output(self) -> str:
        """Return what it wrote since it started."""
        return self._log.read_text(encoding="utf-8", errors="replace")

    def complaint(self) -> str:
        """Return the end of what it wrote, on one line, for an error message."""
        return " | ".join(self.output()[-_LOG_TAIL:].split("\n")).strip(" |")

    def arguments(self) -> list[str]:
        """Return the arguments that the running process really has, where the kernel shows them."""
        try:
            raw = Path(f"/proc/{self.pid}/cmdline").read_bytes()
        except OSError:
            return [os.fsdecode(word) for word in self._words()]
        return [os.fsdecode(word) for word in raw.split(b"\0") if word]

    def _words(self) -> list[str | bytes]:
        words = self._process.args
        return list(words) if isinstance(words, list) else []

    async def wait(self) -> int:
        """Return the exit code once it has ended."""
        while (code := self._process.poll()) is None:
            self._trim_log()
            await asyncio.sleep(_POLL_S)
        return code

    def _trim_log(self) -> None:
        if self._log.stat().st_size > _LOG_LIMIT:
            os.truncate(self._log, 0)

    async def stop(self) -> None:
        """End it: one SIGTERM, and SIGKILL after five seconds. Harmless when it has ended."""
        if self._process.poll() is not None:
            return
        self._process.send_signal(signal.SIGTERM)
        try:
            async with asyncio.timeout(_STOP_S):
                await self.wait()
        except TimeoutError:
            pass
        finally:
            self.kill()

    def kill(self) -> None:
        """End it at once; what it has acknowledged is on disk."""
        if self._process.poll() is None:
            self._process.kill()
        self._process.wait()
