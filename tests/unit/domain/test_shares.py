"""What may be sold of delivery shares: each counts once, whatever its exchange."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.adapters.fields import Row
from core.adapters.fyers import mapping as fyers
from core.adapters.fyers.instruments import SymbolBook
from core.adapters.share_names import ShareNames
from core.adapters.zerodha import mapping as zerodha
from core.domain.broker import Holding, Position
from core.domain.exits import held_quantity
from core.domain.instrument import Instrument, InstrumentId, Product, Segment
from core.domain.shares import sellable_shares

NSE, BSE = InstrumentId("NSE", "SBIN"), InstrumentId("BSE", "SBIN")
RENAMED = InstrumentId("BSE", "STATEBANK")
PRICE = Decimal(900)


def holding(instrument: InstrumentId = NSE, quantity: int = 16, **more: object) -> Holding:
    """Return a holding."""
    return replace(Holding(instrument, quantity, 0, PRICE, PRICE), **more)  # type: ignore[arg-type]


def position(quantity: int, instrument: InstrumentId = NSE) -> Position:
    """Return a delivery position of today."""
    return Position(instrument, Product.CNC, quantity, PRICE, PRICE)


@pytest.mark.row("C3")
def test_holding_listed_at_the_other_exchange_counts() -> None:
    """Shares that the broker lists under BSE may be sold at NSE."""
    assert held_quantity(NSE, Product.CNC, [], [holding(BSE)]) == 16
    assert held_quantity(InstrumentId("NSE", "ITC"), Product.CNC, [], [holding(BSE)]) == 0
    assert held_quantity(NSE, Product.MIS, [], [holding(BSE)]) == 0


@pytest.mark.row("C3")
def test_shares_are_joined_by_isin_where_their_symbols_differ() -> None:
    """The master's ISIN joins names that have nothing in common."""
    listed = holding(RENAMED, names=frozenset({RENAMED, NSE}))
    assert sellable_shares(NSE, [], [listed]) == 16
    assert sellable_shares(NSE, [position(-6, RENAMED)], [listed]) == 10


@pytest.mark.row("C3")
def test_series_of_nse_is_the_same_share() -> None:
    """A share in trade-to-trade has a suffix at NSE and none at BSE."""
    assert sellable_shares(InstrumentId("NSE", "SBIN-BE"), [], [holding(BSE)]) == 16


@pytest.mark.row("C3")
@pytest.mark.parametrize(
    ("owned", "net", "left"),
    [
        # both reads show the sale of 6
        (holding(quantity=10, used_quantity=6), [position(-6)], 10),
        # the positions show it first, and then the holdings
        (holding(quantity=16), [position(-6)], 10),
        (holding(quantity=10, used_quantity=6), [], 10),
        # sold at the other exchange
        (holding(quantity=16), [position(-6, BSE)], 10),
        # bought 4 today here, and there
        (holding(quantity=16), [position(4)], 20),
        (holding(quantity=16), [position(4, BSE)], 16),
        # arriving, and pledged
        (holding(quantity=0, t1_quantity=5), [], 5),
        (holding(quantity=11, pledged_quantity=5), [], 11),
        # more sold than there was: a mistake of somebody's, never bought back
        (holding(quantity=0, used_quantity=16), [position(-20)], 0),
    ],
)
def test_each_share_counts_once(owned: Holding, net: list[Position], left: int) -> None:
    """Sales show in positions and holdings at different moments; none is counted twice."""
    assert sellable_shares(NSE, net, [owned]) == left


@pytest.mark.row("C3")
def test_only_delivery_of_this_share_is_delivery() -> None:
    """An intraday purchase, another share and a contract of that name add none and take none."""
    others = [
        replace(position(4), product=Product.MIS),
        replace(position(-4), product=Product.MIS),
        position(-4, InstrumentId("NSE", "ITC")),
        position(-4, InstrumentId("NFO", "SBIN")),
    ]
    assert sellable_shares(NSE, others, [holding(), holding(InstrumentId("NSE", "ITC"))]) == 16


@given(
    opening=st.integers(0, 50), sold=st.integers(0, 50), in_both=st.booleans(), first=st.booleans()
)
def test_no_share_is_sold_twice(opening: int, sold: int, in_both: bool, first: bool) -> None:
    """Whichever read lags, what may be sold is never more than what is really left."""
    sold = min(sold, opening)
    seen_in_holdings = in_both or first
    seen_in_positions = in_both or not first
    owned = holding(
        quantity=opening - (sold if seen_in_holdings else 0),
        used_quantity=sold if seen_in_holdings else 0,
    )
    net = [position(-sold)] if seen_in_positions and sold else []
    assert sellable_shares(NSE, net, [owned]) == opening - sold


@pytest.mark.row("C3")
def test_both_brokers_rows_have_every_kind_of_quantity() -> None:
    """Sold today, arriving and pledged are apart, and the ISIN brings the share's other names."""
    isin = "INE062A01020"
    row = Instrument(NSE, "NSE:SBIN-EQ", "1", 1, PRICE, Segment.CASH, isin=isin)
    master = {NSE: row, RENAMED: replace(row, id=RENAMED, broker_symbol="BSE:STATEBANK-A")}
    kite = zerodha.holding(
        Row(
            {
                "tradingsymbol": "STATEBANK",
                "exchange": "BSE",
                "isin": isin,
                "quantity": 10,
                "used_quantity": 6,
                "t1_quantity": 4,
                "collateral_quantity": 5,
                "close_price": 890,
            }
        ),
        ShareNames(master),
    )
    other = fyers.holding(
        Row(
            {
                "symbol": "BSE:STATEBANK-A",
                "holdingType": "HLD",
                "isin": isin,
                "quantity": 20,
                "remainingQuantity": 14,
                "qty_t1": 4,
                "collateralQuantity": 5,
            }
        ),
        SymbolBook(master),
    )
    for one in (kite, other):
        assert (one.quantity, one.used_quantity, one.t1_quantity) == (10, 6, 4)
        assert (one.pledged_quantity, one.isin) == (5, isin)
        assert one.names == {NSE, RENAMED}
        assert sellable_shares(NSE, [position(-6)], [one]) == 14
