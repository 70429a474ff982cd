"""A person's own orders: close a position, cancel an order, settle an unresolved one (E4, R4)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from core.domain.identifiers import client_order_id
from core.domain.instrument import InstrumentId, Product
from core.domain.ledger import Ledger, ledger_key
from core.domain.mode import TradingMode
from core.domain.order import (
    LIVE_STATES,
    MANUAL,
    OPEN_STATES,
    UNKNOWN_STATES,
    Order,
    OrderRequest,
    OrderState,
    OrderType,
    Purpose,
    Side,
)
from core.domain.outcome import NotSent, Refusal, Refused
from core.domain.sessions import trading_day
from core.engine.accounts.accounts import Accounts
from core.engine.accounts.connections import Connections
from core.engine.control.control import Command
from core.engine.orders.gate import GATES, gate_of
from core.engine.orders.gateway import Gateway, Held, SnapshotStale, Ticket, WriteRefused
from core.engine.orders.goals import Flattening, flatten
from core.engine.orders.journal import Journal, OrderEvent
from core.engine.orders.reconciliation import external_id
from core.engine.outbox import Outbox
from core.engine.workers.account_worker import AccountWorker
from core.errors import AlreadyDone, BrokerReadError, ChoiceNeeded, Denied, UserError
from core.ports.broker import BrokerClient
from core.ports.clock import Clock
from core.ports.store import Change, Store, StoreView

__all__ = ["ManualOrderParts", "ManualOrders"]

_STOP_AWAY_S = 8.0
_LOOK_S = 0.2
_LOOKS = 3


@dataclass(frozen=True, slots=True)
class ManualOrderParts:
    """What a person's orders pass through."""

    store: Store
    clock: Clock
    accounts: Accounts
    connections: Connections
    journal: Journal
    gateway: Gateway
    outbox: Outbox
    worker: Callable[[str], AccountWorker | None]


@dataclass(frozen=True, slots=True)
class _Place:
    """What one close is about."""

    command: Command
    worker: AccountWorker
    client: BrokerClient
    instrument: InstrumentId
    product: Product
    despite_pause: bool

    @property
    def run_id(self) -> str:
        return f"manual|{self.command.id}"


class ManualOrders:
    """Sends what a person asks for, under the account's lock."""

    def __init__(self, parts: ManualOrderParts) -> None:
        self._parts = parts

    async def _reach(self, broker_id: str) -> tuple[AccountWorker, BrokerClient]:
        account = await self._parts.accounts.get(broker_id)
        worker = self._parts.worker(broker_id)
        try:
            client = await self._parts.connections.client(account)
        except BrokerReadError as error:
            raise UserError(f"{account.label} cannot be reached now: {error}") from error
        if client is None or worker is None:
            raise UserError(f"{account.label} needs a login first; tap Log in.")
        return worker, client

    async def close(
        self, command: Command, broker_id: str, key: str, *, despite_pause: bool
    ) -> Order:
        """Close one position with market orders for all that is left of it.

        What strategies own is closed in their name, so that their ledgers know and an exit that
        rests unfilled is chased; the rest is closed in the person's. A resting stop is taken away
        first (C6).

        Returns:
            The first order that was sent.
        """
        instrument, product = _parse_key(key)
        worker, client = await self._reach(broker_id)
        await self._ask_about_pause(broker_id, despite_pause=despite_pause)
        place = _Place(command, worker, client, instrument, product, despite_pause)
        async with worker.lock:
            await self._held(place)
            await self._let_go(place)
            await self._stops_away(place)
            sent = await self._close_all(place)
        worker.wake()
        if not sent:
            raise UserError(f"{instrument} is flat already; there is nothing to close.")
        return sent[0]

    async def _close_all(self, place: _Place) -> list[Order]:
        """Close what strategies own in their names, then what nobody owns.

        The ledgers are read now, because a resting stop may have filled before it was cancelled.
        """
        held = await self._held(place, may_be_flat=True)
        ledgers = await self._ledgers(place)
        owned = sum(ledger.quantity for ledger in ledgers)
        rest = held.quantity - owned
        sent = [await self._send(place, ledger.strategy, ledger.quantity) for ledger in ledgers]
        if rest * held.quantity > 0:
            sent.append(await self._send(place, MANUAL, rest))
        return [order for order in sent if order is not None]

    async def _ask_about_pause(self, broker_id: str, *, despite_pause: bool) -> None:
        row = await self._parts.store.get(GATES, broker_id)
        if row and gate_of(row).mode is TradingMode.PAUSED and not despite_pause:
            raise ChoiceNeeded("This account is PAUSED. Close the position all the same?")

    async def _ledgers(self, place: _Place) -> list[Ledger]:
        return [
            ledger
            for ledger in await self._parts.journal.ledgers(place.worker.broker_id)
            if (ledger.instrument, ledger.product) == (place.instrument, place.product)
            and ledger.quantity
        ]

    async def _let_go(self, place: _Place) -> None:
        """Set the goal of the position's ledgers to flat."""
        broker_id = place.worker.broker_id
        ledgers = await self._ledgers(place)
        market_at = self._parts.clock.market_now()
        decision = Flattening(
            place.run_id,
            "close",
            MANUAL,
            broker_id,
            trading_day(market_at),
            self._parts.clock.now(),
            market_at,
        )

        async def body(view: StoreView) -> None:
            await flatten(view, self._parts.outbox, ledgers, decision)

        await self._parts.store.transaction(body, nonce=f"close:{place.command.id}")

    async def _stops_away(self, place: _Place) -> None:
        """Cancel our resting orders in the instrument and wait for their final states."""
        until = self._parts.clock.monotonic() + _STOP_AWAY_S
        asked: set[str] = set()
        while working := await self._working(place):
            for order in working:
                if order.state in LIVE_STATES and order.client_order_id not in asked:
                    asked.add(order.client_order_id)
                    reason = "a person closes the position"
                    await self._parts.gateway.cancel(place.client, order, reason)
            if self._parts.clock.monotonic() >= until:
                raise UserError(
                    "An order that rests in this position could not be cancelled in time; no exit "
                    "was sent yet. Look at /orders and try again."
                )
            await self._read(place)
            await self._parts.clock.sleep(_LOOK_S)

    async def _working(self, place: _Place) -> list[Order]:
        return [
            order
            for order in await self._parts.journal.pending(place.worker.broker_id)
            if (order.request.instrument, order.request.product)
            == (place.instrument, place.product)
            and order.state in OPEN_STATES
            and order.purpose is not Purpose.EXTERNAL
        ]

    async def _read(self, place: _Place) -> None:
        try:
            await place.worker.read(place.client)
        except BrokerReadError as error:
            await place.worker.read_failed(error)
            raise UserError(f"The broker could not be read, nothing was sent: {error}") from error

    async def _send(self, place: _Place, strategy: str, quantity: int) -> Order | None:
        """Send one exit of signed ``quantity`` units; None when nothing is left to close."""
        for _ in range(_LOOKS):
            held = await self._held(place, may_be_flat=True)
            order = self._order(place, strategy, quantity)
            ticket = Ticket(order, held=held, by_user=True, despite_pause=place.despite_pause)
            try:
                after, outcome = await self._parts.gateway.submit(place.client, ticket)
            except SnapshotStale:
                await self._read(place)
                continue
            except Denied as denied:
                if denied.code == "NOT_HELD":
                    return None
                raise UserError(f"Not sent: {denied.reason}.") from denied
            if isinstance(outcome, Refused) and outcome.kind is Refusal.AUTH_REQUIRED:
                await place.worker.write_refused(WriteRefused(outcome.kind, outcome.message))
            return after
        raise UserError("The position keeps changing while it is looked at; try again.")

    async def _held(self, place: _Place, *, may_be_flat: bool = False) -> Held:
        try:
            held = await place.worker.executor.look(place.client, place.instrument, place.product)
        except BrokerReadError as error:
            await place.worker.read_failed(error)
            raise UserError("The login has ended; log in first, nothing was sent.") from error
        if held is None:
            raise UserError("The broker's positions could not be read; nothing was sent.")
        if held.quantity == 0 and not may_be_flat:
            raise UserError(f"{place.instrument} is flat already; there is nothing to close.")
        return held

    def _order(self, place: _Place, strategy: str, held: int) -> Order:
        leg = f"{place.instrument}|{place.product}|exit"
        broker_id = place.worker.broker_id
        cid = client_order_id(broker_id, strategy, place.run_id, leg, 1)
        request = OrderRequest(
            cid,
            place.instrument,
            Side.of(-held),
            abs(held),
            OrderType.MARKET,
            place.product,
        )
        return Order(
            request=request,
            broker_id=broker_id,
            strategy=strategy,
            run_id=place.run_id,
            purpose=Purpose.EXIT,
            state=OrderState.SUBMITTED,
            day=trading_day(self._parts.clock.market_now()),
            created_at=self._parts.clock.now(),
        )

    async def cancel(self, command: Command, broker_id: str, key: str) -> Order:
        """Ask the broker once to cancel an order; what became of it shows in its own message."""
        order = await self._parts.journal.get(key)
        if order.broker_id != broker_id:
            raise UserError("That order belongs to another account.")
        if order.state in UNKNOWN_STATES:
            raise UserError(
                "Nobody knows yet whether the broker has this order; wait for the answer."
            )
        if order.state not in LIVE_STATES:
            raise UserError(f"That order is {_WORDS.get(order.state, order.state)} already.")
        worker, client = await self._reach(broker_id)

        await self._once(f"cancel:{command.id}")
        if order.purpose is Purpose.STOP:
            await self._leave_without_stop(order)
        async with worker.lock:
            outcome = await self._parts.gateway.cancel(client, order, "cancelled by a person")
        worker.wake()
        if isinstance(outcome, NotSent | Refused):
            reason = outcome.reason if isinstance(outcome, NotSent) else outcome.message
            raise UserError(f"The broker did not cancel it: {reason}")
        return await self._parts.journal.get(key)

    async def _claim(self, order: Order) -> Order:
        """Take the look-alike that the broker shows for this order."""
        key = order.client_order_id
        proposal = await self._parts.store.get("alerts", f"proposal|{key}")
        if proposal is None:
            raise UserError("The broker shows no order that could be this one.")
        found = proposal["broker_order_id"]
        event = OrderEvent(
            OrderState.ACCEPTED, broker_order_id=found, reason="confirmed by a person"
        )

        async def first(view: StoreView) -> None:
            # It was adopted as somebody else's, under a broker id that is unique in the journal.
            await view.delete("orders", {"_id": external_id(order.broker_id, found)})

        return await self._parts.journal.apply(key, event, first=first)

    async def _give_up(self, order: Order) -> Order:
        await self._look_once_more(order.broker_id)
        order = await self._parts.journal.get(order.client_order_id)
        if order.state is not OrderState.UNRESOLVED:
            return order
        event = OrderEvent(OrderState.NOT_PLACED, reason="a person says it was not placed")
        return await self._parts.journal.apply(order.client_order_id, event)

    async def _look_once_more(self, broker_id: str) -> None:
        worker, client = await self._reach(broker_id)
        try:
            await worker.read(client)
        except BrokerReadError as error:
            await worker.read_failed(error)
            raise UserError(
                f"The broker could not be read, nothing was changed: {error}"
            ) from error

    async def _once(self, nonce: str) -> None:
        """Note that a command takes effect now; raises ``AlreadyDone`` when it did before (I9)."""

        async def body(_view: StoreView) -> None:
            return None

        await self._parts.store.transaction(body, nonce=nonce)

    async def _leave_without_stop(self, order: Order) -> None:
        """A stop that a person takes away is not placed again for this goal."""
        request = order.request
        key = ledger_key(order.strategy, order.broker_id, request.instrument, request.product)
        await self._parts.store.update("goals", {"_id": key}, Change(set={"can_rest": False}))

    async def release(self, broker_id: str) -> int:
        """Cancel what strategies have resting on an account; return how many were not cancelled."""
        worker, client = await self._reach(broker_id)
        failed = 0
        async with worker.lock:
            for order in await self._parts.journal.pending(broker_id):
                if order.purpose is Purpose.EXTERNAL or order.state not in LIVE_STATES:
                    continue
                outcome = await self._parts.gateway.cancel(client, order, "handed over to you")
                failed += isinstance(outcome, NotSent | Refused)
        worker.wake()
        return failed

    async def resolve(self, command: Command, key: str, *, was_placed: bool) -> Order:
        """Take a person's word for an unresolved order.

        "It is the one that the broker shows" attaches the proposed broker order; "it was not
        placed" is taken only after a fresh look that does not find it.
        """
        order = await self._parts.journal.get(key)
        await self._once(f"resolve:{command.id}")
        if order.state is not OrderState.UNRESOLVED:
            raise AlreadyDone(f"That order is {_WORDS.get(order.state, order.state)} already.")
        if was_placed:
            after = await self._claim(order)
        else:
            after = await self._give_up(order)
        reached = self._parts.worker(order.broker_id)
        if reached is not None:
            reached.wake()
        return after


_WORDS = {
    OrderState.FILLED: "filled",
    OrderState.CANCELED: "cancelled",
    OrderState.REJECTED: "rejected",
    OrderState.EXPIRED: "expired",
    OrderState.DENIED: "refused by Saarthi",
    OrderState.NOT_PLACED: "given up as not placed",
    OrderState.ACCEPTED: "working at the broker",
}


def _parse_key(key: str) -> tuple[InstrumentId, Product]:
    instrument, bar, product = key.rpartition("|")
    if not bar or product not in {item.value for item in Product}:
        raise UserError("That button is out of date; open the positions again.")
    return InstrumentId.parse(instrument), Product(product)
