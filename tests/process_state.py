"""What a process has one of is after each test as it was before.

Thousands of tests share a few processes, in another order each time. The program under test may
change what its process has one of: it is alone there. Here a test that starts a controller would
leave its collector's callback, its log handlers or its levels to whichever test comes next.
"""

from __future__ import annotations

import gc
import logging
import os
import signal
from collections.abc import Callable, Generator
from pathlib import Path

import pytest

__all__ = ["taken"]

Restore = Callable[[], object]

_PYTEST_KEEPS = b"PYTEST_CURRENT_TEST"
_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGCHLD, signal.SIGPIPE)


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_protocol() -> Generator[None, object, object]:
    """Give everything back after a test, its set-up and the end of its fixtures included."""
    restore = taken()
    try:
        return (yield)
    finally:
        restore()


def taken() -> Restore:
    """Note what the process has now, and return what puts it back."""
    parts = [note() for note in (_collector, _logs, _environment, _place, _handlers)]

    def restore() -> None:
        for part in parts:
            part()

    return restore


def _collector() -> Restore:
    callbacks, thresholds, is_enabled = gc.callbacks[:], gc.get_threshold(), gc.isenabled()

    def restore() -> None:
        gc.callbacks[:] = callbacks
        gc.set_threshold(*thresholds)
        (gc.enable if is_enabled else gc.disable)()
        gc.unfreeze()

    return restore


def _logs() -> Restore:
    manager = logging.Logger.manager
    loggers = [one for one in manager.loggerDict.values() if isinstance(one, logging.Logger)]
    before = [
        (one, one.level, one.disabled, one.propagate, one.handlers[:])
        for one in (logging.getLogger(), *loggers)
    ]
    disabled = manager.disable

    def restore() -> None:
        if manager.disable != disabled:
            logging.disable(disabled)
        for logger, level, is_disabled, propagates, handlers in before:
            if logger.level != level:
                logger.setLevel(level)
            logger.disabled, logger.propagate = is_disabled, propagates
            logger.handlers[:] = handlers

    return restore


def _environment() -> Restore:
    # As bytes: nothing is to be decoded, twice a test.
    before = {name: value for name, value in os.environb.items() if name != _PYTEST_KEEPS}

    def restore() -> None:
        now = dict(os.environb)
        for name in now.keys() - before.keys() - {_PYTEST_KEEPS}:
            del os.environb[name]
        for name, value in before.items():
            if now.get(name) != value:
                os.environb[name] = value

    return restore


def _place() -> Restore:
    directory, mask = Path.cwd(), os.umask(0o077)
    os.umask(mask)

    def restore() -> None:
        os.chdir(directory)
        os.umask(mask)

    return restore


def _handlers() -> Restore:
    before = [(number, signal.getsignal(number)) for number in _SIGNALS]

    def restore() -> None:
        for number, handler in before:
            if signal.getsignal(number) is not handler:
                signal.signal(number, handler)

    return restore
