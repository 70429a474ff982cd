"""Connecting and disconnecting accounts (product.md A1 to A3, A8, A9)."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Callable, MutableMapping
from contextlib import asynccontextmanager, nullcontext
from functools import partial

from core.domain.account import Account, AccountDraft
from core.domain.broker_profile import BrokerProfile
from core.domain.command import Command
from core.domain.identifiers import is_paper
from core.engine.accounts.accounts import Accounts
from core.engine.accounts.connections import Connections
from core.engine.accounts.modes import hand_over
from core.engine.accounts.tokens import Tokens
from core.engine.control.paper_accounts import PaperAccounts
from core.engine.orders.guards import close_alarms
from core.engine.orders.journal import Journal
from core.engine.outbox import Outbox
from core.engine.workers.pool import WorkerPool
from core.errors import BrokerReadError, UserError, VaultError
from core.ports.broker import BrokerClient
from core.ports.store import StoreView

__all__ = ["BETA_STORE", "AccountRegistration"]

_log = logging.getLogger(__name__)

BETA_STORE = (
    "The built-in database is beta and live brokers need an explicit yes: set "
    "SAARTHI_ACCEPT_EMBEDDED_STORE_FOR_LIVE=yes, or use MONGODB_URI."
)


class AccountRegistration:
    """Connects and disconnects accounts.

    ``fence`` returns the fence of this controller's lease; into ``troubles`` goes what the broker
    did not confirm, for the health view.
    """

    def __init__(
        self,
        *,
        accounts: Accounts,
        connections: Connections,
        tokens: Tokens,
        journal: Journal,
        pool: WorkerPool,
        paper: PaperAccounts,
        outbox: Outbox,
        fence: Callable[[], int],
        troubles: MutableMapping[str, str],
        live_brokers_allowed: bool,
    ) -> None:
        self._accounts = accounts
        self._connections = connections
        self._tokens = tokens
        self._journal = journal
        self._pool = pool
        self._paper = paper
        self._outbox = outbox
        self._fence = fence
        self._troubles = troubles
        self._live_brokers_allowed = live_brokers_allowed

    async def check_key(self, api_key: str, broker: str, *, besides: str | None = None) -> str:
        """Return a hint when this API key is connected already (a family may share it), or ''.

        Raises:
            UserError: An account of this key has not logged in yet: the two look the same.
        """
        found = await self._accounts.with_key(broker, api_key)
        twins = [one for one in found if one.broker_id != besides]
        for twin in twins:
            if twin.user_id is None:
                raise UserError(
                    f"{twin.display_name!r} uses this key already and has not logged in yet; log "
                    "it in first, or disconnect it."
                )
        if not twins:
            return ""
        names = ", ".join(f"{twin.display_name} ({twin.user_id})" for twin in twins)
        return f"This key is connected already: {names}. Go on only for another user of that app."

    def check_broker(self, broker: BrokerProfile) -> None:
        """Raise ``UserError`` where no account of a broker may be added here at all.

        Asked before a key or a secret is typed, and again when the account is added.
        """
        if not broker.is_paper and not self._live_brokers_allowed:
            raise UserError(BETA_STORE)

    async def add(self, command: Command, draft: AccountDraft) -> Account:
        """Connect an account: disabled, mode NORMAL, default when it is the first."""
        is_paper = draft.broker.is_paper
        self.check_broker(draft.broker)
        account = await self._accounts.add(
            draft,
            nonce=f"add:{command.id}",
            fence=self._fence(),
            author=str(command.user_id),
            also=partial(self._paper.open, funds=draft.funds) if is_paper else None,
        )
        self._pool.accounts_changed()
        return account

    async def renew_credentials(
        self, command: Command, broker_id: str, api_key: str, api_secret: str
    ) -> Account:
        """Replace key and secret of an account; its login ends, all else of it stays.

        Raises:
            UserError: Another account of this key has not logged in yet, or is the same user's; or
                it is a paper account.
        """
        account = await self._accounts.get(broker_id)
        if account.broker.is_paper:
            raise UserError(f"{account.label} is a paper account: it has no key and no secret.")
        await self.check_key(api_key, account.broker.name, besides=broker_id)
        worker = self._pool.get(broker_id)
        # Under the lock no order is on its way with the client that ends here.
        async with (
            self._parting(broker_id) as (client, unheard),
            worker.lock if worker is not None else nullcontext(),
        ):
            account = await self._accounts.replace_credentials(
                broker_id,
                api_key,
                api_secret,
                nonce=f"renew:{command.id}",
                also=self._tokens.ended,
            )
            if unheard := unheard or await _logged_out(client):
                _log.info("account %s: the old login was not ended: %s", broker_id, unheard)
            await self._connections.drop(broker_id)
        self._pool.wake(broker_id)
        await self._tokens.show_warning(force=True)
        return account

    async def disconnect(self, command: Command, broker_id: str) -> Account:
        """Log out, wipe the secrets, keep the history; what is held is the person's (A8)."""

        async def also(view: StoreView) -> None:
            await self._journal.end_cards(view, broker_id)
            # Nothing here would ever close it, and the limits of all accounts together count it.
            await close_alarms(view, self._outbox, broker_id, "the account is disconnected")
            await hand_over(view, broker_id)
            if is_paper(broker_id):
                await self._paper.close(view, broker_id)

        async with self._parting(broker_id) as (client, unheard):
            account = await self._accounts.wipe(
                broker_id, nonce=f"disconnect:{command.id}", also=also
            )
            if unheard := unheard or await _logged_out(client):
                # The token is wiped here and dies at 06:00 there; say so instead of failing.
                self._troubles[f"logout {broker_id}"] = (
                    f"{account.label} was disconnected, but the broker did not confirm the "
                    f"logout: {unheard}"
                )
        await self._connections.drop(broker_id)
        self._pool.wake(broker_id)
        await self._tokens.show_warning()
        return account

    @asynccontextmanager
    async def _parting(self, broker_id: str) -> AsyncIterator[tuple[BrokerClient | None, str]]:
        """Give what logs an account out, made while its secrets are there, or why nothing can.

        An account whose secrets cannot be opened has to be left or mended all the same. The client
        is closed at the end, whatever fails before the logout.
        """
        client, unheard = None, ""
        try:
            client = await self._connections.parting(broker_id)
        except (BrokerReadError, VaultError) as error:
            unheard = str(error)
        try:
            yield client, unheard
        finally:
            if client is not None:
                await client.aclose()


async def _logged_out(client: BrokerClient | None) -> str:
    """Log out; return why the broker did not confirm it, or ''."""
    if client is None:
        return ""
    try:
        await client.logout()
    except BrokerReadError as error:
        return str(error)
    return ""
