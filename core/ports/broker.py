"""The broker ports: one small protocol for each thing a broker is asked for.

Contract for every method: it returns or raises within its deadline, which includes every wait for a
lock, a pool, a thread or a rate (reliability.md I13). Nothing is sent twice by the transport. Calls
of one account never wait for another account (I7). Cancelling the caller does not un-send: a
cancelled write counts as ambiguous.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol, runtime_checkable

from core.domain.broker import (
    BrokerOrder,
    BrokerTrade,
    Candle,
    Funds,
    Holding,
    Position,
    PriceBand,
    Profile,
    Quote,
)
from core.domain.broker_profile import BrokerProfile
from core.domain.instrument import ExchangeFacts, Instrument, InstrumentId
from core.domain.order import OrderRequest
from core.domain.outcome import WriteOutcome
from core.domain.route import OWN_ROUTE, Route
from core.ports.price_stream import PriceStream
from core.ports.updates import OrderUpdates

__all__ = [
    "AccountReader",
    "Broker",
    "BrokerClient",
    "Credentials",
    "FactsSource",
    "InstrumentSource",
    "LoginGrant",
    "LoginPort",
    "MarketDataSource",
    "NamesBands",
    "OrderEntry",
    "PreparesOrders",
]


class OrderEntry(Protocol):
    """Writes.

    No method raises for anything that happens at the broker or on the way: every end is a
    ``WriteOutcome``, classified from the transport's raw result. No method retries.
    """

    async def place(self, order: OrderRequest) -> WriteOutcome:
        """Send one order, tagged with its ``client_order_id``."""
        ...

    async def modify(
        self,
        broker_order_id: str,
        order: OrderRequest,
    ) -> WriteOutcome:
        """Change a resting order to the quantity (total, not remaining) and prices of ``order``."""
        ...

    async def cancel(self, broker_order_id: str) -> WriteOutcome:
        """Cancel a resting order. A refusal means "ask for its state", not "it is alive"."""
        ...


@runtime_checkable
class PreparesOrders(Protocol):
    """A client that can work an order's request out before it is to be sent."""

    def prepare(self, order: OrderRequest) -> None:
        """Have what ``place`` sends for this very order ready. Sends nothing and never raises."""
        ...


class AccountReader(Protocol):
    """Reads of one account. Every method raises ``BrokerReadError``; none returns a guess."""

    async def orders(self) -> Sequence[BrokerOrder]:
        """Return all of today's orders of the account, from whatever platform."""
        ...

    async def trades(self) -> Sequence[BrokerTrade]:
        """Return all of today's executions."""
        ...

    async def positions(self) -> Sequence[Position]:
        """Return net positions; closed rows of today included with quantity 0."""
        ...

    async def holdings(self) -> Sequence[Holding]:
        """Return delivery holdings."""
        ...

    async def funds(self) -> Funds:
        """Return the equity segment's funds."""
        ...

    async def profile(self) -> Profile:
        """Return who is logged in; the cheap probe of a token."""
        ...


class MarketDataSource(Protocol):
    """Prices. Unknown instruments are absent from the answer. Raises ``BrokerReadError``."""

    async def quotes(self, instruments: Sequence[InstrumentId]) -> Mapping[InstrumentId, Quote]:
        """Return last prices, in as few requests as the broker's limits allow.

        A quote that is not of the instrument that was asked for is left out.
        """
        ...

    async def candles(
        self, instrument: InstrumentId, *, start: datetime, end: datetime, minutes: int
    ) -> Sequence[Candle]:
        """Return bars of ``minutes`` with start <= bar start < end, oldest first.

        The bar that is still forming may be included; callers drop it by time.
        """
        ...


@runtime_checkable
class NamesBands(Protocol):
    """A client whose quotes leave the day's price band out: it is asked for apart."""

    async def price_band(self, instrument: InstrumentId) -> PriceBand:
        """Return the band of one instrument, in one request. Raises ``BrokerReadError``."""
        ...


class BrokerClient(OrderEntry, AccountReader, MarketDataSource, Protocol):
    """A logged-in account at its broker."""

    def updates(self) -> OrderUpdates | None:
        """Return the stream of this login's order updates; None where the broker pushes none."""
        ...

    def prices(self) -> PriceStream | None:
        """Return the stream of prices; None where there is none, and quotes are asked for."""
        ...

    async def warm(self) -> None:
        """Have a connection open for the next request; at most one harmless read. Never raises."""
        ...

    async def logout(self) -> None:
        """End the session at the broker; raises ``BrokerReadError`` when that fails."""
        ...

    async def aclose(self) -> None:
        """Send nothing else, and release the connections; calls in flight are heard out.

        Never raises.
        """
        ...


@dataclass(frozen=True, slots=True)
class Credentials:
    """What a client needs; plain secrets that live only in memory.

    Attributes:
        route: From where every request of the account leaves.
    """

    broker_id: str
    api_key: str
    api_secret: str
    access_token: str = ""
    route: Route = OWN_ROUTE

    def __repr__(self) -> str:
        """Leave secrets out of tracebacks and logs."""
        return f"Credentials({self.broker_id!r}, ***)"


@dataclass(frozen=True, slots=True)
class LoginGrant:
    """A completed login: the token, and who logged in (read from the broker's profile)."""

    access_token: str
    user_id: str
    user_name: str

    def __repr__(self) -> str:
        """Leave the token out of tracebacks and logs."""
        return f"LoginGrant(***, {self.user_id!r})"


class LoginPort(Protocol):
    """The login dance of one broker; ``BrokerProfile.callback`` reads its end."""

    async def knows_key(self, credentials: Credentials, *, redirect_url: str) -> bool:
        """Return False only when the broker says that it does not know the key.

        A broker that cannot be asked, or does not answer within seconds, knows it for all we know.
        Never raises.
        """
        ...

    def login_url(self, credentials: Credentials, *, nonce: str, redirect_url: str) -> str:
        """Return the broker's login address; the callback will carry ``nonce`` back."""
        ...

    async def exchange(
        self, credentials: Credentials, code: str, *, redirect_url: str
    ) -> LoginGrant:
        """Spend the code, then read the profile with the new token.

        Raises:
            LoginRefused: CODE_USED, WRONG_SECRET, NOT_ADMITTED, BROKER_DOWN or MALFORMED.
        """
        ...


class InstrumentSource(Protocol):
    """The instrument master of one broker; needs no login (product.md D10)."""

    async def load(self) -> Sequence[Instrument]:
        """Download and translate today's master; raises ``BrokerReadError``."""
        ...


class FactsSource(Protocol):
    """What the exchanges say of instruments, which holds at every broker; needs no login."""

    async def load(self) -> Mapping[InstrumentId, ExchangeFacts]:
        """Return what is known, by instrument.

        Raises:
            BrokerReadError: Nothing could be read.
        """
        ...


class Broker(Protocol):
    """Everything about one broker. Built once a process.

    Attributes:
        exchange_facts: Freeze quantities and ISINs, where this broker publishes them.
    """

    login: LoginPort
    instruments: InstrumentSource
    exchange_facts: FactsSource | None

    @property
    def profile(self) -> BrokerProfile:
        """What is particular about the broker."""
        ...

    def connect(
        self, credentials: Credentials, master: Mapping[InstrumentId, Instrument]
    ) -> BrokerClient:
        """Return a client for one account; opens nothing until its first call."""
        ...
