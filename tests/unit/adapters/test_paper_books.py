"""The books of a paper account by hand: what is won, what is blocked, and when it ends (row F6)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal

import pytest

from core.adapters.paper.practice import PracticePrices
from core.domain.broker import BrokerStatus, Position, Quote
from core.domain.instrument import Instrument, InstrumentId, Product
from core.domain.order import OrderRequest, OrderType, Side, Validity
from core.domain.outcome import Acked, Cause, NotSent
from core.domain.sessions import IST
from core.errors import BrokerReadError, ReadFault
from core.ports.broker import Credentials
from tests.fakes.paper import FUTURE, MASTER, PAPER_ACCOUNT, SBIN, PaperDesk

pytestmark = pytest.mark.row("F6")
BUY, SELL = Side.BUY, Side.SELL
MIS, CNC, NRML = Product.MIS, Product.CNC, Product.NRML
WEDNESDAY = datetime(2026, 11, 25, 10, 0, tzinfo=IST)
CUT_OFF = datetime(2026, 11, 23, 15, 10, tzinfo=IST)


def priced(desk: PaperDesk, last: str = "800.00", volume: int = 10_000_000) -> PaperDesk:
    for name in (SBIN, FUTURE):
        desk.prices.put(last, name, volume=volume)
    return desk


def with_future_until(desk: PaperDesk, until: datetime) -> PaperDesk:
    """Let the future's last day be another one."""
    known: Mapping[InstrumentId, Instrument] = {
        **MASTER,
        FUTURE: replace(MASTER[FUTURE], expiry=until.date()),
    }
    desk.client = desk.broker.connect(Credentials(PAPER_ACCOUNT, "", ""), known)
    return desk


async def only(desk: PaperDesk) -> Position:
    """Return the account's one position."""
    (found,) = await desk.client.positions()
    return found


async def test_a_short_wins_when_the_price_falls_and_an_order_may_turn_it() -> None:
    """What goes through flat begins a new position at its own price."""
    desk = priced(PaperDesk())
    sold = (await desk.order(SELL, 100)).average_price
    await desk.ticks("780.00", volume=20_000_000)
    assert (await only(desk)).unrealised == (Decimal(780) - sold) * -100 > 0
    bought = (await desk.order(BUY, 150)).average_price
    turned = await only(desk)
    assert (turned.quantity, turned.average_price) == (50, bought)
    assert turned.realised == (sold - bought) * 100 > 0
    again = (await desk.order(SELL, 80)).average_price
    short = await only(desk)
    assert (short.quantity, short.average_price) == (-30, again)
    assert short.realised == (sold - bought) * 100 + (again - bought) * 50


async def test_shares_of_earlier_days_are_sold_without_a_result_of_the_day() -> None:
    """Their average is the depository's; the position shows what was sold, and is no short."""
    desk = priced(PaperDesk())
    await desk.order(BUY, 100, product=CNC)
    await desk.clock.advance_to(WEDNESDAY)
    sold = await priced(desk, "900.00").order(SELL, 40, product=CNC)
    gone = await only(desk)
    assert (gone.quantity, gone.average_price) == (-40, sold.average_price)
    await desk.ticks("850.00", volume=20_000_000)
    await desk.order(BUY, 10, product=CNC)
    back = await only(desk)
    assert back.quantity == -30
    assert back.realised == gone.realised == 0
    rests = await desk.order(SELL, 20, OrderType.LIMIT, product=CNC, limit="950.00")
    assert rests.status is BrokerStatus.WORKING
    assert (await desk.client.funds()).used == 0


async def test_a_contract_trades_on_its_last_day() -> None:
    """It is there in the morning of that day, and settled on the next one."""
    desk = with_future_until(priced(PaperDesk()), WEDNESDAY)
    await desk.order(BUY, 750, product=NRML, name=FUTURE)
    await desk.clock.advance_to(WEDNESDAY)
    assert await desk.held(FUTURE, NRML) == 750
    await desk.clock.advance_to(WEDNESDAY + timedelta(days=1))
    assert await desk.held(FUTURE, NRML) == 0


async def test_only_what_is_intraday_is_squared_off() -> None:
    """Delivery and what is carried stay; a square-off that fills in part goes on, and is one."""
    desk = with_future_until(priced(PaperDesk()), WEDNESDAY)
    await desk.order(BUY, 100)
    await desk.order(BUY, 50, product=CNC)
    await desk.order(BUY, 750, product=NRML, name=FUTURE)
    await desk.clock.advance_to(CUT_OFF)
    desk.prices.put("800.00", FUTURE, volume=10_000_000)
    for volume, left in ((3_000, 70), (3_400, 30), (3_800, 0)):
        await desk.ticks("800.00", volume=volume)
        assert await desk.held() == left
    (closing,) = [one for one in await desk.client.orders() if one.tag is None]
    assert (closing.quantity, closing.status) == (100, BrokerStatus.COMPLETE)
    assert (await desk.held(product=CNC), await desk.held(FUTURE, NRML)) == (50, 750)


async def test_a_stop_that_a_gap_triggers_is_protected_from_the_price_of_then() -> None:
    """Bound by its trigger it would rest, far from the price, and close nothing."""
    desk = priced(PaperDesk())
    await desk.order(BUY, 10)
    stop = await desk.order(SELL, 10, OrderType.SL_M, trigger="790.00")
    await desk.ticks("700.00", volume=20_000_000)
    after = await desk.listed(stop.broker_order_id)
    assert (after.status, after.average_price) == (BrokerStatus.COMPLETE, Decimal("699.65"))


async def test_a_stop_waits_whatever_its_validity() -> None:
    """Immediate is what it does when it triggers, not before."""
    desk = priced(PaperDesk())
    request = OrderRequest(
        "T", SBIN, SELL, 10, OrderType.SL_M, MIS, None, Decimal("790.00"), validity=Validity.IOC
    )
    outcome = await desk.client.place(request)
    assert isinstance(outcome, Acked)
    assert (await desk.listed(outcome.broker_order_id)).status is BrokerStatus.WORKING


async def test_what_closes_once_blocks_nothing_and_a_second_time_it_does() -> None:
    """Two orders that would close the same units: the second one could open a position."""
    desk = priced(PaperDesk())
    await desk.order(BUY, 100)
    held = (await desk.client.funds()).used
    for more in (Decimal(0), Decimal(16_200)):
        await desk.order(SELL, 100, OrderType.LIMIT, limit="810.00")
        assert (await desk.client.funds()).used == held + more


async def test_delivery_is_paid_and_not_blocked_and_its_sale_needs_no_money() -> None:
    """What was bought is gone from the cash; shares are sold once, whatever rests beside."""
    desk = priced(PaperDesk())
    await desk.order(BUY, 1_000, product=CNC)
    assert (await desk.client.funds()).used == 0
    first = await desk.order(SELL, 600, OrderType.LIMIT, product=CNC, limit="900.00")
    assert first.status is BrokerStatus.WORKING
    assert (await desk.client.funds()).used == 0
    over = await desk.order(SELL, 401, OrderType.LIMIT, product=CNC, limit="900.00")
    assert over.cause is Cause.HOLDING
    rest = await desk.order(SELL, 400, OrderType.LIMIT, product=CNC, limit="900.00")
    assert rest.status is BrokerStatus.WORKING


async def test_a_price_that_is_not_given_any_more_fills_nothing() -> None:
    """What was known of it before is no price of now."""
    desk = priced(PaperDesk())
    await desk.order(BUY)
    await desk.clock.advance(3)
    desk.prices.quotes_by_name.clear()
    request = OrderRequest("LATE", SBIN, BUY, 10, OrderType.MARKET, MIS)
    assert isinstance(await desk.client.place(request), NotSent)


async def test_positions_keep_the_last_price_that_was_seen() -> None:
    """While nobody gives any, also one that is in no book yet."""
    desk = priced(PaperDesk())
    await desk.order(BUY)
    for last in ("810.00", "815.00"):
        await desk.ticks(last, volume=20_000_000)
    desk.prices.trouble = BrokerReadError(ReadFault.UNREACHABLE, "no account is logged in")
    await desk.clock.advance(10)
    assert (await only(desk)).last_price == Decimal(815)


# --- the end of practice -------------------------------------------------------------------------


def practising() -> PaperDesk:
    desk = PaperDesk()
    desk.prices.is_market = False
    return desk


async def test_practice_gives_no_share_twice_at_its_end() -> None:
    """Shares of earlier days that were sold today are gone; what is left of them is sold."""
    desk = practising()
    await desk.order(BUY, 100, product=CNC)
    await desk.clock.advance_to(WEDNESDAY)
    sold = await desk.order(SELL, 40, product=CNC)
    assert sold.status is BrokerStatus.COMPLETE
    desk.prices.is_market = True
    await desk.ticks("5000.00", volume=10_000_000)
    closing = [one for one in await desk.client.orders() if one.tag is None]
    assert [(one.side, one.filled_quantity) for one in closing] == [(SELL, 60)]
    (share,) = await desk.client.holdings()
    assert share.quantity == 0


async def test_a_short_of_practice_is_bought_back_at_its_end() -> None:
    """It would be a short of real prices from then on."""
    desk = practising()
    await desk.order(SELL, 100)
    desk.prices.is_market = True
    await desk.ticks("5000.00", volume=10_000_000)
    assert await desk.held() == 0


async def test_what_practice_carries_ends_at_the_next_look() -> None:
    """Though nothing works and nothing is intraday, so that nobody looks for a minute."""
    desk = practising()
    await desk.order(BUY, 100, product=CNC)
    await desk.ticks("5000.00", volume=10_000_000)
    assert await desk.held(product=CNC) == 100
    desk.prices.is_market = True
    await desk.ticks("5000.00", volume=10_000_000)
    row = await desk.store.get("paper_books", PAPER_ACCOUNT)
    assert row is not None and row["is_practice"] is False
    assert await desk.held(product=CNC) == 0


async def test_a_made_up_price_serves_no_order_after_the_end_of_practice() -> None:
    """Not even within the second for which an answer is shared."""
    desk = practising()
    await desk.order(BUY)
    desk.prices.is_market = True
    desk.prices.put("5000.00", volume=10_000_000)
    assert (await desk.order(BUY, 1)).average_price == Decimal("5002.50")


async def test_an_order_at_the_moment_of_the_first_broker_is_not_sent(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """It was priced by practice, and the books are of the market by now."""
    desk, quotes = practising(), PracticePrices.quotes

    async def last(
        self: PracticePrices, names: Sequence[InstrumentId]
    ) -> Mapping[InstrumentId, Quote]:
        found = await quotes(self, names)
        desk.prices.is_market = True
        return found

    monkeypatch.setattr(PracticePrices, "quotes", last)
    request = OrderRequest("T", SBIN, BUY, 10, OrderType.MARKET, MIS)
    outcome = await desk.client.place(request)
    assert isinstance(outcome, NotSent) and "prices are real" in outcome.reason
    assert await desk.client.orders() == []
