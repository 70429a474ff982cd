"""Runs a program that the kernel kills when its parent ends.

Used as ``python -I -S die_with_parent.py PARENT_PID PROGRAM ARGUMENT...``. It asks the kernel to
kill this process when its parent ends, however that happens, and replaces itself by PROGRAM.
"""

import ctypes
import os
import signal
import sys

PR_SET_PDEATHSIG = 1


def main(parent_pid: int, command: list[str]) -> None:
    """Have the kernel kill this process with ``parent_pid``; replace it by ``command``."""
    if sys.platform == "linux":
        libc = ctypes.CDLL(None, use_errno=True)
        if libc.prctl(PR_SET_PDEATHSIG, int(signal.SIGKILL), 0, 0, 0) != 0:
            sys.exit(f"prctl failed: errno {ctypes.get_errno()}")
    if os.getppid() != parent_pid:  # the parent ended before the call above
        sys.exit("the starting process is gone")
    os.execv(command[0], command)  # noqa: S606 - a fixed program, no shell wanted


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2:])
