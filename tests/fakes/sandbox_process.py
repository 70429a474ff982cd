"""The sandbox as a process of its own, for tests: start it, talk to its control port, stop it."""

import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import requests

from tests.faults.tether import tethered

__all__ = ["CLOCK", "Sandbox", "eventually"]

ROOT = Path(__file__).resolve().parent.parent.parent
CLOCK = "2026-11-23T10:00:00"
"""Market time at the start of a sandbox, where a test does not say another."""
_PATIENCE_S = 150.0

T = TypeVar("T")


def eventually(ask: Callable[[], T], *, within_s: float = 150.0) -> T:
    """Ask until the answer is true and return it; fail when it does not become true in time."""
    deadline = time.monotonic() + within_s
    while True:
        answer = ask()
        if answer:
            return answer
        if time.monotonic() > deadline:
            raise AssertionError(f"still {answer!r} after {within_s} s")
        time.sleep(0.02)


class Sandbox:
    """A running sandbox; ``ports`` by name."""

    def __init__(self, *options: str, clock: str | None = CLOCK, is_tethered: bool = False) -> None:
        command = [sys.executable, "-P", "-m", "sandbox", *options]
        if clock is not None:
            command += ["--clock", clock]
        if is_tethered:
            command = tethered(command)
        self._process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        assert line, f"the sandbox ended with {self._process.wait()}"
        self.ports: dict[str, int] = json.loads(line)
        self._http = requests.Session()
        self._http.trust_env = False

    def url(self, name: str) -> str:
        """Return the root address of a simulator."""
        return f"http://127.0.0.1:{self.ports[name]}"

    def ask(self, method: str, path: str, body: Any = None, **query: Any) -> Any:
        """Call the control API and return its JSON; an error answer fails the test."""
        answer = self.call(method, path, body, **query)
        assert answer.ok, f"{method} {path}: {answer.status_code} {answer.text}"
        return answer.json()

    def call(self, method: str, path: str, body: Any = None, **query: Any) -> requests.Response:
        """Call the control API and return the answer as it is."""
        address = self.url("control") + path
        return self._http.request(method, address, json=body, params=query, timeout=60)

    def fault(self, kind: str, target: str = "kite", **fields: Any) -> str:
        """Set a fault and return its id."""
        found = self.ask("POST", "/faults", {"target": target, "kind": kind, **fields})
        return str(found["id"])

    def kill(self) -> None:
        """End it as a crash does."""
        self._process.kill()
        self._close()

    def stop(self) -> int:
        """Ask it to end and return its exit code."""
        self._process.send_signal(signal.SIGTERM)
        return self._close()

    def end(self) -> None:
        """End it if it still runs."""
        if self._process.poll() is None:
            self.kill()

    def _close(self) -> int:
        code = self._process.wait(_PATIENCE_S)
        if self._process.stdout is not None:
            self._process.stdout.close()
        self._http.close()
        return code
