"""Notices about backups, and about a store that was restored from one."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import ClassVar, TypeAlias

__all__ = ["BackupMissed", "BackupNotice", "RestoredCompared", "StoreRestored"]


@dataclass(frozen=True, slots=True)
class BackupMissed:
    """The day's backup could not be made; posted once a day, tried again each hour.

    Attributes:
        reason: Why, a sentence.
        newest: When the newest one was made, None when there is none.
    """

    kind: ClassVar[str] = "backup_missed"
    reason: str
    newest: datetime | None = None


@dataclass(frozen=True, slots=True)
class StoreRestored:
    """The first start on a store that was restored from a backup (D04).

    Attributes:
        backup_at: Of when it is.
        accounts: How many accounts it holds; none of them enters anything.
        had_panic: A panic was running in the backup, which was not taken up.
        kept: Owners who paired before the backup and are served on, by name.
        dropped: Owners of the backup who are served no more, by name.
    """

    kind: ClassVar[str] = "store_restored"
    backup_at: datetime
    accounts: int
    had_panic: bool = False
    kept: tuple[str, ...] = ()
    dropped: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class RestoredCompared:
    """An account of a restored store was compared with its broker (D04).

    Attributes:
        broker_id: The account.
        orders: How many of today's orders Saarthi had sent that the backup does not know, and that
            are nobody's now.
        apart: Positions that differ from what strategies hold, in words.
        stops: How many more of them are stops that protect their positions on.
    """

    kind: ClassVar[str] = "restored_compared"
    broker_id: str
    orders: int
    apart: tuple[str, ...] = ()
    stops: int = 0


BackupNotice: TypeAlias = BackupMissed | StoreRestored | RestoredCompared
