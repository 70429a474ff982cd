"""What the writer's store passes on to the store below it as it is: what concerns the server."""

from __future__ import annotations

from collections.abc import Sequence

from core.ports.store import ServedStore

__all__ = ["OfServer"]


class OfServer:
    """A store over another one, which has the server."""

    def __init__(self, base: ServedStore) -> None:
        self.base = base

    @property
    def session_ids(self) -> tuple[str, ...]:
        """Ids of the sessions that every transaction of this store runs on; they never change."""
        return self.base.session_ids

    async def kill_sessions(self, ids: Sequence[str]) -> None:
        """End sessions of a controller that is gone, and roll back what they hold open."""
        await self.base.kill_sessions(ids)

    def wake(self) -> None:
        """Have the server ready for a commit that comes in a moment."""
        self.base.wake()

    async def ping(self) -> None:
        """Return when the server answers; raises ``StoreUnavailable``."""
        await self.base.ping()

    def server_kind(self) -> str:
        """Return what is behind the store: ``embedded`` or ``mongod``."""
        return self.base.server_kind()
