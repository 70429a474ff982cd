"""What looks after the controller itself: its calendar, clock, keys, store and ways out."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cached_property

from core.adapters.address_probe import EchoProbe
from core.adapters.mongo.expiry import Expiry
from core.adapters.mongo.schema import COLLECTIONS
from core.adapters.mongo.store import ServerKind
from core.bootstrap.foundation import Foundation
from core.engine.accounts.accounts import Accounts
from core.engine.accounts.addresses import Addresses
from core.engine.accounts.last_runs import LastRuns
from core.engine.orders.journal import Journal
from core.engine.orders.market_hours import MarketHours
from core.engine.outbox import Outbox
from core.engine.runs.calendar_watch import CalendarWatch
from core.engine.runs.clock_watch import ClockWatch
from core.engine.runs.nightly_backup import NightlyBackup
from core.engine.runs.pruning import Pruning
from core.engine.workers.key_watch import KeyWatch
from core.engine.workers.store_watch import StoreWatch

__all__ = ["Upkeep"]


class Upkeep:
    """Objects that only look, and notify; a property is made once."""

    def __init__(
        self,
        foundation: Foundation,
        outbox: Outbox,
        accounts: Accounts,
        journal: Journal,
        hours: MarketHours,
        strategies: Iterable[str],
    ) -> None:
        self._store = foundation.store
        self._keys = foundation.vault
        self._clock = foundation.clock
        self._calendar = foundation.calendar
        self._probe = EchoProbe(foundation.clock, foundation.settings.echo)
        self._backups = foundation.backups
        self._outbox = outbox
        self._accounts = accounts
        self._journal = journal
        self._hours = hours
        self._strategies = tuple(strategies)

    @cached_property
    def calendar(self) -> CalendarWatch:
        """Says when the calendar ends or does not know today."""
        return CalendarWatch(self._store, self._clock, self._calendar, self._outbox)

    @cached_property
    def last_runs(self) -> LastRuns:
        """Writes when strategies last ran on accounts."""
        return LastRuns(self._accounts)

    @cached_property
    def clock(self) -> ClockWatch:
        """Says when this computer's clock is wrong."""
        return ClockWatch(self._store, self._clock, self._outbox)

    @cached_property
    def keys(self) -> KeyWatch:
        """Says when the keys are in danger."""
        return KeyWatch(self._store, self._keys, self._outbox)

    @cached_property
    def store(self) -> StoreWatch:
        """Compares memory and store."""
        names = [one.name for one in COLLECTIONS]
        return StoreWatch(self._store, self._clock, self._outbox, self._accounts.ids, names)

    @cached_property
    def addresses(self) -> Addresses:
        """Looks where accounts' requests leave."""
        return Addresses(
            store=self._store,
            clock=self._clock,
            calendar=self._calendar,
            accounts=self._accounts,
            outbox=self._outbox,
            probe=self._probe,
        )

    @cached_property
    def backup(self) -> NightlyBackup:
        """Makes a backup each evening."""
        return NightlyBackup(
            self._store, self._clock, self._outbox, self._accounts, self._hours, self._backups
        )

    @cached_property
    def pruning(self) -> Pruning:
        """Forgets what no day to come asks for."""
        return Pruning(
            self._store,
            self._clock,
            self._accounts,
            self._journal,
            self._hours,
            self._strategies,
            Expiry(self._store).forget
            if self._store.server_kind() == ServerKind.EMBEDDED
            else None,
        )
