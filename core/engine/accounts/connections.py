"""Clients, one for each account and login."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Iterable, Mapping
from datetime import datetime

from core.domain.account import Account
from core.domain.broker_profile import BrokerProfile
from core.engine.accounts.accounts import Accounts
from core.engine.accounts.masters import Masters
from core.errors import BrokerReadError, NotFound, ReadFault
from core.ports.broker import Broker, BrokerClient

__all__ = ["Connections"]


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
        self._cold: asyncio.Queue[str] = asyncio.Queue()

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
        master = await self._masters.at_hand(account.broker)
        if not master and account.broker.names_need_master:
            master = await self._masters.instruments(account.broker)
        credentials = await self._accounts.credentials(account.broker_id)
        client = self._brokers[account.broker].connect(credentials, master)
        self._clients[account.broker_id] = (account.token_generated_at, client)
        return client

    def at_hand(self, account: Account) -> BrokerClient | None:
        """Return the account's client if it is there; nothing is opened and nothing waited for."""
        known = self._clients.get(account.broker_id)
        return known[1] if known and known[0] == account.token_generated_at else None

    async def client_of(self, broker_id: str) -> BrokerClient | None:
        """Return a client by id; None when the account is gone or needs a login."""
        try:
            return await self.client(await self._accounts.get(broker_id))
        except NotFound:
            return None

    async def parting(self, broker_id: str) -> BrokerClient | None:
        """Return a client to log an account out with, the caller's to close; None without a login.

        It needs no list of instruments: it is to be had where nothing can be traded.

        Raises:
            BrokerReadError: This program does not know the broker.
            VaultError: The secrets of this account cannot be opened.
            NotFound: There is no such account.
        """
        account = await self._accounts.get(broker_id)
        if not account.broker.is_supported:
            raise BrokerReadError(ReadFault.REFUSED, account.parked_reason)
        if account.needs_login:
            return None
        master = await self._masters.at_hand(account.broker)
        credentials = await self._accounts.credentials(broker_id)
        return self._brokers[account.broker].connect(credentials, master)

    def warm(self, broker_ids: Iterable[str]) -> None:
        """Have connections open for orders that may come in a moment; returns at once.

        Accounts without a client are left out: they cannot send an order either.
        """
        for broker_id in broker_ids:
            if broker_id in self._clients:
                self._cold.put_nowait(broker_id)

    async def open_ahead(self) -> None:
        """Open, for ever, what ``warm`` asks for; accounts beside one another."""
        async with asyncio.TaskGroup() as group:
            while True:
                _, client = self._clients.get(await self._cold.get(), (None, None))
                if client is not None:
                    group.create_task(client.warm())

    async def drop(self, broker_id: str) -> None:
        """Close an account's client; the next request opens a new one."""
        known = self._clients.pop(broker_id, None)
        if known is not None:
            await known[1].aclose()

    async def aclose(self) -> None:
        """Close every client."""
        for broker_id in list(self._clients):
            await self.drop(broker_id)
