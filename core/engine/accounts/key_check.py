"""Whether a broker knows an account's key, asked before anybody is sent to its login page (B3)."""

from __future__ import annotations

from core.domain.account import Account
from core.engine.accounts.accounts import Accounts
from core.engine.accounts.connections import Connections
from core.ports.clock import Clock

__all__ = ["KeyCheck"]

_AGAIN_S = 60.0
"""How long an answer counts: whoever holds a link must not use up the rate of the app's orders."""


class KeyCheck:
    """Asks brokers about keys, each account's at most once a minute."""

    def __init__(self, clock: Clock, accounts: Accounts, connections: Connections) -> None:
        self._clock = clock
        self._accounts = accounts
        self._connections = connections
        self._answers: dict[str, tuple[str, float, bool]] = {}

    async def is_refused(self, account: Account, redirect_url: str) -> bool:
        """Return whether the broker says that it does not know the account's key.

        Raises:
            NotFound: The account is gone.
            VaultError: Its secrets cannot be opened.
        """
        now = self._clock.monotonic()
        key, at, is_refused = self._answers.get(account.broker_id, ("", 0.0, False))
        if key == account.api_key and now - at < _AGAIN_S:
            return is_refused
        credentials = await self._accounts.credentials(account.broker_id)
        login = self._connections.broker(account.broker).login
        is_refused = not await login.knows_key(credentials, redirect_url=redirect_url)
        self._answers[account.broker_id] = (account.api_key, now, is_refused)
        return is_refused
