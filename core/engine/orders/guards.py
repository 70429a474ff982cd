"""Tells the user when a position becomes unprotected and when that is over, each once (R6).

Collection ``guards``, one document for each ledger that is or was unprotected: ``broker_id``,
``gap``, ``since`` (real time), ``is_told``, ``told_at``, ``fine_since``, ``is_shown`` (on the card
of its run, where it is not told anew). It is stored so that a restart repeats nothing.
"""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from datetime import datetime, timedelta

from core.domain.ledger import instrument_of
from core.domain.notices.exits import ExitThrough
from core.domain.notices.post import bare_card, bare_key, run_card, stuck_removal
from core.domain.notices.protection import AlarmOver, ProtectedAgain, Unprotected
from core.domain.protection import Lack
from core.engine.orders.alarm_watch import Alarms
from core.engine.orders.alarms import HANDED_OVER, NOT_HELD, end_alarm, end_alarms
from core.engine.orders.card_watch import amend_cards, put_cards_right
from core.engine.orders.gate import gate_at
from core.engine.orders.goals import goals_of, mark_stuck
from core.engine.orders.protections import Protections, Standing
from core.engine.outbox import Outbox
from core.errors import AlreadyDone
from core.ports.clock import Clock
from core.ports.store import Change, Document, Store, StoreView

__all__ = ["Guards", "close_alarms", "lasting_gaps"]

_GUARDS = "guards"
_QUIET: Document = {"since": None, "is_told": False, "fine_since": None}
_GRACE = timedelta(seconds=5)
"""A stop follows its fill, and an exit its stop, within seconds: that is no news."""
_STEADY = timedelta(seconds=10)
"""What was told is over when it has been well for so long."""
_AGAIN = timedelta(minutes=10)
"""The same gap is not told again within this time, however often it opens and closes."""


async def lasting_gaps(view: StoreView, broker_id: str, now: datetime) -> frozenset[str]:
    """Return the ledgers of an account that are unprotected for longer than a stop takes.

    By key; one that opened a moment ago, or that no turn has looked at yet, is not among them.
    """
    rows = await view.find(_GUARDS, {"broker_id": broker_id})
    return frozenset(
        str(row["_id"])
        for row in rows
        if row["since"] is not None and (row["is_told"] or _is_past(row["since"], _GRACE, now))
    )


async def close_alarms(view: StoreView, outbox: Outbox, broker_id: str, how: str) -> None:
    """Close every alarm of an account whose positions are handed over, in that transaction."""
    for row in await view.find(_GUARDS, {"broker_id": broker_id}):
        if row["since"] is not None and row["is_told"]:
            over = AlarmOver(broker_id, Unprotected.kind, instrument_of(row["_id"]), how)
            await end_alarm(view, outbox, bare_key(row["_id"]), over)
        await view.update(_GUARDS, {"_id": row["_id"]}, Change(set=_QUIET))
    for goal in await goals_of(view, broker_id):
        if goal.stuck and await mark_stuck(view, goal, ""):
            position = f"{goal.instrument} {goal.product.value}"
            await outbox.post(view, stuck_removal(ExitThrough(broker_id, position), goal.key))
    await end_alarms(view, outbox, broker_id, how)
    await amend_cards(view, outbox, broker_id)


class Guards:
    """Watches over the ledgers of all accounts; the state is in the store."""

    def __init__(
        self,
        store: Store,
        clock: Clock,
        outbox: Outbox,
        protections: Protections,
        alarms: Alarms,
    ) -> None:
        self._alarms = alarms
        self._store = store
        self._clock = clock
        self._outbox = outbox
        self._protections = protections

    async def check(self, broker_id: str, *, needs_login: bool, is_parked: bool = False) -> bool:
        """Look at an account's ledgers once, and tell what has changed.

        Returns:
            Whether nothing is held, no alarm stands and no card is wrong: until something is
            written, it stays so.
        """
        standings = await self._protections.of_account(broker_id, needs_login=needs_login)
        is_quiet = await self._look(broker_id, standings)
        has_alarms = await self._alarms.check(broker_id, standings, is_parked=is_parked)
        has_cards = await put_cards_right(self._store, self._outbox, broker_id, standings)
        return is_quiet and not standings and not has_alarms and not has_cards

    async def _look(self, broker_id: str, standings: Sequence[Standing]) -> bool:
        """Look at what stands; return whether nothing was told that is not over."""
        rows = await self._store.find(_GUARDS, {"broker_id": broker_id})
        known = {str(row["_id"]): row for row in rows}
        for standing in standings:
            row = known.pop(standing.ledger.key, None)
            if standing.protection.is_alarming:
                await self._unprotected(standing, row)
            elif row is None or _is_quiet(row):
                continue
            elif standing.protection.gap is None:
                await self._fine(row, standing)
            else:
                await self._still_open(row)
        for row in known.values():
            if not _is_quiet(row):
                await self._ended(row)
        return all(map(_is_quiet, rows))

    async def _unprotected(self, standing: Standing, row: Document | None) -> None:
        now, gap = self._clock.now(), standing.protection.gap
        if gap is None:
            return
        if row is None or row["since"] is None or row["gap"] != gap.value:
            await self._begin(standing, gap, row, now)
            return
        if row["fine_since"] is not None:
            await self._update(row, {"fine_since": None})
        if row["is_told"] or not _is_past(row["since"], _GRACE, now):
            return
        told_at, is_same = row["told_at"], row["told_gap"] == gap.value
        if told_at is not None and is_same and not _is_past(told_at, _AGAIN, now):
            await self._show(row, standing)
            return
        ledger = standing.ledger
        notice = Unprotected(
            ledger.broker_id,
            ledger.strategy,
            str(ledger.instrument),
            ledger.product.value,
            ledger.quantity,
            standing.protection.how,
            can_put_back=gap is Lack.CANCELLED,
        )
        fields = {"is_told": True, "told_at": now, "told_gap": gap.value, "why": notice.why}
        await self._tell(row, fields, notice, standing)

    async def _show(self, row: Document, standing: Standing) -> None:
        """Let the card say what is not told anew: until now it said that the stop is on its way."""
        if row.get("is_shown") or standing.goal is None:
            return
        card = run_card(standing.goal.run_id)

        async def body(view: StoreView) -> None:
            await view.update(_GUARDS, {"_id": row["_id"]}, Change(set={"is_shown": True}))
            await self._outbox.post(view, card)

        since = row["since"].isoformat()
        with contextlib.suppress(AlreadyDone):
            await self._store.transaction(body, nonce=f"shown:{row['_id']}|{since}")

    async def _begin(
        self, standing: Standing, gap: Lack, row: Document | None, now: datetime
    ) -> None:
        """Note a gap; one that follows another that was told stays told."""
        fields: Document = {
            "broker_id": standing.ledger.broker_id,
            "gap": gap.value,
            "since": now,
            "fine_since": None,
            "is_shown": False,
            "is_told": bool(row and row["since"] is not None and row["is_told"]),
            "told_at": row["told_at"] if row else None,
            "told_gap": row["told_gap"] if row else "",
        }
        where = {"_id": standing.ledger.key}
        await self._store.update(_GUARDS, where, Change(set=fields), upsert=True)

    async def _fine(self, row: Document, standing: Standing) -> None:
        """Note that a ledger is well again, and tell it once it has been for a while."""
        now = self._clock.now()
        if not row["is_told"]:
            await self._quiet(row)
        elif row["fine_since"] is None:
            await self._update(row, {"fine_since": now})
        elif _is_past(row["fine_since"], _STEADY, now):
            ledger = standing.ledger
            notice = ProtectedAgain(
                ledger.broker_id,
                ledger.strategy,
                str(ledger.instrument),
                ledger.quantity,
                standing.protection.how,
                self._clock.market_at(row["since"]),
                row.get("why", ""),
            )
            await self._tell(row, {"since": None, "is_told": False}, notice, standing)

    async def _still_open(self, row: Document) -> None:
        """Keep what was told: nothing protects it, though nothing can happen to it just now."""
        if not row["is_told"]:
            await self._quiet(row)
        elif row["fine_since"] is not None:
            await self._update(row, {"fine_since": None})

    async def _quiet(self, row: Document) -> None:
        await self._update(row, dict(_QUIET))

    async def _ended(self, row: Document) -> None:
        """Close the alarm of a position that is held no more; what closed it is told by itself."""
        if not row["is_told"]:
            await self._quiet(row)
            return
        gate = await gate_at(self._store, row["broker_id"])
        is_handed_over = gate is not None and not (gate.enabled or gate.drain)
        over = AlarmOver(
            row["broker_id"],
            Unprotected.kind,
            instrument_of(row["_id"]),
            HANDED_OVER if is_handed_over else NOT_HELD,
            self._clock.market_at(row["since"]),
        )

        async def body(view: StoreView) -> None:
            await view.update(_GUARDS, {"_id": row["_id"]}, Change(set=_QUIET))
            await end_alarm(view, self._outbox, bare_key(row["_id"]), over)

        since = row["since"].isoformat()
        try:
            await self._store.transaction(body, nonce=f"{over.kind}:{row['_id']}|{since}")
        except AlreadyDone:
            await self._quiet(row)

    async def _update(self, row: Document, fields: Document) -> None:
        await self._store.update(_GUARDS, {"_id": row["_id"]}, Change(set=fields))

    async def _tell(
        self,
        row: Document,
        fields: Document,
        notice: Unprotected | ProtectedAgain,
        standing: Standing,
    ) -> None:
        async def body(view: StoreView) -> None:
            await view.update(_GUARDS, {"_id": row["_id"]}, Change(set=fields))
            await self._outbox.post(view, bare_card(notice, row["_id"]))
            # Its run's card shows the warning too.
            if standing.goal is not None:
                await self._outbox.post(view, run_card(standing.goal.run_id))

        since = row["since"].isoformat()
        try:
            await self._store.transaction(body, nonce=f"{notice.kind}:{row['_id']}|{since}")
        except AlreadyDone:
            await self._update(row, fields)


def _is_past(since: datetime, span: timedelta, now: datetime) -> bool:
    """Whether so long has passed; where the clock was set back since, nobody knows (K01)."""
    return now < since or now - since >= span


def _is_quiet(row: Document) -> bool:
    return row["since"] is None
