"""A user's close of one position: from the look at the broker to the first order (E4)."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import partial

from core.domain.command import Command
from core.domain.instrument import InstrumentId, Product, why_not_closed, why_not_handled
from core.domain.ledger import Ledger
from core.domain.mode import TradingMode
from core.domain.notices.post import run_key
from core.domain.order import (
    MANUAL,
    OPEN_STATES,
    Order,
    Purpose,
)
from core.domain.sessions import trading_day
from core.engine.accounts.accounts import Accounts
from core.engine.accounts.masters import Masters
from core.engine.cards import adopt_card
from core.engine.orders.gate import gate_at
from core.engine.orders.gateway import Held
from core.engine.orders.goals import Flattening, UserClose, flatten, goals_of
from core.engine.orders.journal import Journal
from core.engine.orders.market_hours import MarketHours
from core.engine.orders.net_positions import NetPositions
from core.engine.orders.risk import NOTHING_LEFT
from core.engine.outbox import Outbox
from core.engine.workers.account_worker import AccountWorker
from core.errors import BrokerReadError, ChoiceNeeded, Denied, HasChanged, UserError
from core.ports.broker import BrokerClient
from core.ports.clock import Clock
from core.ports.store import Store, StoreView

__all__ = ["Closing", "SeeThrough", "parse_key"]

SeeThrough = Callable[[Callable[[], Awaitable[Order]]], Awaitable[Order]]
"""How a caller waits for what comes of a close: beside other things, perhaps."""

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


@dataclass(frozen=True, slots=True)
class _Terms:
    """How a user confirmed a close, and in which message: that is its card from then on.

    ``seen``: signed units that the question showed; None where none was shown.
    """

    despite_pause: bool
    only_outside: bool
    asked_in: int | None
    seen: int | None


class Closing:
    """Closes positions: sets goals under the account's lock, which its executor pursues.

    ``reach`` returns an account's worker and client, or says why it cannot be reached.
    """

    def __init__(
        self,
        *,
        store: Store,
        clock: Clock,
        accounts: Accounts,
        journal: Journal,
        outbox: Outbox,
        hours: MarketHours,
        nets: NetPositions,
        masters: Masters,
        reach: Callable[[str], Awaitable[tuple[AccountWorker, BrokerClient]]],
    ) -> None:
        self._store = store
        self._clock = clock
        self._accounts = accounts
        self._journal = journal
        self._outbox = outbox
        self._hours = hours
        self._nets = nets
        self._masters = masters
        self._reach = reach

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
        """Close one position with market orders for all that is left of it.

        A close sets goals, and the account's executor pursues them as it pursues every exit: the
        stop makes way (C6), what rests is chased, what came to nothing is worked out anew, in every
        mode and over a restart. What strategies own is closed in their name, the rest in the
        user's; ``only_outside`` leaves the strategies' units alone. The message ``asked_in``, where
        the user confirmed it, becomes the card of the close. ``seen`` are the signed units that it
        showed: what has turned or grown since was not confirmed. ``see_through`` waits for the
        first order in the caller's way, once the close is decided for good.

        Returns:
            The first order of the close, or one that was closing the position already.

        Raises:
            ChoiceNeeded: The account is PAUSED and ``despite_pause`` is False.
            HasChanged: The position is another one than the user saw; nothing was sent.
            UserError: Nothing is held, the position is not known, its instrument does not trade
                now, or no order went out in time.
        """
        instrument, product = parse_key(key)
        if reason := why_not_handled(instrument):
            # At the gate it would be denied too, again and again: the goal would stay.
            raise UserError(
                f"{reason[:1].upper()}{reason[1:]}. Close this position in the broker's app."
            )
        await self._refuse_when_closed(broker_id, instrument)
        worker, client = await self._reach(broker_id)
        await self._ask_about_pause(broker_id, despite_pause=despite_pause)
        position = _Position(command, worker, instrument, product)
        terms = _Terms(despite_pause, only_outside, asked_in, seen)
        known = await self._decide(position, client, terms)
        if known is None:
            # Outside the lock: a slow read holds back nothing that the account sends.
            trouble = await worker.refresh()
            known = await self._decide(position, client, terms, after_read=True, trouble=trouble)
        is_net_flat = known is not None and known.quantity == 0
        first_order = partial(self._first_order, position, is_net_flat=is_net_flat)
        return await (first_order() if see_through is None else see_through(first_order))

    async def _decide(
        self,
        position: _Position,
        client: BrokerClient,
        terms: _Terms,
        *,
        after_read: bool = False,
        trouble: str = "",
    ) -> Held | None:
        """Look at the position and set the goals of its close.

        Returns:
            What is held; None when the look contradicts the day's fills and ``after_read`` is not
            set: trades by hand of the last seconds show in the positions first, so the orders are
            read before anything is refused, or closed by half.
        """
        async with position.worker.lock:
            held = await self._look(position, client, after_read=after_read)
            if not after_read and _is_doubtful(held):
                return None
            known = await self._known(position, held, trouble)
            _require_as_seen(position, known.quantity, terms.seen)
            await self._set_goals(position, known, terms)
        return known

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
            raise ChoiceNeeded("This account is paused. Close the position all the same?")

    async def _look(
        self, position: _Position, client: BrokerClient, *, after_read: bool
    ) -> Held | None:
        """Look at the broker's position once; the executor sends by the same look."""
        looks = position.worker.executor.looks
        try:
            held = await looks.look(client, position.instrument, position.product, is_fresh=True)
        except BrokerReadError as error:
            await position.worker.read_failed(error)
            raise UserError("The login has ended; log in first, nothing was sent.") from error
        except Denied as denied:
            if not after_read:
                return None
            raise UserError(f"Nothing was sent: {denied.reason}.") from denied
        if held is not None and not (_is_doubtful(held) and not after_read):
            looks.keep(position.instrument, position.product, held)
        return held

    async def _known(self, position: _Position, held: Held | None, trouble: str) -> Held:
        """Return what is held; refuse where nobody knows it, or nothing is (R8)."""
        if held is None or (held.quantity == 0 and (held.by_positions or held.by_fills)):
            net = await self._nets.net(position.broker_id, position.instrument, position.product)
            fills, positions = net.by_fills or 0, net.by_positions or 0
            why = f" (the orders could not be read: {trouble})" if trouble else ""
            raise UserError(
                f"The broker's positions show {positions} {position.instrument}, today's fills "
                f"{fills}{why}, so nobody knows what is held. Nothing was sent; try again in a few "
                "seconds, or look in the broker's app."
            )
        # Strategies that hold opposite sides are flat together, and each is still to be closed.
        if held.quantity == 0 and not await self._ledgers(position):
            raise _flat_already(position)
        return held

    async def _set_goals(self, position: _Position, held: Held, terms: _Terms) -> None:
        """Set the goal of the position's ledgers, and of what no strategy owns, to flat."""
        ledgers = await self._ledgers(position)
        # What the broker holds beyond the ledgers is the user's own, or was never seen by us.
        owned = sum(ledger.quantity for ledger in ledgers)
        outside = held.quantity - owned
        if ledgers and position.product is Product.CNC:
            # The user's own holdings are no part of the row that is closed.
            outside = min(outside, max(0, _in_row(position) - owned))
        if terms.only_outside:
            if outside * held.quantity <= 0:
                raise UserError(f"Nothing of {position.instrument} is outside my care any more.")
            ledgers = []
        reason = why_not_closed(position.instrument, position.product)
        if reason and not ledgers:
            raise UserError(
                f"{reason[:1].upper()}{reason[1:]}. Close this position in the broker's app."
            )
        is_left = not reason and outside * held.quantity > 0
        if is_left and not await self._is_closing_outside(position):
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
            UserClose(terms.despite_pause, outside),
        )

        async def body(view: StoreView) -> None:
            if terms.asked_in is not None:
                key, at = run_key(position.run_id), self._clock.now()
                await adopt_card(view, position.command.chat_id, key, terms.asked_in, at)
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

    async def _first_order(self, position: _Position, *, is_net_flat: bool) -> Order:
        """Wait for the executor's first order, so that the chat shows what was sent."""
        try:
            async with asyncio.timeout(_ANSWER_S):
                await position.worker.next_turn()
                while (order := await self._order_of(position, is_net_flat)) is None:
                    # At the worker's own pace: each turn reads the broker and uses up its rate.
                    await position.worker.turn_ended()
                return order
        except TimeoutError:
            reason = position.worker.trouble or "an order that is in the way is not cancelled yet"
            raise UserError(
                f"No exit was sent within {_ANSWER_S:.0f} s ({reason}). I keep closing the "
                "position; look at /orders and at the broker."
            ) from None

    async def _order_of(self, position: _Position, is_net_flat: bool) -> Order | None:
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
        # "Nothing left" of a close that is still pursued: other orders are in its way.
        if await self._is_pursued(position):
            return None
        if is_net_flat:
            raise UserError(
                f"{position.instrument}: strategies held the same units on opposite sides. They "
                "were closed against one another; no order was needed."
            )
        raise _flat_already(position)

    async def _is_pursued(self, position: _Position) -> bool:
        """Whether something is left to close, owned by a strategy or by none."""
        if await self._ledgers(position):
            return True
        goals = await goals_of(self._store, position.broker_id)
        return any(goal.strategy == MANUAL and goal.run_id == position.run_id for goal in goals)


def _in_row(position: _Position) -> int:
    """Return the units in the broker's list of positions: today's, holdings left out."""
    rows = position.worker.snapshot.positions or ()
    place = (position.instrument, position.product)
    return sum(one.quantity for one in rows if (one.instrument, one.product) == place)


def _is_doubtful(held: Held | None) -> bool:
    """Whether positions and the day's fills differ, as far as the fills were read."""
    return held is None or (held.by_positions is not None and held.by_positions != held.by_fills)


def _require_as_seen(position: _Position, held: int, seen: int | None) -> None:
    """Raise ``HasChanged`` where a close would do what nobody was shown.

    Less than was shown is closed without a word: a stop or an exit was faster. The other side, or
    more, is a decision that a strategy or the user has taken since.
    """
    # Delivery holds no short that it could turn to, and its look counts the user's holdings too.
    if seen is None or position.product is Product.CNC:
        return
    if held == seen or (held * seen > 0 and abs(held) <= abs(seen)):
        return
    now = f"{held:+d}" if held else "strategies on opposite sides"
    raise HasChanged(
        f"{position.instrument} has changed since I asked: it was {seen:+d}, now it is {now}. "
        "Nothing was sent."
    )


def _flat_already(position: _Position) -> UserError:
    return UserError(f"{position.instrument} is flat already; there is nothing to close.")


def parse_key(key: str) -> tuple[InstrumentId, Product]:
    """Return what the handle of a position names; raises ``UserError``."""
    instrument, bar, product = key.rpartition("|")
    if not bar or product not in {item.value for item in Product}:
        raise UserError("That button is out of date; open the positions again.")
    return InstrumentId.parse(instrument), Product(product)
