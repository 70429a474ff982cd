"""What one account's broker shows: the snapshot, and which part of it is read anew when."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from core.domain.order import OPEN_STATES, UNKNOWN_STATES, Order, OrderState
from core.engine.orders.net_positions import NetPositions
from core.engine.orders.reconciliation import Reconciler, Snapshot
from core.engine.workers.previous_closes import PreviousCloses
from core.errors import BrokerReadError
from core.ports.broker import BrokerClient
from core.ports.clock import Clock

__all__ = ["SnapshotReader", "WorkerSettings"]

_UNANSWERED = UNKNOWN_STATES | {OrderState.PENDING_CANCEL, OrderState.PENDING_UPDATE}


@dataclass(frozen=True, slots=True)
class WorkerSettings:
    """Pauses between reads, in real seconds.

    They keep within the brokers' rates: facts/kite.md 10, facts/fyers.md 10.

    Attributes:
        working_s: While order updates are pushed, the age of the orders that is checked with orders
            that work, or with anything that is not settled: a frame may be lost.
        held_s: The same while a position is held and nothing else is open.
        checked_s: The same when nothing is: five requests in it, under 0.1 a second.
    """

    busy_s: float = 1.0
    idle_s: float = 5.0
    away_s: float = 3.0
    positions_s: float = 10.0
    unknown_s: float = 2.0
    funds_s: float = 60.0
    working_s: float = 5.0
    held_s: float = 15.0
    checked_s: float = 60.0


class SnapshotReader:
    """Reads one account's broker into its snapshot, and settles the journal against it."""

    def __init__(
        self,
        broker_id: str,
        *,
        clock: Clock,
        reconciler: Reconciler,
        nets: NetPositions,
        settings: WorkerSettings,
    ) -> None:
        self._broker_id = broker_id
        self._clock = clock
        self._reconciler = reconciler
        self._nets = nets
        self._settings = settings
        self._closes = PreviousCloses(clock)
        self.snapshot = Snapshot()
        self._have_ledgers_followed = False
        self._are_positions_judged = False

    def allowed_age(self, pending: Iterable[Order]) -> float:
        """Return how old the orders may become while updates are pushed, in seconds.

        What the broker has not answered yet is asked for as if nothing were pushed.
        """
        states = {order.state for order in pending}
        if states & _UNANSWERED:
            return 0.0
        if states & OPEN_STATES or not self._is_settled:
            return self._settings.working_s
        return self._quiet_age

    @property
    def _quiet_age(self) -> float:
        is_held = any(one.quantity for one in self.snapshot.positions or ())
        return self._settings.held_s if is_held else self._settings.checked_s

    @property
    def _is_settled(self) -> bool:
        """Whether positions were judged since an order last moved, and every read agrees."""
        return (
            self._are_positions_judged
            and not self._nets.gaps.has_any(self._broker_id)
            and not self.snapshot.unlisted
            and not any(self.snapshot.odd.values())
        )

    async def read_orders(self, client: BrokerClient, day: str) -> bool:
        """Read the day's orders and settle the journal; return whether any order moved."""
        # A read that ends between a fill's row and the ledgers (a store away, a user who no longer
        # waits) leaves them behind, and no later read moves an order again.
        is_behind, self._have_ledgers_followed = not self._have_ledgers_followed, False
        self.snapshot.behind_since = self.snapshot.behind_since or self._clock.now()
        has_moved = await self._reconciler.read_orders(client, self._broker_id, self.snapshot, day)
        if has_moved:
            self._are_positions_judged = False
        await self._follow(day, has_moved=has_moved or is_behind)
        return has_moved

    async def _follow(self, day: str, *, has_moved: bool) -> None:
        await self._nets.orders_read(self._broker_id, self.snapshot, day, has_moved=has_moved)
        self._have_ledgers_followed, self.snapshot.behind_since = True, None

    async def read_rest(
        self,
        client: BrokerClient,
        day: str,
        *,
        has_moved: bool,
        everything: bool,
        is_days_login: bool = True,
        is_pushed: bool = False,
    ) -> bool:
        """Read trades, positions, funds and holdings: what is old, or may have changed.

        Args:
            client: The account's client.
            day: The trading day.
            has_moved: Whether an order moved in the last read, and with it the positions.
            everything: Read all of it whatever its age.
            is_days_login: Whether the login is the morning's, so that the day's capital is known.
            is_pushed: Whether order updates are pushed, so that positions change with orders alone.

        Returns:
            Whether an order moved: the trades can show a fill that the orders do not.
        """
        snapshot = self.snapshot
        age = await self._age(day, is_pushed=is_pushed)
        if everything or has_moved or self._is_old(snapshot.positions_at, age):
            self._have_ledgers_followed = False
            if await self._reconciler.read_trades(client, self._broker_id, snapshot, day):
                has_moved, snapshot.behind_since = True, snapshot.orders_began_at
                await self._follow(day, has_moved=True)
            self._have_ledgers_followed = True
            await self._reconciler.read_positions(client, self._broker_id, snapshot)
            await self._closes.fill(client, snapshot, day)
            await self._judge(
                client,
                day,
                has_moved=has_moved,
                is_days_login=is_days_login,
                with_funds=everything or self._are_funds_due(),
            )
        elif self._are_funds_due():
            await self._reconciler.read_funds(
                client, self._broker_id, snapshot, day, is_days_login=is_days_login
            )
        return has_moved

    async def _judge(
        self,
        client: BrokerClient,
        day: str,
        *,
        has_moved: bool,
        is_days_login: bool,
        with_funds: bool,
    ) -> None:
        """Compare positions that were just read with the fills, beside holdings where needed."""
        snapshot, failed = self.snapshot, None
        if with_funds or self._nets.wants_holdings(self._broker_id, day):
            try:
                await self._reconciler.read_funds(
                    client, self._broker_id, snapshot, day, is_days_login=is_days_login
                )
            except BrokerReadError as error:
                # Raised below: intraday positions are judged without holdings too.
                failed = error
        # Just after a fill the positions may lag behind the orders: nothing is judged by them.
        self._are_positions_judged = not has_moved
        if not has_moved:
            await self._nets.positions_read(self._broker_id, snapshot, day)
        if failed is not None:
            raise failed

    def _are_funds_due(self) -> bool:
        return self._is_old(self.snapshot.funds_at, self._settings.funds_s)

    async def _age(self, day: str, *, is_pushed: bool) -> float:
        """Return how old positions may become, in seconds: while an exit's fate is unknown, little.

        They are what proves that it did not take effect, and that the reads do not stand still.
        """
        is_asked = await self._reconciler.has_unknown_exit(self._broker_id, day)
        if is_asked:
            return self._settings.unknown_s
        if is_pushed and self._is_settled:
            # Shorter than the check of the orders, so that each check finds them due.
            return self._quiet_age - self._settings.idle_s
        return self._settings.positions_s

    def _is_old(self, at: datetime | None, seconds: float) -> bool:
        if at is None:
            return True
        age = self._clock.now() - at
        # A time that is yet to come is one of a clock that was set back since.
        return not timedelta(0) <= age <= timedelta(seconds=seconds)
