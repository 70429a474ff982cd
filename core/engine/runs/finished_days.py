"""Moves the journal of finished days to where many orders are one document (decision 0042).

A little each minute, the oldest day first, and only while nothing trades. Each lot is one
transaction of the lease's holder that removes rows from the journal and keeps them as past ones, so
a controller that ends in the middle leaves each row in one of the two places. An account's day of
which some order is not final yet stays as it is, and is looked at again each day.
"""

from __future__ import annotations

import logging
import secrets
from datetime import date, timedelta
from functools import partial

from core.domain.sessions import trading_day
from core.engine.accounts.accounts import Accounts
from core.engine.orders.journal import move_finished
from core.engine.orders.market_hours import MarketHours
from core.engine.orders.past import reach
from core.engine.stored_settings import read_setting, write_setting
from core.ports.clock import Clock
from core.ports.store import Change, Store

__all__ = ["STAYS", "FinishedDays"]

_log = logging.getLogger(__name__)
STAYS = timedelta(days=8)
"""Longer than the longest holiday: no broker shows an order of then, and no view of now asks."""
_LOTS, _DAYS = 20, 10
"""At most so many of each a step."""
_THROUGH = "pruned|days"
"""The setting: ``until`` is the newest day that was looked at, ``left`` those with open orders."""


class FinishedDays:
    """Moves day by day."""

    def __init__(self, store: Store, clock: Clock, accounts: Accounts, hours: MarketHours) -> None:
        self._store = store
        self._clock = clock
        self._accounts = accounts
        self._hours = hours
        self._looked_again_on = ""
        self._lots = 0

    async def step(self) -> None:
        """Move what a step may."""
        first_at = await self._accounts.first_at()
        if first_at is None:
            return
        self._lots = 0
        row = await read_setting(self._store, _THROUGH) or {}
        left: list[str] = list(row.get("left", ()))
        until: str = row.get("until") or _day_before(trading_day(self._clock.market_at(first_at)))
        if not await self._look_again(left):
            return
        newest = _day_before(trading_day(self._clock.market_at(self._clock.now() - STAYS)))
        if until < newest:
            await reach(self._store, newest)
        for _ in range(_DAYS):
            day = _day_after(until)
            if day > newest:
                return
            is_left = await self._move(day)
            if is_left is None:
                return
            until, left = day, [*left, day] if is_left else left
            await write_setting(self._store, _THROUGH, Change(set={"until": until, "left": left}))

    async def _look_again(self, left: list[str]) -> bool:
        """Try once a day what was left; return whether it is through."""
        today = trading_day(self._clock.market_now())
        if self._looked_again_on == today:
            return True
        for day in list(left):
            is_left = await self._move(day)
            if is_left is None:
                return False
            if not is_left:
                left.remove(day)
                await write_setting(self._store, _THROUGH, Change(set={"left": left}))
        self._looked_again_on = today
        return True

    async def _move(self, day: str) -> bool | None:
        """Move a day; return whether some of it was left, None when this step is over before."""
        is_left, moved = False, 0
        before = self._clock.now() - STAYS
        for broker_id in await self._accounts.ids():
            rows: int | None = 0
            while True:
                if self._lots >= _LOTS or self._hours.is_any_open():
                    return None
                lot = partial(
                    move_finished,
                    broker_id=broker_id,
                    day=day,
                    before=before,
                    is_begun=bool(rows),
                )
                # What a lot is follows from what the journal still holds, so none is done twice.
                nonce = f"past:{secrets.token_hex(12)}"
                rows = await self._store.transaction(lot, nonce=nonce)
                if not rows:
                    is_left |= rows is None
                    break
                moved += rows
                self._lots += 1
        if moved:
            _log.info("%d rows of %s are kept as past ones", moved, day)
        return is_left


def _day_after(day: str) -> str:
    return (date.fromisoformat(day) + timedelta(days=1)).isoformat()


def _day_before(day: str) -> str:
    return (date.fromisoformat(day) - timedelta(days=1)).isoformat()
