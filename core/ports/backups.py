"""The port of backups: what takes one of everything, while the controller runs."""

from __future__ import annotations

from typing import Protocol

from core.domain.backup import BackupFile, BackupKind

__all__ = ["Backups"]


class Backups(Protocol):
    """The folder of an installation's backups.

    A backup holds the store as it was at one moment. It appears under its name when it is whole,
    and what is more than is kept of its kind goes after that.
    """

    async def take(self, kind: BackupKind) -> BackupFile:
        """Make one.

        Raises:
            BackupFailed: It could not be made; nothing is left of it.
        """
        ...

    def newest(self) -> BackupFile | None:
        """Return the newest one, None where there is none."""
        ...
