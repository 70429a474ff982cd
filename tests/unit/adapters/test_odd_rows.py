"""One row that cannot be read hides no other, and is never left out silently."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import pytest

from core.adapters.fields import Row, readable
from core.adapters.fyers import mapping as fyers
from core.adapters.fyers.instruments import SymbolBook
from core.adapters.share_names import ShareNames
from core.adapters.zerodha import mapping as zerodha
from core.domain.instrument import InstrumentId, Product
from core.domain.odd_rows import OddRow, Rows
from core.errors import BrokerReadError
from tests.fakes.brokers import MASTER, SBIN
from tests.fakes.orders import TAG

BOOK = SymbolBook({name: row for rows in MASTER.values() for name, row in rows.items()})
KITE: Mapping[str, Mapping[str, Any]] = {
    "order": {
        "order_id": "1",
        "exchange": "NSE",
        "tradingsymbol": "SBIN",
        "transaction_type": "BUY",
        "product": "MIS",
        "order_type": "MARKET",
        "quantity": 1,
        "status": "OPEN",
    },
    "trade": {
        "trade_id": "9",
        "order_id": "1",
        "exchange": "NSE",
        "tradingsymbol": "SBIN",
        "transaction_type": "BUY",
        "product": "MIS",
        "quantity": 1,
        "average_price": 800,
    },
    "position": {"exchange": "NSE", "tradingsymbol": "SBIN", "product": "MIS", "quantity": 1},
    "holding": {"exchange": "NSE", "tradingsymbol": "SBIN", "quantity": 1},
}
FYERS: Mapping[str, Mapping[str, Any]] = {
    "order": {
        "id": "1",
        "symbol": "NSE:SBIN-EQ",
        "side": 1,
        "productType": "INTRADAY",
        "type": 2,
        "qty": 1,
        "status": 6,
    },
    "trade": {
        "tradeNumber": "9",
        "orderNumber": "1",
        "symbol": "NSE:SBIN-EQ",
        "side": 1,
        "productType": "INTRADAY",
        "tradedQty": 1,
        "tradePrice": 800,
    },
    "position": {"symbol": "NSE:SBIN-EQ", "productType": "INTRADAY", "netQty": 1},
    "holding": {"symbol": "NSE:SBIN-EQ", "quantity": 1, "remainingQuantity": 1},
}
READERS: Mapping[str, tuple[Callable[..., Any], Callable[..., Any]]] = {
    "order": (zerodha.broker_order, zerodha.odd_order),
    "trade": (zerodha.broker_trade, zerodha.odd_order),
    "position": (zerodha.position, zerodha.odd_position),
    "holding": (partial(zerodha.holding, names=ShareNames({})), zerodha.odd_holding),
}
FYERS_READERS: Mapping[str, tuple[Callable[..., Any], Callable[..., Any]]] = {
    "order": (fyers.broker_order, fyers.odd_order),
    "trade": (fyers.broker_trade, fyers.odd_order),
    "position": (fyers.position, fyers.odd_position),
    "holding": (fyers.holding, fyers.odd_holding),
}


def read(broker: str, kind: str, *changes: Mapping[str, Any]) -> Rows[Any]:
    """Read a good row, and one with each of these changes."""
    base = (KITE if broker == "kite" else FYERS)[kind]
    rows = [Row(base), *(Row({**base, **change}) for change in changes)]
    if broker == "kite":
        return readable(rows, *READERS[kind])
    translate, odd = (partial(one, book=BOOK) for one in FYERS_READERS[kind])
    return readable(rows, translate, odd)


@pytest.mark.row("R8")
@pytest.mark.parametrize(
    ("broker", "kind", "change", "reason"),
    [
        ("kite", "order", {"product": "XYZ"}, "product 'XYZ'"),
        ("kite", "order", {"exchange": "nse"}, "exchange 'nse'"),
        ("kite", "order", {"transaction_type": "HOLD"}, "transaction_type 'HOLD'"),
        ("kite", "order", {"quantity": "many"}, "quantity is no number"),
        ("kite", "trade", {"product": "XYZ"}, "product 'XYZ'"),
        ("kite", "position", {"product": "XYZ"}, "product 'XYZ'"),
        ("kite", "holding", {"quantity": "many"}, "quantity is no number"),
        ("fyers", "order", {"productType": "XYZ"}, "product 'XYZ'"),
        ("fyers", "order", {"side": 0}, "side '0'"),
        ("fyers", "order", {"symbol": "SBIN"}, "exchange ''"),
        ("fyers", "trade", {"productType": "XYZ"}, "product 'XYZ'"),
        ("fyers", "position", {"productType": "XYZ"}, "product 'XYZ'"),
        ("fyers", "holding", {"symbol": "SBIN"}, "exchange ''"),
    ],
)
def test_odd_row_is_left_out_and_named(
    broker: str, kind: str, change: Mapping[str, Any], reason: str
) -> None:
    """The others are read, and the row comes beside them with what is wrong about it."""
    rows = read(broker, kind, change)
    assert len(rows) == 1
    assert [one.reason for one in rows.odd] == [reason]


@pytest.mark.row("R8")
@pytest.mark.parametrize("kind", ["order", "trade", "position", "holding"])
@pytest.mark.parametrize("broker", ["kite", "fyers"])
@pytest.mark.parametrize(
    "symbol", ["SB\u200bIN", "\u202eNIBS", "SBIN\nSold", "SB\u0406N", "S" * 65], ids=ascii
)
def test_no_row_passes_for_another_instrument(broker: str, kind: str, symbol: str) -> None:
    """A symbol with what shows nothing, turns what follows or looks the same is not understood."""
    field, word = ("tradingsymbol", symbol) if broker == "kite" else ("symbol", f"NSE:{symbol}")
    try:
        rows = read(broker, kind, {field: word})
    except BrokerReadError as error:
        found = str(error)
    else:
        assert len(rows) == 1
        (found,) = (one.reason for one in rows.odd)
    assert "symbol" in found and found.isascii() and found.isprintable()


@pytest.mark.row("R8")
@pytest.mark.parametrize("broker", ["kite", "fyers"])
def test_unreadable_position_of_our_own_product_fails_the_read(broker: str) -> None:
    """Left out it would look flat, and a position would be believed closed."""
    with pytest.raises(BrokerReadError):
        read(broker, "position", {"quantity": "many", "netQty": "many"})


@pytest.mark.parametrize("broker", ["kite", "fyers"])
def test_row_without_an_id_fails_the_read(broker: str) -> None:
    """Nobody knows whose order it is."""
    with pytest.raises(BrokerReadError):
        read(broker, "order", {"order_id": None, "id": None, "product": "X", "productType": "X"})


@pytest.mark.row("R8")
def test_odd_row_of_our_own_keeps_its_tag() -> None:
    """What was left out can still be known for ours."""
    (kite,) = read("kite", "order", {"product": "XYZ", "tag": TAG}).odd
    (other,) = read("fyers", "order", {"productType": "XYZ", "orderTag": f"1:{TAG}"}).odd
    expected = OddRow("product 'XYZ'", "1", TAG, SBIN)
    assert (kite, other) == (expected, expected)


def test_user_s_own_products_are_no_odd_words() -> None:
    """Products that Saarthi does not trade, but a user may hold, are read."""
    rows = read("kite", "position", {"product": "MTF"}, {"product": "CO"})
    assert [row.product for row in rows] == [Product.MIS, Product.NRML, Product.MIS]
    assert {row.instrument for row in rows} == {InstrumentId("NSE", "SBIN")}
