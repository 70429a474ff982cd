"""Reads of what an account holds of one instrument, each with the orders as they were before."""

from __future__ import annotations

from core.domain.exits import held_quantity
from core.domain.instrument import InstrumentId, Product
from core.domain.sessions import trading_day
from core.engine.orders.gateway import Held, signature
from core.engine.orders.journal import Journal
from core.errors import BrokerReadError, ReadFault
from core.ports.broker import BrokerClient
from core.ports.clock import Clock

__all__ = ["Looks"]

_LIVES_S = 2.0
Place = tuple[InstrumentId, Product]


class Looks:
    """Reads positions for one account; a fresh read that was kept is used for one exit.

    ``keep`` and ``take_recent`` are called under the lock of the account's worker alone.
    """

    def __init__(self, broker_id: str, clock: Clock, journal: Journal) -> None:
        self._broker_id = broker_id
        self._clock = clock
        self._journal = journal
        self._recent: dict[Place, tuple[Held, float]] = {}

    async def look(
        self, client: BrokerClient, instrument: InstrumentId, product: Product
    ) -> Held | None:
        """Read what is held, together with the orders as the journal knew them before.

        Returns:
            None when the broker could not be read: unknown is not flat (B09).

        Raises:
            BrokerReadError: With AUTH_REQUIRED; the account's login is dead.
        """
        today = trading_day(self._clock.market_now())
        # The orders first: a fill that comes after them makes the signature stale and the read is
        # repeated. The other way round it would be in the orders and not in the net (C3).
        rows = [
            order
            for order in await self._journal.of_day(self._broker_id, today)
            if (order.request.instrument, order.request.product) == (instrument, product)
        ]
        try:
            positions = await client.positions()
            holdings = await client.holdings() if product is Product.CNC else ()
        except BrokerReadError as error:
            if error.fault is ReadFault.AUTH_REQUIRED:
                raise
            return None
        return Held(held_quantity(instrument, product, positions, holdings), signature(rows))

    def keep(self, instrument: InstrumentId, product: Product, held: Held) -> None:
        """Let the next exit of this position use a read that has just been made."""
        self._recent[instrument, product] = (held, self._clock.monotonic())

    def take_recent(self, instrument: InstrumentId, product: Product) -> Held | None:
        """Return a kept read once, while it is fresh.

        The gate refuses it when one of the account's orders has moved since.
        """
        held, at = self._recent.pop((instrument, product), (None, 0.0))
        return held if self._clock.monotonic() - at <= _LIVES_S else None
