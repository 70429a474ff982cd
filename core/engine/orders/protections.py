"""How each ledger of an account stands: the facts for ``core.domain.protection``, read together."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from core.domain.bare_lines import BareLine
from core.domain.goal import Goal
from core.domain.ledger import Ledger, ledger_key
from core.domain.mode import TradingMode
from core.domain.order import LIVE_STATES, Order, OrderState, Purpose, Side
from core.domain.protection import Protection, ProtectionFacts, bare_units, protection_of
from core.domain.sessions import trading_day
from core.domain.truth import Net, key_of
from core.engine.orders.gate import Gate, gate_at
from core.engine.orders.goals import goals_of
from core.engine.orders.journal import Journal
from core.engine.orders.market_hours import MarketHours
from core.engine.orders.net_positions import NetPositions
from core.engine.orders.prices import Prices
from core.ports.clock import Clock
from core.ports.store import Store

__all__ = ["Protections", "Standing"]


@dataclass(frozen=True, slots=True)
class Standing:
    """One ledger that holds something, and how it stands."""

    ledger: Ledger
    goal: Goal | None
    protection: Protection

    @property
    def bare_line(self) -> BareLine | None:
        """What the card of its run says of it; None where a stop or an exit is at the broker."""
        if self.goal is None or not self.protection.warning:
            return None
        return BareLine(self.goal.run_id, self.ledger.broker_id, self.ledger.key)


class Protections:
    """Says how the ledgers of accounts stand; changes nothing."""

    def __init__(
        self,
        *,
        store: Store,
        clock: Clock,
        journal: Journal,
        hours: MarketHours,
        nets: NetPositions,
        prices: Prices,
    ) -> None:
        self._store = store
        self._clock = clock
        self._journal = journal
        self._hours = hours
        self._nets = nets
        self._prices = prices

    async def of_account(self, broker_id: str, *, needs_login: bool) -> list[Standing]:
        """Return how each ledger of an account stands that holds something."""
        ledgers = [one for one in await self._journal.ledgers(broker_id) if one.quantity]
        if not ledgers:
            return []
        goals = {goal.key: goal for goal in await goals_of(self._store, broker_id)}
        gate = await gate_at(self._store, broker_id)
        day = trading_day(self._clock.market_now())
        orders = await self._journal.of_day(broker_id, day)
        mine = _by_ledger(orders)
        keys = {key_of(ledger) for ledger in ledgers}
        nets = await self._nets.nets(broker_id, keys, orders, ledgers, day)
        return [
            self._standing(
                ledger,
                goals.get(ledger.key),
                nets[key_of(ledger)],
                gate,
                orders,
                mine,
                bare=_bare_beside(ledger, ledgers, mine),
                needs_login=needs_login,
            )
            for ledger in ledgers
        ]

    def _standing(
        self,
        ledger: Ledger,
        goal: Goal | None,
        net: Net,
        gate: Gate | None,
        orders: Sequence[Order],
        mine: Mapping[str, Sequence[Order]],
        *,
        bare: int,
        needs_login: bool,
    ) -> Standing:
        facts = ProtectionFacts(
            ledger,
            goal,
            mine.get(ledger.key, ()),
            self._clock.now(),
            foreign=[order for order in orders if _is_foreign(order, ledger)],
            outside=max(0, (net.outside or 0) * Side.of(ledger.quantity).sign),
            bare=bare,
            price=self._prices.get(ledger.instrument),
            is_open=self._hours.trades_now(ledger.instrument),
            not_sent=(
                "the account needs a login"
                if needs_login
                else _not_sent(gate, goal) or _unsettled(orders, ledger, goal)
            ),
            is_known=not net.is_disputed,
        )
        return Standing(ledger, goal, protection_of(facts))


def _by_ledger(orders: Sequence[Order]) -> Mapping[str, list[Order]]:
    found: dict[str, list[Order]] = {}
    for order in orders:
        request = order.request
        key = ledger_key(order.strategy, order.broker_id, request.instrument, request.product)
        found.setdefault(key, []).append(order)
    return found


def _is_foreign(order: Order, ledger: Ledger) -> bool:
    if order.purpose is not Purpose.EXTERNAL or order.state not in LIVE_STATES:
        return False
    request = order.request
    return (request.instrument, request.product) == (ledger.instrument, ledger.product)


def _bare_beside(
    ledger: Ledger, ledgers: Sequence[Ledger], mine: Mapping[str, Sequence[Order]]
) -> int:
    """Return what other strategies hold on a ledger's side that no order of theirs closes."""
    return sum(
        bare_units(one, mine.get(one.key, ()))
        for one in ledgers
        if one.key != ledger.key
        and key_of(one) == key_of(ledger)
        and one.quantity * ledger.quantity > 0
    )


def _not_sent(gate: Gate | None, goal: Goal | None) -> str:
    """Return why mode and switch let no exit out, or ''."""
    if gate is None:
        return "the account is not connected any more"
    by_user = goal is not None and goal.by_user
    if gate.mode is TradingMode.PAUSED:
        return "" if by_user and goal is not None and goal.despite_pause else "it is paused"
    if not (gate.enabled or gate.drain or by_user):
        return "the account is disabled"
    return ""


def _unsettled(orders: Sequence[Order], ledger: Ledger, goal: Goal | None) -> str:
    """Return that nothing goes beside an order of unknown fate, or '' when there is none."""
    # Of another ledger it holds back exits, and what is watched here would be one; stops rest on.
    has_stop = goal is not None and goal.stop_price is not None and goal.can_rest
    rests = goal is not None and has_stop and goal.quantity * ledger.quantity > 0
    # Not while an answer is awaited: that is over in a moment, one way or the other.
    for order in orders:
        is_unknown = order.state is OrderState.UNRESOLVED
        is_mine = (order.strategy, order.request.product) == (ledger.strategy, ledger.product)
        if not is_unknown or order.request.instrument != ledger.instrument:
            continue
        if is_mine or not rests:
            return f"an order of {ledger.instrument.symbol} is unresolved"
    return ""
