"""Reads of what an account holds of one instrument, each with the orders as they were before."""

from __future__ import annotations

from core.domain.exits import held_quantity
from core.domain.instrument import InstrumentId, Product
from core.domain.sessions import trading_day
from core.domain.truth import Key, key_of, owned
from core.engine.orders.gateway import Held, signature
from core.engine.orders.journal import Journal
from core.engine.orders.net_positions import NetPositions
from core.errors import BrokerReadError, Denied, ReadFault
from core.ports.broker import BrokerClient
from core.ports.clock import Clock

__all__ = ["Looks"]

_LIVES_S = 2.0


class Looks:
    """Looks for one account; a fresh read that was kept is used for one exit.

    ``keep`` and ``take_recent`` are called under the lock of the account's worker alone.
    """

    def __init__(self, broker_id: str, clock: Clock, journal: Journal, nets: NetPositions) -> None:
        self._broker_id = broker_id
        self._clock = clock
        self._journal = journal
        self._nets = nets
        self._recent: dict[Key, tuple[Held, float]] = {}

    async def look(
        self, client: BrokerClient, instrument: InstrumentId, product: Product
    ) -> Held | None:
        """Read what is held, together with the orders as the journal knew them before.

        Positions that cannot be read leave the day's fills to say it.

        Returns:
            None when nobody knows what is held: unknown is not flat (B09).

        Raises:
            BrokerReadError: With AUTH_REQUIRED; the account's login is dead.
            Denied: Nothing is known yet of what lived over night (NOT_SEEN).
        """
        key, at = (instrument, product), self._clock.now()
        today = trading_day(self._clock.market_now())
        # The orders first: a fill that comes after them makes the signature stale and the read is
        # repeated. The other way round it would be in the orders and not in the net (C3).
        rows = [
            order
            for order in await self._journal.of_day(self._broker_id, today)
            if key_of(order) == key
        ]
        by_positions = await self._by_positions(client, key)
        net = await self._nets.held(self._broker_id, key, today, by_positions=by_positions, at=at)
        if net.by_fills is None:
            raise Denied("NOT_SEEN", "the broker's positions were not read yet today")
        if net.quantity is None:
            return None
        return Held(net.quantity, signature(rows), net.by_fills, net.by_positions)

    async def outside(
        self, client: BrokerClient, instrument: InstrumentId, product: Product
    ) -> int | None:
        """Return the signed units that no strategy owns; None while the witnesses do not agree."""
        try:
            held = await self.look(client, instrument, product)
        except Denied:
            return None
        if held is None or held.by_positions is None or held.by_positions != held.by_fills:
            return None
        ledgers = await self._journal.ledgers(self._broker_id)
        return held.quantity - owned(ledgers).get((instrument, product), 0)

    async def _by_positions(self, client: BrokerClient, key: Key) -> int | None:
        instrument, product = key
        try:
            positions = await client.positions()
            holdings = await client.holdings() if product is Product.CNC else ()
        except BrokerReadError as error:
            if error.fault is ReadFault.AUTH_REQUIRED:
                raise
            return None
        return held_quantity(instrument, product, positions, holdings)

    def keep(self, instrument: InstrumentId, product: Product, held: Held) -> None:
        """Let the next exit of this position use a read that has just been made."""
        self._recent[instrument, product] = (held, self._clock.monotonic())

    def take_recent(self, instrument: InstrumentId, product: Product) -> Held | None:
        """Return a kept read once, while it is fresh.

        The gate refuses it when one of the account's orders has moved since.
        """
        held, at = self._recent.pop((instrument, product), (None, 0.0))
        return held if self._clock.monotonic() - at <= _LIVES_S else None
