"""The lease: one controller sends for a store, and the fence that proves it (I10).

Document ``controller`` of ``lease``: ``holder``, ``fence``, ``renewed_at`` (real time),
``session_ids`` of the holder's transactions; ``commits`` and ``outside``, which its store counts
(``core.ports.store.ServedStore.hold``). A take-over first ends the sessions of the holder
before it, whose unfinished transaction would otherwise keep a gate locked for a minute
(reliability.md 2.3.8); then it raises the fence and copies it into every gate, in one transaction.
A controller that finds a newer fence stops at once.
"""

from __future__ import annotations

import logging
import secrets
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from core.engine.orders.gate import raise_fence
from core.errors import LeaseHeld, LeaseLost, StoreError
from core.ports.clock import Clock
from core.ports.store import OUTSIDE, Change, Store, StoreView

__all__ = ["LEASE_S", "Lease", "fence_beside", "wrote_outside"]

_log = logging.getLogger(__name__)
LEASE_S = 15.0
_RENEW_S = 4.0
_LEASE = "lease"
_KEY = "controller"


async def wrote_outside(view: StoreView) -> None:
    """Say that something was written beside the controller, which then reads its state anew."""
    await view.update(_LEASE, {"_id": _KEY}, Change(inc={OUTSIDE: 1}))


async def fence_beside(view: StoreView) -> int:
    """Say so, and return the fence that holds: what is added carries it; 0 before the first."""
    await wrote_outside(view)
    row = await view.get(_LEASE, _KEY)
    return int(row["fence"]) if row else 0


class Lease:
    """Takes, renews and gives back the lease."""

    def __init__(
        self,
        store: Store,
        clock: Clock,
        *,
        session_ids: Callable[[], Sequence[str]],
        kill_sessions: Callable[[Sequence[str]], Awaitable[None]],
        hold: Callable[[str, Mapping[str, Any]], Awaitable[None]],
        release: Callable[[], Awaitable[None]],
    ) -> None:
        self._store = store
        self._clock = clock
        self._session_ids = session_ids
        self._kill_sessions = kill_sessions
        self._hold = hold
        self._release = release
        self._holder = secrets.token_hex(8)
        self._fence = 0

    @property
    def fence(self) -> int:
        """The fence of this controller; 0 before the lease was taken."""
        return self._fence

    async def take(self, *, dead_since: datetime | None = None) -> None:
        """Take the lease.

        Args:
            dead_since: The last renewal of a holder that was waited for in vain.

        Raises:
            LeaseHeld: Another controller renewed it less than 15 s ago.
        """
        row = await self._store.get(_LEASE, _KEY)
        now = self._clock.now()
        is_young = row is not None and now - row["renewed_at"] < timedelta(seconds=LEASE_S)
        if row and row["holder"] and is_young and row["renewed_at"] != dead_since:
            raise LeaseHeld(
                "Another Saarthi works on this database (last heard of "
                f"{(now - row['renewed_at']).total_seconds():.0f} s ago); stop it first, or wait "
                f"{LEASE_S:.0f} s after it died."
            )
        # Only of a lease that ended or was given back. The old holder may still run, slow or cut
        # off: what stops it is the fence below, not the age of its lease (I10).
        if row:
            await self._kill_sessions(row.get("session_ids", []))
        old = row["fence"] if row else 0
        self._fence = old + 1

        async def body(view: StoreView) -> None:
            fields = {
                "holder": self._holder,
                "fence": self._fence,
                "renewed_at": self._clock.now(),
                "session_ids": list(self._session_ids()),
            }
            if row is None:
                await view.insert(_LEASE, {"_id": _KEY, **fields})
            elif await view.update(_LEASE, {"_id": _KEY, "fence": old}, Change(set=fields)) != 1:
                raise LeaseHeld("Another Saarthi took this database over at this very moment.")
            # The fence proves nothing in the lease alone, for submissions do not read it: each gate
            # carries it, and a submission of the old holder fails on the gate that it must match.
            await raise_fence(view, self._fence)

        await self._store.transaction(body, nonce=f"lease:{self._holder}|{self._fence}")
        await self._hold(_LEASE, {"_id": _KEY, "fence": self._fence})

    async def wait_and_take(self) -> None:
        """Take the lease, waiting out a holder that stopped renewing it (it crashed).

        Raises:
            LeaseHeld: The holder renews it: it is alive.
        """
        # Whether the holder lives is judged by a renewal that happens while we wait, not by the
        # time in the row: the two machines' clocks may differ.
        row = await self._store.get(_LEASE, _KEY)
        seen = row["renewed_at"] if row else None
        deadline = self._clock.monotonic() + LEASE_S + _RENEW_S
        while True:
            try:
                await self.take()
            except LeaseHeld:
                row = await self._store.get(_LEASE, _KEY)
                if row is not None and row["renewed_at"] != seen:
                    raise
                if self._clock.monotonic() >= deadline:
                    # By a clock that was hours ahead when it died, its lease would last as long.
                    await self.take(dead_since=seen)
                    return
                await self._clock.sleep(1.0)
            else:
                return

    async def keep(self) -> None:
        """Renew for ever; raises ``LeaseLost`` when another controller has taken the lease."""
        while True:
            await self._clock.sleep(_RENEW_S)
            try:
                await self._renew()
            except StoreError as error:
                # No reason to stop: without the store nothing is sent, and if another takes over
                # meanwhile, the next renewal finds out.
                _log.warning("lease: could not be renewed: %s", error)

    async def _renew(self) -> None:
        mine = {"_id": _KEY, "fence": self._fence, "holder": self._holder}
        renewed = Change(
            set={"renewed_at": self._clock.now(), "session_ids": list(self._session_ids())}
        )
        if await self._store.update(_LEASE, mine, renewed) != 1:
            raise LeaseLost("another Saarthi has taken this database over")

    async def give_back(self) -> None:
        """Let the next controller start at once."""
        mine = {"_id": _KEY, "fence": self._fence, "holder": self._holder}
        try:
            await self._store.update(_LEASE, mine, Change(set={"holder": ""}))
        finally:
            await self._release()
