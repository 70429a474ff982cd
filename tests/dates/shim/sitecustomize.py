"""Makes ``time.sleep`` work under Debian's libfaketime 0.9.10, which every child of a run loads.

Python sleeps until a moment of the monotonic clock. With that clock left alone, as deadlines and
asyncio need it, this libfaketime answers such a sleep with EINVAL at once.
"""

from __future__ import annotations

import os
import select
import time


def _sleep(seconds: float) -> None:
    if seconds < 0:
        raise ValueError("sleep length must be non-negative")
    until = time.monotonic() + seconds
    while (left := until - time.monotonic()) > 0:
        select.select([], [], [], left)


if "FAKETIME" in os.environ:
    time.sleep = _sleep  # type: ignore[assignment]
