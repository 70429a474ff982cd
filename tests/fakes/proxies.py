"""A real proxy on loopback: pproxy in a process of its own, HTTP and SOCKS at one port, with a login."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from core.domain.route import Proxy, ProxyKind
from tests.fakes.ports import free_port

__all__ = ["LEAVES_FROM", "PASSWORD", "USER", "RunningProxy", "running_proxy"]

USER, PASSWORD = "courier", "p-4711-canary"
LEAVES_FROM = "127.0.0.4"
"""Where its connections come from."""


@dataclass(frozen=True)
class RunningProxy:
    """A proxy that runs."""

    port: int

    def as_(self, kind: ProxyKind) -> Proxy:
        """Return it as an account is told of it."""
        return Proxy(kind, "127.0.0.1", self.port, USER, PASSWORD)


@contextmanager
def running_proxy() -> Iterator[RunningProxy]:
    """Run a proxy until the end of the block."""
    port = free_port()
    listen = f"http+socks5://127.0.0.1:{port}/@{LEAVES_FROM}#{USER}:{PASSWORD}"
    # It remembers whom it let in by address, all loopback's alike: each login counts by itself.
    command = [sys.executable, "-u", "-m", "pproxy", "-l", listen, "--auth", "-1"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            first = process.stdout.readline()
            assert first.startswith("Serving on"), first
            yield RunningProxy(port)
        finally:
            process.kill()
