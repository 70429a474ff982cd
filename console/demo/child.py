"""A child process of the demo: started, watched, and stopped with one SIGTERM.

Each child has a session of its own, so that Ctrl-C reaches only the demo, and the kernel kills it
when the demo ends, however that happens. Its log is a file, whose last line explains its end.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
from asyncio.subprocess import DEVNULL, PIPE, Process, create_subprocess_exec
from collections.abc import Mapping, Sequence
from pathlib import Path

from core.errors import SaarthiError

__all__ = ["Child", "ChildEnded", "DemoFailed"]

_WRAPPER = Path(__file__).with_name("die_with_parent.py")
_KILL_WAIT_S = 2.0
_TAIL_BYTES = 20_000
_LINE_LIMIT = 300


class DemoFailed(SaarthiError):
    """The demo cannot go on; the message is one line for the user."""


class ChildEnded(DemoFailed):
    """A child ended although it was not stopped."""


class Child:
    """One running program of the demo."""

    def __init__(self, name: str, process: Process, log: Path) -> None:
        self.name = name
        self._process = process
        self._log = log
        self._is_watched = False

    @classmethod
    async def start(
        cls, name: str, arguments: Sequence[str], environment: Mapping[str, str], log: Path
    ) -> Child:
        """Start ``python -P -m ARGUMENTS...``; must run in the main thread.

        The kernel kills the child when the thread that started it ends.
        """
        die_with_parent = [sys.executable, "-I", "-S", str(_WRAPPER), str(os.getpid())]
        descriptor = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        try:
            process = await create_subprocess_exec(
                *die_with_parent,
                sys.executable,
                "-P",
                "-m",
                *arguments,
                env=dict(environment),
                stdin=DEVNULL,
                stdout=PIPE,
                stderr=descriptor,
                start_new_session=True,
            )
        finally:
            os.close(descriptor)
        return cls(name, process, log)

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._process.pid

    @property
    def has_ended(self) -> bool:
        """Whether the program is gone."""
        return self._process.returncode is not None

    async def line(self, within_s: float) -> str:
        """Return the next line of its standard output.

        Raises:
            ChildEnded: It ended instead.
            DemoFailed: It printed no line in time.
        """
        stream = self._process.stdout
        if stream is None:
            raise DemoFailed(f"{self.name}: its output cannot be read.")
        try:
            async with asyncio.timeout(within_s):
                found = await stream.readline()
        except TimeoutError:
            raise DemoFailed(f"{self.name} printed no line within {within_s:g} s.") from None
        if not found:
            await self._process.wait()
            raise self.end_reason()
        return found.decode(errors="replace").strip()

    async def watch(self) -> None:
        """Wait until the program ends by itself.

        Raises:
            ChildEnded: Always.
        """
        self._is_watched = True
        await self._drain()
        raise self.end_reason()

    def end_reason(self) -> ChildEnded:
        """Return the reason of its end: the last line of its log."""
        code = self._process.returncode
        if code == -signal.SIGKILL:  # what it said last has nothing to do with its end
            return ChildEnded(f"{self.name} was killed ({signal.SIGKILL.name}).")
        how = f"code {code}" if code is None or code >= 0 else signal.Signals(-code).name
        last = self.last_line()
        return ChildEnded(f"{self.name} ended with {how}" + (f": {last}" if last else "."))

    def last_line(self) -> str:
        """Return the last line of its log, shortened."""
        with self._log.open("rb") as stream:
            size = stream.seek(0, os.SEEK_END)
            stream.seek(max(0, size - _TAIL_BYTES))
            lines = stream.read().decode(errors="replace").split("\n")
        filled = [line.strip() for line in lines if line.strip()]
        return filled[-1][:_LINE_LIMIT] if filled else ""

    async def stop(self, within_s: float) -> None:
        """End it: one SIGTERM, and SIGKILL when it is still there in the end."""
        if self.has_ended:
            return
        with contextlib.suppress(ProcessLookupError):
            self._process.terminate()
        try:
            async with asyncio.timeout(within_s):
                await (self._process.wait() if self._is_watched else self._drain())
        except TimeoutError:
            self.kill()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_KILL_WAIT_S):
                    await self._process.wait()

    def kill(self) -> None:
        """End it without a warning, as ``kill -9`` does."""
        with contextlib.suppress(ProcessLookupError):
            self._process.kill()

    async def _drain(self) -> None:
        """Read its output, which is not used, so that a full pipe does not block it."""
        stream = self._process.stdout
        while stream is not None and await stream.readline():
            continue
        await self._process.wait()
