"""The addresses of brokers, remembered: an order waits for a name server only once.

All accounts of a broker lead to the same few names. An address that was found is used for ten
minutes, and looked up anew beside that after half of one; so a slow name server delays no order,
and one that is away stops none. Whoever answers at an address must prove its name by TLS.
"""

from __future__ import annotations

import asyncio
import ipaddress
import socket
from collections.abc import Sequence
from functools import partial
from typing import Any

from core.ports.clock import Clock

__all__ = ["HostNames"]

_FRESH_S = 30.0
_USABLE_S = 600.0

_Key = tuple[str, socket.AddressFamily]


class HostNames:
    """Looks up names, each once at a time."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._found: dict[_Key, tuple[float, Sequence[str]]] = {}
        self._asking: dict[_Key, asyncio.Future[Sequence[Any]]] = {}

    async def addresses(self, host: str, family: socket.AddressFamily) -> Sequence[str]:
        """Return the addresses of a host; a numeric one is its own.

        Raises:
            OSError: The name cannot be looked up.
        """
        try:
            return [str(ipaddress.ip_address(host))]
        except ValueError:
            pass
        key = (host, family)
        at, known = self._found.get(key, (0.0, ()))
        age = self._clock.monotonic() - at
        if known and age < _FRESH_S:
            return known
        if (asking := self._asking.get(key)) is None:
            asking = asyncio.get_running_loop().run_in_executor(
                None, partial(socket.getaddrinfo, host, None, family, socket.SOCK_STREAM)
            )
            self._asking[key] = asking
            asking.add_done_callback(partial(self._heard, key))
        if known and age < _USABLE_S:
            return known
        try:
            return _addresses_in(await asyncio.shield(asking))
        except OSError:
            if not known:
                raise
            return known

    def _heard(self, key: _Key, asking: asyncio.Future[Sequence[Any]]) -> None:
        """Keep what was found; after a failure what was found before stays."""
        del self._asking[key]
        if not asking.cancelled() and asking.exception() is None:
            self._found[key] = (self._clock.monotonic(), _addresses_in(asking.result()))


def _addresses_in(rows: Sequence[Any]) -> Sequence[str]:
    return list(dict.fromkeys(str(row[4][0]) for row in rows))
