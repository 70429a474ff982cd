"""Logins with nothing left out: our web server, the real login service, store and adapters, the sandbox."""

from __future__ import annotations

import uuid
from collections.abc import Awaitable, Callable, Container, Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

import httpx
from cryptography.fernet import Fernet

from core.adapters.brokers import OFFERED, PROFILES, build_brokers
from core.adapters.calendar import TradingCalendar
from core.adapters.clock import SimulatedClock
from core.adapters.fyers import FYERS
from core.adapters.vault import FernetVault
from core.adapters.zerodha import ZERODHA
from core.domain.account import Account, AccountDraft
from core.domain.broker_profile import BrokerProfile
from core.domain.command import Command
from core.domain.sessions import IST
from core.engine.accounts.accounts import Accounts
from core.engine.accounts.connections import Connections
from core.engine.accounts.logins import Logins
from core.engine.accounts.masters import Masters
from core.engine.accounts.tokens import Tokens
from core.engine.outbox import Outbox
from core.engine.safeguards.reconnection import Reconnection
from core.errors import LoginFault, StoreUnavailable
from core.ports.broker import Broker
from core.ports.store import BulkView, Change, Document, Store, Tally
from tests.fakes.brokers import roots_at
from tests.fakes.sandbox_process import CLOCK, Sandbox
from webhooks.app import WebParts, WebServer, build_app, serve
from webhooks.guard import RateLimit

__all__ = [
    "DEADLINE_S",
    "SECRETS",
    "USERS",
    "LoginWorld",
    "ShiftedClock",
    "StumblingStore",
    "assert_logged_out",
    "assert_told",
    "query_of",
    "with_query",
]

DEADLINE_S = 5.0
KITE = ZERODHA
KEYS = {KITE: "canarykitekey01", FYERS: "CANARYFY01-100"}
SECRETS = {KITE: "canarykitesecret0001", FYERS: "CANARYFYSECRET01"}
USERS = {KITE: ("ZK1001", "ZK2002"), FYERS: ("FX01001", "FX02002")}
_NAMES = ("Gita Hegde", "Ishan Joshi")
_CHAT = 4711
MARKET_START = datetime.fromisoformat(CLOCK).replace(tzinfo=IST)


class ShiftedClock(SimulatedClock):
    """Real time is the machine's, set forward by a test; market time begins where the sandbox's is."""

    def __init__(self) -> None:
        self.ahead = timedelta(0)
        super().__init__(MARKET_START, self.now(), 1.0)

    def now(self) -> datetime:
        return super().now() + self.ahead


class StumblingStore:
    """A store that a test makes fail: transactions whose nonce begins with ``failing``, or all."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self.failing = ""
        self.is_away = False

    def _check(self) -> None:
        if self.is_away:
            raise StoreUnavailable("the store is away")

    async def get(self, collection: str, key: str) -> Document | None:
        self._check()
        return await self._store.get(collection, key)

    async def find(
        self,
        collection: str,
        where: Mapping[str, Any],
        *,
        sort: Sequence[tuple[str, int]] = (),
        limit: int = 0,
    ) -> list[Document]:
        self._check()
        return await self._store.find(collection, where, sort=sort, limit=limit)

    async def total(
        self, collection: str, where: Mapping[str, Any], tally: Tally, heading: Hashable
    ) -> dict[Any, int]:
        self._check()
        return await self._store.total(collection, where, tally, heading)

    async def insert(self, collection: str, *documents: Document) -> None:
        self._check()
        await self._store.insert(collection, *documents)

    async def update(
        self,
        collection: str,
        where: Mapping[str, Any],
        change: Change,
        *,
        upsert: bool = False,
        many: bool = False,
    ) -> int:
        self._check()
        return await self._store.update(collection, where, change, upsert=upsert, many=many)

    async def delete(self, collection: str, where: Mapping[str, Any]) -> int:
        self._check()
        return await self._store.delete(collection, where)

    def changes(self, others: Container[str]) -> int | None:
        return None if self.is_away else self._store.changes(others)

    async def transaction(self, body: Callable[[BulkView], Awaitable[Any]], *, nonce: str) -> Any:
        self._check()
        if self.failing and nonce.startswith(self.failing):
            raise StoreUnavailable("the store went away in the commit")
        return await self._store.transaction(body, nonce=nonce)


@dataclass
class LoginWorld:
    """Everything, started; ``woken`` and ``logged_in`` tell what the controller was told."""

    sandbox: Sandbox
    store: StumblingStore
    http: httpx.AsyncClient
    has_public_url: bool = True
    clock: ShiftedClock = field(default_factory=ShiftedClock)
    vault: FernetVault = field(
        default_factory=lambda: FernetVault([Fernet.generate_key().decode()])
    )
    woken: list[str] = field(default_factory=list)
    logged_in: list[str] = field(default_factory=list)
    accounts: Accounts = field(init=False)
    brokers: dict[BrokerProfile, Broker] = field(init=False)
    logins: Logins = field(init=False)
    web: WebServer = field(init=False)

    def __post_init__(self) -> None:
        self.accounts = Accounts(self.store, self.vault, self.clock, OFFERED)
        self.brokers = build_brokers(self.clock, roots_at(self.sandbox.url), deadline_s=DEADLINE_S)
        self.logins = self.new_logins()
        self.web = self.new_web(self.logins)

    def new_logins(self, public_url: str | None = None) -> Logins:
        """Return the service as a start of the controller makes one."""
        outbox = Outbox(self.clock)
        masters = Masters(self.brokers, self.clock)
        tokens = Tokens(
            self.store,
            self.clock,
            TradingCalendar(),
            self.accounts,
            outbox,
            warning_interval_s=900,
        )
        return Logins(
            store=self.store,
            clock=self.clock,
            vault=self.vault,
            accounts=self.accounts,
            connections=Connections(self.brokers, self.accounts, masters),
            tokens=tokens,
            outbox=outbox,
            public_url=public_url,
            redirect_root=public_url or "https://127.0.0.1",
            on_login=self.logged_in.append,
            on_first_login=Reconnection(self.clock, self.accounts).take_over,
        )

    def new_web(self, logins: Logins) -> WebServer:
        """Return a server for the logins."""

        async def is_healthy() -> bool:
            return not self.store.is_away

        parts = WebParts(
            logins,
            self.accounts,
            PROFILES,
            self.woken.append,
            is_healthy,
            self.clock,
            rate=RateLimit(requests=10_000),
        )
        return serve(build_app(parts), "127.0.0.1:0")

    async def start(self) -> None:
        """Listen, and be an owner's chat."""
        await self.web.start()
        if self.has_public_url:
            self.logins._public_url = self.logins._redirect_root = self.root
        await self.store.insert("users", {"_id": "1", "role": "owner", "chat_id": _CHAT})

    @property
    def root(self) -> str:
        """Address of our server."""
        return f"http://127.0.0.1:{self.web.port}"

    async def add(
        self,
        broker: BrokerProfile,
        name: str = "Main",
        *,
        key: str | None = None,
        secret: str | None = None,
    ) -> Account:
        """Register an app with two users at the broker, and connect an account here."""
        api_key = key or KEYS[broker]
        for user_id, user_name in zip(USERS[broker], _NAMES, strict=True):
            body = {
                "broker": broker.api_name,
                "api_key": api_key,
                "api_secret": SECRETS[broker],
                "user_id": user_id,
                "user_name": user_name,
                "redirect_url": self.logins.redirect_url(broker),
            }
            self.sandbox.ask("POST", "/accounts", body)
        draft = AccountDraft(broker, name, api_key, secret or SECRETS[broker])
        return await self.accounts.add(draft, nonce=f"add:{name}", fence=1, author="test")

    async def paste(self, text: str, broker_id: str | None) -> Account:
        """Paste a text into the chat, each time as a command of its own."""
        return await self.logins.paste(Command(uuid.uuid4().hex, 1, _CHAT), text, broker_id)

    async def page(self, account: Account) -> str:
        """Return the address of an account's login page."""
        offer = await self.logins.offer(account.broker_id)
        assert offer.page_url is not None
        return offer.page_url

    async def begin(self, account: Account) -> str:
        """Press the button of the login page and return the broker's address."""
        answer = await self.http.post(await self.page(account))
        assert answer.status_code == 303, answer.text
        return answer.headers["Location"]

    async def at_broker(self, address: str, user_id: str, action: str = "allow") -> str:
        """Fill in the broker's form and return the address that it leads to."""
        assert (await self.http.get(address)).status_code == 200
        form = {"user_id": user_id, "action": action}
        answer = await self.http.post(address, data=form)
        assert answer.status_code == 302, answer.text
        return answer.headers["Location"]

    async def come_back(self, account: Account, user_id: str | None = None) -> str:
        """Begin a login, allow it, and return the address of the callback, not visited yet."""
        address = await self.begin(account)
        return await self.at_broker(address, user_id or USERS[account.broker][0])

    async def log_in(self, account: Account, user_id: str | None = None) -> httpx.Response:
        """Log in through everything and return the answer of the callback."""
        return await self.http.get(await self.come_back(account, user_id))

    async def notices(self, kind: str | None = None) -> list[dict[str, Any]]:
        """Return what the chat is told, in order."""
        rows = await self.store.find("outbox", {}, sort=[("seq", 1)])
        return [{"kind": row["kind"], **row["data"]} for row in rows if kind in {None, row["kind"]}]

    async def row(self, account: Account) -> Document:
        """Return the stored document of an account."""
        found = await self.store.get("broker_accounts", account.broker_id)
        assert found is not None
        return found


async def assert_logged_out(world: LoginWorld, account: Account) -> None:
    """The account is as if nobody had ever logged in."""
    row = await world.row(account)
    assert row["token_status"] == "expired"
    assert row["access_token"] is None
    assert row["user_id"] is None
    assert world.logged_in == []


async def assert_told(world: LoginWorld, account: Account, fault: LoginFault) -> None:
    """The chat was told of this failure, and of no other."""
    told = await world.notices("login_failed")
    assert [(one["broker_id"], one["fault"]) for one in told] == [(account.broker_id, fault.value)]


def query_of(address: str) -> dict[str, str]:
    """Return the query of an address."""
    return dict(parse_qsl(urlsplit(address).query))


def with_query(address: str, **changes: str | None) -> str:
    """Return an address with some of its query changed; None removes."""
    parts = urlsplit(address)
    query = {**query_of(address), **changes}
    kept = {name: value for name, value in query.items() if value is not None}
    return parts._replace(query=urlencode(kept)).geturl()
