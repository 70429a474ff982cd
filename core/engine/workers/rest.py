"""When an account rests: its last turn found nothing to do, and nothing was written since.

What a turn does follows from what the store holds and from what the broker showed last, and with
time from what is held, wanted or on its way. An account that has none of these has nothing that a
turn could find, until something is written, a read is due, or somebody wakes its worker.
"""

from __future__ import annotations

from core.ports.store import Store

__all__ = ["Rest"]

_OF_OTHERS = frozenset({"lease", "commits", "outbox", "cards", "inbox"})
"""What no turn reads: the lease is renewed every few seconds, and messages go their own way."""


class Rest:
    """Of one account, or of what looks at all of them."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._began: int | None = None
        self._since: int | None = None

    @property
    def lasts(self) -> bool:
        """Whether nothing was written since a turn began that found nothing to do."""
        return self._since is not None and self._store.changes(_OF_OTHERS) == self._since

    def begin(self) -> None:
        """Note what is written before a turn looks."""
        self._began = self._store.changes(_OF_OTHERS)

    def end(self, *, is_quiet: bool) -> None:
        """Note what the turn has found: nothing, or anything at all."""
        self._since = self._began if is_quiet else None
