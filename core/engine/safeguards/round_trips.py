"""The round trip of the smallest size that proves an account before it enters (row F8).

A user asks for one: the smallest size of a chosen instrument is bought at the market and sold
again, through the same journal, gateway and executor as every other order, in the name ``PROOF``.
How far it is stands in ``trip`` of the account's document in ``limits`` (``run_id``,
``instrument``, ``product``, ``units``, ``state``: ``buying`` or ``selling``, ``at``, ``by``), and
``tick`` takes it on from there after any restart. What was bought has the goal flat before
anything else is decided, so a position never waits for this module. An ordinary entry and exit that
the journal shows as filled prove an account as well, unless it was at a simulator at that time.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from core.domain.account import Account
from core.domain.charges import Execution, charges_of
from core.domain.command import Command
from core.domain.identifiers import broker_of, client_order_id
from core.domain.instrument import Instrument, InstrumentId, Product, why_not_handled
from core.domain.ledger import Ledger, ledger_key
from core.domain.listing import untradable
from core.domain.notices.limits import RoundTripFailed, RoundTripPassed
from core.domain.notices.post import Post, run_card
from core.domain.order import (
    CLOSED_STATES,
    Order,
    OrderRequest,
    OrderState,
    OrderType,
    Purpose,
    Side,
)
from core.domain.sessions import trading_day
from core.engine.accounts.accounts import Accounts
from core.engine.accounts.masters import Masters
from core.engine.orders.goals import Flattening, flatten, put_goal, want_nothing
from core.engine.orders.journal import Journal, every_order_in
from core.engine.orders.ledgers import ledger_at
from core.engine.orders.limit_use import PROOF, why_unproved
from core.engine.orders.limits import (
    Proof,
    StoredLimits,
    limits_at,
    note_change,
    note_simulated,
    put_trip,
    set_proof,
)
from core.engine.orders.market_hours import MarketHours
from core.engine.orders.run_rows import insert_run
from core.engine.outbox import Outbox
from core.engine.runs.market_data import MarketData, NoData
from core.engine.runs.settings import StrategySettings
from core.engine.workers.rest import Rest
from core.errors import AlreadyDone, BrokerReadError, UserError
from core.ports.clock import Clock
from core.ports.store import Document, Store, StoreView

__all__ = ["RoundTrips", "TripOffer"]

_log = logging.getLogger(__name__)
_BUYING, _SELLING = "buying", "selling"
_KIND = "round-trip"
_PRODUCT = Product.MIS


@dataclass(frozen=True, slots=True)
class TripOffer:
    """What a round trip would do.

    Attributes:
        price: The last price.
        charges: Of both orders, in rupees; None where they are not known.
    """

    account: Account
    instrument: InstrumentId
    units: int
    price: Decimal
    charges: Decimal | None


@dataclass(frozen=True, slots=True)
class _Trip:
    """A round trip that goes on."""

    broker_id: str
    run_id: str
    instrument: InstrumentId
    units: int
    state: str
    by: str

    @property
    def key(self) -> str:
        """Of its ledger and goal."""
        return ledger_key(PROOF, self.broker_id, self.instrument, _PRODUCT)


def _trip(stored: StoredLimits) -> _Trip | None:
    row = stored.trip
    if row is None:
        return None
    name = InstrumentId.parse(row["instrument"])
    return _Trip(stored.scope, row["run_id"], name, row["units"], row["state"], row["by"])


class RoundTrips:
    """Offers, begins and follows round trips.

    ``proof_address`` says where an account has to be proved, None where it need not be; ``wake``
    lets its worker take a turn. In memory it keeps only which journals were looked into.
    """

    def __init__(
        self,
        *,
        store: Store,
        clock: Clock,
        outbox: Outbox,
        journal: Journal,
        accounts: Accounts,
        strategies: StrategySettings,
        masters: Masters,
        market_data: MarketData,
        hours: MarketHours,
        proof_address: Callable[[str], str | None],
        wake: Callable[[str], None],
    ) -> None:
        self._store = store
        self._clock = clock
        self._outbox = outbox
        self._journal = journal
        self._accounts = accounts
        self._strategies = strategies
        self._masters = masters
        self._market_data = market_data
        self._hours = hours
        self._proof_address = proof_address
        self._wake = wake
        self._looked: set[str] = set()
        self._rest = Rest(store)

    # What a user sees and asks for

    async def choices(self, broker_id: str) -> tuple[InstrumentId, ...]:
        """Return the instruments of the strategies that the account's broker lists."""
        account = await self._accounts.get(broker_id)
        master = await self._master(account)
        found: set[InstrumentId] = set()
        for name, strategy in self._strategies.registry.items():
            # A strategy is the user's own code, and its parameters may be wrong.
            with suppress(UserError):
                found |= set(strategy.instruments(await self._strategies.parameters(name)))
        return tuple(sorted(one for one in found if one in master and not why_not_handled(one)))

    async def offer(self, broker_id: str, instrument: InstrumentId) -> TripOffer:
        """Return what a round trip would do; raises ``UserError`` when it cannot begin."""
        self._refuse(await limits_at(self._store, broker_id))
        return await self._offer(broker_id, instrument)

    async def _offer(self, broker_id: str, instrument: InstrumentId) -> TripOffer:
        account = await self._accounts.get(broker_id)
        known = await self._known(account, instrument)
        if not self._hours.is_open(instrument, known):
            raise UserError(f"{instrument} does not trade now; try again in its session.")
        if account.needs_login:
            raise UserError(f"{account.label} needs a login first: /login.")
        if not account.enabled:
            raise UserError(f"{account.label} is disabled; enable it in /brokers first.")
        price = await self._price(instrument)
        return TripOffer(
            account,
            instrument,
            known.lot_size,
            price,
            self._charges(broker_id, instrument, known.lot_size, price),
        )

    def _refuse(self, stored: StoredLimits) -> None:
        """Raise ``UserError`` when a round trip may not begin by what is stored."""
        address = self._proof_address(stored.scope)
        why = why_unproved(stored, PROOF, address)
        if why:
            raise UserError(f"Not yet: {why}.")
        if not why_unproved(stored, "", address):
            raise UserError("A round trip has passed on this account already; it is not needed.")
        if stored.trip is not None:
            raise UserError(
                "A round trip is under way on this account; its card shows how it goes."
            )

    async def _known(self, account: Account, instrument: InstrumentId) -> Instrument:
        known = (await self._master(account)).get(instrument)
        if known is None:
            raise UserError(f"{instrument} is not in this broker's instruments.")
        if reason := untradable(known, self._clock.market_now().date()):
            raise UserError(f"{instrument} {reason}.")
        return known

    async def _master(self, account: Account) -> dict[InstrumentId, Instrument]:
        try:
            return dict(await self._masters.instruments(account.broker))
        except BrokerReadError as error:
            raise UserError(f"Its list of instruments could not be loaded: {error}.") from error

    async def _price(self, instrument: InstrumentId) -> Decimal:
        try:
            quote = (await self._market_data.quotes([instrument])).get(instrument)
        except NoData as error:
            raise UserError(f"The price of {instrument} could not be read: {error}.") from error
        if quote is None or quote.last_price <= 0:
            raise UserError(f"No price of {instrument} is known; choose another instrument.")
        return quote.last_price

    def _charges(
        self, broker_id: str, instrument: InstrumentId, units: int, price: Decimal
    ) -> Decimal | None:
        both = [Execution(side, instrument, _PRODUCT, side, units, price) for side in Side]
        return charges_of(both, broker_of(broker_id), self._clock.market_now().date()).total

    async def begin(self, command: Command, broker_id: str, instrument: InstrumentId) -> TripOffer:
        """Begin a round trip; raises ``UserError`` when it cannot, and nothing was changed then."""
        # What is stored is asked inside: a command that comes again is done already (I9).
        offer = await self._offer(broker_id, instrument)
        trip = _Trip(
            broker_id,
            f"{PROOF}|{command.id}",
            instrument,
            offer.units,
            _BUYING,
            str(command.user_id),
        )

        async def body(view: StoreView) -> None:
            self._refuse(await limits_at(view, broker_id))
            await self._buy(view, trip, offer.price)

        await self._store.transaction(body, nonce=f"round-trip:{command.id}")
        self._wake(broker_id)
        return offer

    async def _buy(self, view: StoreView, trip: _Trip, price: Decimal) -> None:
        """Write goal, entry, run and how far it is, as a strategy's run does."""
        now, market_at = self._clock.now(), self._clock.market_now()
        day = trading_day(market_at)
        await put_goal(
            view,
            strategy=PROOF,
            broker_id=trip.broker_id,
            instrument=trip.instrument,
            product=_PRODUCT,
            quantity=trip.units,
            stop_price=None,
            run_id=trip.run_id,
            day=day,
            at=now,
        )
        await insert_run(view, self._run(trip, now, market_at))
        await self._outbox.post(view, run_card(trip.run_id))
        cid = client_order_id(trip.broker_id, PROOF, trip.run_id, f"{trip.instrument}|entry", 1)
        request = OrderRequest(
            cid, trip.instrument, Side.BUY, trip.units, OrderType.MARKET, _PRODUCT
        )
        order = Order(
            request=request,
            broker_id=trip.broker_id,
            strategy=PROOF,
            run_id=trip.run_id,
            purpose=Purpose.ENTRY,
            state=OrderState.INITIALIZED,
            day=day,
            created_at=now,
            decided_price=price,
        )
        await self._journal.add(view, [order])
        await note_change(
            view, trip.broker_id, "round trip", "", str(trip.instrument), at=now, by=trip.by
        )
        await put_trip(view, trip.broker_id, self._row(trip, _BUYING, now))

    def _row(self, trip: _Trip, state: str, at: datetime) -> Document:
        return {
            "run_id": trip.run_id,
            "instrument": str(trip.instrument),
            "units": trip.units,
            "state": state,
            "at": at,
            "by": trip.by,
        }

    def _run(self, trip: _Trip, now: datetime, market_at: datetime) -> Document:
        return {
            "_id": trip.run_id,
            "strategy": PROOF,
            "slot_at": market_at,
            "targets": [],
            "notes": {},
            "broker_ids": [trip.broker_id],
            "is_signal": True,
            "kind": _KIND,
            "created_at": now,
        }

    # How it goes on

    async def tick(self) -> None:
        """Take every round trip on, and look once whether an account is proved by its journal."""
        if self._rest.lasts:
            return  # all that a trip waits for is written
        self._rest.begin()
        for account in await self._accounts.all():
            with suppress(AlreadyDone):
                await self._tick(account.broker_id)
        self._rest.end(is_quiet=True)

    async def _tick(self, broker_id: str) -> None:
        address = self._proof_address(broker_id)
        if address is None:
            await self._note_simulated(broker_id)
            return
        stored = await limits_at(self._store, broker_id)
        trip = _trip(stored)
        if trip is not None:
            await self._follow(trip, address)
        elif broker_id not in self._looked:
            await self._look_back(stored, address)

    async def _note_simulated(self, broker_id: str) -> None:
        """Note that an account is at a simulator: what fills there proves nothing elsewhere."""
        if broker_id not in self._looked:
            await note_simulated(self._store, broker_id, at=self._clock.now())
            self._looked.add(broker_id)

    async def _look_back(self, stored: StoredLimits, address: str) -> None:
        """Take an ordinary round trip of the account's journal as its proof."""
        broker_id = stored.scope
        if why_unproved(stored, "", address) and stored.proved is None:
            since = stored.simulated_at
            filled = await self._journal.filled(broker_id)
            real = [one for one in filled if since is None or one.created_at > since]
            if _has_round_trip(real):
                proof = Proof(self._clock.now(), address, "journal")
                await self._store.transaction(
                    lambda view: set_proof(view, broker_id, proof, by="journal"),
                    nonce=f"proved:{broker_id}|{stored.version}",
                )
                _log.info("%s is proved by its journal", broker_id)
        self._looked.add(broker_id)

    async def _follow(self, trip: _Trip, address: str) -> None:
        bought = [one for one in await self._journal.of_run(trip.run_id) if _is_entry(one)]
        if not bought or any(one.state not in CLOSED_STATES for one in bought):
            return
        entry = bought[-1]
        if not any(one.filled_quantity for one in bought):
            await self._fail(trip, entry.reason or f"the order ended as {entry.state}")
            return
        ledger = await ledger_at(self._store, trip.key)
        if ledger is not None and ledger.quantity:
            if trip.state == _BUYING:
                await self._sell(trip, ledger)
            return
        orders = await every_order_in(self._store, trip.broker_id, trip.instrument, entry.day)
        sold = [one for one in orders if _is_exit(one) and one.created_at >= entry.created_at]
        if any(one.state not in CLOSED_STATES for one in sold):
            return
        if not any(one.filled_quantity for one in sold):
            await self._fail(trip, "it was bought, and then closed by something else than an exit")
            return
        await self._pass(trip, address, entry, next(one for one in sold if one.filled_quantity))

    async def _sell(self, trip: _Trip, ledger: Ledger) -> None:
        now, market_at = self._clock.now(), self._clock.market_now()
        decision = Flattening(
            f"{trip.run_id}|sell",
            _KIND,
            PROOF,
            trip.broker_id,
            trading_day(market_at),
            now,
            market_at,
        )

        async def body(view: StoreView) -> None:
            await flatten(view, self._outbox, [ledger], decision)
            await put_trip(view, trip.broker_id, self._row(trip, _SELLING, now))

        await self._store.transaction(body, nonce=f"round-trip-sell:{trip.run_id}")
        self._wake(trip.broker_id)

    async def _fail(self, trip: _Trip, reason: str) -> None:
        now = self._clock.now()

        async def body(view: StoreView) -> None:
            await want_nothing(view, trip.key)
            await note_change(
                view, trip.broker_id, "round trip", str(trip.instrument), "failed", at=now, by=PROOF
            )
            await put_trip(view, trip.broker_id, None)
            notice = RoundTripFailed(trip.broker_id, str(trip.instrument), reason)
            await self._outbox.post(view, Post(notice))

        await self._store.transaction(body, nonce=f"round-trip-end:{trip.run_id}")

    async def _pass(self, trip: _Trip, address: str, entry: Order, exit_: Order) -> None:
        proof = Proof(self._clock.now(), address, PROOF)
        notice = RoundTripPassed(
            trip.broker_id,
            str(trip.instrument),
            entry.filled_quantity,
            entry.average_price,
            exit_.average_price,
        )

        async def body(view: StoreView) -> None:
            await set_proof(view, trip.broker_id, proof, by=trip.by)
            await self._outbox.post(view, Post(notice))

        await self._store.transaction(body, nonce=f"round-trip-end:{trip.run_id}")


def _is_entry(order: Order) -> bool:
    return order.purpose is Purpose.ENTRY


def _is_exit(order: Order) -> bool:
    return order.strategy == PROOF and order.purpose.is_reducing


def _has_round_trip(orders: list[Order]) -> bool:
    """Whether an entry and an exit of one ledger have filled."""
    entered = {_ledger(one) for one in orders if _is_entry(one)}
    return any(one.purpose.is_reducing and _ledger(one) in entered for one in orders)


def _ledger(order: Order) -> tuple[str, InstrumentId, Product]:
    return order.strategy, order.request.instrument, order.request.product
