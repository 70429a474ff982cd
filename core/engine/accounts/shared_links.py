"""Login links to give away: for the holder of an account, who does not use the bot (row B11).

Whoever has such a link can begin the login of that account and nothing else: the broker asks for
password and second factor, and a login by another user changes nothing. It works each morning anew,
until its end, its revocation, or the end of the account.
"""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from datetime import timedelta

from core.domain.account import Account
from core.domain.command import Command
from core.engine.accounts.accounts import Accounts
from core.engine.accounts.login_links import SharedLink, add_link, end_link, shared_links_of
from core.errors import UserError
from core.ports.clock import Clock
from core.ports.store import Store, StoreView

__all__ = ["DAYS", "SharedLinks"]

DAYS = (1, 7, 30)
"""How long a link may live."""
_LINK_BYTES = 24
_AT_MOST = 5


class SharedLinks:
    """Makes, lists and revokes links; without a public address there are none."""

    def __init__(
        self, store: Store, clock: Clock, accounts: Accounts, public_url: str | None
    ) -> None:
        self._store = store
        self._clock = clock
        self._accounts = accounts
        self._public_url = public_url.rstrip("/") if public_url else None

    @property
    def can_be_made(self) -> bool:
        """Whether there is an address that a holder can open."""
        return self._public_url is not None

    async def open_links(self, broker_id: str) -> Sequence[SharedLink]:
        """Return the open links of an account, the newest first."""
        return await shared_links_of(self._store, broker_id, self._clock.now())

    async def make(self, command: Command, broker_id: str, days: int) -> tuple[Account, str]:
        """Make a link that ends after so many days; return its address.

        Raises:
            UserError: There is no public address, there are too many open links, or the account
                has no login.
        """
        account = await self._accounts.get(broker_id)
        if self._public_url is None:
            raise UserError("A link needs a public address (SAARTHI_PUBLIC_URL).")
        if days not in DAYS or account.broker.is_paper:
            raise UserError("That link cannot be made; open /brokers again.")
        link, now = secrets.token_urlsafe(_LINK_BYTES), self._clock.now()

        async def body(view: StoreView) -> None:
            if len(await shared_links_of(view, broker_id, now)) >= _AT_MOST:
                raise UserError(
                    f"{account.label} has {_AT_MOST} open links; revoke one of them first."
                )
            ends_at = now + timedelta(days=days)
            await add_link(view, link, broker_id, at=now, ends_at=ends_at)

        await self._store.transaction(body, nonce=f"share:{command.id}")
        return account, f"{self._public_url}/login/{link}"

    async def revoke(self, broker_id: str, link: str) -> None:
        """End a link at once; one that has ended already is no mistake."""
        if any(one.link == link for one in await self.open_links(broker_id)):
            await end_link(self._store, link)
