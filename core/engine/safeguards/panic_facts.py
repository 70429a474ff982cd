"""What a panic knows of one account: from the store and the last reads, never from a request.

So an account that hangs is judged as fast as any other.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from datetime import timedelta

from core.domain.account import Account
from core.domain.exits import held_quantity
from core.domain.instrument import Product, why_not_closed, why_not_handled
from core.domain.order import UNKNOWN_STATES, Order, OrderState, Purpose
from core.domain.panic import (
    AccountFacts,
    Hindrance,
    Place,
    left_of,
)
from core.domain.sessions import trading_day
from core.domain.truth import Key, Net, key_of
from core.engine.accounts.accounts import Accounts
from core.engine.accounts.masters import Masters
from core.engine.orders.exit_watch import AT_CIRCUIT
from core.engine.orders.goals import goals_of
from core.engine.orders.journal import Journal
from core.engine.orders.market_hours import MarketHours
from core.engine.orders.net_positions import NetPositions
from core.engine.orders.reconciliation import Snapshot
from core.engine.orders.risk import NOTHING_LEFT
from core.engine.workers.account_worker import AccountWorker
from core.errors import NotFound, ReadFault
from core.ports.clock import Clock
from core.ports.store import Store

__all__ = ["PanicFacts", "Standing"]

_YOUNG = timedelta(seconds=3)
_PASSING = NOTHING_LEFT | {"GATE_MOVED", "POSITION_MOVING"}
_BY_FAULT = {
    ReadFault.AUTH_REQUIRED: Hindrance.LOGIN,
    ReadFault.PERMISSION: Hindrance.PERMISSION,
    ReadFault.THROTTLED: Hindrance.THROTTLED,
}

Standing = tuple[Hindrance, str]
"""What stands in the way, and more about it."""


class PanicFacts:
    """Reads facts for all accounts; it keeps nothing. ``worker`` returns an account's worker."""

    def __init__(
        self,
        *,
        store: Store,
        clock: Clock,
        accounts: Accounts,
        journal: Journal,
        nets: NetPositions,
        hours: MarketHours,
        masters: Masters,
        worker: Callable[[str], AccountWorker | None],
    ) -> None:
        self._store = store
        self._clock = clock
        self._accounts = accounts
        self._journal = journal
        self._nets = nets
        self._hours = hours
        self._masters = masters
        self._worker = worker

    async def account(self, broker_id: str) -> Account | None:
        """Return an account, None when it is disconnected."""
        try:
            return await self._accounts.get(broker_id)
        except NotFound:
            return None

    async def of(
        self, account: Account, *, with_holdings: bool, stubborn: Collection[str] = ()
    ) -> AccountFacts:
        """Return what is known of an account.

        Args:
            account: Which.
            with_holdings: Whether delivery is to be closed too.
            stubborn: Orders whose cancel was asked for in vain.
        """
        broker_id = account.broker_id
        day = trading_day(self._clock.market_now())
        orders = await self._journal.of_day(broker_id, day)
        goals = await goals_of(self._store, broker_id)
        ledgers = [one for one in await self._journal.ledgers(broker_id) if one.quantity]
        worker = self._worker(broker_id)
        snapshot = worker.snapshot if worker is not None and worker.snapshot.day == day else None
        keys = {key_of(order) for order in orders} | {key_of(ledger) for ledger in ledgers}
        keys |= {(goal.instrument, goal.product) for goal in goals if goal.quantity}
        if snapshot is not None:
            keys |= {key_of(one) for one in snapshot.positions or () if one.quantity}
            if with_holdings:
                keys |= {(one.instrument, Product.CNC) for one in snapshot.holdings or ()}
        owned = {key: sum(o.quantity for o in ledgers if key_of(o) == key) for key in keys}
        nets = await self._nets.nets(broker_id, keys, orders, ledgers, day)
        places = {
            key: self._place(account, key, nets[key], snapshot, owned[key]) for key in sorted(keys)
        }
        return AccountFacts(
            orders,
            goals,
            ledgers,
            places,
            with_holdings,
            day,
            stubborn,
            is_read=_is_read(snapshot, with_holdings=with_holdings),
        )

    def _place(
        self, account: Account, key: Key, net: Net, snapshot: Snapshot | None, owned: int
    ) -> Place:
        known = self._masters.known(account.broker).get(key[0])
        shown = 0
        if snapshot is not None:
            shown = held_quantity(*key, snapshot.positions or (), snapshot.holdings or ())
        return Place(
            key,
            net.quantity,
            shown,
            owned,
            is_open=self._hours.is_open(key[0], known),
            is_handled=not (why_not_handled(key[0]) if owned else why_not_closed(*key)),
            is_read=net.by_fills is not None,
        )

    def trouble_of(self, account: Account) -> Standing:
        """Return what keeps the whole account from being read or traded."""
        worker = self._worker(account.broker_id)
        if account.needs_login:
            return Hindrance.LOGIN, account.parked_reason
        if worker is None:
            return Hindrance.NOT_READ, "it was not read since I started"
        if worker.trouble:
            # Without a fault it is none of the broker's: a secret that cannot be read, the store.
            kind = Hindrance.EXIT
            if worker.fault is not None:
                kind = _BY_FAULT.get(worker.fault, Hindrance.SILENT)
            return kind, worker.trouble
        if account.parked_reason:
            return Hindrance.PERMISSION, account.parked_reason
        return Hindrance.NONE, ""

    def hindrance_of(self, account: Account, facts: AccountFacts) -> Standing:
        """Return what stands in the way on an account that is not flat yet."""
        trouble = self.trouble_of(account)
        left = left_of(facts)
        if trouble[0] or left.is_nothing:
            return trouble
        unresolved = [one for one in left.orders if one.state is OrderState.UNRESOLVED]
        if unresolved:
            return Hindrance.UNSETTLED, _words(unresolved[0])
        found = [self._at(account, place) for place in left.places]
        found += [self._exit(account, facts, place.key) for place in left.places]
        stubborn = [one for one in left.orders if one.client_order_id in facts.stubborn]
        found += [(Hindrance.CANCEL, _words(one)) for one in stubborn]
        return next((one for one in found if one[0]), (Hindrance.NONE, ""))

    def _at(self, account: Account, place: Place) -> Standing:
        """Return what keeps one position from being closed at all."""
        name = f"{place.key[0]} {place.key[1].value}"
        if not place.is_handled:
            return Hindrance.NOT_HANDLED, name
        if not place.is_open:
            known = self._masters.known(account.broker).get(place.key[0])
            opens_at = self._hours.opens_at(place.key[0], known)
            when = f" until {opens_at:%a %-d %b %H:%M}" if opens_at else ""
            return Hindrance.CLOSED, f"{name}{when}"
        if not place.is_read:
            return Hindrance.NOT_READ, name
        if place.net is None:
            return Hindrance.DISPUTED, name
        return Hindrance.NONE, ""

    def _exit(self, account: Account, facts: AccountFacts, key: Key) -> Standing:
        """Return why the exits of a position do not get through, whoever asked for them."""
        worker = self._worker(account.broker_id)
        if worker is None:
            return Hindrance.NONE, ""
        for goal in facts.goals:
            is_here = (goal.instrument, goal.product) == key
            if not is_here or goal.quantity:
                continue
            same = [o for o in facts.orders if key_of(o) == key and o.strategy == goal.strategy]
            words = self._why(worker, same) or self._denied(worker, goal.run_id, same)
            if words:
                kind = Hindrance.CIRCUIT if words == AT_CIRCUIT else Hindrance.EXIT
                return kind, f"{key[0]}: {words}"
        return Hindrance.NONE, ""

    def _why(self, worker: AccountWorker, orders: list[Order]) -> str:
        exits = [one for one in orders if one.purpose is Purpose.EXIT]
        newest = max(exits, key=lambda one: one.created_at, default=None)
        if newest is None or newest.state in UNKNOWN_STATES | {OrderState.FILLED}:
            return ""
        # One that was sent a moment ago is no news.
        if self._clock.now() - newest.created_at < _YOUNG:
            return ""
        return worker.executor.why_not_through(orders)

    def _denied(self, worker: AccountWorker, run_id: str, orders: list[Order]) -> str:
        denied = worker.executor.denials.get(run_id)
        if denied is None or denied.code in _PASSING:
            return ""
        is_sent = any(one.run_id == run_id and one.purpose is Purpose.EXIT for one in orders)
        return "" if is_sent else denied.reason


def _is_read(snapshot: Snapshot | None, *, with_holdings: bool) -> bool:
    """Whether all that is to be closed was read today: what was not is not gone."""
    if snapshot is None or snapshot.positions is None:
        return False
    return snapshot.holdings is not None or not with_holdings


def _words(order: Order) -> str:
    request = order.request
    return f"{request.side.word} {order.leaves_quantity} {request.instrument}"
