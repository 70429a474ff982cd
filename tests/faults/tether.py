"""Processes of the tests that cannot outlive the one that started them, however it ends."""

from __future__ import annotations

import ctypes
import os
import signal
import sys
from collections.abc import Sequence
from pathlib import Path

from core.adapters.mongo import _tether

__all__ = ["die_with_parent", "tethered"]


def tethered(command: Sequence[str]) -> list[str]:
    """Return the command of a program that the kernel kills with this thread."""
    return [sys.executable, "-I", "-S", str(Path(_tether.__file__)), str(os.getpid()), *command]


def die_with_parent(parent: int) -> None:
    """Tie this process, which was just forked, to the process that forked it."""
    if sys.platform != "linux":
        return
    libc = ctypes.CDLL(None, use_errno=True)
    libc.prctl(_tether.PR_SET_PDEATHSIG, int(signal.SIGKILL), 0, 0, 0)
    if os.getppid() != parent:
        os._exit(70)
