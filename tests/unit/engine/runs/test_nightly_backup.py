"""The day's backup: when it is made, and what is said when it cannot be."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import PurePath

import pytest

from core.domain.backup import BackupFile, BackupKind, last_evening
from core.domain.notices.backups import BackupMissed
from core.domain.notices.protection import AlarmOver
from core.domain.sessions import IST
from core.engine.runs.nightly_backup import NightlyBackup
from core.errors import BackupFailed
from tests.fakes.clock import ManualClock
from tests.fakes.memory_engine import MemoryEngine

MONDAY = datetime(2026, 11, 23, 10, 0, tzinfo=IST)


class Folder:
    """Backups that are only noted."""

    def __init__(self, clock: ManualClock) -> None:
        self.clock = clock
        self.made: list[BackupFile] = []
        self.trouble: BackupFailed | None = None

    async def take(self, kind: BackupKind) -> BackupFile:
        if self.trouble is not None:
            raise self.trouble
        self.made.append(BackupFile(PurePath("x"), kind, self.clock.now(), 1))
        return self.made[-1]

    def newest(self) -> BackupFile | None:
        return self.made[-1] if self.made else None


class Bench:
    """An engine whose backups are noted."""

    def __init__(self, at: datetime) -> None:
        self.clock = ManualClock(at, at)
        self.engine = MemoryEngine(self.clock)
        self.folder = Folder(self.clock)
        self.restart()

    def restart(self) -> None:
        """Let who makes them know no more than the store does."""
        wiring = self.engine.wiring
        self.nightly = NightlyBackup(
            self.engine.store,
            self.clock,
            wiring.outbox,
            wiring.accounts,
            wiring.hours,
            self.folder,
        )

    async def times(self, hours: int) -> list[str]:
        """Let hours pass, a tick in each half; return when backups were made."""
        before = len(self.folder.made)
        for _ in range(2 * hours):
            await self.nightly.tick()
            await self.clock.advance(1800)
        made = [one.made_at.astimezone(IST) for one in self.folder.made[before:]]
        return [f"{one:%a %H:%M}" for one in made]


@pytest.fixture
async def bench() -> Bench:
    made = Bench(MONDAY)
    await made.engine.owned()
    await made.engine.connect()
    return made


async def test_each_evening_while_nothing_trades(bench: Bench) -> None:
    """At the first tick after 17:00; the first ever as soon as the session is over."""
    assert await bench.times(48) == ["Mon 16:00", "Mon 17:00", "Tue 17:00"]
    assert {one.kind for one in bench.folder.made} == {BackupKind.NIGHTLY}


async def test_machine_that_was_off_makes_up_for_it(bench: Bench) -> None:
    """The one that is missing comes with the next start, be it in the night."""
    await bench.times(8)
    await bench.clock.advance(30 * 3600)
    assert await bench.times(1) == ["Wed 00:00"]


async def test_backup_by_hand_counts(bench: Bench) -> None:
    """One is enough, whoever asked for it."""
    await bench.times(8)
    first = bench.folder.made[-1]
    bench.folder.made = [replace(first, made_at=first.made_at + timedelta(days=1, minutes=5))]
    await bench.clock.advance(24 * 3600)
    assert await bench.times(2) == []


async def test_nothing_to_keep() -> None:
    """Without an account there is no backup."""
    empty = Bench(MONDAY)
    assert await empty.times(48) == []


async def test_failure_is_said_once_and_tried_again(bench: Bench) -> None:
    """The message names the reason and the newest one; an hour later it is tried again."""
    await bench.times(8)
    newest = bench.folder.made[-1].made_at
    bench.folder.trouble = BackupFailed("/backups: No space left on device.")
    await bench.clock.advance(22 * 3600)
    assert await bench.times(6) == []
    told = await bench.engine.notices(BackupMissed)
    assert told == [BackupMissed("/backups: No space left on device.", newest)]
    bench.folder.trouble = None
    assert await bench.times(2) != []


def test_evening_is_indias() -> None:
    """17:00 IST, of the day before while it is not yet that late."""
    assert last_evening(MONDAY) == MONDAY - timedelta(hours=17)
    evening = MONDAY.replace(hour=17)
    assert last_evening(evening) == evening
    assert last_evening(evening + timedelta(hours=20)) == evening


@pytest.mark.row("R6")
@pytest.mark.parametrize("is_restarted", [False, True], ids=["", "over a restart"])
@pytest.mark.parametrize("is_by_hand", [False, True], ids=["by itself", "by hand"])
async def test_missed_backup_is_over_when_there_is_one(
    bench: Bench, *, is_by_hand: bool, is_restarted: bool
) -> None:
    """Whoever makes room for it, restarts and makes one is told no more that it is missing."""
    bench.folder.trouble = BackupFailed("/backups: No space left on device.")
    await bench.times(8)
    assert await bench.engine.notices(BackupMissed)
    bench.folder.trouble = None
    if is_by_hand:
        await bench.folder.take(BackupKind.BY_HAND)
    if is_restarted:
        bench.restart()
    await bench.times(2)
    await bench.times(30)
    (over,) = await bench.engine.notices(AlarmOver)
    assert isinstance(over, AlarmOver)
    assert (over.alarm, over.how) == (BackupMissed.kind, "it is made now")
