"""What the process may use up (descriptors, lines of its log), and who may look at its memory."""

from __future__ import annotations

import asyncio
import ctypes
import logging
import resource
import sys
from typing import Any, Final

from core.ports.clock import Clock
from webhooks.connections import ConnectionLimits
from webhooks.rated_log import RatedLog

__all__ = [
    "connections_of",
    "keep_memory_private",
    "raise_descriptor_limit",
    "rate_loop_errors",
]

_log = logging.getLogger(__name__)
_ENOUGH: Final = 65_536
_LINES: Final = 3
_PR_SET_DUMPABLE: Final = 4


def keep_memory_private() -> None:
    """Let no dump be made of this process, and no other of its user look into it.

    Its memory holds every secret in the open, and a watchdog ends it by a signal that dumps it.
    What it starts inherits the limit; where dumps go to a program, only the flag counts.
    """
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0)


def raise_descriptor_limit() -> int:
    """Allow as many open descriptors as the machine lets this process have; return how many.

    The usual soft limit of 1,024 is for programs that use ``select``; the connections of the web
    server, of twenty accounts and of a store that is started here may need more.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _ENOUGH if hard == resource.RLIM_INFINITY else min(hard, _ENOUGH)
    if soft >= wanted:
        return soft
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
    except (OSError, ValueError) as error:
        _log.warning("the limit of descriptors stays at %d: %s", soft, error)
        return soft
    return wanted


def connections_of(descriptors: int) -> int:
    """Return how many connections the web server may hold: a quarter, the rest is for trading."""
    return min(ConnectionLimits().most, descriptors // 4)


def rate_loop_errors(loop: asyncio.AbstractEventLoop, clock: Clock) -> None:
    """Log what goes wrong below every task a few times a minute.

    Without descriptors asyncio writes a traceback for each connection that waits to be accepted,
    a hundred at a time.
    """
    rated = RatedLog(_log, clock, lines=_LINES)

    def handle(_loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        message = str(context.get("message", "something failed in the event loop"))
        rated.say(logging.ERROR, message, "%s", message, error=context.get("exception"))

    loop.set_exception_handler(handle)
