"""A broker in memory: it shows what a test put there, and fills market orders at once."""

# ruff: noqa: ARG002 - the ports pass what this broker needs not look at

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal
from itertools import count
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
from core.domain.instrument import Instrument, InstrumentId, Product
from core.domain.odd_rows import OddRow, Rows
from core.domain.order import OrderRequest, OrderType, Side
from core.domain.outcome import Acked, Cause, Refusal, Refused, WriteOutcome
from core.domain.route import Route
from core.errors import BrokerReadError, LoginFault, LoginRefused, ReadFault
from core.ports.broker import (
    Credentials,
    FactsSource,
    InstrumentSource,
    LoginGrant,
    LoginPort,
)
from core.ports.price_stream import PriceStream
from core.ports.updates import OrderUpdates
from tests.fakes.brokers import MASTER

__all__ = ["ScriptedAccount", "ScriptedBroker", "ScriptedLogin"]

_IDS = count(240101000000001)
_PRICE = Decimal("815.10")
_KNOWN = {name for master in MASTER.values() for name in master}
_LOGGED_OUT = Refused(Refusal.AUTH_REQUIRED, "the session has ended")


class ScriptedAccount:
    """One account at the broker, a ``BrokerClient``.

    Attributes:
        trouble: Raised by the next read.
        bars: What a read of candles finds, by instrument; a read of minutes finds them cut.
        bar_minutes: How long these bars are.
        quote_list: What a read of quotes finds; an instrument that is not there trades at 815.10.
        quote_troubles: Raised by the next reads of quotes, one each.
        fills_at: The price of market orders.
        is_slow: Market orders rest unfilled until the test fills them.
        odd: Rows that cannot be read, by what is asked for: ``orders``.
        reads: How often the positions were read.
        warmed: How often a connection was asked for ahead.
        answers: Given to the next placements, which then place nothing.
        largest: Orders of more units are refused, as above the freeze quantity; None for none.
        says_largest: Whether that refusal names the number.
        is_logged_out: Nothing is answered before the next login.
        stream: Its order updates; None for none.
        price_stream: Its stream of prices; None for none.
    """

    def __init__(self) -> None:
        self.order_list: dict[str, BrokerOrder] = {}
        self.position_list: dict[tuple[InstrumentId, Product], Position] = {}
        self.trade_list: list[BrokerTrade] = []
        self.holding_list: list[Holding] = []
        self.balance = Funds(Decimal(250000), Decimal(0), Decimal(250000))
        self.placed: list[OrderRequest] = []
        self.trouble: BrokerReadError | None = None
        self.bars: dict[InstrumentId, Sequence[Candle]] = {}
        self.bar_minutes = 5
        self.quote_list: dict[InstrumentId, Quote | None] = {}
        self.quote_troubles: list[BrokerReadError] = []
        self.fills_at = _PRICE
        self.is_slow = False
        self.odd: dict[str, Sequence[OddRow]] = {}
        self.reads = 0
        self.warmed = 0
        self.answers: list[WriteOutcome] = []
        self.largest: int | None = None
        self.says_largest = True
        self.is_logged_out = False
        self.stream: OrderUpdates | None = None
        self.price_stream: PriceStream | None = None

    def show(self, order: OrderRequest, status: BrokerStatus = BrokerStatus.WORKING) -> BrokerOrder:
        """List an order; return it."""
        shown = BrokerOrder(
            broker_order_id=str(next(_IDS)),
            instrument=order.instrument,
            side=order.side,
            product=order.product,
            order_type=order.order_type,
            quantity=order.quantity,
            filled_quantity=0,
            average_price=Decimal(0),
            status=status,
            tag=order.client_order_id,
            limit_price=order.limit_price,
            trigger_price=order.trigger_price,
        )
        self.order_list[shown.broker_order_id] = shown
        return shown

    def fill(
        self, broker_order_id: str, price: Decimal = _PRICE, *, units: int | None = None
    ) -> None:
        """Fill a listed order, all of it or so many units, and move the position with it."""
        order = self.order_list[broker_order_id]
        more = order.quantity - order.filled_quantity if units is None else units
        filled = order.filled_quantity + more
        self.order_list[broker_order_id] = replace(
            order,
            status=BrokerStatus.COMPLETE if filled == order.quantity else order.status,
            filled_quantity=filled,
            average_price=price,
        )
        key = (order.instrument, order.product)
        self.trade_list.append(
            BrokerTrade(f"T{next(_IDS)}", broker_order_id, key[0], order.side, key[1], more, price)
        )
        held = self.position_list.get(key) or Position(*key, 0, price, price)
        self.position_list[key] = _moved(held, order.side, more, price)

    # Writes

    async def place(self, order: OrderRequest) -> WriteOutcome:
        self.placed.append(order)
        if self.is_logged_out:
            return _LOGGED_OUT
        if self.answers:
            return self.answers.pop(0)
        if self.largest is not None and order.quantity > self.largest:
            named = self.largest if self.says_largest else None
            words = f"Quantity exceeds the freeze limit of {named or 'this contract'}."
            return Refused(Refusal.REJECTED, words, cause=Cause.FREEZE, largest=named)
        shown = self.show(order)
        if order.order_type is OrderType.MARKET and not self.is_slow:
            self.fill(shown.broker_order_id, self.fills_at)
        return Acked(shown.broker_order_id)

    async def modify(self, broker_order_id: str, order: OrderRequest) -> WriteOutcome:
        shown = self._at_work(broker_order_id)
        if isinstance(shown, Refused):
            return shown
        self.order_list[broker_order_id] = replace(
            shown,
            order_type=order.order_type,
            quantity=order.quantity,
            limit_price=order.limit_price,
            trigger_price=order.trigger_price,
        )
        return Acked(broker_order_id)

    async def cancel(self, broker_order_id: str) -> WriteOutcome:
        order = self._at_work(broker_order_id)
        if isinstance(order, Refused):
            return order
        self.order_list[broker_order_id] = replace(order, status=BrokerStatus.CANCELED)
        return Acked(broker_order_id)

    def _at_work(self, broker_order_id: str) -> BrokerOrder | Refused:
        if self.is_logged_out:
            return _LOGGED_OUT
        order = self.order_list.get(broker_order_id)
        if order is None or order.status is not BrokerStatus.WORKING:
            return Refused(Refusal.REJECTED, "the order is not at work")
        return order

    # Reads

    def _answer(self) -> None:
        if self.is_logged_out:
            raise BrokerReadError(ReadFault.AUTH_REQUIRED, _LOGGED_OUT.message)
        if self.trouble is not None:
            trouble, self.trouble = self.trouble, None
            raise trouble

    async def orders(self) -> Sequence[BrokerOrder]:
        self._answer()
        return Rows(self.order_list.values(), self.odd.get("orders", ()))

    async def trades(self) -> Sequence[BrokerTrade]:
        self._answer()
        return Rows(self.trade_list, self.odd.get("trades", ()))

    async def positions(self) -> Sequence[Position]:
        self._answer()
        self.reads += 1
        return Rows(self.position_list.values(), self.odd.get("positions", ()))

    async def holdings(self) -> Sequence[Holding]:
        self._answer()
        return Rows(self.holding_list, self.odd.get("holdings", ()))

    async def funds(self) -> Funds:
        self._answer()
        return self.balance

    async def profile(self) -> Profile:
        self._answer()
        return Profile("AB1234", "Asha")

    async def quotes(self, instruments: Sequence[InstrumentId]) -> Mapping[InstrumentId, Quote]:
        self._answer()
        if self.quote_troubles:
            raise self.quote_troubles.pop(0)
        known = {one for one in instruments if one in _KNOWN or one in self.quote_list}
        found = {one: self.quote_list.get(one, Quote(one, _PRICE)) for one in known}
        return {one: quote for one, quote in found.items() if quote is not None}

    async def candles(
        self, instrument: InstrumentId, *, start: datetime, end: datetime, minutes: int
    ) -> Sequence[Candle]:
        self._answer()
        if instrument not in self.bars and instrument not in _KNOWN:
            raise BrokerReadError(ReadFault.REFUSED, f"no instrument {instrument}")
        bars = list(self.bars.get(instrument, ()))
        if minutes == 1:
            bars = [minute for bar in bars for minute in _minutes(bar, self.bar_minutes)]
        return [bar for bar in bars if start <= bar.start < end]

    def updates(self) -> OrderUpdates | None:
        return self.stream

    def prices(self) -> PriceStream | None:
        return self.price_stream

    async def warm(self) -> None:
        self.warmed += 1

    async def logout(self) -> None:
        self._answer()
        self.is_logged_out = True

    async def aclose(self) -> None:
        return None


def _minutes(bar: Candle, number: int) -> list[Candle]:
    """Return minutes that a bar of so many may have been made of."""
    rest = Candle(bar.start, bar.close, bar.close, bar.close, bar.close, 0)
    later = [replace(rest, start=bar.start + timedelta(minutes=n)) for n in range(1, number)]
    return [bar, *later]


def _moved(held: Position, side: Side, units: int, price: Decimal) -> Position:
    """Return a position after a trade, with the average that brokers show."""
    after = held.quantity + side.sign * units
    grows = held.quantity * side.sign >= 0
    turns = held.quantity * after < 0
    cost = abs(held.quantity) * held.average_price + units * price
    return replace(
        held,
        quantity=after,
        average_price=cost / abs(after) if grows else price if turns else held.average_price,
        day_buy_quantity=held.day_buy_quantity + (units if side is Side.BUY else 0),
        day_sell_quantity=held.day_sell_quantity + (units if side is Side.SELL else 0),
    )


class ScriptedLogin:
    """A ``LoginPort``: any code is good once; the user is Asha.

    Attributes:
        unknown_keys: What the broker says that it does not know.
        asked: How often it was asked about a key.
    """

    def __init__(self, accounts: Mapping[str, ScriptedAccount]) -> None:
        self._accounts = accounts
        self._spent: set[str] = set()
        self.unknown_keys: set[str] = set()
        self.asked = 0

    def login_url(self, credentials: Credentials, *, nonce: str, redirect_url: str) -> str:
        return f"https://broker.example/login?{urlencode({'nonce': nonce})}"

    async def knows_key(self, credentials: Credentials, *, redirect_url: str) -> bool:
        self.asked += 1
        return credentials.api_key not in self.unknown_keys

    async def exchange(
        self, credentials: Credentials, code: str, *, redirect_url: str
    ) -> LoginGrant:
        if code in self._spent:
            raise LoginRefused(LoginFault.CODE_USED, "the code was used before")
        self._spent.add(code)
        self._accounts[credentials.broker_id].is_logged_out = False
        return LoginGrant(f"token-of-{code}", "AB1234", "Asha")


class _Master:
    """An ``InstrumentSource`` of the shares that the tests trade; ``trouble`` fails it.

    Attributes:
        more: What a test lists besides.
    """

    def __init__(self, profile: BrokerProfile) -> None:
        self._profile = profile
        self.trouble = ""
        self.more: Sequence[Instrument] = ()

    async def load(self) -> Sequence[Instrument]:
        if self.trouble:
            raise BrokerReadError(ReadFault.UNREACHABLE, self.trouble)
        return [*MASTER[self._profile].values(), *self.more]


class ScriptedBroker:
    """A ``Broker`` with an account for each ``broker_id`` that is asked for.

    Attributes:
        routes: The route of each client that was made, in order.
    """

    def __init__(self, profile: BrokerProfile) -> None:
        self.profile = profile
        self.master = _Master(profile)
        self.instruments: InstrumentSource = self.master
        self.exchange_facts: FactsSource | None = None
        self.accounts: defaultdict[str, ScriptedAccount] = defaultdict(ScriptedAccount)
        self.login: LoginPort = ScriptedLogin(self.accounts)
        self.routes: list[Route] = []

    def connect(
        self, credentials: Credentials, master: Mapping[InstrumentId, Instrument]
    ) -> ScriptedAccount:
        self.routes.append(credentials.route)
        return self.accounts[credentials.broker_id]
