"""What the product sees of a venue: a ``BrokerClient`` whose answers the day's troubles spoil."""

# ruff: noqa: ARG002 - the ports pass what this broker needs not look at

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any, TypeVar
from urllib.parse import urlencode

from core.domain.broker import (
    BrokerOrder,
    BrokerStatus,
    BrokerTrade,
    Candle,
    Funds,
    Holding,
    Position,
    Profile,
    Quote,
)
from core.domain.broker_profile import BrokerProfile
from core.domain.instrument import Instrument, InstrumentId
from core.domain.order import OrderRequest, OrderType, Side
from core.domain.outcome import Acked, Ambiguous, NotSent, Refusal, Refused, WriteOutcome
from core.errors import BrokerReadError, ReadFault
from core.ports.broker import Credentials, FactsSource, InstrumentSource, LoginGrant, LoginPort
from tests.campaign.stream import CampaignStream
from tests.campaign.troubles import Troubles
from tests.campaign.venue import Venue, VenueOrder

__all__ = ["CampaignBroker", "CampaignClient"]

T = TypeVar("T")
_DEADLINE_S = 3.0
_STATUS = {
    "COMPLETE": BrokerStatus.COMPLETE,
    "CANCELLED": BrokerStatus.CANCELED,
    "REJECTED": BrokerStatus.REJECTED,
}


class CampaignClient:
    """One account as its client sees it.

    Attributes:
        is_login_dead: Every call is refused until a new login.
        lag_s: How late a ``late`` order arrives and a ``hidden`` one shows; below the horizon.
        latency_s: How long each request takes.
        refuses_stops: It takes no stop order, as a broker does for some instruments.
        pushes: Decides what becomes of pushed updates; None where nothing is pushed.
    """

    def __init__(
        self,
        venue: Venue,
        troubles: Troubles,
        lag_s: float,
        pushes: random.Random | None = None,
        latency_s: float = 0.04,
    ) -> None:
        self.pushes = pushes
        self.latency_s = latency_s
        self.venue = venue
        self.troubles = troubles
        self.lag_s = lag_s
        self.is_login_dead = self.refuses_stops = False
        self._still: dict[str, Any] = {}

    # Writes

    async def place(self, order: OrderRequest) -> WriteOutcome:
        self.venue.settle()
        kind = self.troubles.of_write("place")
        before = await self._before(kind)
        if before is not None:
            return before
        tag = {"tag": order.client_order_id, "side": order.side.value, "quantity": order.quantity}
        if kind == "late":
            self.venue.wrote("place", applied=True, **tag)
            self.venue.later(self.lag_s, lambda: self._take(order, kind))
            await asyncio.sleep(_DEADLINE_S)
            return Ambiguous("no answer in time")
        refused = self._refusal(order)
        self.venue.wrote("place", applied=refused is None, **tag)
        taken = self._take(order, kind) if refused is None else None
        if kind == "slow":
            await asyncio.sleep(1.5)
        if kind in {"lost answer", "lost tag"}:
            await asyncio.sleep(_DEADLINE_S)
            return Ambiguous("no answer in time")
        return Acked(taken.order_id) if taken else refused or NotSent("nothing")

    def _refusal(self, order: OrderRequest) -> Refused | None:
        if order.quantity > self.venue.freeze:
            return Refused(Refusal.REJECTED, "the quantity exceeds the freeze quantity")
        if order.order_type is OrderType.SL_M and self.refuses_stops:
            return Refused(Refusal.REJECTED, "SL-M orders are not allowed for this instrument")
        if order.order_type is OrderType.SL_M and self.venue.is_through(order):
            return _through(order)
        return None

    def _take(self, order: OrderRequest, kind: str) -> VenueOrder | None:
        if self._refusal(order) is not None:
            return None
        hidden = self.lag_s if kind == "hidden" else 0.0
        taken = self.venue.accept(order, hidden_s=hidden, plan=kind)
        taken.shows_tag = kind != "lost tag"
        return taken

    async def _before(self, kind: str) -> WriteOutcome | None:
        """Return the end of a write that never arrives, after what it takes."""
        await asyncio.sleep(self.latency_s)
        if self.is_login_dead:
            return Refused(Refusal.AUTH_REQUIRED, "Token is invalid or has expired")
        if kind == "lost request":
            await asyncio.sleep(_DEADLINE_S)
            return Ambiguous("no answer in time")
        ends: Mapping[str, WriteOutcome] = {
            "refused": Refused(Refusal.REJECTED, "refused by the broker"),
            "throttled": Refused(Refusal.THROTTLED, "too many requests", 2.0),
            "not sent": NotSent("connection refused"),
        }
        return ends.get(kind)

    async def modify(self, broker_order_id: str, order: OrderRequest) -> WriteOutcome:
        def change(found: VenueOrder) -> WriteOutcome:
            if self.venue.is_through(order):
                return _through(order)
            if order.quantity <= found.filled:
                return Refused(Refusal.REJECTED, "less than what has filled")
            found.quantity, found.trigger_price = order.quantity, order.trigger_price
            return Acked(broker_order_id)

        return await self._change("modify", broker_order_id, change)

    async def cancel(self, broker_order_id: str) -> WriteOutcome:
        def end(found: VenueOrder) -> WriteOutcome:
            self.venue.end(found, "CANCELLED", by="us")
            return Acked(broker_order_id)

        return await self._change("cancel", broker_order_id, end)

    async def _change(
        self, action: str, broker_order_id: str, act: Callable[[VenueOrder], WriteOutcome]
    ) -> WriteOutcome:
        self.venue.settle()
        kind = self.troubles.of_write(action)
        before = await self._before(kind)
        if before is not None:
            return before
        found = self.venue.orders.get(broker_order_id)
        if found is not None and kind == "fills" and found.is_live:
            self.venue.later(0.4, lambda: self.venue.fill_rest(found))
            return Acked(broker_order_id)
        if found is None or not found.is_live:
            return Refused(Refusal.REJECTED, "the order is not at work")
        outcome = act(found)
        self.venue.wrote(action, applied=isinstance(outcome, Acked), order_id=broker_order_id)
        if kind == "slow":
            await asyncio.sleep(1.5)
        if kind == "lost answer":
            await asyncio.sleep(_DEADLINE_S)
            return Ambiguous("no answer in time")
        return outcome

    # Reads

    async def _read(self, endpoint: str, make: Callable[[], list[T]]) -> list[T]:
        await asyncio.sleep(self.latency_s)
        self.venue.settle()
        if self.is_login_dead:
            raise BrokerReadError(ReadFault.AUTH_REQUIRED, "Token is invalid or has expired")
        kind = self.troubles.of_read(endpoint)
        match kind:
            case "fails":
                raise BrokerReadError(ReadFault.UNREACHABLE, "503 from the broker")
            case "throttled":
                raise BrokerReadError(ReadFault.THROTTLED, "too many requests", retry_after_s=2.0)
            case "malformed":
                raise BrokerReadError(ReadFault.MALFORMED, "an answer that is no JSON")
            case "hangs":
                await asyncio.sleep(_DEADLINE_S)
                raise BrokerReadError(ReadFault.TIMEOUT, "no answer in time")
            case "slow":
                await asyncio.sleep(2.0)
                self.venue.settle()
            case "stale":
                return list(self._still.setdefault(endpoint, make()))
            case "empty":
                return []
        self._still.pop(endpoint, None)
        rows = make()
        if kind == "missing":
            return rows[:-1]
        return rows + rows[:1] if kind == "doubled" else rows

    async def orders(self) -> Sequence[BrokerOrder]:
        def rows() -> list[BrokerOrder]:
            now = self.venue.now()
            return [_shown(o) for o in self.venue.orders.values() if o.shown_at <= now]

        return await self._read("orders", rows)

    async def trades(self) -> Sequence[BrokerTrade]:
        def rows() -> list[BrokerTrade]:
            now = self.venue.now()
            return [
                BrokerTrade(
                    trade.trade_id,
                    trade.order.order_id,
                    trade.order.instrument,
                    trade.order.side,
                    trade.order.product,
                    trade.quantity,
                    trade.price,
                    trade.traded_at,
                )
                for trade in self.venue.trades
                if trade.shown_at <= now
            ]

        return await self._read("trades", rows)

    async def positions(self) -> Sequence[Position]:
        return await self._read("positions", self._positions)

    def _positions(self) -> list[Position]:
        venue, now = self.venue, self.venue.now()
        found = []
        for key in sorted(venue.touched()):
            seen = [t for t in venue.trades if t.order.key == key and t.shown_at <= now]
            if not seen and not venue.converted[key]:
                continue
            price = venue.market.price(key[0], venue.wall())
            bought = sum(t.quantity for t in seen if t.order.side is Side.BUY)
            sold = sum(t.quantity for t in seen if t.order.side is Side.SELL)
            net = venue.net(key, seen_at=now)
            found.append(Position(*key, net, price, price, bought, sold))
        return found

    async def holdings(self) -> Sequence[Holding]:
        return await self._read("holdings", list)

    async def funds(self) -> Funds:
        cash = Decimal(500_000)
        return (await self._read("funds", lambda: [Funds(cash, Decimal(0), cash)]) or [_NOTHING])[0]

    async def profile(self) -> Profile:
        return (await self._read("profile", lambda: [Profile("AB1234", "Asha")]) or [_NOBODY])[0]

    async def quotes(self, instruments: Sequence[InstrumentId]) -> Mapping[InstrumentId, Quote]:
        wall, market = self.venue.wall(), self.venue.market
        rows = await self._read(
            "quotes",
            lambda: [
                Quote(one, market.price(one, wall), wall, *market.limits.get(one, ()))
                for one in instruments
                if one in market.instruments
            ],
        )
        return {quote.instrument: quote for quote in rows}

    async def candles(
        self, instrument: InstrumentId, *, start: datetime, end: datetime, minutes: int
    ) -> Sequence[Candle]:
        wall = self.venue.wall()
        return await self._read(
            "candles",
            lambda: self.venue.market.candles(instrument, start, min(end, wall), minutes),
        )

    def updates(self) -> CampaignStream | None:
        """Return the stream of order updates, in a world that has them."""
        if self.pushes is None:
            return None
        bitten = self.troubles.bitten
        return CampaignStream(
            self.venue, self.pushes, lambda: self.is_login_dead, lambda kind: bitten.update([kind])
        )

    def prices(self) -> None:
        """Return nothing: prices are asked for."""

    async def warm(self) -> None:
        return None

    async def logout(self) -> None:
        return None

    async def aclose(self) -> None:
        return None


_NOTHING = Funds(Decimal(0), Decimal(0), Decimal(0))
_NOBODY = Profile("AB1234", "")


def _through(order: OrderRequest) -> Refused:
    way = "higher" if order.side is Side.BUY else "lower"
    words = f"Trigger price for stoploss {order.side.value.lower()} orders should be {way} than"
    return Refused(Refusal.REJECTED, f"{words} the last traded price")


def _shown(order: VenueOrder) -> BrokerOrder:
    return BrokerOrder(
        broker_order_id=order.order_id,
        instrument=order.instrument,
        side=order.side,
        product=order.product,
        order_type=order.order_type,
        quantity=order.quantity,
        filled_quantity=order.filled,
        average_price=order.average,
        status=_STATUS.get(order.status, BrokerStatus.WORKING),
        tag=order.tag if order.shows_tag else None,
        limit_price=order.limit_price,
        trigger_price=order.trigger_price,
        message=order.message,
        placed_at=order.placed_at,
        is_triggered=order.has_triggered if order.order_type is OrderType.SL_M else None,
    )


class _Login:
    """A ``LoginPort``: any code is good once."""

    def __init__(self, broker: CampaignBroker) -> None:
        self._broker = broker

    def login_url(self, credentials: Credentials, *, nonce: str, redirect_url: str) -> str:
        return f"https://broker.example/login?{urlencode({'nonce': nonce})}"

    async def knows_key(self, credentials: Credentials, *, redirect_url: str) -> bool:
        return True

    async def exchange(
        self, credentials: Credentials, code: str, *, redirect_url: str
    ) -> LoginGrant:
        self._broker.client(credentials.broker_id).is_login_dead = False
        return LoginGrant(f"token-of-{code}", "AB1234", "Asha")


class _Master:
    def __init__(self, rows: Sequence[Instrument]) -> None:
        self._rows = rows

    async def load(self) -> Sequence[Instrument]:
        return list(self._rows)


class CampaignBroker:
    """A ``Broker`` whose accounts are made by ``new_client`` when they are first asked for."""

    def __init__(
        self,
        profile: BrokerProfile,
        master: Sequence[Instrument],
        new_client: Callable[[str], CampaignClient],
    ) -> None:
        self.profile = profile
        self.login: LoginPort = _Login(self)
        self.instruments: InstrumentSource = _Master(master)
        self.exchange_facts: FactsSource | None = None
        self.clients: dict[str, CampaignClient] = {}
        self._new_client = new_client

    def client(self, broker_id: str) -> CampaignClient:
        """Return an account's client."""
        if broker_id not in self.clients:
            self.clients[broker_id] = self._new_client(broker_id)
        return self.clients[broker_id]

    def connect(
        self, credentials: Credentials, master: Mapping[InstrumentId, Instrument]
    ) -> CampaignClient:
        return self.client(credentials.broker_id)
