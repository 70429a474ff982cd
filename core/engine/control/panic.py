"""What a user asks before a panic and sees of it; from the store and the last reads alone (R2).

No broker is asked, so the question comes at once while an account hangs.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Sequence
from dataclasses import replace

from core.domain.account import Account
from core.domain.command import Command
from core.domain.exits import held_quantity
from core.domain.instrument import Product
from core.domain.mode import TradingMode
from core.domain.notices.post import panic_card
from core.domain.order import EXTERNAL, Order, OrderState
from core.domain.panic import CANCELLED_FOR, Panic, covers, left_of
from core.domain.sessions import trading_day
from core.domain.views import (
    PanicAccount,
    PanicPart,
    PanicQuestion,
    PanicView,
    PositionView,
)
from core.engine.accounts.accounts import Accounts
from core.engine.accounts.global_mode import global_mode
from core.engine.control.projections import order_view
from core.engine.control.run_results import part_of
from core.engine.orders.gate import gate_at
from core.engine.orders.journal import Journal
from core.engine.outbox import Outbox
from core.engine.safeguards.panic import Panics
from core.engine.safeguards.panic_facts import PanicFacts
from core.engine.safeguards.panics import newest_panic, panic_at, running_panic
from core.engine.workers.account_worker import AccountWorker
from core.errors import NotFound
from core.ports.clock import Clock
from core.ports.store import Store

__all__ = ["PanicControl"]


class PanicControl:
    """Asks, begins, shows and ends panics.

    ``worker`` returns an account's worker while it runs, ``held`` what an account holds.
    """

    def __init__(
        self,
        *,
        store: Store,
        clock: Clock,
        accounts: Accounts,
        journal: Journal,
        outbox: Outbox,
        panics: Panics,
        facts: PanicFacts,
        worker: Callable[[str], AccountWorker | None],
        held: Callable[[str], Awaitable[Sequence[PositionView]]],
    ) -> None:
        self._held = held
        self._store = store
        self._clock = clock
        self._accounts = accounts
        self._journal = journal
        self._outbox = outbox
        self._panics = panics
        self._facts = facts
        self._worker = worker

    async def question(self) -> PanicQuestion:
        """Return what a panic would do on each account, as far as it is known now."""
        accounts = [await self._account(one) for one in await self._accounts.all()]
        newest = await newest_panic(self._store)
        running = newest if newest is not None and newest.is_running else None
        return PanicQuestion(tuple(accounts), running)

    async def _account(self, account: Account) -> PanicAccount:
        facts = await self._facts.of(account, with_holdings=False)
        left = left_of(facts)
        gate = await gate_at(self._store, account.broker_id)
        delivery = sum(
            1
            for place in facts.places.values()
            if place.key[1] is Product.CNC and (place.is_held or place.owned)
        )
        worker = self._worker(account.broker_id)
        snapshot = worker.snapshot if worker is not None else None
        if snapshot is not None:
            known = {place.key[0] for place in facts.places.values() if place.key[1] is Product.CNC}
            delivery += sum(
                1
                for one in snapshot.holdings or ()
                if one.instrument not in known
                and held_quantity(
                    one.instrument, Product.CNC, snapshot.positions or (), snapshot.holdings or ()
                )
            )
        return PanicAccount(
            account=account,
            positions=len(left.places),
            orders=len(left.orders),
            delivery=delivery,
            is_paused=gate is not None and gate.mode is TradingMode.PAUSED,
            is_read=facts.is_read,
        )

    async def start(
        self, command: Command, broker_ids: Collection[str], *, with_holdings: bool
    ) -> Panic:
        """Begin a panic on these accounts, or add them to the one that runs (``Panics.start``)."""
        return await self._panics.start(command, broker_ids, with_holdings=with_holdings)

    async def stop(self, command: Command, panic_id: str) -> Panic:
        """End a panic that is not through (``Panics.stop``)."""
        return await self._panics.stop(command, panic_id)

    async def show_again(self, chat_id: int) -> None:
        """Bring the live message of the panic that runs to a chat as its newest message."""
        running = await running_panic(self._store)
        if running is not None:
            post = replace(panic_card(running.panic_id, fresh=True), chat_id=chat_id)
            await self._outbox.post_alone(self._store, post)

    async def view(self, panic_id: str) -> PanicView:
        """Return a panic with what its message shows; raises ``NotFound``."""
        panic = await panic_at(self._store, panic_id)
        if panic is None:
            raise NotFound("That panic is not known.")
        accounts = {one.broker_id: one for one in await self._accounts.all()}
        labels = {
            broker_id: await self._accounts.label_of(broker_id)
            for broker_id in panic.broker_ids
            if broker_id not in accounts
        }
        cancelled, parts = [], {}
        for broker_id in panic.broker_ids if panic.ended_at is not None else ():
            parts[broker_id] = await self._part(panic, broker_id, is_here=broker_id in accounts)
            of = accounts.get(broker_id, labels.get(broker_id, broker_id))
            cancelled += [
                order_view(self._clock, of, order)
                for order in await self._cancelled(panic, broker_id)
            ]
        return PanicView(
            panic,
            accounts,
            labels,
            tuple(cancelled),
            await global_mode(self._store),
            parts,
        )

    async def _part(self, panic: Panic, broker_id: str, *, is_here: bool) -> PanicPart:
        """Return what a panic has done on an account, and what it has left there."""
        part = part_of(panic, await self._orders(panic, broker_id))
        is_flat = any(one.is_flat for one in panic.lines if one.broker_id == broker_id)
        if is_flat or not is_here:
            return part
        with_holdings = broker_id in panic.holdings
        held = await self._held(broker_id)
        left = (one for one in held if covers(one.product, with_holdings=with_holdings))
        return replace(part, left=tuple(left))

    async def _orders(self, panic: Panic, broker_id: str) -> list[Order]:
        """Return the orders of the days of a panic on an account."""
        # One that waits for the open goes over a night: what it did is of both its days.
        ended_at = panic.ended_at or panic.began_at
        days = {panic.day, trading_day(self._clock.market_at(ended_at))}
        return [one for day in sorted(days) for one in await self._journal.of_day(broker_id, day)]

    async def _cancelled(self, panic: Panic, broker_id: str) -> list[Order]:
        """Return the user's own orders that this panic has cancelled on an account."""
        return [
            order
            for order in await self._orders(panic, broker_id)
            if order.strategy == EXTERNAL
            # Asked for is not done: it may have filled before. An earlier panic told of its own.
            and order.cancel_reason == CANCELLED_FOR
            and order.state is OrderState.CANCELED
            and (order.settled_at or order.created_at) >= panic.began_at
        ]
