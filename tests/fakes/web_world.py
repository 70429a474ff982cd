"""The web server over hand-written fakes: what it shows and logs, without store or broker."""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

import httpx

from core.adapters.brokers import PROFILES
from core.adapters.zerodha import ZERODHA
from core.domain.account import Account, TokenStatus
from core.domain.broker_profile import BrokerProfile
from core.domain.mode import TradingMode
from core.engine.accounts.logins import LoginOrigin
from core.errors import LoginFault, LoginRefused, StoreUnavailable, VaultError
from core.ports.broker import Credentials
from tests.fakes.clock import ManualClock
from webhooks.app import POSTBACKS, WebParts, build_app, serve
from webhooks.connections import ConnectionLimits
from webhooks.guard import RateLimit

__all__ = [
    "LINK",
    "NONCE",
    "SECRET",
    "FakeAccounts",
    "FakeLogins",
    "WebWorld",
    "account",
    "running",
]

LINK = "linkcanary-0123456789abcdefghijkl"
SECRET = "secretcanary0001"
NONCE = "noncecanary-0123456789"


def account(broker: BrokerProfile = ZERODHA, **changes: object) -> Account:
    """Return an account that logged in before."""
    made = Account(
        broker_id=f"{broker}_abc123",
        broker=broker,
        display_name="Main",
        api_key="apikey",
        is_default=True,
        enabled=True,
        trading_mode=TradingMode.NORMAL,
        token_status=TokenStatus.EXPIRED,
        token_generated_at=None,
        created_at=datetime(2026, 11, 1, tzinfo=UTC),
        user_id="AB1234",
        user_name="Asha Bhat",
    )
    return replace(made, **changes)  # type: ignore[arg-type]


@dataclass
class FakeLogins:
    """Logins of one account; ``fault`` decides how callbacks end."""

    account: Account = field(default_factory=account)
    fault: LoginFault | None = None
    detail: str = ""
    is_done: bool = False
    is_shared: bool = False
    unknown_key: bool = False
    trouble: Exception | None = None
    started: int = 0
    callbacks: list[Mapping[str, str]] = field(default_factory=list)

    async def linked_account(self, link: str) -> Account:
        if isinstance(self.trouble, StoreUnavailable | RuntimeError):
            raise self.trouble
        if link != LINK:
            raise LoginRefused(LoginFault.ACCOUNT_UNKNOWN)
        return (
            replace(self.account, token_status=TokenStatus.VALID) if self.is_done else self.account
        )

    async def is_given(self, link: str) -> bool:
        await self.linked_account(link)
        return self.is_shared

    async def start(self, link: str) -> str:
        await self.linked_account(link)
        if self.unknown_key:
            raise LoginRefused(LoginFault.KEY_UNKNOWN)
        if isinstance(self.trouble, VaultError):
            raise self.trouble
        self.started += 1
        self.is_done = False
        return f"https://broker.example/login?nonce={NONCE}"

    async def callback(self, broker: BrokerProfile, query: Mapping[str, str]) -> Account:
        assert broker is self.account.broker
        self.callbacks.append(query)
        if self.fault is not None:
            raise LoginRefused(self.fault, self.detail)
        if self.is_done:
            raise LoginRefused(LoginFault.NONCE_USED)
        self.is_done = True
        return self.account

    async def origin(self, broker: BrokerProfile, query: Mapping[str, str]) -> LoginOrigin | None:
        if broker.callback.nonce_in(query) != NONCE:
            return None
        return LoginOrigin(self.account, LINK, self.is_done, self.is_shared)


@dataclass
class FakeAccounts:
    """Accounts with one secret; counts how often it is asked."""

    accounts: tuple[Account, ...] = ()
    secrets: dict[str, str] = field(default_factory=dict)
    trouble: Exception | None = None
    asked: int = 0

    async def all(self) -> tuple[Account, ...]:
        self.asked += 1
        if self.trouble is not None:
            raise self.trouble
        return self.accounts

    async def credentials(self, broker_id: str) -> Credentials:
        secret = self.secrets.get(broker_id, SECRET)
        if secret == "damaged":
            raise VaultError("damaged")
        return Credentials(broker_id, "apikey", secret)


@dataclass
class WebWorld:
    """A running server and a client of it."""

    http: httpx.AsyncClient
    logins: FakeLogins
    accounts: FakeAccounts
    clock: ManualClock
    hints: list[str]
    port: int
    counts: Counter[str]
    parts: WebParts


@asynccontextmanager
async def running(
    logins: FakeLogins | None = None,
    accounts: FakeAccounts | None = None,
    *,
    rate: RateLimit | None = None,
    faults: RateLimit | None = None,
    connections: ConnectionLimits | None = None,
    trusted_proxies: tuple[str, ...] = (),
    chat_url: str = "",
    hint_fails: bool = False,
) -> AsyncIterator[WebWorld]:
    """Run the server on a free port."""
    hints: list[str] = []
    clock = ManualClock()
    logins, accounts = logins or FakeLogins(), accounts or FakeAccounts()

    def hint(broker_id: str) -> None:
        hints.append(broker_id)
        if hint_fails:
            raise RuntimeError("no worker")

    async def is_healthy() -> bool:
        return logins.trouble is None

    parts = WebParts(
        logins,
        accounts,
        PROFILES,
        hint,
        is_healthy,
        clock,
        lambda: chat_url,
        rate or RateLimit(requests=10_000),
        trusted_proxies,
        connections or ConnectionLimits(),
        faults or RateLimit(requests=10_000),
    )
    app = build_app(parts)
    server = serve(app, "127.0.0.1:0")
    await server.start()
    try:
        base = f"http://127.0.0.1:{server.port}"
        async with httpx.AsyncClient(base_url=base, trust_env=False, timeout=60) as http:
            counts = app[POSTBACKS].counts
            yield WebWorld(http, logins, accounts, clock, hints, server.port, counts, parts)
    finally:
        await server.stop()
