"""Orders of unknown fate: what is known of one, ask the broker again, settle it by word (R4)."""

from __future__ import annotations

import math
from collections.abc import Callable
from datetime import datetime, timedelta

from core.domain.account import Account
from core.domain.command import Command
from core.domain.inquiry import InquiryView
from core.domain.order import Order, OrderState, Purpose
from core.engine.accounts.accounts import Accounts
from core.engine.control.projections import order_view, state_words
from core.engine.orders.decisions import external_id
from core.engine.orders.inquiries import Inquiries, put_settler
from core.engine.orders.journal import Journal, OrderEvent
from core.engine.orders.protections import Protections
from core.engine.users import owner_name
from core.engine.workers.account_worker import AccountWorker
from core.errors import AlreadyDone, DuplicateKey, NotFound, UserError
from core.ports.clock import Clock
from core.ports.store import Store, StoreView

__all__ = ["UnresolvedOrders"]

_ANSWER_S = 5.0
_JUST_ASKED = timedelta(seconds=1)
_MAY_COME = timedelta(seconds=30)
"""An order may reach the exchange, and be listed, so long after it was sent."""


class UnresolvedOrders:
    """Shows unresolved orders and settles them by what a user says.

    An order that is not unresolved any more is left as it is: the command raises ``AlreadyDone``
    with what became of it, whoever settled it.
    """

    def __init__(
        self,
        *,
        store: Store,
        clock: Clock,
        accounts: Accounts,
        journal: Journal,
        inquiries: Inquiries,
        protections: Protections,
        horizon_s: float,
        worker: Callable[[str], AccountWorker | None],
    ) -> None:
        self._store = store
        self._clock = clock
        self._accounts = accounts
        self._journal = journal
        self._inquiries = inquiries
        self._protections = protections
        self._horizon = timedelta(seconds=horizon_s)
        self._worker = worker

    async def view(self, client_order_id: str) -> InquiryView:
        """Return what is known of an order that is or was unresolved; raises ``NotFound``."""
        order = await self._journal.get(client_order_id)
        account = await self._account(order.broker_id)
        inquiry = await self._inquiries.of(client_order_id)
        ends_at = (order.submitted_at or order.created_at) + self._horizon
        needs_login = isinstance(account, Account) and account.needs_login
        return InquiryView(
            order=order_view(self._clock, account, order),
            inquiry=inquiry,
            asked_at=self._market(inquiry.asked_at),
            trouble_at=self._market(inquiry.trouble_at),
            gives_up_at=self._clock.market_at(ends_at),
            left_s=(ends_at - self._clock.now()).total_seconds(),
            held=await self._held(order, needs_login=needs_login),
            needs_login=needs_login,
        )

    async def _account(self, broker_id: str) -> Account | str:
        try:
            return await self._accounts.get(broker_id)
        except NotFound:
            return await self._accounts.label_of(broker_id)

    def _market(self, at: datetime | None) -> datetime | None:
        return None if at is None else self._clock.market_at(at)

    async def _held(self, order: Order, *, needs_login: bool) -> tuple[str, ...]:
        """Say what of the instrument is held there, and how each part is protected now."""
        standings = await self._protections.of_account(order.broker_id, needs_login=needs_login)
        return tuple(
            f"{one.ledger.quantity:+d} {one.ledger.instrument.symbol}: {one.protection.how}"
            for one in standings
            if one.ledger.instrument == order.request.instrument
        )

    async def ask_again(self, client_order_id: str) -> None:
        """Read the broker now and edit the order's card with what was found, or with why not.

        It ends within seconds. A tap just after a look that succeeded shows that look.

        Raises:
            AlreadyDone: It is settled; the sentence says to what.
        """
        order = await self._unsettled(client_order_id)
        inquiry = await self._inquiries.of(client_order_id)
        at = None if inquiry.trouble else inquiry.asked_at
        if at is None or self._clock.now() - at > _JUST_ASKED:
            await self._read(order.broker_id)
        await self._unsettled(client_order_id)
        await self._inquiries.show(client_order_id)

    async def _read(self, broker_id: str) -> str:
        """Read an account; return what went wrong, or ''."""
        worker = self._worker(broker_id)
        trouble = await worker.refresh(within_s=_ANSWER_S) if worker else "not started yet"
        if trouble:
            await self._inquiries.failed(broker_id, trouble)
        return trouble

    async def link(self, command: Command, client_order_id: str, broker_order_id: str) -> Order:
        """Take an order at the broker for this one.

        Raises:
            AlreadyDone: It is settled; the sentence says to what.
            UserError: The broker shows no such order that could be it, or it is another one.
        """
        order = await self._unsettled(client_order_id)
        inquiry = await self._inquiries.of(client_order_id)
        found = inquiry.candidate(broker_order_id)
        if found is None:
            raise UserError(
                "The broker does not show that order as one that could be this any more; its "
                "message shows what it shows now."
            )
        event = OrderEvent(
            OrderState.ACCEPTED,
            broker_order_id=broker_order_id,
            reason="confirmed by the user",
            by_user=True,
        )
        try:
            after = await self._settle(command, order, event)
        except DuplicateKey:
            raise UserError(
                "That order at the broker is another one of Saarthi's already; nothing was changed."
            ) from None
        if after.broker_order_id != broker_order_id:
            await self._unsettled(client_order_id)
        return after

    async def not_placed(self, command: Command, client_order_id: str) -> Order:
        """Give an order up; only after a fresh look that does not find it.

        An exit or a stop is worked out anew then: one that is only late would close the same units
        twice (I6), so it is not given up within half a minute, nor before the horizon if that is
        shorter.

        Returns:
            The order: given up, or what the look has found it to be.

        Raises:
            AlreadyDone: It is settled; the sentence says to what.
            UserError: The broker cannot be read, or it is too early to say so.
        """
        order = await self._unsettled(client_order_id)
        self._refuse_early(order)
        # The user may have looked before the broker listed it, so their word alone is not enough.
        trouble = await self._read(order.broker_id)
        if trouble:
            raise UserError(f"The broker could not be read, nothing was changed: {trouble}")
        order = await self._journal.get(client_order_id)
        if order.state is not OrderState.UNRESOLVED:
            return order
        reason = "the user says it was not placed"
        event = OrderEvent(OrderState.NOT_PLACED, reason=reason, by_user=True)
        after = await self._settle(command, order, event)
        if after.state is not OrderState.NOT_PLACED:
            await self._unsettled(client_order_id)
        return after

    def _refuse_early(self, order: Order) -> None:
        sent_at = order.submitted_at or order.created_at
        since_at = sent_at + min(_MAY_COME, self._horizon)
        left_s = (since_at - self._clock.now()).total_seconds()
        if not order.purpose.is_reducing or left_s <= 0:
            return
        word = "stop" if order.purpose is Purpose.STOP else "exit"
        raise UserError(
            f"Nobody can say so yet: the broker may still list it, and another {word} beside it"
            f" would close the same units twice. Say it again in {math.ceil(left_s)} s; I keep "
            "asking the broker meanwhile."
        )

    async def _settle(self, command: Command, order: Order, event: OrderEvent) -> Order:
        """Apply a user's word; one that comes second, after another user's, changes nothing."""
        key, claimed = order.client_order_id, event.broker_order_id
        name = await owner_name(self._store, command.user_id)

        async def first(view: StoreView) -> None:
            if claimed is not None:
                # It was adopted as somebody else's, under an id that is unique in the journal.
                await self._journal.remove(view, external_id(order.broker_id, claimed))
            await put_settler(view, key, name)

        after = await self._journal.apply(key, event, first=first)
        worker = self._worker(order.broker_id)
        if worker is not None:
            worker.wake()
        return after

    async def _unsettled(self, client_order_id: str) -> Order:
        """Return an order that is unresolved still."""
        order = await self._journal.get(client_order_id)
        if order.state is not OrderState.UNRESOLVED:
            inquiry = await self._inquiries.of(client_order_id)
            whose = f" ({inquiry.settled_by} settled it)" if inquiry.settled_by else ""
            request = order.request
            what = f"{request.side.word} {request.quantity} {request.instrument}"
            raise AlreadyDone(f"Already known: {what} is {state_words(order)}{whose}.")
        return order
