"""The port of prices that a broker pushes: ticks of what is wanted.

Contract of a stream:

* It belongs to one login. It opens nothing until it is run, reconnects by itself with growing
  pauses, asks again for all that is wanted after each connection, and gives a connection up that
  says nothing for a few seconds: a broker's heartbeat is a frame too.
* Ticks come in the order of the frames, of wanted instruments alone, in the most telling mode that
  the broker has. One that cannot be read is left out and harms no other.
* It never raises for what the network or the broker does, keeps no frames, and repeats no part of
  the login in a log or an error.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

from core.domain.instrument import InstrumentId
from core.domain.ticks import PriceTick
from core.ports.updates import UpdatesStatus

__all__ = ["PriceStream"]


class PriceStream(Protocol):
    """The prices that one login may hear.

    Attributes:
        capacity: How many instruments one stream tells of.
    """

    capacity: int

    @property
    def status(self) -> UpdatesStatus:
        """How the stream does."""
        ...

    def want(self, instruments: frozenset[InstrumentId]) -> None:
        """Tell of these from now on, and of nothing else; those that it does not know are left out.

        It takes effect within a second, also while the stream is down.
        """
        ...

    async def run(self, hear: Callable[[Sequence[PriceTick]], None]) -> None:
        """Keep the stream until cancelled; return only when the broker refuses the login.

        Args:
            hear: Called with the ticks of each frame, with none for a sign of life, and with none
                after each change of the state; in the event loop: it may neither wait nor raise.
        """
        ...
