"""The public symbol masters: CSV without header in 21 columns, and the JSON twin.

Only NSE cash has instruments here. The other six files exist and are empty, as a segment without
instruments would be; any other name is 404. Ticks are in rupees.
"""

import csv
import io
from datetime import date
from typing import Any

from aiohttp import web

from sandbox.fyers.symbols import CAPITAL_MARKET, NSE, fy_token, symbol_of
from sandbox.instruments import Instrument, instruments

__all__ = ["csv_master", "json_master", "serve_master"]

_FILES = frozenset({"NSE_CM", "NSE_FO", "NSE_CD", "NSE_COM", "BSE_CM", "BSE_FO", "MCX_COM"})
_SESSION = "0915-1530"
_EQUITY, _INDEX = 0, 10


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
    if segment == "NSE_CM":
        writer.writerows(_row(item, today) for item in instruments())
    return out.getvalue()


def json_master(segment: str, today: date) -> dict[str, dict[str, Any]]:
    """Return the JSON file of one segment, keyed by symbol ticker."""
    if segment != "NSE_CM":
        return {}
    return {symbol_of(item): _entry(item, today) for item in instruments()}


def _row(item: Instrument, today: date) -> list[object]:
    token = fy_token(item)
    return [
        token,
        item.name,
        _INDEX if item.is_index else _EQUITY,
        item.lot_size,
        item.tick_size,
        item.isin,
        _SESSION,
        today.isoformat(),
        "",
        symbol_of(item),
        NSE,
        CAPITAL_MARKET,
        item.exchange_token,
        item.symbol,
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
        "exchange": NSE,
        "segment": CAPITAL_MARKET,
        "exSymName": item.name,
        "exToken": item.exchange_token,
        "exSeries": "INDEX" if item.is_index else "EQ",
        "optType": "XX",
        "underSym": item.symbol,
        "underFyTok": token,
        "exInstType": _INDEX if item.is_index else _EQUITY,
        "minLotSize": item.lot_size,
        "tickSize": item.tick_size,
        "tradingSession": _SESSION,
        "lastUpdate": today.isoformat(),
        "expiryDate": "",
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
