"""Looks at where requests leave: by binding an address, and by asking a service that echoes it.

Neither broker says which address it sees; only a refused order would show it (facts/kite.md 6.1).
So a service is asked by the very route that the account's orders take. It learns an IP address and
nothing else; what it answers can stop entries and cannot send anything.
"""

from __future__ import annotations

import ipaddress
import re
import socket
from collections.abc import Sequence
from pathlib import Path

from core.adapters.broker_http import BrokerTransport, NoReply
from core.adapters.sdk_requests import Outgoing
from core.adapters.throttle import Bucket, Throttle
from core.domain.route import Route, plain_address
from core.ports.address_probe import Sighted, Sighting
from core.ports.clock import Clock

__all__ = ["EchoProbe"]

_DEADLINE_S = 4.0
_LARGEST = 512
_TABLE = Path("/proc/net/fib_trie")
_LOCAL = re.compile(r"\|-- (\d+\.\d+\.\d+\.\d+)\n\s+/32 host LOCAL")


class EchoProbe:
    """An ``AddressProbe``.

    Args:
        clock: Paces the questions.
        echo: Address of the service; None to ask nobody.
        deadline_s: Total time of a question.
    """

    def __init__(self, clock: Clock, echo: str | None, *, deadline_s: float = _DEADLINE_S) -> None:
        self._clock = clock
        self._echo = echo
        self._deadline_s = deadline_s

    async def look(self, route: Route) -> Sighting:
        """Return where a route comes out."""
        own = route.source_address
        if own is not None and not _can_bind(own):
            return Sighting(Sighted.ABSENT, why=f"{own} is not an address of this machine")
        if self._echo is not None:
            return await self._ask(self._echo, route)
        if own is not None and _is_seen_as_it_is(own):
            return Sighting(Sighted.SEEN, own)
        return Sighting(Sighted.UNKNOWN, why="no service is asked (SAARTHI_ADDRESS_ECHO)")

    async def _ask(self, echo: str, route: Route) -> Sighting:
        throttle = Throttle(self._clock, ())
        async with BrokerTransport(
            self._clock, throttle, deadline_s=self._deadline_s, route=route
        ) as transport:
            request = Outgoing("GET", echo, {"Accept": "text/plain"}, b"")
            raw = await transport.send(request, Bucket.OTHER, limit=_LARGEST)
        if isinstance(raw, NoReply):
            if raw.has_no_way_out:
                why = raw.reason.partition(", before")[0]
                return Sighting(Sighted.ABSENT, why=why)
            return Sighting(Sighted.UNKNOWN, why=f"the service that is asked: {raw.reason}")
        try:
            return Sighting(Sighted.SEEN, plain_address(raw.body.decode().strip()))
        except ValueError:
            why = f"the service that is asked answered no address (HTTP {raw.status})"
            return Sighting(Sighted.UNKNOWN, why=why)

    def local_addresses(self) -> Sequence[str]:
        """Return the IPv4 addresses of this machine, by the kernel's table."""
        try:
            found = _LOCAL.findall(_TABLE.read_text())
        except OSError:
            return ()
        return sorted({one for one in found if not ipaddress.ip_address(one).is_loopback})


def _can_bind(address: str) -> bool:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM) as probe:
        try:
            probe.bind((address, 0))
        except OSError:
            return False
    return True


def _is_seen_as_it_is(address: str) -> bool:
    """Whether nothing between here and a broker shows another one: no router translates it."""
    found = ipaddress.ip_address(address)
    return found.is_global or found.is_loopback
