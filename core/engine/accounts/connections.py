"""Clients, one for each account and login; instrument masters, one for each broker."""

from __future__ import annotations

import asyncio
import logging
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime

from core.domain.account import Account
from core.domain.broker_profile import BrokerProfile
from core.domain.instrument import Instrument, InstrumentId
from core.domain.sessions import trading_day
from core.engine.accounts.accounts import Accounts
from core.errors import BrokerReadError, NotFound, ReadFault
from core.ports.broker import Broker, BrokerClient
from core.ports.clock import Clock

__all__ = ["Connections", "Masters"]

_log = logging.getLogger(__name__)
_RETRY_S = 30.0


class Masters:
    """Instrument masters; each is loaded without a login, once a trading day (D10)."""

    def __init__(self, brokers: Mapping[BrokerProfile, Broker], clock: Clock) -> None:
        self._brokers = brokers
        self._clock = clock
        self._loaded: dict[BrokerProfile, dict[InstrumentId, Instrument]] = {}
        self._days: dict[BrokerProfile, str] = {}
        self._locks = {broker: asyncio.Lock() for broker in brokers}
        self._failed_at: dict[BrokerProfile, float] = {}
        self._freezes: Mapping[InstrumentId, int] = {}
        self._freeze_day = ""
        self._freeze_lock = asyncio.Lock()
        self.trouble: dict[BrokerProfile, str] = {}

    async def instruments(self, broker: BrokerProfile) -> Mapping[InstrumentId, Instrument]:
        """Return a broker's instruments: today's if they can be loaded, else the last ones.

        Raises:
            BrokerReadError: None were ever loaded.
        """
        if broker not in self._brokers:
            raise BrokerReadError(ReadFault.REFUSED, f"there are no instruments of {broker.label}")
        today = trading_day(self._clock.market_now())
        if self._days.get(broker) != today and self._may_try(broker):
            async with self._locks[broker]:
                if self._days.get(broker) != today:
                    await self._load(broker, today)
        if broker not in self._loaded:
            raise BrokerReadError(
                ReadFault.UNREACHABLE, self.trouble.get(broker, "no instruments loaded yet")
            )
        return self._loaded[broker]

    def known(self, broker: BrokerProfile) -> Mapping[InstrumentId, Instrument]:
        """Return what is loaded of a broker's instruments, without waiting for any request."""
        return self._loaded.get(broker, {})

    def _may_try(self, broker: BrokerProfile) -> bool:
        failed_at = self._failed_at.get(broker)
        return failed_at is None or self._clock.monotonic() - failed_at > _RETRY_S

    async def _load(self, broker: BrokerProfile, today: str) -> None:
        try:
            rows = await self._brokers[broker].instruments.load()
        except BrokerReadError as error:
            self._failed_at[broker] = self._clock.monotonic()
            self.trouble[broker] = f"{broker.label} instruments: {error}"
            _log.warning("%s instrument master: %s", broker, error)
            return
        freezes = await self._freezes_of(today)
        fresh = await asyncio.to_thread(_table, rows, freezes)
        # Changed in place, because every client holds a reference to this dict.
        table = self._loaded.setdefault(broker, {})
        table.clear()
        table.update(fresh)
        self._days[broker] = today
        self.trouble.pop(broker, None)

    async def _freezes_of(self, today: str) -> Mapping[InstrumentId, int]:
        """Return the freeze quantities of whichever broker publishes them; the last when none."""
        async with self._freeze_lock:
            sources = [one.freezes for one in self._brokers.values() if one.freezes is not None]
            if self._freeze_day != today and sources:
                self._freeze_day = today
                for source in sources:
                    try:
                        self._freezes = {**self._freezes, **await source.load()}
                    except BrokerReadError as error:
                        _log.warning("freeze quantities: %s", error)
            return self._freezes


def _table(
    rows: Sequence[Instrument], freezes: Mapping[InstrumentId, int]
) -> dict[InstrumentId, Instrument]:
    """Return a master by name, with the freeze quantities that it does not have itself."""
    return {
        row.id: replace(row, freeze_quantity=freezes[row.id])
        if row.freeze_quantity is None and row.id in freezes
        else row
        for row in rows
    }


class Connections:
    """Clients by account. A new login makes a new client; nothing is shared between accounts."""

    def __init__(
        self, brokers: Mapping[BrokerProfile, Broker], accounts: Accounts, masters: Masters
    ) -> None:
        self._brokers = brokers
        self._accounts = accounts
        self._masters = masters
        self._clients: dict[str, tuple[datetime, BrokerClient]] = {}
        self._locks: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)

    @property
    def brokers(self) -> tuple[BrokerProfile, ...]:
        """The brokers that this program knows."""
        return tuple(self._brokers)

    def broker(self, broker: BrokerProfile) -> Broker:
        """Return everything about one supported broker."""
        return self._brokers[broker]

    async def client(self, account: Account) -> BrokerClient | None:
        """Return the account's client, or None while a login is needed.

        Raises:
            BrokerReadError: The instrument master cannot be had, so symbols cannot be translated,
                or this program does not know the broker.
            VaultError: The secrets of this account cannot be opened.
        """
        # A worker, a probe and market data may ask at once; two clients would leave one unclosed.
        async with self._locks[account.broker_id]:
            return await self._client(account)

    async def _client(self, account: Account) -> BrokerClient | None:
        if not account.broker.is_supported:
            raise BrokerReadError(ReadFault.REFUSED, account.parked_reason)
        if account.needs_login or account.token_generated_at is None:
            await self.drop(account.broker_id)
            return None
        known = self._clients.get(account.broker_id)
        if known is not None and known[0] == account.token_generated_at:
            return known[1]
        await self.drop(account.broker_id)
        master = await self._masters.instruments(account.broker)
        credentials = await self._accounts.credentials(account.broker_id)
        client = self._brokers[account.broker].connect(credentials, master)
        self._clients[account.broker_id] = (account.token_generated_at, client)
        return client

    async def client_of(self, broker_id: str) -> BrokerClient | None:
        """Return a client by id; None when the account is gone or needs a login."""
        try:
            return await self.client(await self._accounts.get(broker_id))
        except NotFound:
            return None

    async def drop(self, broker_id: str) -> None:
        """Close an account's client; the next request opens a new one."""
        known = self._clients.pop(broker_id, None)
        if known is not None:
            await known[1].aclose()

    async def aclose(self) -> None:
        """Close every client."""
        for broker_id in list(self._clients):
            await self.drop(broker_id)
