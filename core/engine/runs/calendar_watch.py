"""Notifies when the calendar is about to end, is derived, or does not know today (K04).

What is due is a pure function (``core.domain.calendar_years``); here each notice is posted once. A
document ``calendar|…`` of ``settings`` records that besides the nonce, because a nonce is deleted
after eight days and a reminder stays due for longer.
"""

from __future__ import annotations

from datetime import date, time

from core.domain.calendar_years import DerivedYear, EndsSoon, known_until, reminders
from core.domain.instrument import Segment
from core.domain.notices.calendar import CalendarEnds, DayUnknown, YearDerived
from core.domain.notices.notice import Notice
from core.domain.notices.post import Post
from core.engine.orders.alarms import end_trouble, raise_trouble, standing_troubles
from core.engine.outbox import Outbox
from core.engine.stored_settings import read_setting, write_setting
from core.errors import AlreadyDone
from core.ports.calendar import Calendar
from core.ports.clock import Clock
from core.ports.store import Change, Store, StoreView

__all__ = ["CalendarWatch"]

_FROM = time(8, 0)  # early enough to import a file before the open, and not in the night
_DAY = "day:"
"""Begins the key of a day's trouble."""
_KNOWN = "its hours are known now, so strategies enter again"


class CalendarWatch:
    """Checks how far the calendar reaches, and notifies of what is due."""

    def __init__(self, store: Store, clock: Clock, calendar: Calendar, outbox: Outbox) -> None:
        self._store = store
        self._clock = clock
        self._calendar = calendar
        self._outbox = outbox
        self._posted: set[str] = set()

    async def tick(self) -> None:
        """Post the notices that are due today and were not posted before."""
        now = self._clock.market_now()
        if now.time() < _FROM:
            return
        day = now.date()
        unknown = self._today(day)
        await self._end(day, is_known=not unknown)
        for key, notice in [*self._reminders(day), *unknown]:
            if key not in self._posted:
                await self._post(f"calendar|{key}", notice)
                self._posted.add(key)

    async def _end(self, day: date, *, is_known: bool) -> None:
        """End what was said of an unknown day: of an earlier one, or once its hours are known."""
        for key in await standing_troubles(self._store):
            told = key.removeprefix(_DAY)
            if not key.startswith(_DAY) or (told == day.isoformat() and not is_known):
                continue
            how = _KNOWN if told == day.isoformat() else "that day is over"
            await end_trouble(self._store, self._outbox, key, how)

    def _reminders(self, day: date) -> list[tuple[str, Notice]]:
        found: list[tuple[str, Notice]] = []
        for one in reminders(self._calendar.years(Segment.CASH), day):
            match one:
                case EndsSoon(until, days_left, step):
                    notice = CalendarEnds(until.isoformat(), days_left)
                    found.append((f"ends|{until}|{step}", notice))
                case DerivedYear(year):
                    derived = YearDerived(year.year, year.source)
                    found.append((f"derived|{year.year}", derived))
        return found

    def _today(self, day: date) -> list[tuple[str, Notice]]:
        """Return the notice of a day that may trade and is not known; at a weekend there is none.

        A special session whose hours are not known is named at a weekend too.
        """
        try:
            self._calendar.session(day, Segment.CASH, has_derivatives=True)
        except LookupError as error:
            reason = str(error)
        else:
            return []
        window = self._calendar.exit_session(day, Segment.CASH, has_derivatives=True)
        if window is None and known_until(self._calendar.years(Segment.CASH), day) is None:
            return []
        hours = f"{window.open_at:%H:%M} to {window.close_at:%H:%M}" if window else ""
        return [(f"unknown|{day}", DayUnknown(day.isoformat(), reason, hours))]

    async def _post(self, key: str, notice: Notice) -> None:
        async def body(view: StoreView) -> None:
            if await read_setting(view, key) is not None:
                raise AlreadyDone(key)
            said = Change(set={"said_at": self._clock.now()})
            await write_setting(view, key, said)
            if isinstance(notice, DayUnknown):
                trouble = f"{_DAY}{notice.day}"
                await raise_trouble(view, self._outbox, notice, trouble, notice.day)
            else:
                await self._outbox.post(view, Post(notice))

        try:
            await self._store.transaction(body, nonce=key)
        except AlreadyDone:
            return
