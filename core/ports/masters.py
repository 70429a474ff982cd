"""Where instrument masters are kept, so that a restart never depends on a download."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from core.domain.broker_profile import BrokerProfile
from core.domain.instrument import Instrument

__all__ = ["KeptMaster", "MasterArchive"]


@dataclass(frozen=True, slots=True)
class KeptMaster:
    """The instruments of one broker as they were last loaded.

    Attributes:
        edition: Which issue of the master it is; begins with the day, ISO.
    """

    edition: str
    instruments: Sequence[Instrument]


class MasterArchive(Protocol):
    """Keeps the last good master of each broker. Neither method raises: it is a help, no more."""

    async def recall(self, broker: BrokerProfile) -> KeptMaster | None:
        """Return what was kept, None when there is nothing that can be read."""
        ...

    async def keep(self, broker: BrokerProfile, master: KeptMaster) -> None:
        """Keep a master in place of the one before it."""
        ...
