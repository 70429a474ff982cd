"""Whether a broker knows an account's key, asked before anybody is sent to its login page (B3)."""

from __future__ import annotations

import secrets
from dataclasses import dataclass

from core.domain.account import Account
from core.engine.accounts.accounts import Accounts
from core.engine.accounts.connections import Connections
from core.ports.clock import Clock

__all__ = ["KeyCheck"]

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


class KeyCheck:
    """Asks brokers about keys, each account's at most once a minute."""

    def __init__(self, clock: Clock, accounts: Accounts, connections: Connections) -> None:
        self._clock = clock
        self._accounts = accounts
        self._connections = connections
        self._answers: dict[str, _Answer] = {}

    async def refusal(self, account: Account, redirect_url: str) -> str | None:
        """Return a name of the refusal while the broker does not know the key, None when it does.

        The name stays until the broker knows the key, the key is another one, or the account was
        logged in: however often it is asked for, there is one thing to tell.

        Raises:
            NotFound: The account is gone.
            VaultError: Its secrets cannot be opened.
        """
        now = self._clock.monotonic()
        answer = self._answers.get(account.broker_id, _NEVER)
        if answer.key != account.api_key or now - answer.at >= _AGAIN_S:
            credentials = await self._accounts.credentials(account.broker_id)
            login = self._connections.broker(account.broker).login
            is_refused = not await login.knows_key(credentials, redirect_url=redirect_url)
            answer = self._noted(account, now, is_refused=is_refused)
        return f"{answer.change}:{account.token_generated_at}" if answer.is_refused else None

    def _noted(self, account: Account, at: float, *, is_refused: bool) -> _Answer:
        before = self._answers.get(account.broker_id, _NEVER)
        is_same = (before.key, before.is_refused) == (account.api_key, is_refused)
        change = before.change if is_same else secrets.token_hex(8)
        answer = _Answer(account.api_key, at, is_refused, change)
        self._answers[account.broker_id] = answer
        return answer
