"""Backups: why one was made, when the next is due, and how many are kept."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, time, timedelta
from enum import StrEnum
from pathlib import PurePath
from typing import Final

from core.domain.sessions import IST

__all__ = ["KEPT", "BackupFile", "BackupKind", "last_evening"]

_EVENING: Final = time(17, 0)
"""After the last session of a day, and before the night in which nobody looks."""


class BackupKind(StrEnum):
    """Why a backup was made; part of its name."""

    NIGHTLY = "nightly"
    UPGRADE = "upgrade"
    REPLACED = "replaced"
    BY_HAND = "by-hand"


KEPT: Final[Mapping[BackupKind, int]] = {
    BackupKind.NIGHTLY: 14,
    BackupKind.UPGRADE: 3,
    BackupKind.REPLACED: 3,
}
"""How many of a kind are kept; what a person made stays until a person removes it."""


@dataclass(frozen=True, slots=True)
class BackupFile:
    """A backup in the folder.

    Attributes:
        made_at: Real time.
        size: Bytes.
    """

    path: PurePath
    kind: BackupKind
    made_at: datetime
    size: int


def last_evening(now: datetime) -> datetime:
    """Return the last 17:00 IST: a day's backup is one that was made since then."""
    moment = now.astimezone(IST)
    evening = datetime.combine(moment.date(), _EVENING, IST)
    return evening if evening <= moment else evening - timedelta(days=1)
