"""``saarthi demo`` as a process of its own, for tests: start it, find its children, end it."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import subprocess
import sys
import threading
from pathlib import Path

from tests.fakes.sandbox_process import eventually

__all__ = ["Demo", "command_lines_below", "is_alive"]

ROOT = Path(__file__).resolve().parents[2]
_START_S = 240.0
_STOP_S = 240.0


def is_alive(pid: int) -> bool:
    """Tell whether a process runs; one that only waits to be buried does not."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8")
    except OSError:
        return False
    return stat.rpartition(")")[2].split()[0] != "Z"


def _parents() -> dict[int, int]:
    found = {}
    for entry in Path("/proc").iterdir():
        with contextlib.suppress(OSError, ValueError):
            stat = (entry / "stat").read_text(encoding="utf-8")
            found[int(entry.name)] = int(stat.rpartition(")")[2].split()[1])
    return found


def command_lines_below(pid: int) -> dict[int, str]:
    """Return every process below one, with its command line."""
    parents = _parents()
    found = {pid}
    while more := {child for child, parent in parents.items() if parent in found} - found:
        found |= more
    return {child: _command(child) for child in found - {pid}}


class Demo:
    """A running demo; its output is gathered as it comes."""

    def __init__(self, *options: str, temporary: Path, **environment: str) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-m", "console", "demo", *options],
            cwd=ROOT,
            env={**os.environ, "TMPDIR": str(temporary), **environment},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self.output: list[str] = []
        self.errors: list[str] = []
        self._readers = [
            threading.Thread(target=lines.extend, args=(stream,), daemon=True)
            for lines, stream in (
                (self.output, self._process.stdout),
                (self.errors, self._process.stderr),
            )
            if stream is not None
        ]
        for reader in self._readers:
            reader.start()

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def code(self) -> int | None:
        return self._process.poll()

    def line(self, pattern: str) -> re.Match[str] | None:
        """Return the first line of its output that fits."""
        for line in list(self.output):
            if found := re.search(pattern, line):
                return found
        return None

    def chat(self) -> str:
        """Wait until the demo is ready; return the address of its chat page."""
        eventually(lambda: self.line("clock shows") or self.code is not None, within_s=_START_S)
        found = self.line(r"^chat: (http://127\.0\.0\.1:\d+/)$")
        assert found, "".join(self.errors)
        return found[1]

    def family(self) -> dict[int, str]:
        """Return every process below it, with its command line."""
        return command_lines_below(self.pid)

    def child(self, *words: str) -> int:
        """Return the process below it whose command line holds the words."""
        for pid, command in self.family().items():
            if all(word in command for word in words):
                return pid
        raise AssertionError(f"no process with {words} in {self.family()}")

    def signal(self, number: signal.Signals) -> None:
        self._process.send_signal(number)

    def wait(self, within_s: float = _STOP_S) -> int:
        """Wait until it has ended; return its exit code."""
        code = self._process.wait(within_s)
        for reader in self._readers:
            reader.join(within_s)
        for stream in (self._process.stdout, self._process.stderr):
            if stream is not None:
                stream.close()
        return code

    def end(self) -> None:
        """Make sure that nothing of it runs on."""
        if self._process.poll() is None:
            self._process.terminate()
            try:
                self.wait()
            except subprocess.TimeoutExpired:
                self._process.kill()
                self.wait()


def _command(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode()
    except OSError:
        return ""
