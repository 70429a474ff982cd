"""The day's result of accounts and strategies, before and after charges; worked by hand."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from decimal import Decimal

import pytest

from core.domain.broker import BrokerTrade, Holding, Position
from core.domain.day_result import DayResult, day_result, together
from core.domain.instrument import InstrumentId, Product
from core.domain.ledger import Ledger, with_transfer
from core.domain.order import EXTERNAL, Order, OrderState, Side
from core.domain.strategy_result import strategy_result
from tests.fakes.orders import order_in

SBIN = InstrumentId("NSE", "SBIN")
INFY = InstrumentId("NSE", "INFY")
GOLD = InstrumentId("MCX", "GOLD26JUNFUT")
FUTURE = InstrumentId("NFO", "NIFTY26JUNFUT")
DAY = date(2026, 6, 1)
BROKER = "zerodha"


def trade(side: Side, quantity: int, price: int, number: str = "1") -> BrokerTrade:
    """Return an execution of SBIN, intraday."""
    return BrokerTrade(number, number, SBIN, side, Product.MIS, quantity, Decimal(price))


def long_100(**changes: object) -> Position:
    """Return 100 bought today at 1,000 in MIS, now at 1,010."""
    base = Position(
        SBIN,
        Product.MIS,
        100,
        Decimal(1000),
        Decimal(1010),
        day_buy_quantity=100,
        day_buy_value=Decimal(100000),
    )
    return replace(base, **changes)  # type: ignore[arg-type]


def filled(side: Side, quantity: int, price: int, **changes: object) -> Order:
    """Return a filled order of SBIN by the strategy ``orb``."""
    product = changes.pop("product", Product.MIS)
    instrument = changes.pop("instrument", SBIN)
    order = order_in(OrderState.FILLED)
    request = replace(
        order.request,
        client_order_id=f"{side}{quantity}{price}{changes.get('strategy', 'orb')}",
        instrument=instrument,  # type: ignore[arg-type]
        product=product,  # type: ignore[arg-type]
        side=side,
        quantity=quantity,
    )
    fields: dict[str, object] = {
        "request": request,
        "strategy": "orb",
        "filled_quantity": quantity,
        "average_price": Decimal(price),
        "day": DAY.isoformat(),
        **changes,
    }
    return replace(order, **fields)  # type: ignore[arg-type]


def ledger(quantity: int, price: int, product: Product = Product.MIS, **changes: object) -> Ledger:
    """Return what ``orb`` holds of SBIN by today's fills."""
    base = Ledger("orb", "zerodha_1", SBIN, product, quantity, Decimal(price), day=DAY.isoformat())
    return replace(base, **changes)  # type: ignore[arg-type]


@pytest.mark.row("R1")
def test_open_position_is_judged_as_if_it_were_closed_now() -> None:
    """100 at 1,000, now 1,010: 1,000 before, 30.34 paid for the buy, 52.38 for the sale to come.

    The round trip is 82.72 (test_charges.py), so 917.28 would be left.
    """
    result = day_result([long_100()], [trade(Side.BUY, 100, 1000)], (), BROKER, DAY)
    assert result.realised == 0
    assert result.unrealised == 1000
    assert result.charges.total == Decimal("30.34")
    assert result.closing.total == Decimal("52.38")
    assert result.after == result.judged == Decimal("917.28")


def test_closed_day_has_nothing_left_to_close() -> None:
    """The same round trip done: 1,000 realised, 82.72 charged."""
    closed = long_100(quantity=0, day_sell_quantity=100, day_sell_value=Decimal(101000))
    trades = [trade(Side.BUY, 100, 1000, "1"), trade(Side.SELL, 100, 1010, "2")]
    result = day_result([closed], trades, (), BROKER, DAY)
    assert result.before == 1000
    assert result.charges.total == Decimal("82.72")
    assert result.closing.total == 0
    assert result.after == Decimal("917.28")


def test_later_prices_count() -> None:
    """A quote of 990 makes the same position a loss of 1,000; also where the profit is the broker's."""
    result = day_result([long_100()], (), (), BROKER, DAY, prices={SBIN: Decimal(990)})
    assert result.before == -1000
    carried = Position(SBIN, Product.NRML, 10, Decimal(900), Decimal(915), unrealised=Decimal(150))
    result = day_result([carried], (), (), BROKER, DAY, prices={SBIN: Decimal(910)})
    assert result.before == 100
    assert result.is_since_entry


def test_fills_that_the_trades_do_not_show_yet_are_charged() -> None:
    """Positions are read before trades: the buy costs the same, whichever list shows it."""
    listed = day_result([long_100()], [trade(Side.BUY, 100, 1000)], (), BROKER, DAY)
    unlisted = day_result([long_100()], (), (), BROKER, DAY)
    assert unlisted.after == listed.after
    # Half of it listed: two orders at 15 each instead of one at 20.
    half = day_result([long_100()], [trade(Side.BUY, 50, 1000)], (), BROKER, DAY)
    assert half.charges.brokerage == 30


def test_trade_that_is_listed_twice_is_charged_once() -> None:
    """The same trade id of the same order is one execution."""
    once, twice = [trade(Side.BUY, 100, 1000)], [trade(Side.BUY, 100, 1000)] * 2
    assert day_result([long_100()], once, (), BROKER, DAY) == day_result(
        [long_100()], twice, (), BROKER, DAY
    )


def test_delivery_sale_leaves_nothing_to_close() -> None:
    """Shares sold out of the holdings are gone: their sale is charged, and no purchase is to come."""
    sold = Position(
        SBIN,
        Product.CNC,
        -10,
        Decimal(0),
        Decimal(1500),
        day_sell_quantity=10,
        day_sell_value=Decimal(15000),
    )
    holding = Holding(SBIN, 0, 0, Decimal(800), Decimal(1500), previous_close=Decimal(1490))
    result = day_result([sold], (), [holding], BROKER, DAY)
    assert result.before == 100
    assert result.charges.total == Decimal("30.91")
    assert result.closing.total == 0


def test_unknown_charges_leave_no_result_after_them_but_one_to_judge() -> None:
    """Gold beside SBIN: no total, while limits judge by what is known of the charges."""
    gold = Position(
        GOLD, Product.NRML, 1, Decimal(100), Decimal(100), 1, day_buy_value=Decimal(100)
    )
    result = day_result([long_100(), gold], (), (), BROKER, DAY)
    assert result.after is None
    assert result.all_charges is None
    assert "MCX:GOLD26JUNFUT" in result.charges.unknown[0]
    assert result.judged == Decimal("917.28")


def test_results_add_up() -> None:
    """Two accounts together; one with unknown charges leaves no total after charges."""
    one = day_result([long_100()], (), (), BROKER, DAY)
    both = together([one, one])
    assert both.before == 2000
    assert both.after == Decimal("1834.56")
    assert together([]) == DayResult()
    assert together([one, day_result([long_100()], (), (), "other", DAY)]).after is None


@pytest.mark.row("R5")
def test_strategy_is_judged_by_its_own_orders() -> None:
    """Two strategies in one position: each has its own profit and charges."""
    orders = [
        filled(Side.BUY, 100, 1000),
        filled(Side.BUY, 50, 1020, strategy="other"),
    ]
    ledgers = [ledger(100, 1000), ledger(50, 1020, strategy="other")]
    shown = [long_100(quantity=150, day_buy_quantity=150, day_buy_value=Decimal(151000))]
    result = strategy_result("orb", ledgers, orders, shown, (), BROKER, DAY)
    assert result.before == 1000
    assert result.after == Decimal("917.28")
    other = strategy_result("other", ledgers, orders, shown, (), BROKER, DAY)
    assert other.before == -500


def test_strategys_round_trip_and_what_it_holds_again() -> None:
    """100 bought and sold with 1,000 profit, then 10 held at 1,010 with the price at 1,000."""
    orders = [
        filled(Side.BUY, 100, 1000),
        filled(Side.SELL, 100, 1010),
        filled(Side.BUY, 10, 1010),
    ]
    shown = [long_100(quantity=10, last_price=Decimal(1000))]
    result = strategy_result("orb", [ledger(10, 1010)], orders, shown, (), BROKER, DAY)
    assert result.before == 900
    assert result.missing == ()


@pytest.mark.parametrize(("by", "before"), [(EXTERNAL, 550), ("rival", 600)])
def test_units_that_left_without_an_order_of_its_own(by: str, before: int) -> None:
    """100 at 1,000; 50 sold by hand at 1,005, or crossed with another strategy at the last price.

    By hand 250 were taken, crossed (1,006 now) 300; the other 50 stand at plus 300 either way.
    """
    orders = [filled(Side.BUY, 100, 1000), filled(Side.SELL, 50, 1005, strategy=by)]
    shown = [long_100(quantity=50, last_price=Decimal(1006))]
    result = strategy_result("orb", [ledger(50, 1000)], orders, shown, (), BROKER, DAY)
    assert result.before == before
    assert result.charges.total == Decimal("30.34")


def test_carried_ledger_counts_from_the_previous_close() -> None:
    """10 carried from 900, closed at 910 yesterday, now 915: 50 today. Without the close 150."""
    position = Position(
        SBIN, Product.NRML, 10, Decimal(900), Decimal(915), previous_close=Decimal(910)
    )
    held = [ledger(10, 900, Product.NRML, day="2026-05-29")]
    result = strategy_result("orb", held, (), [position], (), BROKER, DAY)
    assert result.before == 50
    assert not result.is_since_entry
    unknown = replace(position, previous_close=None)
    result = strategy_result("orb", held, (), [unknown], (), BROKER, DAY)
    assert result.before == 150
    assert result.is_since_entry


def test_carried_shares_are_found_among_the_holdings() -> None:
    """Delivery of yesterday is no position any more: price and close are the holding's."""
    held = [ledger(10, 900, Product.CNC, day="2026-05-29")]
    holding = Holding(SBIN, 10, 0, Decimal(900), Decimal(915), previous_close=Decimal(910))
    result = strategy_result("orb", held, (), (), [holding], BROKER, DAY)
    assert result.before == 50
    assert result.missing == ()
    # Sold today: the row shows a sale with nothing carried, and the shares came from yesterday.
    sold = Position(SBIN, Product.CNC, -10, Decimal(0), Decimal(930), day_sell_quantity=10)
    orders = [filled(Side.SELL, 10, 920, product=Product.CNC)]
    gone = [ledger(0, 0, Product.CNC)]
    result = strategy_result("orb", gone, orders, [sold], [holding], BROKER, DAY)
    assert result.realised == 100
    assert result.unrealised == 0
    assert result.charges.dp == Decimal("15.34")


def test_what_is_not_known_is_said() -> None:
    """No price, or carried units that are gone and whose previous close nobody has."""
    held = [ledger(10, 900, Product.NRML, instrument=FUTURE)]
    result = strategy_result("orb", held, (), (), (), BROKER, DAY)
    assert result.missing == (f"no price of {FUTURE}",)
    orders = [filled(Side.SELL, 10, 920, product=Product.NRML)]
    gone = [ledger(0, 0, Product.NRML)]
    result = strategy_result("orb", gone, orders, (), (), BROKER, DAY)
    assert result.missing == ("no previous close of NSE:SBIN, which was carried",)


def test_intraday_ledger_of_an_earlier_day_has_ended() -> None:
    """What an intraday ledger of yesterday says is held by nobody today."""
    held = [ledger(10, 900, day="2026-05-29")]
    assert strategy_result("orb", held, (), (), (), BROKER, DAY) == DayResult()


@pytest.mark.row("R5")
def test_strategy_whose_fill_has_no_price_has_no_result() -> None:
    """The journal keeps the price that came with the fill: one of zero would be a total loss."""
    by_hand = filled(Side.SELL, 100, 0, strategy=EXTERNAL)
    for sale in (filled(Side.SELL, 100, 0), by_hand):
        orders = [filled(Side.BUY, 100, 1000), sale]
        result = strategy_result("orb", [ledger(0, 1000)], orders, [], [], BROKER, DAY)
        assert result.missing == ("the price of a fill of NSE:SBIN is not known",)


@pytest.mark.row("R5")
def test_ledger_crossed_at_no_price_has_no_result() -> None:
    """Its units went to another strategy, and nothing says at what price."""
    orders = [filled(Side.BUY, 100, 1000)]
    result = strategy_result("orb", [ledger(0, 1000)], orders, [], [], BROKER, DAY)
    assert result.missing == ("no price of NSE:SBIN",)


@pytest.mark.row("R5")
@pytest.mark.parametrize("product", [Product.MIS, Product.NRML])
def test_moved_units_keep_the_price_of_the_crossing(product: Product) -> None:
    """100 bought at 1,000 and crossed at 1,010 have brought 1,000, wherever the price goes then."""
    orders = [filled(Side.BUY, 100, 1000, product=product)]
    before = ledger(100, 1000, product, day=DAY.isoformat())
    gone = with_transfer(before, -100, Decimal(1010), DAY.isoformat())
    row = long_100(product=product, quantity=0, day_sell_quantity=100, last_price=Decimal(950))
    result = strategy_result("orb", [gone], orders, [row], [], BROKER, DAY)
    assert result.before == 1000
    assert result.missing == ()
    # Back and forth again: 50 came at 1,020 and went at 1,025, and one side's units are even.
    more = with_transfer(gone, 50, Decimal(1020), DAY.isoformat())
    more = with_transfer(more, -50, Decimal(1025), DAY.isoformat())
    result = strategy_result("orb", [more], orders, [row], [], BROKER, DAY)
    assert result.before == 1250
    even = with_transfer(before, 50, Decimal(1020), DAY.isoformat())
    even = with_transfer(even, -50, Decimal(1025), DAY.isoformat())
    result = strategy_result("orb", [even], orders, [long_100(product=product)], [], BROKER, DAY)
    assert result.before == 1250


@pytest.mark.row("R5")
def test_crossing_of_a_carried_ledger_counts_on_its_day_alone() -> None:
    """10 that closed at 910 were crossed at 920: 100 today, and nothing tomorrow."""
    held = ledger(10, 900, Product.NRML, day="2026-05-29")
    gone = with_transfer(held, -10, Decimal(920), DAY.isoformat())
    row = Position(SBIN, Product.NRML, 0, Decimal(0), Decimal(930), previous_close=Decimal(910))
    result = strategy_result("orb", [gone], (), [row], (), BROKER, DAY)
    assert result.before == 100
    assert result.missing == ()
    unknown = strategy_result("orb", [gone], (), (), (), BROKER, DAY)
    assert unknown.missing == ("no previous close of NSE:SBIN, which was carried",)
    assert strategy_result("orb", [gone], (), (), (), BROKER, date(2026, 6, 2)) == DayResult()
