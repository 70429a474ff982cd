"""The public symbol masters: CSV without header in 21 columns, and the JSON twin.

NSE and BSE cash and NSE derivatives have instruments here. The other files exist and are empty, as
a segment without instruments would be; any other name is 404. Ticks are in rupees. The freeze
quantity (`qtyFreeze`) is in the JSON twin only.
"""

import csv
import io
from datetime import date
from typing import Any

from aiohttp import web

from sandbox.clock import IST
from sandbox.fyers.symbols import exchange_number, fy_token, segment_number, symbol_of
from sandbox.instruments import BSE, Instrument
from sandbox.listing import find, listed_on
from sandbox.sessions import segment_session

__all__ = ["csv_master", "json_master", "serve_master"]

_FILES = frozenset({"NSE_CM", "NSE_FO", "NSE_CD", "NSE_COM", "BSE_CM", "BSE_FO", "MCX_COM"})
_EQUITY, _INDEX, _FUTURE_OF_INDEX, _FUTURE_OF_SHARE = 0, 10, 11, 13


def serve_master(name: str, today: date) -> web.Response:
    """Answer a request for one file under `/sym_details/`."""
    stem, _, suffix = name.rpartition(".")
    if suffix == "csv" and stem in _FILES:
        return web.Response(text=csv_master(stem, today), content_type="text/csv")
    segment = stem.removesuffix("_sym_master")
    if suffix == "json" and segment != stem and segment in _FILES:
        return web.json_response(json_master(segment, today))
    raise web.HTTPNotFound


def csv_master(segment: str, today: date) -> str:
    """Return the CSV file of one segment."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerows(_row(item, today) for item in _members(segment, today))
    return out.getvalue()


def json_master(segment: str, today: date) -> dict[str, dict[str, Any]]:
    """Return the JSON file of one segment, keyed by symbol ticker."""
    return {symbol_of(item): _entry(item, today) for item in _members(segment, today)}


def _members(segment: str, today: date) -> list[Instrument]:
    return [item for item in listed_on(today) if _file_of(item) == segment]


def _file_of(item: Instrument) -> str:
    if item.expiry is not None:
        return "NSE_FO"
    return "BSE_CM" if item.exchange == BSE else "NSE_CM"


def _kind(item: Instrument) -> int:
    if item.is_index:
        return _INDEX
    if item.expiry is None:
        return _EQUITY
    underlying = find(item.follows)
    return _FUTURE_OF_INDEX if underlying and underlying.is_index else _FUTURE_OF_SHARE


def _series(item: Instrument) -> str:
    if item.is_index:
        return "INDEX"
    if item.expiry is not None:
        return "XX"
    return "A" if item.exchange == BSE else "EQ"


def _expiry(item: Instrument) -> str:
    """Return the end of the contract's last session as an epoch, empty in the cash market."""
    if item.expiry is None:
        return ""
    return str(int(segment_session(item.hours, item.expiry)[1].timestamp()))


def _session(item: Instrument, today: date) -> str:
    opened, closed = segment_session("cash" if item.expiry is None else item.hours, today)
    return f"{opened.astimezone(IST):%H%M}-{closed.astimezone(IST):%H%M}"


def _row(item: Instrument, today: date) -> list[object]:
    token = fy_token(item)
    return [
        token,
        item.name,
        _kind(item),
        item.lot_size,
        item.tick_size,
        item.isin,
        _session(item, today),
        today.isoformat(),
        _expiry(item),
        symbol_of(item),
        exchange_number(item),
        segment_number(item),
        item.exchange_token,
        item.derivative_name,
        item.exchange_token,
        -1.0,
        "XX",
        token,
        "None",
        0,
        0.0,
    ]


def _entry(item: Instrument, today: date) -> dict[str, Any]:
    token = fy_token(item)
    return {
        "fyToken": token,
        "isin": item.isin,
        "exSymbol": item.symbol,
        "symDetails": item.name,
        "symTicker": symbol_of(item),
        "exchange": exchange_number(item),
        "segment": segment_number(item),
        "exSymName": item.name,
        "exToken": item.exchange_token,
        "exSeries": _series(item),
        "optType": "XX",
        "underSym": item.derivative_name,
        "underFyTok": token,
        "exInstType": _kind(item),
        "minLotSize": item.lot_size,
        "tickSize": item.tick_size,
        "tradingSession": _session(item, today),
        "lastUpdate": today.isoformat(),
        "expiryDate": _expiry(item),
        "strikePrice": -1.0,
        "qtyFreeze": str(item.published_freeze or item.freeze_quantity),
        "tradeStatus": 0 if item.is_index else 1,
        "currencyCode": "INR",
        "faceValue": 0.0,
        "qtyMultiplier": 1.0,
        "exchangeName": item.exchange,
        "symbolDesc": item.name,
        "is_mtf_tradable": 0,
        "mtf_margin": 0.0,
        "stream": "",
    }
