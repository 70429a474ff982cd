"""The controller's hold on one strategy's process: start it, ask it, end it.

The process is started by a thread that lives as long as the controller (the kernel ends the process
with the thread that started it), with a session of its own, so that ending it ends what it has
started too.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Sequence
from concurrent.futures import Executor, Future
from dataclasses import dataclass

from core.adapters.strategies.messages import HEADER, LARGEST_ANSWER, Sent, framed, targets_in
from core.adapters.strategies.printed import Printed
from core.domain.target import Context, Target
from core.errors import DecisionFailed

__all__ = ["StrategyProcess", "StrategySource"]

_PROGRAM = (
    "import json, sys; path, *rest = json.loads(sys.argv[1]); sys.path[:] = path; "
    "from core.adapters.strategies.worker import main; main(*rest)"
)
_KEPT = ("PATH", "HOME", "LANG", "LC_ALL", "LC_CTYPE", "TZ", "LD_LIBRARY_PATH", "LD_PRELOAD")
_KEPT_PREFIXES = ("FAKETIME", "DONT_FAKE")
_END_S = 5.0
_MEMORY_BYTES = 1 << 30


@dataclass(frozen=True, slots=True)
class StrategySource:
    """Where strategies come from, and how much memory each may have.

    Attributes:
        registry: ``module:attribute`` of a mapping by name, importable with this process' path.
    """

    registry: str
    memory_bytes: int = _MEMORY_BYTES


def _environment() -> dict[str, str]:
    """Return what a strategy needs of the environment; no setting of Saarthi is among it."""
    return {
        name: value
        for name, value in os.environ.items()
        if name in _KEPT or name.startswith(_KEPT_PREFIXES)
    }


class StrategyProcess:
    """One process that has one strategy decide, one decision after another."""

    def __init__(
        self,
        popen: subprocess.Popen[bytes],
        streams: tuple[asyncio.StreamReader, asyncio.StreamWriter],
        printed: Printed,
        threads: Executor,
    ) -> None:
        self._popen = popen
        self._reader, self._writer = streams
        self._printed = printed
        self._threads = threads
        self._sent = Sent()
        self._is_ended = False

    @classmethod
    async def start(
        cls, name: str, source: StrategySource, threads: Executor, on_end: Callable[[], None]
    ) -> StrategyProcess:
        """Start a process, which begins to load its strategy (``loaded``).

        Args:
            name: Of the strategy.
            source: Where it comes from.
            threads: One thread, which starts every process and lives as long as this one.
            on_end: Called in the event loop when the process has closed its output.
        """
        starting = threads.submit(_spawn, name, source)
        try:
            popen, line, output = await asyncio.shield(asyncio.wrap_future(starting))
        except asyncio.CancelledError:
            starting.add_done_callback(_undo)
            raise
        try:
            streams = await asyncio.open_unix_connection(sock=line)
        except BaseException:
            starting.add_done_callback(_undo)
            raise
        return cls(popen, streams, Printed(name, output, on_end), threads)

    async def loaded(self) -> None:
        """Wait until the strategy is loaded.

        Raises:
            DecisionFailed: It cannot be.
        """
        said = await self._answer("ended while it was loaded")
        if isinstance(said, str):
            raise DecisionFailed(f"it could not be loaded: {said}")

    @property
    def is_alive(self) -> bool:
        """Whether it can be asked, as far as is known."""
        return not (self._is_ended or self._reader.at_eof() or self._printed.is_closed)

    async def ask(self, context: Context) -> Sequence[Target]:
        """Have the strategy decide; whoever gives this up has to end the process.

        Raises:
            DecisionFailed: The strategy raised, or the process ended.
        """
        question = framed(self._sent.question(context))
        with contextlib.suppress(ConnectionError):  # what became of it is said by its answer
            self._writer.write(question)
            await self._writer.drain()
        said = await self._answer("ended while it decided")
        if isinstance(said, str):
            raise DecisionFailed(f"it failed: {said}", came_back=True)
        return said

    async def _answer(self, trouble: str) -> Sequence[Target] | str:
        try:
            size = int.from_bytes(await self._reader.readexactly(HEADER))
            # Of one that is too long a part is read, which then cannot be understood.
            return targets_in(await self._reader.readexactly(min(size, LARGEST_ANSWER)))
        except (asyncio.IncompleteReadError, ConnectionError):
            code = await self.end()
            raise DecisionFailed(f"its process {trouble} ({_how(code)})", was_ended=True) from None
        except ValueError as error:
            await self.end()
            raise DecisionFailed(
                f"its process gave no answer that can be read ({error})", was_ended=True
            ) from None

    async def end(self) -> int | None:
        """End it for good; return its exit code, None when the kernel has not let it go yet."""
        if self._is_ended:
            return self._popen.returncode
        self._is_ended = True
        self._writer.transport.abort()
        ending = self._threads.submit(_end, self._popen)
        try:
            return await asyncio.shield(asyncio.wrap_future(ending))
        finally:
            self._printed.close()


def _spawn(name: str, source: StrategySource) -> tuple[subprocess.Popen[bytes], socket.socket, int]:
    """Start a process; return it, the socket to it, and what it prints."""
    ours, theirs = socket.socketpair()
    output, written = os.pipe()
    told = [sys.path, theirs.fileno(), os.getpid(), source.registry, name, source.memory_bytes]
    try:
        popen = subprocess.Popen(  # noqa: S603 - this program's own interpreter and words
            [sys.executable, "-I", "-u", "-c", _PROGRAM, json.dumps(told)],
            env=_environment(),
            stdin=subprocess.DEVNULL,
            stdout=written,
            stderr=written,
            pass_fds=(theirs.fileno(),),
            start_new_session=True,
        )
    except BaseException:
        ours.close()
        os.close(output)
        raise
    finally:
        theirs.close()
        os.close(written)
    return popen, ours, output


def _undo(started: Future[tuple[subprocess.Popen[bytes], socket.socket, int]]) -> None:
    """End what was started for somebody who waits no more."""
    if started.exception() is None:
        popen, line, output = started.result()
        line.close()
        os.close(output)
        _end(popen)


def _end(popen: subprocess.Popen[bytes]) -> int | None:
    """Kill a process with all that it has started, and take its exit code."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(popen.pid, signal.SIGKILL)  # one that has ended is its group until it is taken
    try:
        return popen.wait(_END_S)
    except subprocess.TimeoutExpired:
        return None


def _how(code: int | None) -> str:
    """Return how a process ended, in words."""
    if code is None:
        return "the system does not let it go"
    if code >= 0:
        return f"exit code {code}"
    try:
        return f"signal {-code}, {signal.Signals(-code).name}"
    except ValueError:
        return f"signal {-code}"
