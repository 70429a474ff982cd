"""Whether a broker knows an account's key, asked before anybody is sent to its login page (B3)."""

from __future__ import annotations

import logging
import secrets
from dataclasses import dataclass

from core.domain.account import Account
from core.engine.accounts.accounts import Accounts
from core.engine.accounts.connections import Connections
from core.errors import LoginFault, LoginRefused, VaultError
from core.ports.broker import Credentials
from core.ports.clock import Clock

__all__ = ["KeyCheck", "opened"]

_log = logging.getLogger(__name__)
_AGAIN_S = 60.0
"""How long an answer counts: whoever holds a link must not use up the rate of the app's orders."""


@dataclass(frozen=True, slots=True)
class _Answer:
    """What a broker said of a key, and since which change of that."""

    key: str
    at: float
    is_refused: bool
    change: str


_NEVER = _Answer("", 0.0, is_refused=False, change="")


async def opened(accounts: Accounts, broker_id: str) -> Credentials:
    """Open what is kept of an account for its login.

    Raises:
        LoginRefused: SECRET_UNREADABLE: nothing of it can be opened, so that no login works.
        NotFound: The account is gone.
    """
    try:
        return await accounts.credentials(broker_id)
    except VaultError as error:
        _log.error("account %s: its secrets cannot be opened: %s", broker_id, error)
        raise LoginRefused(LoginFault.SECRET_UNREADABLE) from error


class KeyCheck:
    """Asks brokers about keys, each account's at most once a minute."""

    def __init__(self, clock: Clock, accounts: Accounts, connections: Connections) -> None:
        self._clock = clock
        self._accounts = accounts
        self._connections = connections
        self._answers: dict[str, _Answer] = {}

    async def refusal(self, account: Account, redirect_url: str) -> tuple[LoginFault, str] | None:
        """Return why no login with the account's key can work, and a name of that; None: it can.

        The name stays until the broker knows the key, the key is another one, or the account was
        logged in: however often it is asked for, there is one thing to tell.

        Raises:
            NotFound: The account is gone.
        """
        try:
            credentials = await opened(self._accounts, account.broker_id)
        except LoginRefused as refused:
            name = f"{account.broker_id}:{account.api_key}:{account.token_generated_at}"
            return refused.fault, name
        now = self._clock.monotonic()
        answer = self._answers.get(account.broker_id, _NEVER)
        if answer.key != account.api_key or now - answer.at >= _AGAIN_S:
            login = self._connections.broker(account.broker).login
            is_refused = not await login.knows_key(credentials, redirect_url=redirect_url)
            answer = self._noted(account, now, is_refused=is_refused)
        if not answer.is_refused:
            return None
        return LoginFault.KEY_UNKNOWN, f"{answer.change}:{account.token_generated_at}"

    def _noted(self, account: Account, at: float, *, is_refused: bool) -> _Answer:
        before = self._answers.get(account.broker_id, _NEVER)
        is_same = (before.key, before.is_refused) == (account.api_key, is_refused)
        change = before.change if is_same else secrets.token_hex(8)
        answer = _Answer(account.api_key, at, is_refused, change)
        self._answers[account.broker_id] = answer
        return answer
