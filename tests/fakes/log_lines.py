"""What one part of the program has logged, and nobody else."""

from __future__ import annotations

import logging

import pytest

__all__ = ["lines_of"]


def lines_of(caplog: pytest.LogCaptureFixture, logger: str) -> list[logging.LogRecord]:
    """Return the records of a logger and those below it.

    The collector may come upon a task that another test has left, and asyncio logs that too.
    """
    return [one for one in caplog.records if f"{one.name}.".startswith(f"{logger}.")]
