"""What tells from where an account's requests leave (A12)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from core.domain.route import Route

__all__ = ["AddressProbe", "Sighted", "Sighting"]


class Sighted(StrEnum):
    """What a look at a route found."""

    SEEN = "seen"
    ABSENT = "absent"
    """The address is not on this machine, or the proxy is not there: nothing can leave."""
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Sighting:
    """Where a route comes out.

    Attributes:
        address: As it is seen from outside; '' unless SEEN.
        why: What went wrong otherwise, a sentence without its capital and full stop.
    """

    kind: Sighted
    address: str = ""
    why: str = ""


class AddressProbe(Protocol):
    """Looks at routes without sending anything to a broker."""

    async def look(self, route: Route) -> Sighting:
        """Return where a route comes out, within a few seconds. Never raises."""
        ...

    def local_addresses(self) -> Sequence[str]:
        """Return the addresses of this machine, loopback left out; none where they are hidden."""
        ...
