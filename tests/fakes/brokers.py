"""Both brokers as a test meets them: one order, one account, one way to connect."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from decimal import Decimal

from core.adapters.brokers import PROFILES, build_brokers
from core.adapters.fyers import FYERS
from core.adapters.zerodha import ZERODHA
from core.domain.broker_profile import BrokerProfile
from core.domain.instrument import Instrument, InstrumentId, Product, Segment
from core.domain.order import OrderRequest, OrderType, Side
from core.ports.broker import Broker, BrokerClient, Credentials
from core.ports.clock import Clock
from tests.fakes.clock import RunningClock

__all__ = [
    "BROKER_CASES",
    "MASTER",
    "SBIN",
    "BrokerCase",
    "market_order",
    "master_of",
    "roots_at",
    "streams_at",
]

SBIN = InstrumentId("NSE", "SBIN")


def roots_at(url_of: Callable[[str], str]) -> dict[str, str]:
    """Return every broker's addresses as the settings name them, at its simulator's address."""
    return {root.setting: url_of(one.api_name) for one in PROFILES for root in one.roots}


def streams_at(url_of: Callable[[str], str]) -> dict[str, str]:
    """Return the addresses of every broker's order updates, at its simulator's address."""
    found = ((one.stream, url_of(one.api_name)) for one in PROFILES)
    return {one.setting: url.replace("http", "ws", 1) for one, url in found if one is not None}


def master_of(*rows: tuple[InstrumentId, str, str]) -> Mapping[InstrumentId, Instrument]:
    """Return a master of shares: name, the broker's symbol, the broker's token."""
    return {
        name: Instrument(name, symbol, token, 1, Decimal("0.05"), Segment.CASH)
        for name, symbol, token in rows
    }


MASTER = {
    ZERODHA: master_of((SBIN, "SBIN", "779521")),
    FYERS: master_of((SBIN, "NSE:SBIN-EQ", "10100000003045")),
}


def market_order(tag: str = "SAAAAAAAAAAAAAAAAAAA", quantity: int = 1) -> OrderRequest:
    """Return an order for SBIN."""
    return OrderRequest(tag, SBIN, Side.BUY, quantity, OrderType.MARKET, Product.MIS)


@dataclass(frozen=True)
class BrokerCase:
    """One broker type and its words for success.

    Attributes:
        placed: A body that acknowledges order 1001.
        orders: A body of an empty day.
    """

    profile: BrokerProfile
    placed: Mapping[str, object]
    orders: Mapping[str, object]

    def broker(self, url: str, *, deadline_s: float = 30.0, clock: Clock | None = None) -> Broker:
        """Return the broker at an address."""
        brokers = build_brokers(
            clock or RunningClock(), roots_at(lambda _name: url), deadline_s=deadline_s
        )
        return brokers[self.profile]

    def client(
        self, url: str, *, deadline_s: float = 30.0, clock: Clock | None = None, token: str = "tok"
    ) -> BrokerClient:
        """Return a client of one account at an address."""
        credentials = Credentials("zerodha_aaaaaaaaaa", "apikey", "secret", token)
        broker = self.broker(url, deadline_s=deadline_s, clock=clock)
        return broker.connect(credentials, MASTER[self.profile])


BROKER_CASES = [
    BrokerCase(
        ZERODHA,
        {"status": "success", "data": {"order_id": "1001"}},
        {"status": "success", "data": []},
    ),
    BrokerCase(
        FYERS,
        {"s": "ok", "code": 1101, "message": "", "id": "1001"},
        {"s": "ok", "code": 200, "orderBook": []},
    ),
]
