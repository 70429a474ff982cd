"""Crosses the ledgers of opposite strategies before anything is sent for them (decision 0015)."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal

from core.domain.broker import Position
from core.domain.crossing import crossed
from core.domain.ledger import Ledger
from core.domain.notices.positions import LedgersCrossed
from core.domain.notices.post import Post
from core.domain.order import OPEN_STATES, Purpose
from core.domain.sessions import trading_day
from core.domain.truth import Key, key_of
from core.engine.orders.gate import Gate, gate_at, is_pursued, touch_gate
from core.engine.orders.goals import goals_of
from core.engine.orders.journal import orders_in
from core.engine.orders.ledgers import ledgers_of, put_ledger
from core.engine.outbox import Outbox
from core.ports.clock import Clock
from core.ports.store import Store, StoreView

__all__ = ["Crossings"]


class Crossings:
    """One for all accounts; it keeps nothing."""

    def __init__(self, store: Store, clock: Clock, outbox: Outbox) -> None:
        self._store = store
        self._clock = clock
        self._outbox = outbox

    async def cross(self, broker_id: str, positions: Sequence[Position]) -> bool:
        """Cross what can be crossed on an account; call it under the account's lock."""
        ledgers = [one for one in await ledgers_of(self._store, broker_id) if one.quantity]
        sides: dict[Key, set[bool]] = {}
        for ledger in ledgers:
            sides.setdefault(key_of(ledger), set()).add(ledger.quantity > 0)
        opposite = [key for key, found in sides.items() if len(found) > 1]
        gate = await gate_at(self._store, broker_id) if opposite else None
        if gate is None:
            return False
        prices = {key_of(one): one.last_price for one in positions}
        done = False
        for key in opposite:
            done |= await self._cross(broker_id, key, prices.get(key), gate)
        return done

    async def _cross(self, broker_id: str, key: Key, price: Decimal | None, gate: Gate) -> bool:
        day = trading_day(self._clock.market_now())

        async def found(view: StoreView) -> tuple[list[Ledger], int, Decimal]:
            ledgers = [one for one in await ledgers_of(view, broker_id) if key_of(one) == key]
            goals = [one for one in await goals_of(view, broker_id) if is_pursued(one, gate)]
            at = price or max(one.average_price for one in ledgers)
            wanted = {one.key: one.quantity for one in goals}
            changed, units = crossed(ledgers, wanted, at, day)
            return changed, units, at

        working = [
            order
            for order in await orders_in(self._store, broker_id, key[0], day)
            if key_of(order) == key
            and order.state in OPEN_STATES
            and order.purpose in {Purpose.ENTRY, Purpose.EXIT}
        ]
        # What still fills would close the same units once more; a stop shrinks after its ledger.
        if working or not (await found(self._store))[1]:
            return False

        async def body(view: StoreView) -> None:
            changed, units, at = await found(view)
            # An exit that was sized by these ledgers a moment ago collides here (I6).
            await touch_gate(view, broker_id)
            for ledger in changed:
                await put_ledger(view, ledger)
            names = tuple(sorted(one.strategy for one in changed))
            notice = LedgersCrossed(broker_id, str(key[0]), key[1].value, units, at, names)
            await self._outbox.post(view, Post(notice))

        nonce = f"cross:{broker_id}|{key[0]}|{key[1]}|{self._clock.now().isoformat()}"
        await self._store.transaction(body, nonce=nonce)
        return True
