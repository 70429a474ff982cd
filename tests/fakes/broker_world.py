"""A broker as a contract test meets it: an adapter on its simulator, or the scripted broker."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime
from itertools import count
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import httpx

from core.adapters.brokers import build_brokers
from core.adapters.clock import MARKET_ZONE
from core.adapters.fyers import FYERS
from core.adapters.zerodha import ZERODHA
from core.domain.broker import BrokerOrder, BrokerStatus
from core.domain.outcome import Acked, WriteOutcome
from core.ports.broker import Broker, BrokerClient, Credentials
from tests.fakes.brokers import roots_at
from tests.fakes.clock import running_from
from tests.fakes.sandbox_process import Sandbox
from tests.fakes.scripted_broker import ScriptedBroker

__all__ = ["NOON", "Scripted", "SimulatedBroker", "acked", "simulated", "tagged", "until"]

NOON = datetime(2026, 11, 23, 10, 0, tzinfo=MARKET_ZONE)
PROFILE_OF = {"kite": ZERODHA, "fyers": FYERS}


@dataclass(frozen=True)
class SimulatedBroker:
    """One broker, one of its simulated users, and the simulator's control.

    Attributes:
        target: The simulator's name.
    """

    sandbox: Sandbox
    target: str
    broker: Broker
    credentials: Credentials
    user_id: str
    redirect_url: str

    async def answered(self, action: str = "allow", nonce: str = "NONCE1") -> dict[str, str]:
        """Log in by the broker's form and return the query of the callback."""
        address = self.broker.login.login_url(
            self.credentials, nonce=nonce, redirect_url=self.redirect_url
        )
        async with httpx.AsyncClient(trust_env=False, timeout=60) as person:
            form = {"user_id": self.user_id, "action": action}
            answer = await person.post(address, data=form)
        assert answer.status_code == 302, answer.text
        return dict(parse_qsl(urlsplit(answer.headers["location"]).query))

    async def logged_in(self) -> Credentials:
        """Return credentials with a fresh token."""
        callback = self.broker.profile.callback
        query = await self.answered()
        nonce, code = callback.nonce_in(query), callback.code_in(query)
        assert nonce == "NONCE1"
        grant = await self.broker.login.exchange(
            self.credentials, code, redirect_url=self.redirect_url
        )
        assert grant.user_id == self.user_id
        return replace(self.credentials, access_token=grant.access_token)

    @asynccontextmanager
    async def client(self) -> AsyncIterator[BrokerClient]:
        """Yield a client of the logged-in account."""
        master = {row.id: row for row in await self.broker.instruments.load()}
        client = self.broker.connect(await self.logged_in(), master)
        try:
            yield client
        finally:
            await client.aclose()

    def fault(self, kind: str, path: str = "", method: str = "", **fields: Any) -> None:
        """Set a fault for this account's simulator."""
        match = {name: value for name, value in (("path", path), ("method", method)) if value}
        self.sandbox.fault(kind, self.target, match=match, **fields)

    def ledger(self) -> list[dict[str, Any]]:
        """Return the order writes that the simulator received from this app."""
        rows: Any = self.sandbox.ask(
            "GET", "/ledger", broker=self.target, api_key=self.credentials.api_key
        )
        return list(rows["ledger"] if isinstance(rows, dict) else rows)

    async def code(self) -> str:
        """Return a code that a login has left, not spent yet."""
        return self.broker.profile.callback.code_in(await self.answered())

    def expire(self) -> None:
        """End the login at the broker."""
        where = {"broker": self.target, "api_key": self.credentials.api_key}
        self.sandbox.ask("POST", "/tokens/expire", where)


@dataclass(frozen=True)
class Scripted:
    """The scripted broker and one of its accounts, behind the same questions."""

    broker: ScriptedBroker
    credentials: Credentials = field(
        default_factory=lambda: Credentials("zerodha_aaaaaaaaaa", "key", "secret")
    )
    user_id: str = "AB1234"
    redirect_url: str = "http://127.0.0.1:8443/broker/callback/zerodha"

    @asynccontextmanager
    async def client(self) -> AsyncIterator[BrokerClient]:
        """Yield a client of the logged-in account."""
        master = {row.id: row for row in await self.broker.instruments.load()}
        grant = await self.broker.login.exchange(
            self.credentials, await self.code(), redirect_url=self.redirect_url
        )
        assert grant.user_id == self.user_id
        yield self.broker.connect(
            replace(self.credentials, access_token=grant.access_token), master
        )

    async def code(self) -> str:
        """Return a code that was not spent yet."""
        return f"code{next(_CODES)}"

    def expire(self) -> None:
        """End the login at the broker."""
        self.broker.accounts[self.credentials.broker_id].is_logged_out = True


_CODES = count()


def simulated(sandbox: Sandbox, target: str) -> SimulatedBroker:
    """Return a broker on its simulator, with the first of its apps."""
    profile = PROFILE_OF[target]
    brokers = build_brokers(running_from(NOON), roots_at(sandbox.url), deadline_s=4.0)
    app = next(row for row in sandbox.ask("GET", "/accounts") if row["broker"] == target)
    return SimulatedBroker(
        sandbox,
        target,
        brokers[profile],
        Credentials(f"{profile}_aaaaaaaaaa", app["api_key"], app["api_secret"]),
        app["user_id"],
        app["redirect_url"],
    )


async def until(
    look: Callable[[], Awaitable[BrokerOrder | None]], within_s: float = 150.0
) -> BrokerOrder:
    """Look until something is seen."""
    async with asyncio.timeout(within_s):
        while (seen := await look()) is None:
            await asyncio.sleep(0.1)
    return seen


def tagged(client: BrokerClient, tag: str, status: BrokerStatus | None = None) -> Any:
    """Return a look at the order with a tag, in a status when one is named."""

    async def look() -> BrokerOrder | None:
        for order in await client.orders():
            if order.tag == tag and status in {None, order.status}:
                return order
        return None

    return look


def acked(outcome: WriteOutcome) -> str:
    """Return the broker's id of an acknowledged write."""
    assert isinstance(outcome, Acked), outcome
    return outcome.broker_order_id
