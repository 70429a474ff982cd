"""A user's own orders: close a position, cancel an order, settle an unresolved one (E4, R4)."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal

from core.domain.command import Command
from core.domain.goal import NoRest
from core.domain.instrument import InstrumentId, Product, why_not_handled
from core.domain.ledger import Ledger, ledger_key
from core.domain.mode import TradingMode
from core.domain.order import (
    LIVE_STATES,
    MANUAL,
    OPEN_STATES,
    UNKNOWN_STATES,
    Order,
    OrderState,
    Purpose,
)
from core.domain.outcome import NotSent, Refused
from core.domain.sessions import trading_day
from core.engine.accounts.accounts import Accounts
from core.engine.accounts.connections import Connections
from core.engine.accounts.masters import Masters
from core.engine.orders.decisions import external_id
from core.engine.orders.gate import gate_at
from core.engine.orders.gateway import Gateway, Held
from core.engine.orders.goals import Flattening, UserClose, flatten, goals_of, leave_without_stop
from core.engine.orders.journal import Journal, OrderEvent
from core.engine.orders.market_hours import MarketHours
from core.engine.orders.net_positions import NetPositions
from core.engine.orders.reconciliation import proposed_for
from core.engine.orders.risk import NOTHING_LEFT
from core.engine.outbox import Outbox
from core.engine.workers.account_worker import AccountWorker
from core.errors import AlreadyDone, BrokerReadError, ChoiceNeeded, Denied, UserError
from core.ports.broker import BrokerClient
from core.ports.clock import Clock
from core.ports.store import Store, StoreView

__all__ = ["ManualOrders"]

_ANSWER_S = 8.0


@dataclass(frozen=True, slots=True)
class _Position:
    """The position that one close is about."""

    command: Command
    worker: AccountWorker
    instrument: InstrumentId
    product: Product

    @property
    def broker_id(self) -> str:
        return self.worker.broker_id

    @property
    def run_id(self) -> str:
        return f"manual|{self.command.id}"

    def concerns(self, thing: Order | Ledger) -> bool:
        """Whether an order or a ledger is of this position."""
        named = thing.request if isinstance(thing, Order) else thing
        return (named.instrument, named.product) == (self.instrument, self.product)


class ManualOrders:
    """Closes positions, and cancels and resolves orders, under the account's lock.

    ``worker`` returns an account's worker while it runs.
    """

    def __init__(
        self,
        *,
        store: Store,
        clock: Clock,
        accounts: Accounts,
        connections: Connections,
        journal: Journal,
        gateway: Gateway,
        outbox: Outbox,
        hours: MarketHours,
        nets: NetPositions,
        masters: Masters,
        worker: Callable[[str], AccountWorker | None],
    ) -> None:
        self._store = store
        self._clock = clock
        self._accounts = accounts
        self._connections = connections
        self._journal = journal
        self._gateway = gateway
        self._outbox = outbox
        self._hours = hours
        self._nets = nets
        self._masters = masters
        self._worker = worker

    async def _reach(self, broker_id: str) -> tuple[AccountWorker, BrokerClient]:
        account = await self._accounts.get(broker_id)
        worker = self._worker(broker_id)
        try:
            client = await self._connections.client(account)
        except BrokerReadError as error:
            raise UserError(f"{account.label} cannot be reached now: {error}") from error
        if client is None or worker is None:
            raise UserError(f"{account.label} needs a login first; tap Log in.")
        return worker, client

    async def close(
        self,
        command: Command,
        broker_id: str,
        key: str,
        *,
        despite_pause: bool,
        only_outside: bool = False,
    ) -> Order:
        """Close one position with market orders for all that is left of it.

        A close sets goals, and the account's executor pursues them as it pursues every exit: the
        stop makes way (C6), what rests is chased, what came to nothing is worked out anew, in every
        mode and over a restart. What strategies own is closed in their name, the rest in the
        user's; ``only_outside`` leaves the strategies' units alone.

        Returns:
            The first order of the close, or one that was closing the position already.

        Raises:
            ChoiceNeeded: The account is PAUSED and ``despite_pause`` is False.
            UserError: Nothing is held, the position is not known, its instrument does not trade
                now, or no order went out in time.
        """
        instrument, product = _parse_key(key)
        if reason := why_not_handled(instrument):
            # At the gate it would be denied too, again and again: the goal would stay.
            raise UserError(
                f"{reason[:1].upper()}{reason[1:]}. Close this position in the broker's app."
            )
        await self._refuse_when_closed(broker_id, instrument)
        worker, client = await self._reach(broker_id)
        await self._ask_about_pause(broker_id, despite_pause=despite_pause)
        position = _Position(command, worker, instrument, product)
        async with worker.lock:
            held = await self._look(position, client)
            await self._set_goals(
                position, held, despite_pause=despite_pause, only_outside=only_outside
            )
        return await self._first_order(position)

    async def _refuse_when_closed(self, broker_id: str, instrument: InstrumentId) -> None:
        """Refuse a close outside the instrument's session: it would wait, and nobody remembers."""
        account = await self._accounts.get(broker_id)
        known = self._masters.known(account.broker).get(instrument)
        if self._hours.is_open(instrument, known):
            return
        opens_at = self._hours.opens_at(instrument, known)
        when = f"; it trades again on {opens_at:%a %-d %b at %H:%M}" if opens_at else ""
        raise UserError(
            f"The market is closed for {instrument} now{when}. Nothing was sent, and nothing "
            "waits for the open."
        )

    async def _ask_about_pause(self, broker_id: str, *, despite_pause: bool) -> None:
        gate = await gate_at(self._store, broker_id)
        if gate and gate.mode is TradingMode.PAUSED and not despite_pause:
            raise ChoiceNeeded("This account is PAUSED. Close the position all the same?")

    async def _look(self, position: _Position, client: BrokerClient) -> Held:
        """Look at the broker's position once; the executor sends by the same look."""
        looks = position.worker.executor.looks
        try:
            held = await looks.look(client, position.instrument, position.product)
        except BrokerReadError as error:
            await position.worker.read_failed(error)
            raise UserError("The login has ended; log in first, nothing was sent.") from error
        except Denied as denied:
            raise UserError(f"Nothing was sent: {denied.reason}.") from denied
        if held is None:
            raise UserError(
                "The broker's positions and today's fills do not agree, so nobody knows what is "
                "held; nothing was sent. Look in the broker's app."
            )
        if held.quantity == 0:
            await self._refuse_flat(position, held)
        looks.keep(position.instrument, position.product, held)
        return held

    async def _refuse_flat(self, position: _Position, held: Held) -> None:
        """Say that nothing is held; but not when a witness or a ledger says otherwise (R8)."""
        if held.by_positions or held.by_fills:
            raise UserError(
                f"The broker's positions show {held.by_positions or 0} {position.instrument}, "
                f"today's fills {held.by_fills or 0}. Nothing was sent; try again in a few seconds."
            )
        # Strategies that hold opposite sides are flat together, and each is still to be closed.
        if not await self._ledgers(position):
            raise _flat_already(position)

    async def _set_goals(
        self, position: _Position, held: Held, *, despite_pause: bool, only_outside: bool
    ) -> None:
        """Set the goal of the position's ledgers, and of what no strategy owns, to flat."""
        ledgers = await self._ledgers(position)
        # What the broker holds beyond the ledgers is the user's own, or was never seen by us.
        outside = held.quantity - sum(ledger.quantity for ledger in ledgers)
        if only_outside:
            if outside * held.quantity <= 0:
                raise UserError(f"Nothing of {position.instrument} is outside Saarthi any more.")
            ledgers = []
        if outside * held.quantity > 0 and not await self._is_closing_outside(position):
            # A goal without a ledger: no strategy owns the units, so the goal holds their number.
            # An earlier close that still works covers them; a second one would close them twice
            # (I6).
            ledgers.append(
                Ledger(MANUAL, position.broker_id, position.instrument, position.product)
            )
        market_at = self._clock.market_now()
        decision = Flattening(
            position.run_id,
            "close",
            MANUAL,
            position.broker_id,
            trading_day(market_at),
            self._clock.now(),
            market_at,
            UserClose(despite_pause, outside),
        )

        async def body(view: StoreView) -> None:
            await flatten(view, self._outbox, ledgers, decision)

        await self._store.transaction(body, nonce=f"close:{position.command.id}")

    async def _ledgers(self, position: _Position) -> list[Ledger]:
        ledgers = await self._journal.ledgers(position.broker_id)
        return [one for one in ledgers if position.concerns(one) and one.quantity]

    async def _is_closing_outside(self, position: _Position) -> bool:
        """Whether an earlier close of the same units still has an exit in the market."""
        return any(order.strategy == MANUAL for order in await self._exits(position))

    async def _exits(self, position: _Position) -> list[Order]:
        """Return exits of ours that may still fill."""
        return [
            order
            for order in await self._journal.pending(position.broker_id)
            if position.concerns(order)
            and order.purpose is Purpose.EXIT
            and order.state in OPEN_STATES
        ]

    async def _first_order(self, position: _Position) -> Order:
        """Wait for the executor's first order, so that the chat shows what was sent."""
        try:
            async with asyncio.timeout(_ANSWER_S):
                await position.worker.next_turn()
                while (order := await self._order_of(position)) is None:
                    # At the worker's own pace: each turn reads the broker and uses up its rate.
                    await position.worker.turn_ended()
                return order
        except TimeoutError:
            reason = position.worker.trouble or "an order that is in the way is not cancelled yet"
            raise UserError(
                f"No exit was sent within {_ANSWER_S:.0f} s ({reason}). I keep closing the "
                "position; look at /orders and at the broker."
            ) from None

    async def _order_of(self, position: _Position) -> Order | None:
        """Return the order that closes the position; None while nothing is known yet.

        Raises:
            UserError: Nothing is left to close, or the gate denied the exit.
        """
        sent = [
            order
            for order in await self._journal.of_run(position.run_id)
            if order.purpose is Purpose.EXIT
        ]
        if sent or (sent := await self._exits(position)):
            return min(sent, key=lambda order: order.created_at)
        denied = position.worker.executor.denials.get(position.run_id)
        if denied is not None and denied.code not in NOTHING_LEFT:
            raise UserError(f"Not sent yet: {denied.reason}. I keep trying.")
        if denied is not None or not await self._is_pursued(position):
            raise _flat_already(position)
        return None

    async def _is_pursued(self, position: _Position) -> bool:
        """Whether something is left to close, owned by a strategy or by none."""
        if await self._ledgers(position):
            return True
        goals = await goals_of(self._store, position.broker_id)
        return any(goal.strategy == MANUAL and goal.run_id == position.run_id for goal in goals)

    async def cancel(self, command: Command, broker_id: str, key: str) -> Order:
        """Ask the broker once to cancel an order; what became of it shows in its own message."""
        order = await self._journal.get(key)
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
        # Before the cancel: between the two the executor could place the stop again.
        if order.purpose is Purpose.STOP:
            await self._leave_without_stop(order)
        async with worker.lock:
            outcome = await self._gateway.cancel(client, order, "cancelled by the user")
        worker.wake()
        if isinstance(outcome, NotSent | Refused):
            reason = outcome.reason if isinstance(outcome, NotSent) else outcome.message
            raise UserError(f"The broker did not cancel it: {reason}")
        return await self._journal.get(key)

    async def _claim(self, order: Order) -> Order:
        """Attach the proposed broker order to this order."""
        key = order.client_order_id
        found = await proposed_for(self._store, key)
        if found is None:
            raise UserError("The broker shows no order that could be this one.")
        event = OrderEvent(
            OrderState.ACCEPTED, broker_order_id=found, reason="confirmed by the user"
        )

        async def first(view: StoreView) -> None:
            # It may have been adopted as EXTERNAL, under a broker id that is unique in the journal.
            # It was adopted as somebody else's, under a broker id that is unique in the journal.
            await self._journal.remove(view, external_id(order.broker_id, found))

        return await self._journal.apply(key, event, first=first)

    async def _give_up(self, order: Order) -> Order:
        # The user may have looked before the broker listed it, so their word alone is not enough.
        await self._look_once_more(order.broker_id)
        order = await self._journal.get(order.client_order_id)
        if order.state is not OrderState.UNRESOLVED:
            return order
        event = OrderEvent(OrderState.NOT_PLACED, reason="the user says it was not placed")
        return await self._journal.apply(order.client_order_id, event)

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

        await self._store.transaction(body, nonce=nonce)

    async def _leave_without_stop(self, order: Order) -> None:
        """Keep a stop that the user cancels from being placed again for this goal."""
        request = order.request
        key = ledger_key(order.strategy, order.broker_id, request.instrument, request.product)
        await leave_without_stop(self._store, key, NoRest.CANCELLED_HERE)

    async def believe(self, command: Command, broker_id: str, key: str) -> int:
        """Take the broker's positions for right where they contradict the fills (R8).

        Returns:
            The signed units that are held then.

        Raises:
            UserError: They agree, or the broker cannot be read.
        """
        instrument, product = _parse_key(key)
        worker, _ = await self._reach(broker_id)
        trouble = await worker.refresh()
        if trouble:
            raise UserError(f"The broker could not be read, nothing was changed: {trouble}")
        async with worker.lock:
            place, nonce = (instrument, product), f"believe:{command.id}"
            shown = worker.snapshot.positions or ()
            prices = [one.average_price for one in shown if (one.instrument, one.product) == place]
            price = prices[0] if prices else Decimal(0)
            units = await self._nets.believe(broker_id, place, price=price, nonce=nonce)
        worker.wake()
        return units

    async def release(self, broker_id: str) -> int:
        """Cancel what strategies have resting on an account; return how many were not cancelled."""
        worker, client = await self._reach(broker_id)
        failed = 0
        async with worker.lock:
            for order in await self._journal.pending(broker_id):
                if order.purpose is Purpose.EXTERNAL or order.state not in LIVE_STATES:
                    continue
                outcome = await self._gateway.cancel(client, order, "handed over to you")
                failed += isinstance(outcome, NotSent | Refused)
        worker.wake()
        return failed

    async def resolve(self, command: Command, key: str, *, was_placed: bool) -> Order:
        """Settle an unresolved order by what the user says of it.

        "It is the one that the broker shows" attaches the proposed broker order; "it was not
        placed" is taken only after a fresh look that does not find it.
        """
        order = await self._journal.get(key)
        await self._once(f"resolve:{command.id}")
        if order.state is not OrderState.UNRESOLVED:
            raise AlreadyDone(f"That order is {_WORDS.get(order.state, order.state)} already.")
        if was_placed:
            after = await self._claim(order)
        else:
            after = await self._give_up(order)
        reached = self._worker(order.broker_id)
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


def _flat_already(position: _Position) -> UserError:
    return UserError(f"{position.instrument} is flat already; there is nothing to close.")


def _parse_key(key: str) -> tuple[InstrumentId, Product]:
    instrument, bar, product = key.rpartition("|")
    if not bar or product not in {item.value for item in Product}:
        raise UserError("That button is out of date; open the positions again.")
    return InstrumentId.parse(instrument), Product(product)
