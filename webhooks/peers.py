"""Whose request it is: the peer, or the client that trusted proxies name.

``X-Forwarded-For`` is a list to which each proxy adds the peer that it saw, so only its end can be
believed, and only as far as the addresses there are trusted proxies. A client may send lines of
its own; they stand before the proxy's.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Final

from aiohttp import web

__all__ = ["Peers"]

_HEADER: Final = "x-forwarded-for"
_MOST: Final = 32
_ONE_CLIENT_V6: Final = 64
_THIS_MACHINE: Final = ("127.0.0.0/8", "::1/128")

_Address = IPv4Address | IPv6Address


class Peers:
    """Knows the proxies: this machine's own, and those of ``trusted``.

    Args:
        trusted: Addresses or networks of proxies elsewhere.
    """

    def __init__(self, trusted: Iterable[str] = ()) -> None:
        self._trusted: Sequence[IPv4Network | IPv6Network] = [
            ip_network(one, strict=False) for one in (*_THIS_MACHINE, *trusted)
        ]

    def client_of(self, request: web.BaseRequest) -> str:
        """Return what a client is counted by: its IPv4 address, or the /64 of its IPv6 address.

        A household or a host has a whole /64, so one who is counted by addresses has 2**64 tries.
        """
        found = self._address(request)
        if found is None:
            return request.remote or ""
        if isinstance(found, IPv6Address):
            return str(ip_network((found, _ONE_CLIENT_V6), strict=False))
        return str(found)

    def _address(self, request: web.BaseRequest) -> _Address | None:
        """Walk from the peer towards the client for as long as proxies of ours vouch for it."""
        found = _read(request.remote or "")
        if found is None or not self._trusts(found):
            return found
        lines = [text for name, text in request.headers.items() if name.lower() == _HEADER]
        named = ",".join(lines).split(",")
        for text in reversed(named[-_MOST:]):
            address = _read(text)
            if address is None:
                return found
            found = address
            if not self._trusts(found):
                return found
        return found

    def _trusts(self, address: _Address) -> bool:
        return any(address in network for network in self._trusted)


def _read(text: str) -> _Address | None:
    """Read ``203.0.113.1``, ``203.0.113.1:4711``, ``2001:db8::1`` or ``[2001:db8::1]:4711``."""
    plain = text.strip().strip('"')
    if plain.startswith("["):
        plain = plain[1:].partition("]")[0]
    elif plain.count(":") == 1:
        plain = plain.partition(":")[0]
    try:
        found = ip_address(plain.partition("%")[0])
    except ValueError:
        return None
    mapped = found.ipv4_mapped if isinstance(found, IPv6Address) else None
    return mapped or found
