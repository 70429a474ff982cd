"""Become another program that cannot outlive the one that started it.

Run as ``python -I -S tether.py PARENT_PID PROGRAM ARGUMENT...``. It asks the kernel to kill this
process when its parent ends, however that ends, and turns into PROGRAM.
"""

import ctypes
import os
import signal
import sys

PR_SET_PDEATHSIG = 1


def main(parent_pid: int, command: list[str]) -> None:
    """Tie this process to ``parent_pid`` and replace it by ``command``."""
    if sys.platform == "linux":
        libc = ctypes.CDLL(None, use_errno=True)
        if libc.prctl(PR_SET_PDEATHSIG, int(signal.SIGKILL), 0, 0, 0) != 0:
            sys.exit(f"prctl failed: errno {ctypes.get_errno()}")
    if os.getppid() != parent_pid:  # the parent died before the tie was made
        sys.exit("the starting process is gone")
    os.execv(command[0], command)  # noqa: S606 - a fixed program, no shell wanted


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2:])
