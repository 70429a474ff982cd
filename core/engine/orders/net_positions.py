"""What an account holds, by all witnesses (row R8): keeps ledgers true to fills, reports disputes.

Works on reads that are done; it asks no broker. A foreign fill reduces ledgers in the turn in which
it is seen. Positions that contradict the fills change nothing: the net is unknown until both agree
again or a user says which is right. Decision 0013 says why.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from itertools import count

from core.domain.broker import Holding
from core.domain.instrument import InstrumentId, Product, Segment
from core.domain.ledger import Ledger, shrunk, with_transfer
from core.domain.notices.accounts import PositionShrunk
from core.domain.notices.positions import (
    ClosedByHand,
    IntradayLedgerVoid,
    PositionConverted,
    PositionDisputed,
    UnownedPosition,
)
from core.domain.notices.post import Post, dispute_card
from core.domain.order import EXTERNAL, LIVE_STATES, UNKNOWN_STATES, Order, OrderState, Side
from core.domain.sessions import IST, trading_day
from core.domain.truth import (
    Conversion,
    FirstLook,
    Key,
    Net,
    collided,
    conversions,
    delivery_keys,
    filled,
    filled_by_strategies,
    key_of,
    owned,
    shown,
    voided,
)
from core.engine.orders.alarms import raise_unowned
from core.engine.orders.baselines import Baseline, Dispute, baseline_at, put_baseline
from core.engine.orders.gaps import Gap, Gaps
from core.engine.orders.gate import touch_gate
from core.engine.orders.hand_sales import hand_sale, post_of_hand_sale
from core.engine.orders.journal import Journal, OrderEvent, orders_in
from core.engine.orders.ledgers import ledgers_of, put_ledger
from core.engine.orders.reconciliation import Snapshot
from core.engine.outbox import Outbox
from core.errors import AlreadyDone, UserError
from core.ports.calendar import Calendar
from core.ports.clock import Clock
from core.ports.store import Store, StoreView

__all__ = ["NetPositions"]

_TOGETHER = timedelta(seconds=5)
_SHARES = "NSE"
_EXCHANGES = {
    "NSE": Segment.CASH,
    "BSE": Segment.CASH,
    "NFO": Segment.DERIVATIVES,
    "BFO": Segment.DERIVATIVES,
    "CDS": Segment.CURRENCY,
    "BCD": Segment.CURRENCY,
    "MCX": Segment.COMMODITY,
}


class NetPositions:
    """One for all accounts; in memory it keeps only how often a contradiction was seen."""

    def __init__(
        self, store: Store, clock: Clock, calendar: Calendar, journal: Journal, outbox: Outbox
    ) -> None:
        self._store = store
        self._clock = clock
        self._calendar = calendar
        self._journal = journal
        self._outbox = outbox
        self._begun: dict[str, str] = {}
        self._orders_began: dict[str, datetime | None] = {}
        self._compared_at: dict[str, datetime] = {}
        self._with_holdings: dict[str, str] = {}
        self._numbers = count()
        self.gaps = Gaps()

    # What is held

    def has_begun(self, broker_id: str, day: str) -> bool:
        """Whether the orders of a day were read, so that ledgers are what they show."""
        return self._begun.get(broker_id) == day

    async def net(self, broker_id: str, instrument: InstrumentId, product: Product) -> Net:
        """Return what an account holds of one instrument in one product."""
        day = trading_day(self._clock.market_now())
        return await self.net_in(self._store, broker_id, (instrument, product), day)

    async def net_in(self, view: StoreView, broker_id: str, key: Key, day: str) -> Net:
        """Return what an account holds of ``key`` by the rows of ``view``."""
        orders = await orders_in(view, broker_id, key[0], day)
        return await self._net_of(view, broker_id, key, day, orders)

    async def _net_of(
        self, view: StoreView, broker_id: str, key: Key, day: str, orders: Sequence[Order]
    ) -> Net:
        ledgers = await ledgers_of(view, broker_id)
        base = await baseline_at(view, broker_id, day)
        return self._net(broker_id, key, filled(orders), owned(ledgers), base)

    async def nets(
        self,
        broker_id: str,
        keys: Iterable[Key],
        orders: Sequence[Order],
        ledgers: Sequence[Ledger],
        day: str,
    ) -> dict[Key, Net]:
        """Return what an account holds of each key by the day's orders, with one more read."""
        base = await baseline_at(self._store, broker_id, day)
        fills, owns = filled(orders), owned(ledgers)
        return {key: self._net(broker_id, key, fills, owns, base) for key in keys}

    async def carried(self, broker_id: str, day: str) -> set[Key]:
        """Return the keys of which something lived over night, or is there without a fill."""
        base = await baseline_at(self._store, broker_id, day)
        return {key for key, units in base.units.items() if units}

    def _net(
        self,
        broker_id: str,
        key: Key,
        fills: Mapping[Key, int],
        owns: Mapping[Key, int],
        baseline: Baseline,
    ) -> Net:
        base = baseline.of(key)
        by_fills = None if base is None else base + fills.get(key, 0)
        gap = self.gaps.at(broker_id, key)
        is_disputed = gap is not None and gap.by_fills == by_fills
        by_positions = gap.by_positions if gap and is_disputed else by_fills
        return Net(by_fills, by_positions, owns.get(key, 0), is_disputed)

    async def held(
        self, broker_id: str, key: Key, day: str, *, by_positions: int | None, at: datetime
    ) -> Net:
        """Judge what an order may close, by a read of the positions that began at ``at``.

        Positions that contradict the fills may mean a foreign fill that the orders did not show
        yet, or units that were converted by hand: until the orders were read again and the
        positions compared, what both agree on may be closed and no more. After that the net is
        disputed, unless the day began with the contradiction. Beside an order of unknown fate,
        which may have filled, none of this has begun: what its end leaves unexplained is looked at
        then, before more is closed.
        """
        orders = await orders_in(self._store, broker_id, key[0], day)
        net = await self._net_of(self._store, broker_id, key, day, orders)
        fills = net.by_fills
        if by_positions is None:
            return net
        if fills is None or fills == by_positions:
            return Net(by_positions, by_positions, net.owned)
        settling = Net(fills, by_positions, net.owned, is_settling=True)
        if any(order.state in UNKNOWN_STATES and key_of(order) == key for order in orders):
            self.gaps.forget(broker_id, key)
            return settling
        gap = Gap(fills, by_positions)
        if self._is_compared(broker_id, key, gap):
            # Where the first look contradicted the ledger, fills are no second witness for it.
            if key in (await baseline_at(self._store, broker_id, day)).assumed:
                return settling
            return Net(fills, by_positions, net.owned, is_disputed=True)
        self.gaps.saw(broker_id, key, gap, at)
        return settling

    def _is_compared(self, broker_id: str, key: Key, gap: Gap) -> bool:
        """Whether neither later orders nor a comparison of all positions explain a gap."""
        began, compared = self._orders_began.get(broker_id), self._compared_at.get(broker_id)
        if began is None or compared is None:
            return False
        return self.gaps.lasts(broker_id, key, gap, since=min(began, compared))

    # After reads

    async def orders_read(
        self, broker_id: str, snapshot: Snapshot, day: str, *, has_moved: bool
    ) -> bool:
        """Bring the ledgers to the day's orders; return whether a ledger changed.

        Called after each read of the orders, before anything is sent: the first one of a day ends
        the intraday ledgers of earlier days.
        """
        self._orders_began[broker_id] = snapshot.orders_began_at
        is_new = self._begun.get(broker_id) != day
        if not (is_new or has_moved):
            return False
        changed = await self._end_earlier_days(broker_id, day) if is_new else False
        for key in owned(await self._journal.ledgers(broker_id)):
            changed |= await self._take_foreign_fills(
                broker_id, key, day, since=snapshot.behind_since
            )
        if snapshot.behind_since is not None:
            await self._report_unowned(broker_id, day, since=snapshot.behind_since)
        # Last: what failed half way through is done by the next read.
        self._begun[broker_id] = day
        return changed

    async def positions_read(self, broker_id: str, snapshot: Snapshot, day: str) -> None:
        """Compare the broker's positions with the fills; call it when no order moved."""
        positions = snapshot.positions
        if positions is None or snapshot.day != day:
            return
        orders = await self._journal.of_day(broker_id, day)
        fills, owns = filled(orders), owned(await self._journal.ledgers(broker_id))
        keys = {*fills, *owns, *(key_of(position) for position in positions)}
        is_open = {exchange: self._is_open(exchange) for exchange in _EXCHANGES}
        keys = {key for key in keys if is_open.get(key[0].exchange)}
        holdings = _holdings(snapshot)
        if holdings is not None and self._is_open(_SHARES):
            self._with_holdings[broker_id] = day
        # Shares that nobody trades are part of what the day began with: the first trade in them may
        # be a strategy's, and without them a sale of the user's own would close its units.
        own = {key for key in delivery_keys(holdings or ()) if is_open.get(key[0].exchange)}
        shows = shown(keys | own, positions, holdings)
        own_fills = filled_by_strategies(orders)
        look = FirstLook(shows, fills, own_fills, owns, has_holdings=holdings is not None)
        trading = [one for one in is_open if is_open[one]]
        if await self._keep_baseline(broker_id, day, look, trading):
            # What was closed by hand before the look shows as that only now.
            since = self._orders_began.get(broker_id)
            for key in owns:
                await self._take_foreign_fills(broker_id, key, day, since=since)
        base = await baseline_at(self._store, broker_id, day)
        # An order of unknown fate may have filled: reconciliation settles that, it is no dispute.
        unsettled = {key_of(order) for order in orders if order.state in UNKNOWN_STATES}
        by_fills = {
            key: lived + fills.get(key, 0)
            for key in keys & shows.keys()
            if key not in unsettled and (lived := base.of(key)) is not None
        }
        gaps = {key: shows[key] - net for key, net in by_fills.items()}
        if proved := {key for key, gap in gaps.items() if not gap} & base.assumed:
            await put_baseline(self._store, base.proved(proved))
        for found in conversions(gaps, by_fills):
            prices = {one.instrument: one.last_price for one in positions}
            await self._convert(broker_id, day, found, prices.get(found.instrument))
            gaps.pop((found.instrument, found.product))
            gaps.pop((found.instrument, found.into))
        for key in gaps:
            await self._judge(broker_id, day, key, Gap(by_fills[key], shows[key]))
        if snapshot.positions_began_at is not None:
            self._compared_at[broker_id] = snapshot.positions_began_at

    def wants_holdings(self, broker_id: str, day: str) -> bool:
        """Whether the next look at the positions should have the holdings of the same moment.

        The first of a day in the session is what the day began with; and while something
        contradicts, units that were converted are missing in one list and appear in the other.
        """
        is_first = self._with_holdings.get(broker_id) != day and self._is_open(_SHARES)
        return is_first or self.gaps.has_any(broker_id)

    # Days

    async def _end_earlier_days(self, broker_id: str, day: str) -> bool:
        orders = await self._journal.of_day(broker_id, day)
        if not voided(await self._journal.ledgers(broker_id), day, orders):
            return False

        async def body(view: StoreView) -> None:
            before = await ledgers_of(view, broker_id)
            ended = voided(before, day, orders)
            units = {ledger.key: ledger.quantity for ledger in before}
            await self._reduce(view, broker_id, ended)
            texts = tuple(
                f"{one.strategy}: {units[one.key]:+d} {one.instrument} ({one.product})"
                for one in ended
            )
            if texts:
                await self._outbox.post(view, Post(IntradayLedgerVoid(broker_id, texts)))

        await self._store.transaction(body, nonce=self._nonce("void", broker_id))
        return True

    async def _keep_baseline(
        self, broker_id: str, day: str, look: FirstLook, exchanges: Iterable[str]
    ) -> bool:
        """Keep what lived over night, at the first look of the day in an exchange's session.

        Returns:
            Whether there was anything to keep.
        """
        base = after = await baseline_at(self._store, broker_id, day)
        for exchange in exchanges:
            for product in (Product.NRML, Product.CNC):
                is_readable = product is Product.NRML or look.has_holdings
                if is_readable and not base.is_kept((InstrumentId(exchange, ""), product)):
                    after = after.with_look(exchange, product, look)
        if after is base:
            return False
        await put_baseline(self._store, after)
        return True

    def _is_open(self, exchange: str) -> bool:
        """Whether an exchange trades now: outside its session positions prove nothing."""
        now = self._clock.market_now().astimezone(IST)
        try:
            window = self._calendar.exit_session(
                now.date(), _EXCHANGES[exchange], has_derivatives=False
            )
        except LookupError:  # a segment whose hours nobody knows is not traded here either
            return False
        return window is not None and window.contains(now)

    # Fills that are not ours

    async def _take_foreign_fills(
        self, broker_id: str, key: Key, day: str, *, since: datetime | None
    ) -> bool:
        """Reduce ledgers by what was closed beyond what is outside; notify the user once."""
        if await self._hand_sale(self._store, broker_id, key, day) is None:
            return False

        async def body(view: StoreView) -> None:
            found = await self._hand_sale(view, broker_id, key, day)
            if found is not None:
                changed, notice = found
                await self._reduce(view, broker_id, changed)
                rows = await orders_in(view, broker_id, key[0], day)
                await self._outbox.post(view, post_of_hand_sale(notice, key, rows, since=since))

        await self._store.transaction(body, nonce=self._nonce("by-hand", broker_id))
        return True

    async def _report_unowned(self, broker_id: str, day: str, *, since: datetime) -> None:
        """Alarm when a sale by hand and an exit of ours were seen to fill at the same time."""
        rows = await self._journal.of_day(broker_id, day)
        for key, side in collided(rows, since=since):
            units = (await self.net_in(self._store, broker_id, key, day)).outside
            if not units or Side.of(units) is not side:  # what is left is the user's own
                continue
            notice = UnownedPosition(broker_id, str(key[0]), key[1].value, units)

            async def body(view: StoreView, notice: UnownedPosition = notice) -> None:
                await raise_unowned(view, self._outbox, notice)

            nonce = f"unowned:{broker_id}|{day}|{key[0]}|{key[1]}|{units}|{len(rows)}"
            with contextlib.suppress(AlreadyDone):
                await self._store.transaction(body, nonce=nonce)

    async def _hand_sale(
        self, view: StoreView, broker_id: str, key: Key, day: str
    ) -> tuple[list[Ledger], ClosedByHand] | None:
        net = await self.net_in(view, broker_id, key, day)
        rows = await orders_in(view, broker_id, key[0], day)
        return hand_sale(broker_id, key, net, await ledgers_of(view, broker_id), rows)

    async def _reduce(self, view: StoreView, broker_id: str, changed: Iterable[Ledger]) -> None:
        """Write reduced ledgers; a submission that has just read them fails at the gate (I6)."""
        await touch_gate(view, broker_id)
        for ledger in changed:
            await put_ledger(view, ledger)

    # Positions that fills do not explain

    async def _convert(
        self, broker_id: str, day: str, found: Conversion, price: Decimal | None
    ) -> None:
        """Follow a conversion: units move between baselines, the strategies lose them.

        At the last price, where there is one: it ends what they have won or lost with them.
        """
        source, target = (found.instrument, found.product), (found.instrument, found.into)

        async def body(view: StoreView) -> None:
            base = await baseline_at(view, broker_id, day)
            moved = base.moved(source, -found.units).moved(target, found.units)
            await put_baseline(view, moved)
            net = await self.net_in(view, broker_id, source, day)
            before = [one for one in await ledgers_of(view, broker_id) if key_of(one) == source]
            changed = shrunk(before, net.by_fills or 0)
            if price:
                was = {one.key: one for one in before}
                changed = [
                    with_transfer(was[one.key], one.quantity - was[one.key].quantity, price, day)
                    for one in changed
                ]
            await self._reduce(view, broker_id, changed)
            notice = PositionConverted(
                broker_id,
                str(found.instrument),
                found.product.value,
                found.into.value,
                found.units,
                tuple(one.strategy for one in changed),
            )
            await self._outbox.post(view, Post(notice))

        await self._store.transaction(body, nonce=self._nonce("convert", broker_id))

    async def believe(self, broker_id: str, key: Key, *, price: Decimal, nonce: str) -> int:
        """Take the broker's positions for right, on a user's word; return what is held then.

        Args:
            broker_id: The account.
            key: What is disputed.
            price: The average price that the broker shows, for an order of ours that has filled.
            nonce: Of the user's word.

        Raises:
            UserError: Positions and fills do not contradict one another (any more).
            AlreadyDone: This word was taken before.
        """
        day = trading_day(self._clock.market_now())
        gap = self.gaps.at(broker_id, key)
        if gap is None or (await self.net_in(self._store, broker_id, key, day)).by_fills is None:
            raise UserError(f"Positions and fills of {key[0]} agree; there is nothing to settle.")
        lost = await self._lost_fill(broker_id, key, day, gap)

        async def body(view: StoreView) -> None:
            base = await baseline_at(view, broker_id, day)
            if lost is None:
                base = base.moved(key, gap.by_positions - gap.by_fills)
            await put_baseline(view, base.disputed(key, None))
            names = (str(key[0]), key[1].value)
            units = gap.by_positions
            over = PositionDisputed(broker_id, *names, units, units, is_over=True)
            await self._outbox.post(view, dispute_card(over))
            if lost is not None:
                return
            before = [one for one in await ledgers_of(view, broker_id) if key_of(one) == key]
            changed = shrunk(before, gap.by_positions)
            await self._reduce(view, broker_id, changed)
            if changed:
                notice = PositionShrunk(broker_id, *names, units)
                await self._outbox.post(view, Post(notice))

        await self._store.transaction(body, nonce=nonce)
        if lost is not None:
            filled_all = OrderEvent(
                OrderState.FILLED,
                filled_quantity=lost.request.quantity,
                average_price=price,
                reason="the user says that it has filled",
            )
            await self._journal.apply(lost.client_order_id, filled_all)
        agreed = Gap(gap.by_positions, gap.by_positions)
        self.gaps.saw(broker_id, key, agreed, self._clock.now())
        return gap.by_positions

    async def _lost_fill(self, broker_id: str, key: Key, day: str, gap: Gap) -> Order | None:
        """Return the working order of ours whose fill would explain a gap to the unit."""
        for order in await self._journal.of_day(broker_id, day):
            signed = order.leaves_quantity * order.request.side.sign
            is_ours = order.strategy != EXTERNAL and order.state in LIVE_STATES
            if is_ours and key_of(order) == key and signed == gap.by_positions - gap.by_fills:
                return order
        return None

    async def _judge(self, broker_id: str, day: str, key: Key, gap: Gap) -> None:
        """Count a look; report a contradiction when it is certain, and its end."""
        instrument, product = key
        told = (await baseline_at(self._store, broker_id, day)).disputes.get(key)
        is_certain = self.gaps.saw(broker_id, key, gap, self._clock.now())
        now = Dispute(gap.by_fills, gap.by_positions)
        if (gap and (not is_certain or told == now)) or (not gap and told is None):
            return

        async def body(view: StoreView) -> None:
            base = await baseline_at(view, broker_id, day)
            await put_baseline(view, base.disputed(key, now if gap else None))
            notice = PositionDisputed(
                broker_id,
                str(instrument),
                product.value,
                gap.by_fills,
                gap.by_positions,
                is_over=not gap,
            )
            await self._outbox.post(view, dispute_card(notice))

        await self._store.transaction(body, nonce=self._nonce("dispute", broker_id))

    def _nonce(self, what: str, broker_id: str) -> str:
        return f"{what}:{broker_id}|{self._clock.now().isoformat()}|{next(self._numbers)}"


def _holdings(snapshot: Snapshot) -> Sequence[Holding] | None:
    """Return the holdings, None where they do not belong to the positions."""
    positions_at, holdings_at = snapshot.positions_at, snapshot.funds_at
    if snapshot.holdings is None or positions_at is None or holdings_at is None:
        return None
    # A delivery moves from positions to holdings: read apart, it is in both or in neither.
    return snapshot.holdings if abs(positions_at - holdings_at) <= _TOGETHER else None
