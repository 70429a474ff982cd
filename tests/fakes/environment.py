"""What a child process needs in order to live on the same day as the test that starts it."""

from __future__ import annotations

import os

__all__ = ["clock_environment"]

_NAMES = (
    *("TZ", "LD_PRELOAD", "FAKETIME", "FAKETIME_DONT_FAKE_MONOTONIC"),
    *("PYTHONPATH", "PYTHONDONTWRITEBYTECODE"),
)


def clock_environment() -> dict[str, str]:
    """Return the zone and the date under which this process runs (``make test-dates``).

    A test that gives a child an environment of its own adds this: else parent and child disagree
    about the day, and what fails is the test.
    """
    if "FAKETIME" not in os.environ:
        return {name: os.environ[name] for name in ("TZ",) if name in os.environ}
    return {name: os.environ[name] for name in _NAMES if name in os.environ}
