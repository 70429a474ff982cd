"""The program that runs in a strategy's process: load it, then answer one question after another.

It has the socket that ``--socket`` names, standard output that goes to the controller's log, and
nothing else of the controller: no descriptors, no environment but a few words, no secrets. It ends
with the controller (the kernel kills it), or when the other end of the socket is closed.
"""

from __future__ import annotations

import ctypes
import importlib
import os
import resource
import signal
import socket
import sys
import traceback
from typing import cast

from core.adapters.strategies.messages import HEADER, Seen, answer_of, failure_of, framed
from core.domain.target import Strategy

__all__ = ["loaded", "main"]

_PR_SET_PDEATHSIG = 1
_RESERVED = 8


def main(descriptor: int, parent_pid: int, registry: str, name: str, memory_bytes: int) -> None:
    """Serve one strategy until the socket ends.

    Args:
        descriptor: Of the socket.
        parent_pid: Who has started this process.
        registry: Where the strategies are, ``module:attribute``.
        name: Of the strategy.
        memory_bytes: How much it may have.
    """
    _die_with(parent_pid)
    _bound(memory_bytes)
    with socket.socket(fileno=descriptor) as line:
        line.set_inheritable(False)
        try:
            strategy = loaded(registry, name)
        # What a module does when it is imported is the user's own code as well.
        except BaseException as error:  # noqa: BLE001 - see above
            traceback.print_exc()
            line.sendall(framed(failure_of(error)))
            return
        line.sendall(framed(answer_of(())))
        _serve(line, strategy)


def loaded(registry: str, name: str) -> Strategy:
    """Return a strategy of a registry, ``module:attribute``."""
    module, _, attribute = registry.partition(":")
    return cast(Strategy, getattr(importlib.import_module(module), attribute)[name])


def _die_with(parent_pid: int) -> None:
    """Have the kernel kill this process when the thread that started it ends."""
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, int(signal.SIGKILL), 0, 0, 0)
    if os.getppid() != parent_pid:
        os._exit(1)


def _bound(memory_bytes: int) -> None:
    """Bound what this process may take: a ``MemoryError`` here before the machine runs short."""
    resource.setrlimit(resource.RLIMIT_DATA, (memory_bytes, memory_bytes))
    # Where the system does not hold that one: libraries reserve far more than they use.
    reserved = _RESERVED * memory_bytes
    resource.setrlimit(resource.RLIMIT_AS, (reserved, reserved))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def _serve(line: socket.socket, strategy: Strategy) -> None:
    seen = Seen()
    while (question := _read(line)) is not None:
        context = seen.context(question)
        try:
            answer = answer_of(strategy.decide(context))
        # One that calls sys.exit must not look like a crash: its next slot comes.
        except BaseException as error:  # noqa: BLE001 - see above
            traceback.print_exc()
            answer = failure_of(error)
        line.sendall(framed(answer))


def _read(line: socket.socket) -> bytes | None:
    """Return the next message, None at the end."""
    header = _exactly(line, HEADER)
    return None if header is None else _exactly(line, int.from_bytes(header))


def _exactly(line: socket.socket, size: int) -> bytes | None:
    found = bytearray()
    while len(found) < size:
        part = line.recv(size - len(found))
        if not part:
            return None
        found += part
    return bytes(found)
