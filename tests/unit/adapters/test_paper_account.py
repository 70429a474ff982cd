"""A paper account keeps its books as a broker outside would (row F6)."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal

import pytest

from core.domain.broker import BrokerStatus
from core.domain.charges import Execution, charges_of
from core.domain.identifiers import PAPER
from core.domain.instrument import Product
from core.domain.order import OrderRequest, OrderType, Side
from core.domain.outcome import Acked, Ambiguous, Cause, NotSent, Refused, WriteOutcome
from core.domain.sessions import IST
from core.errors import BrokerReadError, ReadFault, StoreUnavailable, UserError
from tests.fakes.memory_store import MemoryDatabase, MemoryStore
from tests.fakes.paper import FUTURE, MONDAY, OPTION, PAPER_ACCOUNT, SBIN, PaperDesk

pytestmark = pytest.mark.row("F6")
EVENING = datetime(2026, 11, 23, 15, 45, tzinfo=IST)
NEXT_DAY = datetime(2026, 11, 25, 10, 0, tzinfo=IST)


def request(quantity: int = 10, *, tag: str = "TAG", **fields: object) -> OrderRequest:
    """Return a market order of SBIN, but for what is given."""
    terms: dict[str, object] = {
        "instrument": SBIN,
        "side": Side.BUY,
        "order_type": OrderType.MARKET,
        "product": Product.MIS,
    }
    return OrderRequest(tag, quantity=quantity, **{**terms, **fields})  # type: ignore[arg-type]


async def priced(desk: PaperDesk, last: str = "800.00") -> PaperDesk:
    for name in (SBIN, FUTURE, OPTION):
        desk.prices.put(last, name, volume=10_000_000)
    return desk


@pytest.mark.parametrize(
    ("order", "cause"),
    [
        (request(instrument=type(SBIN)("NSE", "NONE")), Cause.INSTRUMENT),
        (request(60_000), Cause.FREEZE),
        (request(10, instrument=FUTURE, product=Product.NRML), Cause.OTHER),
        (request(750, instrument=FUTURE, product=Product.CNC), Cause.PRODUCT),
        (request(order_type=OrderType.LIMIT, limit_price=Decimal("800.02")), Cause.OTHER),
        (request(order_type=OrderType.SL_M, trigger_price=None), Cause.OTHER),
    ],
)
async def test_wrong_form_is_refused_at_the_door(order: OrderRequest, cause: Cause) -> None:
    """Instrument, freeze quantity, lot, product and tick are checked before anything is kept."""
    desk = await priced(PaperDesk())
    outcome = await desk.client.place(order)
    assert isinstance(outcome, Refused) and outcome.cause is cause
    assert outcome.largest == (50_000 if cause is Cause.FREEZE else None)
    assert await desk.client.orders() == []


@pytest.mark.parametrize(
    ("order", "cause"),
    [
        (request(10_000), Cause.MARGIN),
        (request(side=Side.SELL, product=Product.CNC), Cause.HOLDING),
        (request(order_type=OrderType.SL_M, trigger_price=Decimal("799.00")), Cause.TRIGGER),
        (request(750, instrument=OPTION, side=Side.SELL, product=Product.NRML), None),
        (request(7500, instrument=OPTION, side=Side.SELL, product=Product.NRML), Cause.MARGIN),
    ],
)
async def test_exchange_rejects_what_the_account_may_not(
    order: OrderRequest, cause: Cause | None
) -> None:
    """Funds, holdings and a trigger on the wrong side make a rejected order, as at a broker."""
    desk = await priced(PaperDesk())
    assert isinstance(await desk.client.place(order), Acked)
    [listed] = await desk.client.orders()
    assert listed.cause is cause and listed.tag == "TAG"
    assert cause is not Cause.MARGIN or listed.message.count("₹") == 2
    assert (listed.status is BrokerStatus.REJECTED) == (cause is not None)
    assert bool(await desk.client.trades()) == (cause is None)


async def test_closed_market_rejects() -> None:
    """After the session an order is rejected, without a question for a price."""
    desk = await priced(PaperDesk())
    await desk.clock.advance_to(EVENING)
    order = await desk.order()
    assert (order.status, order.cause) == (BrokerStatus.REJECTED, Cause.CLOSED)
    assert desk.prices.asked == 0


async def test_without_prices_nothing_is_placed() -> None:
    """No data account, or an old price, is no order: it is provably not sent, and tried again."""
    desk = PaperDesk()
    desk.prices.trouble = BrokerReadError(ReadFault.UNREACHABLE, "no account is logged in")
    assert isinstance(await desk.client.place(request()), NotSent)
    desk.prices.trouble = None
    assert isinstance(await desk.client.place(request()), NotSent)
    await priced(desk)
    await desk.clock.advance(600)
    assert isinstance(await desk.client.place(request()), NotSent)
    assert await desk.client.orders() == []


async def test_acknowledged_order_survives_the_process() -> None:
    """A restart, on the books alone, finds the order by its tag, its fills, position and money."""
    store = MemoryStore()
    before = await priced(PaperDesk(store))
    filled = await before.order()
    rests = await before.order(Side.BUY, 5, OrderType.LIMIT, limit="790.00")
    after = await priced(PaperDesk(store))
    assert await after.client.orders() == [filled, rests]
    assert await after.client.trades() == await before.client.trades()
    assert await after.client.positions() == await before.client.positions()
    assert await after.client.funds() == await before.client.funds()
    await after.ticks("789.00", volume=20_000_000)
    assert (await after.listed(rests.broker_order_id)).status is BrokerStatus.COMPLETE


async def test_lost_answer_of_the_store_is_not_a_refusal() -> None:
    """When it is not known whether an order was kept, it is ambiguous, and found by its tag."""
    database = MemoryDatabase()
    desk = await priced(PaperDesk(MemoryStore(database)))
    outcomes: list[WriteOutcome] = []
    database.lost_answers = 1
    outcomes.append(await desk.client.place(request()))
    database.is_away = True
    outcomes.append(await desk.client.place(request(tag="AWAY")))
    with pytest.raises(BrokerReadError):
        await desk.client.orders()
    database.is_away = False
    assert [type(one) for one in outcomes] == [Ambiguous, Ambiguous]
    assert [one.tag for one in await desk.client.orders()] == ["TAG"]


async def test_charges_and_results_move_the_cash() -> None:
    """A round trip costs what it lost and what the rates say, no more and no less."""
    desk = await priced(PaperDesk())
    bought = await desk.order(Side.BUY, 100)
    await desk.ticks("810.00", volume=20_000_000)
    sold = await desk.order(Side.SELL, 100)
    won = (sold.average_price - bought.average_price) * 100
    trip = [
        Execution(one.broker_order_id, SBIN, Product.MIS, one.side, 100, one.average_price)
        for one in (bought, sold)
    ]
    charges = charges_of(trip, PAPER, MONDAY.date())
    funds = await desk.client.funds()
    assert charges.total and not charges.unknown
    assert funds.available == Decimal(1_000_000) + won - charges.total
    assert funds.used == 0


async def test_working_orders_and_positions_block_money() -> None:
    """What is held or may fill is not free; what closes a position needs nothing."""
    desk = await priced(PaperDesk())
    await desk.order(Side.BUY, 1000)
    held = await desk.client.funds()
    assert held.used == Decimal("160080.00")
    await desk.order(Side.SELL, 1000, OrderType.SL_M, trigger="780.00")
    assert (await desk.client.funds()).used == held.used
    await desk.order(Side.BUY, 1000, OrderType.LIMIT, limit="790.00")
    assert (await desk.client.funds()).used == held.used + Decimal("158000.00")


async def test_delivery_becomes_holdings_and_can_be_sold() -> None:
    """Shares are paid for, lie in the holdings the next day, and are sold out of them."""
    desk = await priced(PaperDesk())
    await desk.order(Side.BUY, 100, product=Product.CNC)
    assert await desk.held(product=Product.CNC) == 100
    await desk.clock.advance_to(NEXT_DAY)
    await priced(desk)
    [holding] = await desk.client.holdings()
    assert (holding.quantity, holding.used_quantity) == (100, 0)
    assert await desk.client.positions() == [] and await desk.client.orders() == []
    await desk.order(Side.SELL, 40, product=Product.CNC)
    [holding] = await desk.client.holdings()
    assert (holding.quantity, holding.used_quantity) == (60, 40)
    assert await desk.held(product=Product.CNC) == -40
    over = await desk.order(Side.SELL, 61, product=Product.CNC)
    assert over.cause is Cause.HOLDING


async def test_intraday_positions_are_squared_off_by_the_paper_broker() -> None:
    """Ten minutes after the controller's cut-off what works is cancelled and what is held closed."""
    desk = await priced(PaperDesk())
    await desk.order(Side.BUY, 100)
    stop = await desk.order(Side.SELL, 100, OrderType.SL_M, trigger="780.00")
    await desk.clock.advance_to(datetime(2026, 11, 23, 15, 9, tzinfo=IST))
    await desk.ticks("800.00", volume=20_000_000)
    assert await desk.held() == 100
    await desk.clock.advance_to(datetime(2026, 11, 23, 15, 10, tzinfo=IST))
    await desk.ticks("800.00", volume=20_000_000)
    assert (await desk.listed(stop.broker_order_id)).status is BrokerStatus.CANCELED
    assert await desk.held() == 0
    assert [one.tag for one in await desk.client.orders()][-1] is None


async def test_what_nobody_squared_off_is_closed_over_night() -> None:
    """A process that was down from noon finds no intraday position of yesterday."""
    store = MemoryStore()
    before = await priced(PaperDesk(store))
    await before.order(Side.BUY, 100)
    after = PaperDesk(store)
    await after.clock.advance_to(NEXT_DAY)
    assert await after.client.positions() == [] and await after.client.orders() == []
    funds = await after.client.funds()
    assert funds.used == 0 and Decimal(999_000) < funds.opening < Decimal(1_000_000)


async def test_expired_contract_is_settled() -> None:
    """A future is carried with its last price as the close, and is gone after its last day."""
    desk = await priced(PaperDesk())
    await desk.order(Side.BUY, 750, product=Product.NRML, name=FUTURE)
    assert await desk.held(FUTURE, Product.NRML) == 750
    await desk.clock.advance_to(NEXT_DAY)
    assert await desk.held(FUTURE, Product.NRML) == 0


async def test_orders_end_with_the_session() -> None:
    """What rests when trading ends is over."""
    desk = await priced(PaperDesk())
    order = await desk.order(Side.BUY, 5, OrderType.LIMIT, limit="790.00")
    await desk.clock.advance_to(EVENING)
    await desk.ticks("800.00", volume=20_000_000)
    assert (await desk.listed(order.broker_order_id)).status is BrokerStatus.EXPIRED


async def test_money_is_set_and_kept() -> None:
    """The user's amount holds over a restart; less than what is blocked is refused."""
    store = MemoryStore()
    desk = await priced(PaperDesk(store))
    await desk.broker.set_funds(PAPER_ACCOUNT, Decimal(50_000), nonce="one")
    assert (await PaperDesk(store).client.funds()).available == Decimal(50_000)
    await desk.order(Side.BUY, 100)
    with pytest.raises(UserError, match="block"):
        await desk.broker.set_funds(PAPER_ACCOUNT, Decimal(10_000), nonce="two")


async def test_exchange_goes_on_when_the_store_comes_back() -> None:
    """A look while the store is away ends no order and no loop."""
    database = MemoryDatabase()
    desk = await priced(PaperDesk(MemoryStore(database)))
    order = await desk.order(Side.BUY, 5, OrderType.LIMIT, limit="790.00")
    database.is_away = True
    with pytest.raises(StoreUnavailable):
        await desk.broker.tick()
    database.is_away = False
    await desk.ticks("789.00", volume=20_000_000)
    assert (await desk.listed(order.broker_order_id)).status is BrokerStatus.COMPLETE
