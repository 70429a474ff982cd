"""How an account's requests leave this machine, and the rules for what a user types of it (A12)."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from urllib.parse import unquote, urlsplit

from core.errors import UserError

__all__ = [
    "OWN_ROUTE",
    "Proxy",
    "ProxyKind",
    "Route",
    "checked_address",
    "checked_addresses",
    "checked_proxy",
    "plain_address",
]


class ProxyKind(StrEnum):
    """How a proxy is spoken to."""

    HTTP = "http"
    """A tunnel by ``CONNECT``."""
    SOCKS5 = "socks5"


@dataclass(frozen=True, slots=True)
class Proxy:
    """A proxy; name and password are plain here and sealed when stored."""

    kind: ProxyKind
    host: str
    port: int
    user: str = field(default="", repr=False)
    password: str = field(default="", repr=False)

    @property
    def shown(self) -> str:
        """The address as users read it, without name and password."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{self.kind}://{host}:{self.port}"


@dataclass(frozen=True, slots=True)
class Route:
    """From where an account's requests leave.

    Attributes:
        source_address: An address of this machine; None for any IPv4 address of it.
        proxy: What they go through; never both.
    """

    source_address: str | None = None
    proxy: Proxy | None = None


OWN_ROUTE = Route()
"""As this machine leaves by itself."""

_SCHEMES: Mapping[str, ProxyKind] = {
    "http": ProxyKind.HTTP,
    "socks5": ProxyKind.SOCKS5,
    "socks5h": ProxyKind.SOCKS5,
}
_HOST = re.compile(r"[A-Za-z0-9]([A-Za-z0-9._-]{0,251}[A-Za-z0-9])?|[0-9A-Fa-f:.]{2,45}")
_LONGEST_LOGIN = 255
_AT_MOST = 2
_PROXY_FORM = "socks5://user:password@host:1080 or http://host:3128"


def checked_proxy(text: str) -> Proxy:
    """Return the proxy that a user typed; the refusal never repeats it, for it may hold a password.

    Raises:
        UserError: It is none.
    """
    try:
        parts = urlsplit(text.strip())
        kind = _SCHEMES.get(parts.scheme.lower())
        host, port = parts.hostname or "", parts.port
    except ValueError:
        kind, host, port = None, "", None
    if kind is None or not _HOST.fullmatch(host) or not port or parts.path.strip("/"):
        raise UserError(f"That is no address of a proxy; expected {_PROXY_FORM}.")
    user, password = unquote(parts.username or ""), unquote(parts.password or "")
    if max(len(user.encode()), len(password.encode())) > _LONGEST_LOGIN:
        raise UserError(f"The proxy's user or password has more than {_LONGEST_LOGIN} bytes.")
    if not (user + password).isprintable() or ":" in user:
        raise UserError("The proxy's user or password has a character that no proxy takes.")
    return Proxy(kind, host, port, user, password)


def plain_address(text: str) -> str:
    """Return one IP address in its usual form.

    Without a zone: behind a ``%`` an address of IPv6 may hold any words, and lines.

    Raises:
        ValueError: It is none.
    """
    if "%" in text:
        raise ValueError("an address with a zone")
    return str(ipaddress.ip_address(text))


def checked_address(text: str) -> str:
    """Return one IP address in its usual form, or raise ``UserError``."""
    found = text.strip()
    try:
        address = ipaddress.ip_address(plain_address(found))
    except ValueError:
        raise UserError(
            f"Found {found[:45]!r}; expected an IP address, for example 203.0.113.5."
        ) from None
    if address.is_unspecified or address.is_multicast:
        raise UserError(f"{address} is no address that orders can leave from.")
    return str(address)


def checked_addresses(text: str) -> tuple[str, ...]:
    """Return the one or two addresses that a broker's console holds, or raise ``UserError``."""
    words = text.replace(",", " ").split()
    if not 1 <= len(words) <= _AT_MOST:
        raise UserError(
            f"Found {len(words)} addresses; expected one, or the primary and the secondary one."
        )
    return tuple(dict.fromkeys(checked_address(word) for word in words))
