"""What a guard does when it fires: one commit that closes what it covers and shuts it (row R5).

State, shut day, goals and notice are one transaction; the executors pursue the goals as they pursue
every exit, each account for itself, so a slow one delays no other. While the day lasts what the
guard covers is kept flat: a run that was planned at the very moment may have set a goal anew, and
what an order of unknown fate has made of a position is known later only.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from decimal import Decimal
from itertools import groupby

from core.domain.account import Account
from core.domain.day_result import DayResult
from core.domain.instrument import Product, why_not_handled
from core.domain.ledger import Ledger, ledger_key
from core.domain.mode import TradingMode
from core.domain.money import rupees, signed_rupees
from core.domain.notices.post import FIRED, guard_fired_card
from core.domain.notices.result_guards import GuardFired
from core.domain.notices.stored import to_document
from core.domain.order import CLOSED_STATES, EXTERNAL, MANUAL, UNKNOWN_STATES, Order
from core.domain.result_guard import Breach, GuardDay, GuardScope, Reached
from core.domain.sessions import trading_day
from core.domain.truth import Key, filled, key_of
from core.engine.orders.gate import gate_at
from core.engine.orders.goals import Flattening, UserClose, flatten, goal_at, goals_of, to_flatten
from core.engine.orders.journal import Journal, orders_of_day
from core.engine.orders.net_positions import NetPositions
from core.engine.orders.run_rows import insert_run
from core.engine.orders.shut import become_sure, shut_day, unsure_since
from core.engine.orders.waiting import left_of
from core.engine.outbox import Outbox
from core.engine.safeguards.guard_store import StoredGuard, guard_at, put_day
from core.errors import AlreadyDone
from core.ports.clock import Clock
from core.ports.store import Document, Store, StoreView

__all__ = ["Firing", "GuardFiring"]

_KIND = "guard"
_PAISA = Decimal("0.01")


@dataclass(frozen=True, slots=True)
class Firing:
    """A guard that fires.

    Attributes:
        day: Its state, in which it has not fired yet.
        result: What was judged.
        accounts: Every account that it covers.
        price_age_s: How old the oldest price is.
    """

    guard: StoredGuard
    day: GuardDay
    breach: Breach
    result: DayResult
    accounts: Sequence[Account]
    price_age_s: int


@dataclass(frozen=True, slots=True)
class _Moment:
    day: str
    now: datetime
    market_now: datetime
    mark: str = ""
    """Of the firing; '' where what it closed is closed again."""
    runs: list[str] = field(default_factory=list)
    """The runs that close something in it."""

    def run_of(self, what: str, broker_id: str) -> str:
        """Return the id of the run that closes something on an account."""
        if self.mark:
            self.runs.append(f"{FIRED}{self.mark}|{what}|{broker_id}")
            return self.runs[-1]
        return f"{what}|{self.market_now:%Y-%m-%dT%H:%M:%S}|{_KIND}|{broker_id}"


class GuardFiring:
    """Fires guards; ``wake`` lets an account's worker take a turn."""

    def __init__(
        self,
        *,
        store: Store,
        clock: Clock,
        outbox: Outbox,
        journal: Journal,
        nets: NetPositions,
        wake: Callable[[str], None],
    ) -> None:
        self._store = store
        self._clock = clock
        self._outbox = outbox
        self._journal = journal
        self._nets = nets
        self._wake = wake

    async def fire(self, firing: Firing) -> bool:
        """Close and shut what a guard covers, once a day; return whether this call did."""
        scope, moment = firing.guard.scope, self._moment()
        moment = replace(moment, mark=_mark(scope, moment.market_now))
        outside = {
            account.broker_id: await self._outside(scope, account.broker_id, moment)
            for account in firing.accounts
        }

        async def body(view: StoreView) -> bool:
            moment.runs.clear()  # a body may run again
            current = await guard_at(view, scope)
            # A user has changed it since it was judged: the next look judges the new one.
            if current.version != firing.guard.version or current.on(moment.day).fired:
                return False
            if not await put_day(view, current, firing.day):
                return False
            await shut_day(
                view,
                scope,
                moment.day,
                reason=_reason(firing.breach),
                at=moment.now,
                broker_ids=[account.broker_id for account in firing.accounts],
                unsure=await self._unsure(view, scope, firing.accounts, moment),
            )
            closing = {}
            for account in firing.accounts:
                broker_id = account.broker_id
                units = await self._close(view, scope, broker_id, moment)
                units += await self._close_outside(view, broker_id, outside[broker_id], moment)
                closing[broker_id] = units
            left = sorted({str(key[0]) for keys in outside.values() for key in keys if _stays(key)})
            notice = replace(await self._notice(view, firing, closing), left=tuple(left))
            await insert_run(view, _fired_run(firing, moment, notice))
            await self._outbox.post(view, guard_fired_card(notice, f"{FIRED}{moment.mark}"))
            return True

        nonce = f"guard-fires:{scope.key}|{moment.day}|{firing.guard.version}"
        try:
            has_fired = await self._store.transaction(body, nonce=nonce)
        except AlreadyDone:
            return False
        for account in firing.accounts:
            self._wake(account.broker_id)
        return has_fired

    async def keep_shut(self, guard: StoredGuard, account: Account) -> None:
        """Close what a fired guard covers and somebody wants again, or what was not known then."""
        moment, broker_id = self._moment(), account.broker_id
        await self._close_settled(guard.scope, broker_id, moment)
        if not await _open_ledgers(self._store, guard.scope, broker_id):
            return

        async def body(view: StoreView) -> None:
            await self._close(view, guard.scope, broker_id, moment)

        nonce = f"guard-keeps:{guard.scope.key}|{broker_id}|{moment.now.isoformat()}"
        await self._store.transaction(body, nonce=nonce)
        self._wake(broker_id)

    async def _close_settled(self, scope: GuardScope, broker_id: str, moment: _Moment) -> None:
        """Close what nobody owns where it was not known at the firing how much that is.

        It waits until no order of a user's is open there, so that nothing is closed twice.
        """
        found = await unsure_since(self._store, scope, moment.day, broker_id)
        if found is None:
            return
        keys, since = found

        async def known(view: StoreView) -> list[Key]:
            orders = await orders_of_day(view, broker_id, moment.day)
            open_ = {key_of(one) for one in orders if _is_open(one)}
            rest = [one for one in keys if one not in open_]
            nets = [await self._nets.net_in(view, broker_id, one, moment.day) for one in rest]
            return [key for key, net in zip(rest, nets, strict=True) if net.outside is not None]

        async def body(view: StoreView) -> None:
            settled = await known(view)
            await self._close_outside(view, broker_id, settled, moment, since=since)
            await become_sure(view, scope, moment.day, broker_id, settled)

        if not await known(self._store):
            return
        nonce = f"guard-settles:{scope.key}|{broker_id}|{moment.now.isoformat()}"
        await self._store.transaction(body, nonce=nonce)
        self._wake(broker_id)

    @staticmethod
    async def _unsure(
        view: StoreView, scope: GuardScope, accounts: Sequence[Account], moment: _Moment
    ) -> list[tuple[str, Key]]:
        """Return where a user's order may have filled; those of strategies move their ledgers."""
        if scope.strategy:
            return []
        found = {
            (account.broker_id, key_of(order))
            for account in accounts
            for order in await orders_of_day(view, account.broker_id, moment.day)
            if order.strategy == MANUAL and order.state in UNKNOWN_STATES
        }
        return sorted(found)

    def _moment(self) -> _Moment:
        market_now = self._clock.market_now()
        return _Moment(trading_day(market_now), self._clock.now(), market_now)

    async def _close(
        self, view: StoreView, scope: GuardScope, broker_id: str, moment: _Moment
    ) -> int:
        """Set the goals of the covered ledgers to flat; return how many hold something."""
        ledgers = await _open_ledgers(view, scope, broker_id)
        ledgers.sort(key=lambda one: one.key)
        gate = await gate_at(view, broker_id)
        is_left = gate is not None and not (gate.enabled or gate.drain)
        # On a disabled account nothing of a strategy's is sent: what filled after it was disabled
        # is closed in the user's name, who has set the guard.
        close = UserClose(despite_pause=False) if is_left else None
        for strategy, owned in groupby(ledgers, lambda one: one.strategy):
            run_id = moment.run_of(strategy, broker_id)
            decision = _decision(run_id, strategy, broker_id, moment, close)
            await flatten(view, self._outbox, list(owned), decision)
        return sum(1 for one in ledgers if one.quantity)

    async def _close_outside(
        self,
        view: StoreView,
        broker_id: str,
        keys: Sequence[Key],
        moment: _Moment,
        *,
        since: datetime | None = None,
    ) -> int:
        """Close what no strategy owns; return how many positions.

        What others have traded ``since`` is theirs: it is neither closed nor counted against it.
        """
        closing = 0
        for key in (one for one in keys if not _stays(one)):
            net = await self._nets.net_in(view, broker_id, key, moment.day)
            outside = net.outside
            if outside and since is not None:
                then = outside - await _traded_since(view, broker_id, key, moment.day, since)
                outside = _nearer(then, outside)
            if not outside or not net.quantity or outside * net.quantity <= 0:
                continue
            goal = await goal_at(view, ledger_key(MANUAL, broker_id, *key))
            left = await left_of(view, goal, moment.day) if goal is not None else 0
            # A user's close that still works covers the same units, as far as it goes: others may
            # have traded since.
            if left * outside > 0 and abs(left) >= abs(outside):
                continue
            run_id = moment.run_of(f"{key[0]}|{key[1]}", broker_id)
            close = UserClose(
                despite_pause=goal is not None and bool(left) and goal.despite_pause,
                outside=outside,
            )
            decision = _decision(run_id, MANUAL, broker_id, moment, close)
            await flatten(view, self._outbox, [Ledger(MANUAL, broker_id, *key)], decision)
            closing += 1
        return closing

    async def _outside(self, scope: GuardScope, broker_id: str, moment: _Moment) -> list[Key]:
        """Return the keys that may hold something which no strategy owns, holdings left out."""
        if scope.strategy:
            return []
        orders = await self._journal.of_day(broker_id, moment.day)
        ledgers = await self._journal.ledgers(broker_id)
        traded = filled(orders)
        keys = {*traded, *(key_of(one) for one in ledgers if one.quantity)}
        keys |= await self._nets.carried(broker_id, moment.day)
        found = await self._nets.nets(broker_id, keys, orders, ledgers, moment.day)
        return sorted(
            key
            for key, net in found.items()
            # Of an exchange whose hours nobody knows it is not known what was carried.
            if (net.outside or (net.outside is None and _stays(key) and traded.get(key)))
            and key[1] is not Product.CNC
        )

    async def _notice(
        self, view: StoreView, firing: Firing, closing: Mapping[str, int]
    ) -> GuardFired:
        paused, logged_out = [], []
        for account in firing.accounts:
            if not closing[account.broker_id]:
                continue
            gate = await gate_at(view, account.broker_id)
            if gate is not None and gate.mode is TradingMode.PAUSED:
                paused.append(account.broker_id)
            elif account.needs_login:
                logged_out.append(account.broker_id)
        result, breach = firing.result, firing.breach
        return GuardFired(
            firing.guard.scope.key,
            breach.reached,
            breach.limit,
            result.before.quantize(_PAISA),
            (result.before - result.judged).quantize(_PAISA),
            result.judged.quantize(_PAISA),
            firing.day.highest if breach.reached is Reached.FLOOR else None,
            sum(closing.values()),
            firing.price_age_s,
            tuple(paused),
            tuple(logged_out),
        )


async def _traded_since(
    view: StoreView, broker_id: str, key: Key, day: str, since: datetime
) -> int:
    """Return the signed units that others have traded in orders that were seen since a moment."""
    return sum(
        one.filled_quantity * one.request.side.sign
        for one in await orders_of_day(view, broker_id, day)
        if one.strategy == EXTERNAL and key_of(one) == key and one.created_at > since
    )


def _is_open(order: Order) -> bool:
    return order.strategy == MANUAL and order.state not in CLOSED_STATES


def _nearer(one: int, other: int) -> int:
    """Return the one that is nearer to flat; 0 where they are of two sides."""
    return min(one, other, key=abs) if one * other > 0 else 0


def _stays(key: Key) -> bool:
    """Whether nothing is sent for a position, although its result counts."""
    return bool(why_not_handled(key[0]))


async def _open_ledgers(view: StoreView, scope: GuardScope, broker_id: str) -> list[Ledger]:
    """Return the covered ledgers that are held or wanted, and not to be flat already."""
    # A goal that is flat already keeps its run, whose exits are on their way.
    flat = {goal.key for goal in await goals_of(view, broker_id) if not goal.quantity}
    return [
        one
        for one in await to_flatten(view, broker_id)
        if one.strategy != MANUAL and scope.covers(broker_id, one.strategy) and one.key not in flat
    ]


def _decision(
    run_id: str, strategy: str, broker_id: str, moment: _Moment, close: UserClose | None = None
) -> Flattening:
    return Flattening(
        run_id, _KIND, strategy, broker_id, moment.day, moment.now, moment.market_now, close
    )


def _mark(scope: GuardScope, at: datetime) -> str:
    """Return what names a firing: a guard fires once a day."""
    return f"{scope.key.replace('|', '-')} {at:%Y-%m-%dT%H:%M:%S}"


def _fired_run(firing: Firing, moment: _Moment, notice: GuardFired) -> Document:
    """Return the document of the card that shows all that a guard closes."""
    return {
        "_id": f"{FIRED}{moment.mark}",
        "strategy": MANUAL,
        "slot_at": moment.market_now,
        "targets": [],
        "notes": {},
        "broker_ids": [account.broker_id for account in firing.accounts],
        "is_signal": True,
        "kind": "fired",
        "fired": to_document(notice),
        "runs": list(moment.runs),
        "created_at": moment.now,
    }


def _reason(breach: Breach) -> str:
    """Return why the day is shut: ``your guard: the stop of -₹5,000 was reached (-₹5,120)``."""
    limit = signed_rupees(breach.limit, paise=False)
    if breach.reached is Reached.FLOOR:
        limit = rupees(breach.limit, paise=False)
    what = f"the {breach.reached.value} of {limit} was reached"
    return f"your guard: {what} ({signed_rupees(breach.result)} after charges)"
