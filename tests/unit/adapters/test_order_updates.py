"""What both brokers' frames say: recorded ones, and ones that nobody should send."""

from __future__ import annotations

import pytest

from core.adapters.fyers import FYERS
from core.adapters.fyers.updates import FyersDialect
from core.adapters.order_stream import Sign
from core.adapters.zerodha import ZERODHA
from core.adapters.zerodha.updates import KiteDialect
from core.domain.broker_profile import NO_STREAM, BrokerProfile
from core.ports.broker import Credentials
from core.ports.updates import OrderHint

CREDENTIALS = Credentials("zerodha_aaaaaaaaaa", "ABC-100", "secret", "a+b/c=")

KITE_ORDER = (
    '{"type":"order","id":"","data":{"account_id":"AB1234","unfilled_quantity":0,"checksum":"",'
    '"placed_by":"AB1234","order_id":"151220000000000","exchange_order_id":"1100000000000001",'
    '"parent_order_id":null,"status":"COMPLETE","status_message":null,"order_timestamp":'
    '"2026-11-23 09:31:05","exchange_timestamp":"2026-11-23 09:31:05","variety":"regular",'
    '"exchange":"NSE","tradingsymbol":"SBIN","instrument_token":779521,"order_type":"MARKET",'
    '"transaction_type":"BUY","validity":"DAY","product":"MIS","quantity":3,"filled_quantity":3,'
    '"pending_quantity":0,"cancelled_quantity":0,"price":0,"trigger_price":0,"average_price":'
    '815.1,"tag":"SA1","guid":null,"meta":{}}}'
)
FYERS_ORDER = (
    '{"s":"ok","orders":{"client_id":"XA00001","id":"26112300000012","id_parent":"","id_exchange":'
    '"1100000009596016","qty":3,"qty_remaining":0,"qty_filled":3,"price_limit":0,"price_stop":0,'
    '"price_traded":815.1,"ord_type":2,"fy_token":"10100000003045","oms_msg":"","offline_flag":'
    'false,"time_oms":"23-Nov-2026 09:31:05","validity":"DAY","product_type":"INTRADAY",'
    '"tran_side":1,"org_ord_status":2,"ord_source":"API","symbol":"NSE:SBIN-EQ","ordertag":"1:SA1",'
    '"id_fyers":"f1"}}'
)
FYERS_TRADE = '{"s":"ok","trades":{"id_fill":"9","id":"26112300000012","ordertag":"2:Untagged"}}'
FYERS_POSITION = '{"s":"ok","positions":{"id":"NSE:SBIN-EQ-INTRADAY","net_qty":3}}'

KITE_FRAMES: list[tuple[str | bytes, object]] = [
    (KITE_ORDER, OrderHint("151220000000000", "SA1")),
    ('{"type":"order","data":{"order_id":"1","tag":null}}', OrderHint("1", None)),
    ('{"type":"order","data":{"order_id":151220000000000}}', OrderHint()),
    ('{"type":"order","data":null}', OrderHint()),
    ('{"type":"order"}', OrderHint()),
    ('{"type":"error","data":"Invalid subscription"}', Sign.TROUBLE),
    ('{"type":"message","data":"planned maintenance"}', Sign.PULSE),
    ('{"type":"instruments_meta","data":{"count":1}}', Sign.PULSE),
    ("{}", Sign.PULSE),
    (b"\x00", Sign.PULSE),
    (b"", Sign.PULSE),
    (b"\x00\x01\x00\x08\x00\x0b\xe5\x01\x00\x01\x3e\x6e", Sign.PULSE),
]
FYERS_FRAMES: list[tuple[str | bytes, object]] = [
    (FYERS_ORDER, OrderHint("26112300000012", "SA1")),
    (FYERS_TRADE, OrderHint("26112300000012", None)),
    (FYERS_POSITION, OrderHint()),
    ('{"s":"ok","orders":[]}', OrderHint()),
    ('{"code":1605,"message":"Successfully subscribed","s":"ok"}', Sign.READY),
    ('{"s":"error","code":-50,"message":"Invalid subscription"}', Sign.TROUBLE),
    ('{"s":"error","code":-17,"message":"expired"}', Sign.REFUSED),
    ('{"s":"error","code":"-17"}', Sign.TROUBLE),
    ('{"s":"ok","login":{}}', Sign.PULSE),
    ("pong", Sign.PULSE),
    (b"\x00", Sign.PULSE),
]
UNREADABLE = ["", "{", "[]", "17", "null", '"order"', "[" * 100_000, "NaN"]


@pytest.mark.parametrize(("frame", "said"), KITE_FRAMES)
def test_kite_frames(frame: str | bytes, said: object) -> None:
    """An order is a hint that names it, whatever its fields; all else is a sign of life."""
    assert KiteDialect("wss://ws.kite.trade", CREDENTIALS).read(frame) == said


@pytest.mark.parametrize(("frame", "said"), FYERS_FRAMES)
def test_fyers_frames(frame: str | bytes, said: object) -> None:
    """Orders, trades and positions are hints; a code of a dead login ends the stream."""
    assert FyersDialect("wss://socket.fyers.in", CREDENTIALS).read(frame) == said


@pytest.mark.parametrize("frame", UNREADABLE)
def test_unreadable_frames_say_so(frame: str) -> None:
    """A text that is no JSON object is a ``ValueError``, which the stream counts."""
    for dialect in (KiteDialect("wss://a.example", CREDENTIALS), FyersDialect("", CREDENTIALS)):
        with pytest.raises(ValueError):  # noqa: PT011 - the words are nobody's promise
            dialect.read(frame)


def test_kite_address_is_encoded() -> None:
    """Kite takes the login in the address, so that it must survive there."""
    address = KiteDialect("wss://ws.kite.trade/", CREDENTIALS).address()
    assert address == "wss://ws.kite.trade/?api_key=ABC-100&access_token=a%2Bb%2Fc%3D"


@pytest.mark.parametrize("broker", [ZERODHA, FYERS], ids=str)
def test_where_updates_come_from(broker: BrokerProfile) -> None:
    """Beside a simulator's API never the broker's own stream; ``off`` is none at all."""
    assert broker.stream is not None
    api, setting = broker.roots[0].setting, broker.stream.setting
    assert setting.startswith(f"{broker.api_name}_") and broker.stream.default.startswith("wss://")
    assert broker.stream_address({}) == broker.stream.default
    assert broker.stream_address({api: "http://127.0.0.1:1"}) is None
    both = {api: "http://127.0.0.1:1", setting: "ws://127.0.0.1:1"}
    assert broker.stream_address(both) == "ws://127.0.0.1:1"
    assert broker.stream_address({setting: NO_STREAM}) is None
