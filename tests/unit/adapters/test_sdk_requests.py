"""What the SDKs' requests look like, prepared in our way and in that of ``requests``."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, NoReturn
from urllib.parse import urlsplit

import pytest
import requests
from hypothesis import given
from hypothesis import strategies as st

from core.adapters.fyers.sdk import FyersSdk
from core.adapters.sdk_requests import Outgoing, RequestCapture, capture
from core.adapters.zerodha.sdk import kite_sdk

ROOT = "https://api.example"


class LongWay(RequestCapture):
    """Lets ``requests`` prepare everything."""

    def request(self, method: Any, url: Any, *arguments: Any, **keywords: Any) -> NoReturn:
        requests.Session.request(self, method, url, *arguments, **keywords)
        raise AssertionError("a request was sent")


class MovedLongWay(LongWay):
    """The same for the Fyers SDK, whose addresses are global to the process."""

    def moved(self, url: str) -> str:
        parts = urlsplit(url)  # a test before may have moved the SDK's own root
        return ROOT + url.removeprefix(f"{parts.scheme}://{parts.netloc}")


def kite_pair() -> tuple[Any, Any]:
    """Return two Kite SDKs: with our session, and with the long way."""
    ours, long = (kite_sdk(ROOT, "key", "tok") for _ in range(2))
    long.reqsession = LongWay()
    return ours, long


def fyers_pair() -> tuple[Any, Any]:
    """Return two Fyers SDKs: with our session, and with the long way."""
    ours, long = (FyersSdk(ROOT, "id", "tok") for _ in range(2))
    long.service.session = MovedLongWay()
    return ours, long


AT = datetime(2026, 11, 23, 9, 15)  # noqa: DTZ001 - Kite takes Indian time without a zone
KITE_CALLS: Mapping[str, Callable[[Any], object]] = {
    "orders": lambda kite: kite.orders(),
    "positions": lambda kite: kite.positions(),
    "margins": lambda kite: kite.margins("equity"),
    "profile": lambda kite: kite.profile(),
    "quotes": lambda kite: kite.quote("NSE:SBIN", "NSE:M&M", "BSE:É T"),
    "candles": lambda kite: kite.historical_data(779521, AT, AT, "5minute"),
    "cancel": lambda kite: kite.cancel_order("regular", "1001"),
    "session": lambda kite: kite.generate_session("code", "secret"),
    "logout": lambda kite: kite.invalidate_access_token(),
    "margins of orders": lambda kite: kite.order_margins([{"exchange": "NSE"}]),
}
FYERS_CALLS: Mapping[str, Callable[[Any], object]] = {
    "orders": lambda sdk: sdk.orderbook(),
    "funds": lambda sdk: sdk.funds(),
    "quotes": lambda sdk: sdk.quotes({"symbols": "NSE:SBIN-EQ,NSE:M&M-EQ"}),
    "candles": lambda sdk: sdk.history(
        {"symbol": "NSE:SBIN-EQ", "resolution": "5", "date_format": "0", "cont_flag": "1"}
    ),
    "cancel": lambda sdk: sdk.cancel_order({"id": "1001"}),
    "change": lambda sdk: sdk.modify_order({"id": "1001", "qty": 4, "limitPrice": 801.05}),
    "logout": lambda sdk: sdk.logout(),
}


def same(ours: Outgoing, other: Outgoing) -> bool:
    """Whether two requests are the same on the wire but for the order of headers."""
    return (ours.method, ours.url, ours.body, dict(ours.headers)) == (
        other.method,
        other.url,
        other.body,
        dict(other.headers),
    )


@pytest.mark.parametrize("name", KITE_CALLS)
def test_kite_request_is_what_requests_would_prepare(name: str) -> None:
    """Address, headers and body of each call are those of the library that the SDK is made for."""
    ours, long = kite_pair()
    call = KITE_CALLS[name]
    assert same(capture(lambda: call(ours)), capture(lambda: call(long)))


@pytest.mark.parametrize("name", FYERS_CALLS)
def test_fyers_request_is_what_requests_would_prepare(name: str) -> None:
    """The same for Fyers, at the account's own root."""
    ours, long = fyers_pair()
    call = FYERS_CALLS[name]
    found = capture(lambda: call(ours))
    assert same(found, capture(lambda: call(long)))
    assert found.url.startswith(f"{ROOT}/")


VALUES = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False), st.text(max_size=20)
)


@given(
    terms=st.dictionaries(
        st.sampled_from(["price", "trigger_price", "validity", "market_protection", "tag"]), VALUES
    ),
    symbol=st.text(max_size=20),
)
def test_kite_order_is_what_requests_would_prepare(terms: dict[str, Any], symbol: str) -> None:
    """Whatever stands in an order, its form is quoted as the library quotes it."""
    ours, long = kite_pair()
    order = {
        "variety": "regular",
        "exchange": "NSE",
        "tradingsymbol": symbol,
        "transaction_type": "BUY",
        "quantity": 1,
        "product": "MIS",
        "order_type": "LIMIT",
        **terms,
    }
    found = capture(lambda: ours.place_order(**order))
    assert same(found, capture(lambda: long.place_order(**order)))


@given(st.dictionaries(st.text(max_size=8), VALUES, max_size=5))
def test_fyers_order_is_what_requests_would_prepare(order: dict[str, Any]) -> None:
    """Whatever stands in an order, its JSON is the SDK's own."""
    ours, long = fyers_pair()
    found = capture(lambda: ours.place_order(order))
    assert same(found, capture(lambda: long.place_order(order)))


@pytest.mark.parametrize(
    "url",
    [f"{ROOT}/orders/../session", f"{ROOT}/a b", f"{ROOT}/%7ea", "HTTPS://API.example/a", ROOT],
)
def test_odd_address_is_prepared_by_requests(url: str) -> None:
    """An address with anything to quote, or with steps back, is left to the library."""
    found = capture(lambda: RequestCapture().request("GET", url, headers={"version": "3"}))
    long = capture(lambda: LongWay().request("GET", url, headers={"version": "3"}))
    assert same(found, long)


def test_address_outside_the_sdk_s_root_is_refused() -> None:
    """A Fyers request that would leave for another host is none."""
    session = FyersSdk(ROOT, "id", "tok").service.session
    with pytest.raises(ValueError, match="left its own root"):
        capture(lambda: session.get("https://elsewhere.example/api/v3/orders"))
