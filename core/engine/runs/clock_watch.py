"""Notifies when this computer's clock is wrong by the brokers', and when it is right again (K02).

The transports compare the clock with each answer (``core.ports.clock.ComparedClock``); above 30 s
the checks deny entries (``core.engine.orders.risk``). The document ``host_clock`` of ``settings``
records what was said, so that it is said once, over a restart too.
"""

from __future__ import annotations

from core.domain.host_clock import WRONG_FROM, certain_offset, is_right
from core.domain.notices.notice import Notice
from core.domain.notices.post import trouble_card
from core.domain.notices.system import ClockRight, ClockWrong
from core.engine.outbox import Outbox
from core.engine.stored_settings import read_setting, write_setting
from core.errors import AlreadyDone
from core.ports.clock import Clock, ComparedClock
from core.ports.store import Change, Store, StoreView

__all__ = ["ClockWatch"]

_KEY = "host_clock"


class ClockWatch:
    """Compares the clock's offsets with what is allowed."""

    def __init__(self, store: Store, clock: Clock, outbox: Outbox) -> None:
        self._store = store
        self._clock = clock
        self._outbox = outbox
        self._is_wrong: bool | None = None

    async def tick(self) -> None:
        """Post what has changed since the last tick."""
        if not isinstance(self._clock, ComparedClock):
            return
        offsets = self._clock.offsets()
        offset = certain_offset(offsets)
        if abs(offset) > WRONG_FROM:
            await self._become(is_wrong=True, notice=ClockWrong(int(offset.total_seconds())))
        elif is_right(offsets):
            await self._become(is_wrong=False, notice=ClockRight())

    async def _become(self, *, is_wrong: bool, notice: Notice) -> None:
        if self._is_wrong is is_wrong:
            return

        async def body(view: StoreView) -> None:
            row = await read_setting(view, _KEY)
            if bool(row and row["is_wrong"]) is is_wrong:
                raise AlreadyDone(_KEY)
            await write_setting(view, _KEY, Change(set={"is_wrong": is_wrong}))
            await self._outbox.post(view, trouble_card(notice, "clock"))

        try:
            nonce = f"{_KEY}:{is_wrong}|{self._clock.now().isoformat()}"
            await self._store.transaction(body, nonce=nonce)
        except AlreadyDone:
            pass
        self._is_wrong = is_wrong
