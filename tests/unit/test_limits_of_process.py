"""What the controller does about descriptors, and about the log when they run out (G4)."""

from __future__ import annotations

import asyncio
import errno
import os
import resource
import subprocess
import sys
from pathlib import Path

import pytest

from console.limits import connections_of, rate_loop_errors
from tests.fakes.clock import ManualClock
from tests.fakes.log_lines import lines_of


@pytest.mark.row("G4")
def test_soft_limit_of_descriptors_is_raised() -> None:
    """As far as the hard limit of the process allows."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    hard = min(hard, 4096) if hard != resource.RLIM_INFINITY else 4096
    program = (
        "import resource\n"
        f"resource.setrlimit(resource.RLIMIT_NOFILE, (256, {hard}))\n"
        "from console.limits import raise_descriptor_limit\n"
        "print(raise_descriptor_limit())\n"
        "print(*resource.getrlimit(resource.RLIMIT_NOFILE))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert done.stdout.split() == [str(hard)] * 3


@pytest.mark.row("G2")
def test_no_dump_is_made_of_a_process_with_secrets(tmp_path: Path) -> None:
    """Every command of ``saarthi``: no core file, no look into its memory, and the same below it."""
    program = (
        "import ctypes, resource, subprocess, sys\n"
        "from console import cli\n"
        "code = cli.main(['doctor', '--config', sys.argv[1]])\n"
        "below = 'import resource; print(*resource.getrlimit(resource.RLIMIT_CORE))'\n"
        "subprocess.run([sys.executable, '-c', below], check=True)\n"
        "print(code, ctypes.CDLL(None).prctl(3, 0, 0, 0, 0))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, str(tmp_path / "none.toml")],
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.split() == ["0", "0", "1", "0"], done.stderr


@pytest.mark.row("G4")
@pytest.mark.parametrize(("descriptors", "most"), [(65_536, 256), (1024, 256), (300, 75)])
def test_web_server_leaves_descriptors_for_trading(descriptors: int, most: int) -> None:
    """However few the machine gives, three quarters are for brokers, store and chat."""
    assert connections_of(descriptors) == most


@pytest.mark.row("G4")
async def test_accepting_without_descriptors_is_few_lines(caplog: pytest.LogCaptureFixture) -> None:
    """A thousand failures to accept leave three tracebacks, and a count a minute later."""
    loop = asyncio.get_running_loop()
    clock = ManualClock()
    before = loop.get_exception_handler()
    rate_loop_errors(loop, clock)
    context = {
        "message": "socket.accept() out of system resource",
        "exception": OSError(errno.EMFILE, os.strerror(errno.EMFILE)),
    }
    try:
        for _ in range(1000):
            loop.call_exception_handler(context)
        assert len(lines_of(caplog, "console")) == 3
        await clock.advance(60)
        loop.call_exception_handler(context)
    finally:
        loop.set_exception_handler(before)
    assert "997 more lines like this were left out" in caplog.text
    assert len(lines_of(caplog, "console")) == 5
