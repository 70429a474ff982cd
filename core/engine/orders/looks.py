"""Reads of what an account holds of one instrument, each with the orders as they were before."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from core.domain.broker import Holding, Position
from core.domain.exits import held_quantity
from core.domain.instrument import InstrumentId, Product
from core.domain.order import Order
from core.domain.sessions import trading_day
from core.domain.truth import Key, key_of, owned
from core.engine.orders.gateway import Held, Signature, signature
from core.engine.orders.journal import Journal
from core.engine.orders.net_positions import NetPositions
from core.errors import BrokerReadError, Denied, ReadFault
from core.ports.broker import BrokerClient
from core.ports.clock import Clock

__all__ = ["Looks"]

_LIVES_S = 2.0
_SHARED_S = 0.5
_CNC = Product.CNC
_NONE: Signature = frozenset()


@dataclass(frozen=True, slots=True)
class _Read:
    """One read of the positions; ``None`` in place of rows says that they could not be read.

    Attributes:
        turn: The turn in which it began; None for one that was made ahead of a run.
        heard: For that one, how many order updates had come before it began.
        began_at: Real time of that.
        ended: On the monotonic clock.
        orders: The orders of each position as they were before it began.
        holdings: Read just after the positions; ``has_holdings`` says whether.
    """

    turn: int | None
    began_at: datetime
    ended: float
    orders: Mapping[Key, Signature]
    positions: Sequence[Position] | None
    holdings: Sequence[Holding] | None = None
    has_holdings: bool = False
    heard: int = 0

    @property
    def is_whole(self) -> bool:
        """Whether all that was asked for could be read."""
        return self.positions is not None and (self.holdings is not None or not self.has_holdings)


class Looks:
    """Looks for one account: what is held of one position, beside the orders as they were.

    The looks of one turn share a read of the positions, for many exits that are denied would
    otherwise use up the broker's rate. A read serves only looks of the turn in which it began, up
    to ``_LIVES_S`` after its end, and only while the day's orders of that position, of everybody,
    stand as they did when it began. That is what the gate asks of every look in its transaction, so
    a shared one is as safe as one that was on its way for so long: whatever we know to have
    happened since makes a new read. The look behind a stop's cancel is always new. A trade by hand
    that no read has shown yet is the one thing that a read of two seconds ago can miss; a user's
    own close asks for a fresh one. A read that ``look_ahead`` made for a run that is near serves
    the turns after it in the same way and no longer, so that the run's exits need not wait for one;
    one that failed, or before which an update came that a turn has not read yet, serves none.

    ``keep`` and ``take_recent`` are called under the lock of the account's worker alone.
    """

    def __init__(self, broker_id: str, clock: Clock, journal: Journal, nets: NetPositions) -> None:
        self._broker_id = broker_id
        self._clock = clock
        self._journal = journal
        self._nets = nets
        self._recent: dict[Key, tuple[Held, float]] = {}
        self._turn = 0
        self._read: _Read | None = None
        self._one_at_a_time = asyncio.Lock()

    def new_turn(self, heard: int = 0) -> None:
        """Begin a turn: no look of it is served by a read that began before.

        Args:
            heard: How many order updates have come. One that has come since a read that was made
                ahead may be a trade by hand, which no order in the journal shows yet.
        """
        self._turn += 1
        if self._read is not None and self._read.turn is None and self._read.heard != heard:
            self._read = None

    async def look_ahead(self, client: BrokerClient, heard: int = 0) -> None:
        """Read what is held for exits that may be decided within ``_LIVES_S``.

        Args:
            client: The account's client.
            heard: How many order updates have come.

        Raises:
            BrokerReadError: With AUTH_REQUIRED; the account's login is dead.
        """
        today = trading_day(self._clock.market_now())
        ledgers = await self._journal.ledgers(self._broker_id)
        products = {ledger.product for ledger in ledgers if ledger.quantity}
        async with self._one_at_a_time:
            if not products or self._has_looked_ahead(products):
                return
            rows = await self._journal.of_day(self._broker_id, today)
            read = await self._read_now(client, rows, with_holdings=_CNC in products)
            if read.is_whole:
                # One that failed is worth another try: in EXIT_ONLY nothing leaves without it, and
                # else the fills alone would size the exits, beside whatever was sold by hand.
                self._read = replace(read, turn=None, heard=heard)

    def _has_looked_ahead(self, products: Collection[Product]) -> bool:
        """Whether it was done for a run just now: those of one slot share a read."""
        read = self._read
        if read is None or read.turn is not None:
            return False
        is_new = self._clock.monotonic() - read.ended <= _SHARED_S
        return is_new and (read.has_holdings or _CNC not in products)

    async def look(
        self,
        client: BrokerClient,
        instrument: InstrumentId,
        product: Product,
        *,
        is_fresh: bool = False,
    ) -> Held | None:
        """Say what is held, by the turn's read, together with the orders as the journal knows them.

        Positions that cannot be read leave the day's fills to say it.

        Args:
            client: The account's client.
            instrument: Of the position.
            product: Of the position.
            is_fresh: Read now, whatever was read before: for a user, who has traded beside us.

        Returns:
            None when nobody knows what is held: unknown is not flat (B09).

        Raises:
            BrokerReadError: With AUTH_REQUIRED; the account's login is dead.
            Denied: Nothing is known yet of what lived over night (NOT_SEEN).
        """
        key, today = (instrument, product), trading_day(self._clock.market_now())
        # One at a time, so that who waits is served by what is on its way.
        async with self._one_at_a_time:
            # The orders first: a fill that comes after them makes the signature stale and the read
            # is repeated. The other way round it would be in the orders and not in the net (C3).
            rows = await self._journal.within(self._broker_id, instrument, today)
            mine = [order for order in rows if key_of(order) == key]
            found = self._read
            if is_fresh or found is None or not self._serves(found, key, signature(mine)):
                every = await self._journal.of_day(self._broker_id, today)
                mine = [order for order in every if key_of(order) == key]
                found = await self._read_now(client, every, with_holdings=product is Product.CNC)
                self._read = found
        return await self._judged(found, key, mine, today)

    async def at_hand(
        self, instrument: InstrumentId, product: Product, heard: int = 0
    ) -> Held | None:
        """Say what is held by the read that was made ahead of a run, if it serves at this moment.

        Args:
            instrument: Of the position.
            product: Of the position.
            heard: How many order updates have come.

        Returns:
            None when a look would read, or where fills and positions do not say the same.
        """
        read, key = self._read, (instrument, product)
        if read is None or read.turn is not None or read.heard != heard:
            return None
        today = trading_day(self._clock.market_now())
        rows = await self._journal.within(self._broker_id, instrument, today)
        mine = [order for order in rows if key_of(order) == key]
        if not self._serves(read, key, signature(mine)):
            return None
        try:
            held = await self._judged(read, key, mine, today)
        except Denied:
            return None
        is_sure = held is not None and held.by_fills == held.by_positions
        return held if is_sure else None

    async def _judged(
        self, read: _Read, key: Key, mine: Sequence[Order], today: str
    ) -> Held | None:
        """Return what a read and the day's fills say together; raises ``Denied`` (NOT_SEEN)."""
        by_positions = None
        if read.positions is not None and (read.holdings is not None or key[1] is not _CNC):
            by_positions = held_quantity(*key, read.positions, read.holdings or ())
        net = await self._nets.held(
            self._broker_id, key, today, by_positions=by_positions, at=read.began_at
        )
        if net.by_fills is None:
            raise Denied("NOT_SEEN", "the broker's positions were not read yet today")
        if net.quantity is None:
            return None
        return Held(net.quantity, signature(mine), net.by_fills, net.by_positions)

    def _serves(self, read: _Read, key: Key, now: Signature) -> bool:
        is_recent = self._clock.monotonic() - read.ended <= _LIVES_S
        has_all = read.has_holdings or key[1] is not _CNC
        stands = read.orders.get(key, _NONE) == now
        return read.turn in {None, self._turn} and is_recent and has_all and stands

    async def _read_now(
        self, client: BrokerClient, rows: Sequence[Order], *, with_holdings: bool
    ) -> _Read:
        turn, began_at = self._turn, self._clock.now()
        positions: Sequence[Position] | None = None
        holdings: Sequence[Holding] | None = None
        try:
            positions = await client.positions()
            holdings = await client.holdings() if with_holdings else None
        except BrokerReadError as error:
            if error.fault is ReadFault.AUTH_REQUIRED:
                raise
        return _Read(
            turn,
            began_at,
            self._clock.monotonic(),
            _by_key(rows),
            positions,
            holdings,
            with_holdings,
        )

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

    def keep(self, instrument: InstrumentId, product: Product, held: Held) -> None:
        """Let the next exit of this position use a read that has just been made."""
        self._recent[instrument, product] = (held, self._clock.monotonic())

    def take_recent(self, instrument: InstrumentId, product: Product) -> Held | None:
        """Return a kept read once, while it is fresh.

        The gate refuses it when one of the account's orders has moved since.
        """
        held, at = self._recent.pop((instrument, product), (None, 0.0))
        return held if self._clock.monotonic() - at <= _LIVES_S else None


def _by_key(rows: Iterable[Order]) -> Mapping[Key, Signature]:
    """Return how the orders of each position stand."""
    found: dict[Key, list[Order]] = {}
    for order in rows:
        found.setdefault(key_of(order), []).append(order)
    return {key: signature(orders) for key, orders in found.items()}
