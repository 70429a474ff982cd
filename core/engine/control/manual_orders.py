"""A user's own orders: close a position, cancel an order, believe the positions (E4, R8)."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal

from core.domain.command import Command
from core.domain.goal import Goal, NoRest
from core.domain.ledger import ledger_key
from core.domain.order import (
    CLOSED_STATES,
    LIVE_STATES,
    UNKNOWN_STATES,
    Order,
    Purpose,
)
from core.domain.outcome import NotSent, Refused
from core.engine.accounts.accounts import Accounts
from core.engine.accounts.connections import Connections
from core.engine.accounts.masters import Masters
from core.engine.control.closing import Closing, SeeThrough, parse_key
from core.engine.control.projections import state_words
from core.engine.orders.gateway import Gateway
from core.engine.orders.goals import goal_at, leave_without_stop, take_back_leaving
from core.engine.orders.journal import Journal
from core.engine.orders.market_hours import MarketHours
from core.engine.orders.net_positions import NetPositions
from core.engine.outbox import Outbox
from core.engine.workers.account_worker import AccountWorker
from core.errors import BrokerReadError, UserError
from core.ports.broker import BrokerClient
from core.ports.clock import Clock
from core.ports.store import Store, StoreView

__all__ = ["ManualOrders"]


class ManualOrders:
    """Closes positions and cancels orders, under the account's lock.

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
        self._accounts = accounts
        self._connections = connections
        self._journal = journal
        self._gateway = gateway
        self._nets = nets
        self._worker = worker
        self._closing = Closing(
            store=store,
            clock=clock,
            accounts=accounts,
            journal=journal,
            outbox=outbox,
            hours=hours,
            nets=nets,
            masters=masters,
            reach=self._reach,
        )

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
        asked_in: int | None = None,
        seen: int | None = None,
        see_through: SeeThrough | None = None,
    ) -> Order:
        """Close one position; see ``Closing.close``."""
        return await self._closing.close(
            command,
            broker_id,
            key,
            despite_pause=despite_pause,
            only_outside=only_outside,
            asked_in=asked_in,
            seen=seen,
            see_through=see_through,
        )

    async def cancel(self, command: Command, broker_id: str, key: str) -> Order:
        """Ask the broker once to cancel an order; what became of it shows in its own message."""
        order = await self._journal.get(key)
        if order.broker_id != broker_id:
            raise UserError("That order belongs to another account.")
        if order.state in UNKNOWN_STATES:
            # The read that settles it is often a second away.
            await self.read_again(broker_id)
            order = await self._journal.get(key)
        if order.state in UNKNOWN_STATES:
            raise UserError(
                "Nobody knows yet whether the broker has this order; wait for the answer."
            )
        if order.state not in LIVE_STATES:
            raise UserError(f"That order is {state_words(order)} already.")
        worker, client = await self._reach(broker_id)

        await self._once(f"cancel:{command.id}")
        # Before the cancel: between the two the executor could place the stop again.
        left = await self._leave_without_stop(order) if order.purpose is Purpose.STOP else None
        async with worker.lock:
            outcome = await self._gateway.cancel(client, order, "cancelled by the user")
        worker.wake()
        if isinstance(outcome, NotSent | Refused):
            reason = outcome.reason if isinstance(outcome, NotSent) else outcome.message
            # Most often it was final there before: the user learns what became of it.
            await self.read_again(broker_id)
            after = await self._journal.get(key)
            if after.state in CLOSED_STATES:
                raise UserError(f"That order is {state_words(after)} already.")
            if left is not None:
                # It stands: whatever ends it later, the position must not be without one (R6).
                await take_back_leaving(self._store, left)
            raise UserError(f"The broker did not cancel it: {reason}")
        return await self._journal.get(key)

    async def read_again(self, broker_id: str) -> str:
        """Read an account now, before a user is refused by what was read seconds ago.

        It ends within the worker's own bound for a read, and is called without the worker's lock.

        Returns:
            What went wrong, or ''.
        """
        worker = self._worker(broker_id)
        return await worker.refresh() if worker is not None else "not started yet"

    async def _once(self, nonce: str) -> None:
        """Note that a command takes effect now; raises ``AlreadyDone`` when it did before (I9)."""

        async def body(_view: StoreView) -> None:
            return None

        await self._store.transaction(body, nonce=nonce)

    async def _leave_without_stop(self, order: Order) -> Goal | None:
        """Keep a stop that the user cancels from being placed again; return the goal before."""
        request = order.request
        key = ledger_key(order.strategy, order.broker_id, request.instrument, request.product)
        before = await goal_at(self._store, key)
        await leave_without_stop(self._store, key, NoRest.CANCELLED_HERE)
        return before

    async def believe(self, command: Command, broker_id: str, key: str) -> int:
        """Take the broker's positions for right where they contradict the fills (R8).

        Returns:
            The signed units that are held then.

        Raises:
            UserError: They agree, or the broker cannot be read.
        """
        instrument, product = parse_key(key)
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
