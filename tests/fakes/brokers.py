"""Both brokers as a test meets them: one order, one account, one way to connect."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal

from core.adapters.brokers import build_brokers
from core.domain.account import BrokerType
from core.domain.instrument import Instrument, InstrumentId, Product, Segment
from core.domain.order import OrderRequest, OrderType, Side
from core.ports.broker import Broker, BrokerClient, Credentials
from core.ports.clock import Clock
from tests.fakes.clock import RunningClock

__all__ = ["DESKS", "MASTER", "SBIN", "Desk", "market_order", "master_of"]

SBIN = InstrumentId("NSE", "SBIN")


def master_of(*rows: tuple[InstrumentId, str, str]) -> Mapping[InstrumentId, Instrument]:
    """Return a master of shares: name, the broker's symbol, the broker's token."""
    return {
        name: Instrument(name, symbol, token, 1, Decimal("0.05"), Segment.CASH)
        for name, symbol, token in rows
    }


MASTER = {
    BrokerType.ZERODHA: master_of((SBIN, "SBIN", "779521")),
    BrokerType.FYERS: master_of((SBIN, "NSE:SBIN-EQ", "10100000003045")),
}


def market_order(tag: str = "SAAAAAAAAAAAAAAAAAAA", quantity: int = 1) -> OrderRequest:
    """Return an order for SBIN."""
    return OrderRequest(tag, SBIN, Side.BUY, quantity, OrderType.MARKET, Product.MIS)


@dataclass(frozen=True)
class Desk:
    """One broker type and its words for success.

    Attributes:
        placed: A body that acknowledges order 1001.
        orders: A body of an empty day.
    """

    broker_type: BrokerType
    placed: Mapping[str, object]
    orders: Mapping[str, object]

    def broker(self, url: str, *, deadline_s: float = 1.0, clock: Clock | None = None) -> Broker:
        """Return the broker at an address."""
        brokers = build_brokers(
            clock or RunningClock(),
            kite_api=url,
            kite_login=url,
            fyers_api=url,
            fyers_masters=url,
            deadline_s=deadline_s,
        )
        return brokers[self.broker_type]

    def client(
        self, url: str, *, deadline_s: float = 1.0, clock: Clock | None = None, token: str = "tok"
    ) -> BrokerClient:
        """Return a client of one account at an address."""
        credentials = Credentials("zerodha_aaaaaaaaaa", "apikey", "secret", token)
        broker = self.broker(url, deadline_s=deadline_s, clock=clock)
        return broker.connect(credentials, MASTER[self.broker_type])


DESKS = [
    Desk(
        BrokerType.ZERODHA,
        {"status": "success", "data": {"order_id": "1001"}},
        {"status": "success", "data": []},
    ),
    Desk(
        BrokerType.FYERS,
        {"s": "ok", "code": 1101, "message": "", "id": "1001"},
        {"s": "ok", "code": 200, "orderBook": []},
    ),
]
