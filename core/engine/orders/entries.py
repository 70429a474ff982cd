"""The entries of an account's runs: intents, each sent at most once (row D2, row B10).

A run commits its entries; here they are submitted in their turn, or denied when they come too late,
are no longer wanted or have waited for a login.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import timedelta

from core.domain.instrument import Instrument, InstrumentId
from core.domain.ledger import Ledger
from core.domain.notices.orders import EntriesDropped, EntryMissed
from core.domain.notices.post import Post, run_card
from core.domain.order import OPEN_STATES, Order, OrderState, Purpose
from core.domain.outcome import Refusal
from core.domain.sessions import trading_day
from core.domain.slicing import cut, largest_order, slices, was_too_large
from core.engine.orders.gateway import Gateway, Ticket
from core.engine.orders.goals import goal_at
from core.engine.orders.journal import Journal, OrderEvent
from core.engine.orders.market_hours import MarketHours
from core.engine.orders.pauses import WAITS_FOR_THE_USER, Pauses, key_of
from core.engine.orders.run_rows import run_at
from core.engine.orders.shut import why_shut
from core.engine.outbox import Outbox
from core.errors import AlreadyDone, Denied
from core.ports.broker import BrokerClient
from core.ports.clock import Clock
from core.ports.store import Store, StoreView

__all__ = ["Entries"]

_TOLD = frozenset({"PAUSED", "EXIT_ONLY", "DISABLED", "OFF_HERE", "SHUT", "SQUARE_OFF", "SENT"})
"""Denials that follow from what a user or a guard has done, which was told by then."""
_REPLACED = {
    "guard": "your guard has closed it since",
    "close": "you have closed it since",
    "panic": "you have closed it since, by panic",
    "square-off": "it was squared off since",
    "stop": "its stop was hit since",
    "switch-off": "the account was switched off since",
    "round-trip": "the round trip is being closed",
}
"""What a run has done that replaced the goal of an entry, by its kind."""


class Entries:
    """Sends one account's entries.

    ``ttl_s``: an entry that could not be sent by then is dropped, real seconds.
    """

    def __init__(
        self,
        broker_id: str,
        *,
        store: Store,
        clock: Clock,
        journal: Journal,
        gateway: Gateway,
        outbox: Outbox,
        pauses: Pauses,
        hours: MarketHours,
        ttl_s: float,
    ) -> None:
        self._broker_id = broker_id
        self._store = store
        self._clock = clock
        self._journal = journal
        self._gateway = gateway
        self._outbox = outbox
        self._pauses = pauses
        self._hours = hours
        self._ttl_s = ttl_s
        self._look_until = clock.now() + timedelta(seconds=ttl_s)
        self._replaced: set[str] = set()

    async def park(self) -> None:
        """Hold entries that were not sent before the login died; after the next they are dropped.

        Their signal is old by then, however soon the login comes (row B10).
        """
        for order in await self._journal.pending(self._broker_id):
            if order.state is OrderState.INITIALIZED:
                event = OrderEvent(
                    OrderState.HELD,
                    reason="login needed before it was sent",
                    held_for=Refusal.AUTH_REQUIRED,
                )
                await self._journal.apply(order.client_order_id, event)

    async def clear_held(self) -> list[Order]:
        """Drop what was held (row B10): entries that waited for a login, and every exit.

        An exit is worked out anew from the ledger.

        Returns:
            The account's orders that are not final.
        """
        dropped: list[Order] = []
        pending = await self._journal.pending(self._broker_id)
        is_cleared = False
        for order in pending:
            if order.state is not OrderState.HELD:
                continue
            waited = order.held_for in WAITS_FOR_THE_USER
            # A throttled entry stays HELD: its signal is seconds old, and it may go out under the
            # same id until its time to live ends.
            if order.purpose.is_reducing:
                await self._journal.apply(order.client_order_id, _dropped(order))
                is_cleared = True
            elif waited:
                dropped.append(order)
        if dropped:
            await self._drop(dropped)
        return await self._journal.pending(self._broker_id) if is_cleared or dropped else pending

    async def _drop(self, orders: Sequence[Order]) -> None:
        """Deny entries and list them, in one commit: none goes without a word."""
        *others, last = orders
        notice = EntriesDropped(self._broker_id, tuple(one.client_order_id for one in orders))

        async def first(view: StoreView) -> None:
            for order in others:
                after = self._journal.after(order, _dropped(order))
                if after is not None:
                    await self._journal.step(view, order, after)
            await self._outbox.post(view, Post(notice))

        await self._journal.apply(last.client_order_id, _dropped(last), first=first)

    async def due(
        self, master: Mapping[InstrumentId, Instrument], pending: Sequence[Order]
    ) -> dict[InstrumentId, list[Order]]:
        """Return what runs have decided and was not sent, by instrument, oldest first.

        What is refused for its size is cut, and what does not trade now is denied. Nothing is sent.

        Args:
            master: The broker's instruments.
            pending: The account's orders that are not final, read a moment ago.
        """
        if await self._cut_refused(master):
            pending = await self._journal.pending(self._broker_id)
        found: defaultdict[InstrumentId, list[Order]] = defaultdict(list)
        for order in sorted(pending, key=lambda one: (one.created_at, one.attempt)):
            if order.state not in {OrderState.INITIALIZED, OrderState.HELD}:
                continue
            name = order.request.instrument
            if not self._hours.is_open(name, master.get(name)):
                await self._deny(order, f"{name} does not trade now: nothing is entered")
            else:
                found[name].append(order)
        return found

    async def send(self, client: BrokerClient, orders: Sequence[Order]) -> bool:
        """Send entries of one instrument that can go out now; return whether anything was sent.

        One after another, and after the exits of the instrument: what these have closed or left
        unresolved decides whether an entry may go.
        """
        sent = False
        for order in orders:
            sent |= await self._enter(client, order)
        return sent

    async def _enter(self, client: BrokerClient, order: Order) -> bool:
        now = self._clock.now()
        is_late = now - order.created_at > timedelta(seconds=self._ttl_s)
        late = f"could not be sent in time ({order.reason or 'no chance'})" if is_late else ""
        # A late entry skips what could still delay it: the gate denies it now, so that the run's
        # card does not show it as waiting for ever.
        if not late and not await self._is_ready(order):
            return False
        self._look_until = now + timedelta(seconds=self._ttl_s)
        try:
            after, outcome = await self._gateway.submit(client, Ticket(order, late=late))
        except Denied as denied:
            is_alone = denied.code not in _TOLD and await self._is_missed(order)
            await self._deny(order, denied.reason, is_alone=is_alone)
            return False
        self._pauses.note(after, outcome)
        return True

    def can_leave(self, order: Order, known: Instrument | None) -> bool:
        """Whether an entry that is decided now could leave now."""
        is_late = self._clock.now() - order.created_at > timedelta(seconds=self._ttl_s)
        if is_late or self._pauses.until(key_of(order)):
            return False
        return self._hours.is_open(order.request.instrument, known)

    async def send_born(self, client: BrokerClient, order: Order) -> None:
        """Send an order of a run that was born SUBMITTED.

        Raises:
            WriteRefused: No other write of this account could succeed either.
        """
        self._look_until = self._clock.now() + timedelta(seconds=self._ttl_s)
        after, outcome = await self._gateway.send(client, order)
        self._pauses.note(after, outcome)

    @property
    def is_sending(self) -> bool:
        """Whether answers to orders of any account that left just now are still to come."""
        return self._gateway.answers.is_near

    def forget(self, orders: Iterable[Order]) -> None:
        """Leave orders that were born SUBMITTED and not sent to the reconciliation."""
        self._gateway.forget(order.client_order_id for order in orders)

    async def _cut_refused(self, master: Mapping[InstrumentId, Instrument]) -> bool:
        """Cut entries that were refused for the freeze into slices of what the refusal teaches.

        Returns:
            Whether any was cut.
        """
        now, is_cut = self._clock.now(), False
        if now > self._look_until:  # nothing was sent since, and what was before is too old
            return False
        today = trading_day(self._clock.market_now())
        for order in await self._journal.rejected(self._broker_id, today):
            is_young = now - order.created_at <= timedelta(seconds=self._ttl_s)
            if order.purpose is Purpose.ENTRY and is_young and was_too_large(order):
                name = order.request.instrument
                same = await self._journal.within(self._broker_id, name, today)
                limit = largest_order(master.get(name), same)
                is_cut |= bool(await self._replace(order, same, limit))
        return is_cut

    async def _replace(self, refused: Order, orders: list[Order], limit: int | None) -> list[Order]:
        """Put slices in the place of an entry that was too large, once; return them."""
        units = refused.request.quantity
        if limit is None or limit >= units or refused.client_order_id in self._replaced:
            return []
        ledger = key_of(refused)
        first = 1 + max(
            one.attempt for one in orders if (one.run_id, key_of(one)) == (refused.run_id, ledger)
        )
        intent = replace(
            refused,
            state=OrderState.INITIALIZED,
            broker_order_id=None,
            reason="",
            cause=None,
            largest=None,
            submitted_at=None,
            settled_at=None,
            version=0,
        )
        sliced = cut(intent, slices(units, limit), first=first)

        async def body(view: StoreView) -> None:
            await self._journal.add(view, sliced)
            await self._outbox.post(view, run_card(refused.run_id))

        try:
            await self._store.transaction(body, nonce=f"cut:{refused.client_order_id}")
        except AlreadyDone:
            self._replaced.add(refused.client_order_id)
            return []
        self._replaced.add(refused.client_order_id)
        return sliced

    async def _is_ready(self, order: Order) -> bool:
        """Whether an entry in time can go out now; one that is no longer wanted is denied."""
        if self._pauses.until(order.client_order_id):
            return False
        if not await self._is_wanted(order):
            await self._deny(order, f"no longer wanted: {await self._why_unwanted(order)}")
            return False
        return not self._is_opposed(order, await self._journal.ledgers(self._broker_id))

    async def _is_wanted(self, order: Order) -> bool:
        """Whether the run that decided the entry still sets the goal: a close ends it too."""
        request = order.request
        key = key_of(order)
        # The run id too, not only the direction: a later run, a square-off or a close replaces the
        # goal, and the earlier entry would reopen what they have just closed (D7).
        goal = await goal_at(self._store, key)
        if goal is None or goal.run_id != order.run_id:
            return False
        return bool(goal.quantity * request.side.sign > 0)

    async def _why_unwanted(self, order: Order) -> str:
        """Return what has replaced the goal of an entry: its decider is not always the strategy."""
        broker_id, strategy, day = order.broker_id, order.strategy, order.day
        goal = await goal_at(self._store, key_of(order))
        if goal is None or goal.run_id == order.run_id:  # given up: nobody set another
            return "what it would enter was given up since"
        run = await run_at(self._store, goal.run_id)
        kind = str((run or {}).get("kind", ""))
        if kind == "guard" and (shut := await why_shut(self._store, broker_id, strategy, day)):
            return shut
        return _REPLACED.get(kind, "the strategy has decided otherwise since")

    def _is_opposed(self, order: Order, ledgers: Iterable[Ledger]) -> bool:
        """Whether the other side is still held: a reversal enters when that is closed."""
        request = order.request
        for ledger in ledgers:
            same = (ledger.strategy, ledger.instrument, ledger.product) == (
                order.strategy,
                request.instrument,
                request.product,
            )
            if same and ledger.quantity * request.side.sign < 0:
                # Sent now, the entry would net against the position at the broker, and the exit
                # that is on its way would then open one the other way (I6).
                return True
        return False

    async def _is_missed(self, order: Order) -> bool:
        """Whether others have entered on the signal of an entry that is denied, the first here."""
        same = [
            one
            for one in await self._journal.of_run(order.run_id)
            if one.purpose is Purpose.ENTRY
            and one.request.instrument == order.request.instrument
            and one.client_order_id != order.client_order_id
        ]
        here = [one for one in same if one.broker_id == self._broker_id]
        others = [one for one in same if one.broker_id != self._broker_id]
        has_entered = any(one.filled_quantity or one.state in OPEN_STATES for one in others)
        return has_entered and not any(one.state is OrderState.DENIED for one in here)

    async def _deny(self, order: Order, reason: str, *, is_alone: bool = False) -> None:
        """Deny an entry; its card is edited without a sound, so what is denied alone is told."""

        async def first(view: StoreView) -> None:
            if is_alone:
                await self._outbox.post(view, Post(EntryMissed(order.client_order_id)))

        event = OrderEvent(OrderState.DENIED, reason=reason)
        await self._journal.apply(order.client_order_id, event, first=first)


def _dropped(order: Order) -> OrderEvent:
    then = "an exit is worked out anew" if order.purpose.is_reducing else "its signal is old now"
    return OrderEvent(OrderState.DENIED, reason=f"{order.reason}; {then}")
