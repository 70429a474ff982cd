"""What the chat is told about the calendar: each thing once, over days, restarts and lost nonces."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, datetime, time, timedelta
from pathlib import Path
from typing import Any

import pytest

from core.adapters.calendar import FILE_NAME, TradingCalendar, _data, import_file
from core.domain.calendar_years import CalendarYear, Confidence
from core.domain.notices.protection import AlarmOver
from core.domain.sessions import IST
from core.engine.outbox import Outbox
from core.engine.runs.calendar_watch import CalendarWatch
from core.ports.calendar import Calendar
from tests.fakes.clock import ManualClock
from tests.fakes.memory_store import MemoryStore

pytestmark = [pytest.mark.dates, pytest.mark.matrix("K04"), pytest.mark.row("E5")]

SHIPPED = TradingCalendar()
LAST = 2027
"""The last year of the shipped data, which is derived."""
IN_2027 = "kind,date,open,close,square_off,text\nyear,2027,,,,NSE\n" + "".join(
    f"holiday,2027-{day},,,,as listed\n"
    for day in ("01-26", "03-10", "03-22", "03-26", "04-14", "04-15", "05-17", "06-16", "10-29")
)


def published() -> TradingCalendar:
    """Return the shipped calendar as if its last year came from the exchange's list."""
    data = _data.load()
    year = CalendarYear(LAST, Confidence.PUBLISHED, "NSE")
    return TradingCalendar(replace(data, years={**data.years, ("equity", LAST): year}))


class Chat:
    """A watch that is asked at some hour of a day, and what the chat got."""

    def __init__(self, store: MemoryStore, calendar: Calendar) -> None:
        self.store = store
        self.calendar = calendar
        self._told = 0

    async def on(self, day: date, at: time = time(9, 0)) -> list[dict[str, Any]]:
        """Return what a freshly started watch says at a time."""
        clock = ManualClock(datetime.combine(day, at, IST))
        watch = CalendarWatch(self.store, clock, self.calendar, Outbox(clock))
        for _ in range(2):
            await watch.tick()
        rows = await self.store.find("outbox", {})
        fresh = sorted(rows, key=lambda row: str(row["_id"]))[self._told :]
        self._told = len(rows)
        shown = [{"kind": row["kind"], **row["data"]} for row in fresh]
        return [one for one in shown if one["kind"] != AlarmOver.kind]  # an edit, without a sound


@pytest.fixture
async def owned(memory_store: MemoryStore) -> MemoryStore:
    """A store with an owner, who has a chat."""
    await memory_store.insert("users", {"_id": "1", "role": "owner", "chat_id": 1})
    return memory_store


async def test_end_is_told_at_thirty_seven_and_one_day(owned: MemoryStore) -> None:
    """Three notices in the last month, whatever is restarted or forgotten in between."""
    chat = Chat(owned, published())
    end = date(LAST, 12, 31)
    told = []
    for left in range(35, -1, -1):
        told += [
            (left, one["kind"], one["days_left"]) for one in await chat.on(end - timedelta(left))
        ]
        await owned.delete("commits", {})  # as the store does after 8 days
    assert told == [(left, "calendar_ends", left) for left in (30, 7, 1)]


async def test_who_comes_back_late_is_told_once(owned: MemoryStore) -> None:
    """Five days before the end there is one notice, not those of 30 and 7 days."""
    chat = Chat(owned, published())
    (told,) = await chat.on(date(LAST, 12, 26))
    assert (told["kind"], told["days_left"], told["until"]) == ("calendar_ends", 5, "2027-12-31")


async def test_derived_year_is_named_once(owned: MemoryStore) -> None:
    """From mid-December, with its source; never again in that year."""
    chat = Chat(owned, SHIPPED)
    assert await chat.on(date(LAST - 1, 12, 16)) == []
    (told,) = await chat.on(date(LAST - 1, 12, 17))
    assert (told["kind"], told["year"]) == ("year_derived", LAST)
    assert told["source"].startswith("worked out before NSE's list was out")
    await owned.delete("commits", {})
    assert await chat.on(date(LAST, 3, 1)) == []


async def test_imported_list_ends_the_reminder(owned: MemoryStore, tmp_path: Path) -> None:
    """Whoever imports the list in December is not asked for it."""
    (tmp_path / "list.csv").write_text(IN_2027)
    import_file(tmp_path / "list.csv", tmp_path / FILE_NAME)
    chat = Chat(owned, TradingCalendar(added=tmp_path / FILE_NAME))
    assert await chat.on(date(LAST - 1, 12, 17)) == []


async def test_each_unknown_weekday_is_told_once(owned: MemoryStore) -> None:
    """From eight in the morning, with the hours in which exits go on; a weekend says nothing."""
    chat = Chat(owned, SHIPPED)
    monday = date(LAST + 1, 1, 3)
    assert await chat.on(monday, time(7, 59)) == []
    for day in (monday, monday + timedelta(days=1)):
        (told,) = await chat.on(day)
        assert (told["kind"], told["day"]) == ("day_unknown", day.isoformat())
        assert told["exit_hours"] == "09:15 to 15:15"
        assert await chat.on(day) == []
    assert await chat.on(monday + timedelta(days=5)) == []
    assert await chat.on(date(LAST + 1, 1, 26)) == []


async def test_session_of_unknown_hours_is_told(owned: MemoryStore) -> None:
    """Muhurat trading on a Sunday whose hours nobody has imported: nothing is squared off then."""
    chat = Chat(owned, SHIPPED)
    (told,) = await chat.on(date(2026, 11, 8))
    assert (told["kind"], told["exit_hours"]) == ("day_unknown", "")
    assert "Muhurat" in told["reason"]


class Days:
    """A watch that is asked on one day after another, and the ends that the chat was told."""

    def __init__(self, store: MemoryStore, first: date) -> None:
        self.store = store
        self.clock = ManualClock(datetime.combine(first, time(9, 0), IST))
        self.calendar: Calendar = SHIPPED
        self.restart()

    def restart(self) -> None:
        """Let the watch know no more than the store does."""
        self.watch = CalendarWatch(self.store, self.clock, self.calendar, Outbox(self.clock))

    async def ends(self, *, after_days: int = 0) -> list[tuple[str, str]]:
        """Return what was said of the ends of unknown days when the watch has looked."""
        await self.clock.advance(after_days * 86_400 + 1)
        await self.watch.tick()
        rows = await self.store.find("outbox", {"kind": AlarmOver.kind}, sort=[("seq", 1)])
        return [(row["data"]["subject"], row["data"]["how"]) for row in rows]


FRIDAY = date(LAST + 1, 1, 7)


@pytest.mark.row("R6")
@pytest.mark.parametrize("is_restarted", [False, True], ids=["", "over a restart"])
@pytest.mark.parametrize("after_days", [1, 3], ids=["a weekend", "a day as unknown"])
async def test_unknown_day_that_is_over_was_never_known(
    owned: MemoryStore, *, after_days: int, is_restarted: bool
) -> None:
    """The next morning nobody may read that strategies had entered after all."""
    days = Days(owned, FRIDAY)
    assert await days.ends() == []
    if is_restarted:
        days.restart()
    over = [(FRIDAY.isoformat(), "that day is over")]
    assert await days.ends(after_days=after_days) == over
    assert await days.ends() == over


@pytest.mark.row("R6")
@pytest.mark.parametrize("is_restarted", [False, True], ids=["", "over a restart"])
async def test_unknown_day_becomes_known(owned: MemoryStore, *, is_restarted: bool) -> None:
    """Its hours were imported: the card says so on that day, once."""
    days = Days(owned, FRIDAY)
    assert await days.ends() == []
    data = _data.load()
    year = CalendarYear(LAST + 1, Confidence.PUBLISHED, "NSE")
    known = TradingCalendar(replace(data, years={**data.years, ("equity", LAST + 1): year}))
    days.watch._calendar = days.calendar = known
    if is_restarted:
        days.restart()
    over = [(FRIDAY.isoformat(), "its hours are known now, so strategies enter again")]
    assert await days.ends() == over
    assert await days.ends(after_days=3) == over
