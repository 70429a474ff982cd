"""Become another program that cannot outlive the one that started it.

Run as ``python -I -S _tether.py PARENT_PID PROGRAM ARGUMENT...``. It asks the kernel to kill this
process when its parent's thread ends (SIGKILL: the embedded server hangs when it gets two softer
signals back to back), makes new files private, and turns into PROGRAM. A wrapper instead of a
``preexec_fn``, because the latter runs Python between fork and exec of a threaded process.
"""

import ctypes
import os
import signal
import sys

PR_SET_PDEATHSIG = 1


def main(parent_pid: int, command: list[str]) -> None:
    """Tie this process to ``parent_pid`` and replace it by ``command``."""
    os.umask(0o077)
    if sys.platform == "linux":
        libc = ctypes.CDLL(None, use_errno=True)
        if libc.prctl(PR_SET_PDEATHSIG, int(signal.SIGKILL), 0, 0, 0) != 0:
            sys.exit(f"prctl failed: errno {ctypes.get_errno()}")
    if os.getppid() != parent_pid:  # the parent died before the tie was made
        sys.exit("the starting process is gone")
    os.execv(command[0], command)  # noqa: S606 - a fixed program, no shell wanted


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2:])
