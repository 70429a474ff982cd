"""Finds alarms whose cause is gone, in each turn of their account (row R6).

Their cards say how, without a sound: what ended them has a message of its own.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping, Sequence

from core.domain.instrument import InstrumentId, Product
from core.domain.order import CLOSED_STATES, OPEN_STATES, OrderState, Purpose
from core.domain.protection import Shelter
from core.engine.orders.alarms import HANDED_OVER, NOT_HELD, Until, alarms_of, end_standing
from core.engine.orders.gate import Gate, gate_at
from core.engine.orders.journal import Journal, pending_orders
from core.engine.orders.net_positions import NetPositions
from core.engine.orders.protections import Standing
from core.engine.outbox import Outbox
from core.errors import NotFound
from core.ports.store import Document, Store, StoreView

__all__ = ["Alarms"]

_ENDS = {
    OrderState.FILLED: "the order has filled",
    OrderState.CANCELED: "the order is cancelled",
    OrderState.EXPIRED: "the order has expired",
    OrderState.REJECTED: "the broker rejected the order",
}
_OF_LEDGERS = {Until.FLAT, Until.COVERED, Until.NOT_CLOSING}


class Alarms:
    """Looks whether the causes of an account's alarms are gone."""

    def __init__(self, store: Store, outbox: Outbox, journal: Journal, nets: NetPositions) -> None:
        self._store = store
        self._outbox = outbox
        self._journal = journal
        self._nets = nets

    async def check(
        self, broker_id: str, standings: Sequence[Standing], *, is_parked: bool
    ) -> bool:
        """End what is over; return whether there was any.

        Args:
            broker_id: The account.
            standings: How each of its ledgers stands that holds something.
            is_parked: Whether the broker refuses everything of it.
        """
        rows = await alarms_of(self._store, broker_id)
        if not rows:
            return False
        gate = await gate_at(self._store, broker_id)
        held = {one.ledger.key: one for one in standings}
        for row in rows:
            if how := await self._over(row, held, gate, is_parked=is_parked):
                await self._say(row, how)
        return True

    async def _say(self, row: Document, how: str) -> None:
        async def body(view: StoreView) -> None:
            await end_standing(view, self._outbox, row, how)

        # It may be raised again and end again: its row is what is claimed.
        await self._store.transaction(body, nonce=f"alarm-over:{secrets.token_hex(8)}")

    async def _over(
        self,
        row: Document,
        held: Mapping[str, Standing],
        gate: Gate | None,
        *,
        is_parked: bool,
    ) -> str:
        """Return how an alarm ended, a clause; '' while its cause lasts."""
        until = Until(row["until"])
        if until in _OF_LEDGERS:
            return _over_of_ledgers(row, until, held, gate)
        match until:
            case Until.ORDER | Until.ANSWER:
                return await self._over_of_order(row["keys"][0], until)
            case Until.NO_ORDERS:
                pending = await pending_orders(self._store, row["broker_id"])
                is_left = any(
                    one.purpose is not Purpose.EXTERNAL and one.state in OPEN_STATES
                    for one in pending
                )
                return "" if is_left else "none of them works any more"
            case Until.OUTSIDE:
                name, _, product = row["keys"][0].partition("|")
                place = (InstrumentId.parse(name), Product(product))
                net = await self._nets.net(row["broker_id"], *place)
                # Before the first look of a day, and while it is disputed, nobody knows.
                return "nothing of it is open by hand any more" if net.outside == 0 else ""
            case Until.THAWED:
                return "" if gate is not None and gate.frozen else "you have set Normal since"
            case _:
                return "" if is_parked else "I send its orders again"

    async def _over_of_order(self, key: str, until: Until) -> str:
        try:
            order = await self._journal.get(key)
        except NotFound:
            return "the order turned out to be another one"
        if until is Until.ANSWER:
            return "" if order.state is OrderState.UNRESOLVED else "it is known"
        ended = order.state in CLOSED_STATES
        return _ENDS.get(order.state, "the order has ended") if ended else ""


def _over_of_ledgers(
    row: Document, until: Until, held: Mapping[str, Standing], gate: Gate | None
) -> str:
    standings = [held[key] for key in row["keys"] if key in held]
    if not standings:
        is_handed_over = gate is not None and not (gate.enabled or gate.drain)
        return HANDED_OVER if is_handed_over else NOT_HELD
    one = standings[0]
    if until is Until.COVERED:
        is_covered = one.protection.shelter is Shelter.PROTECTED and not one.protection.is_software
        return one.protection.how if is_covered else ""
    if until is Until.NOT_CLOSING and one.goal is not None:
        is_wanted = one.goal.quantity * one.ledger.quantity > 0
        is_other = one.goal.run_id != row["run_id"]
        return "its strategy keeps it after all" if is_wanted and is_other else ""
    return ""
