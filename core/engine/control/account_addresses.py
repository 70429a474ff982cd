"""From where an account's requests leave, as users set it (A12).

A new route is looked at before it is taken: one that is not there is refused. It is taken between
two orders, and the next request of any kind leaves by it. What is set stays set when it cannot be
checked afterwards, and the answer says both.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Sequence
from contextlib import nullcontext
from dataclasses import replace
from typing import Any

from core.domain.account import Account, Sharing
from core.domain.command import Command
from core.domain.route import Proxy, Route
from core.domain.shared_address import seen_trouble, unexplained_sharers, way_out
from core.engine.accounts.accounts import Accounts, update_account
from core.engine.accounts.addresses import Addresses
from core.engine.accounts.connections import Connections
from core.engine.workers.pool import WorkerPool
from core.errors import NotFound, StoreError, UserError
from core.ports.address_probe import Sighted
from core.ports.clock import Clock
from core.ports.store import Store, StoreView
from core.ports.vault import Vault

__all__ = ["AccountAddresses"]

_log = logging.getLogger(__name__)


class AccountAddresses:
    """Sets and shows from where accounts' requests leave."""

    def __init__(
        self,
        *,
        store: Store,
        clock: Clock,
        vault: Vault,
        accounts: Accounts,
        connections: Connections,
        addresses: Addresses,
        pool: WorkerPool,
    ) -> None:
        self._store = store
        self._clock = clock
        self._vault = vault
        self._accounts = accounts
        self._connections = connections
        self._addresses = addresses
        self._pool = pool

    def local_addresses(self) -> Sequence[str]:
        """Return the addresses of this machine that an account can leave from."""
        return self._addresses.probe.local_addresses()

    async def sharers(self, account: Account) -> Sequence[Account]:
        """Return the accounts that share its address without a stated reason."""
        return unexplained_sharers(account, await self._accounts.all())

    async def set_local(self, command: Command, broker_id: str, address: str | None) -> Account:
        """Let an account's requests leave from an address of this machine; None for any of it.

        Raises:
            UserError: It is not an address of this machine, and nothing was changed; or it is set
                and could not be checked.
        """
        fields = {"source_address": address, "proxy": "", "proxy_login": None}
        return await self._take(command, broker_id, Route(address), fields)

    async def set_proxy(self, command: Command, broker_id: str, proxy: Proxy) -> Account:
        """Let an account's requests leave through a proxy.

        Raises:
            UserError: It does not answer, or refuses its user, and nothing was changed; or it is
                set and could not be checked.
        """
        login = f"{proxy.user}:{proxy.password}" if proxy.user or proxy.password else ""
        fields = {
            "source_address": None,
            "proxy": proxy.shown,
            "proxy_login": self._vault.seal(login) if login else None,
        }
        return await self._take(command, broker_id, Route(None, proxy), fields)

    async def _take(
        self, command: Command, broker_id: str, route: Route, fields: dict[str, Any]
    ) -> Account:
        account = await self._accounts.get(broker_id)
        sighting = await self._addresses.probe.look(route)
        if sighting.kind is Sighted.ABSENT:
            raise UserError(f"{sighting.why[:1].upper()}{sighting.why[1:]}; nothing was changed.")
        worker = self._pool.get(broker_id)
        # Under the lock no order is on its way with the client that ends here.
        async with worker.lock if worker is not None else nullcontext():
            found = {"address_seen": sighting.address, "address_checked_at": None}
            await self._put(f"route:{command.id}", broker_id, fields | found)
            await self._connections.drop(broker_id)
        self._pool.wake(broker_id)
        now = replace(account, source_address=fields["source_address"], proxy=fields["proxy"])
        told = f"{account.label} leaves from {way_out(now)} from now on"
        return await _seen(told, self.check(broker_id))

    async def set_registered(
        self, command: Command, broker_id: str, addresses: Sequence[str], *, is_change: bool
    ) -> Account:
        """Note which addresses the broker's console holds.

        Args:
            command: Who says so.
            broker_id: The account.
            addresses: The primary one, and the secondary one if there is one.
            is_change: They were changed there now; otherwise they stood there before, and the date
                of the last change stays.

        Raises:
            UserError: They are noted, and could not be checked.
        """
        fields: dict[str, Any] = {"registered": list(addresses)}
        if is_change:
            fields["registered_at"] = self._clock.now()
        account = await self._accounts.get(broker_id)
        await self._put(f"registered:{command.id}", broker_id, fields)
        told = f"{', '.join(addresses)} is noted for {account.label}"
        return await _seen(told, self.check(broker_id))

    async def set_sharing(
        self, command: Command, broker_id: str, sharing: Sharing | None
    ) -> Account:
        """Note why an account may share its address with others; None for no reason.

        Raises:
            UserError: It is noted, and the account could not be read again.
        """
        account = await self._accounts.get(broker_id)
        fields = {"sharing": sharing.value if sharing else None}

        async def body(view: StoreView) -> None:
            await _write(view, broker_id, fields)

        await self._store.transaction(body, nonce=f"sharing:{command.id}")
        told = f"Whose address {account.label} shares is noted"
        return await _seen(told, self._accounts.get(broker_id))

    async def _put(self, nonce: str, broker_id: str, fields: dict[str, Any]) -> None:
        """Write fields, and judge in the same commit: no entry slips through in between."""

        async def body(view: StoreView) -> None:
            before = await self._accounts.get_in(view, broker_id)
            seen = fields.get("address_seen", before.address_seen)
            registered = fields.get("registered", before.registered)
            trouble = seen_trouble(seen, registered, before.broker.label)
            if "address_seen" not in fields and not seen:
                # What is registered says nothing of a way that is gone: a look alone does.
                trouble = before.address_trouble
            await _write(view, broker_id, fields)
            await self._addresses.note_trouble(view, before, trouble, seen=seen, is_told=False)

        await self._store.transaction(body, nonce=nonce)

    async def check(self, broker_id: str) -> Account:
        """Look from where an account's requests leave now, for a user who waits."""
        await self._addresses.check([await self._accounts.get(broker_id)], is_told=False)
        return await self._accounts.get(broker_id)


async def _seen(told: str, check: Awaitable[Account]) -> Account:
    """Return what a look has found after something was set, or say that it is set all the same."""
    try:
        return await check
    except StoreError as error:
        _log.warning("an address that was set could not be checked: %s", error)
        raise UserError(
            f"{told}, but it could not be checked: the database does not answer. Look at it again "
            "in a minute with /brokers."
        ) from error


async def _write(view: StoreView, broker_id: str, fields: dict[str, Any]) -> None:
    if not await update_account(view, broker_id, fields):
        raise NotFound("That account is not connected any more; /brokers lists the present ones.")
