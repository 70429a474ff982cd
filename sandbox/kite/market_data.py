"""Kite's data routes: quotes, candles and the list of instruments."""

import csv
import io
from datetime import datetime, timedelta
from typing import Any

from aiohttp import web

from sandbox.clock import IST
from sandbox.kite.responses import KiteError, success
from sandbox.kite.serializers import quote_row
from sandbox.listing import find_token, is_listed, listed_on
from sandbox.prices import Bar
from sandbox.sessions import OPEN
from sandbox.world import World

__all__ = ["KiteMarketData"]

_QUOTE_CAPS = {"full": 500, "ohlc": 1000, "ltp": 1000}
_INTERVALS = {
    "minute": (1, 60),
    "3minute": (3, 100),
    "5minute": (5, 100),
    "10minute": (10, 100),
    "15minute": (15, 200),
    "30minute": (30, 200),
    "60minute": (60, 400),
    "day": (0, 2000),
}
_COLUMNS = (
    "instrument_token",
    "exchange_token",
    "tradingsymbol",
    "name",
    "last_price",
    "expiry",
    "strike",
    "tick_size",
    "lot_size",
    "instrument_type",
    "segment",
    "exchange",
)


def _moment(text: str, *, end: bool) -> datetime:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        raise KiteError("InputException", "Invalid `from` or `to` date.") from error
    if end and len(text) == len("2021-01-01"):
        moment += timedelta(days=1, seconds=-1)
    return moment.replace(tzinfo=IST) if moment.tzinfo is None else moment.astimezone(IST)


def _start(bar: Bar, minutes: int) -> datetime:
    """Return the start of the candle that a bar belongs to, counted from the day's open."""
    day = bar.start.date()
    if minutes == 0:
        return datetime.combine(day, datetime.min.time(), IST)
    opened = datetime.combine(day, OPEN, IST)
    step = timedelta(minutes=minutes)
    return opened + (bar.start - opened) // step * step


def _candles(bars: list[Bar], minutes: int) -> list[list[Any]]:
    """Merge one-minute bars into candles; a candle without bars is absent."""
    rows: list[list[Any]] = []
    started: datetime | None = None
    for bar in bars:
        start = _start(bar, minutes)
        if start != started:
            started = start
            text = f"{start:%Y-%m-%dT%H:%M:%S%z}"
            rows.append([text, bar.open, bar.high, bar.low, bar.close, bar.volume])
            continue
        row = rows[-1]
        row[2], row[3] = max(row[2], bar.high), min(row[3], bar.low)
        row[4], row[5] = bar.close, row[5] + bar.volume
    return rows


class KiteMarketData:
    """The data routes."""

    def __init__(self, world: World) -> None:
        self._world = world

    async def quote(self, request: web.Request) -> web.Response:
        """Quote instruments; unknown ones are absent from the answer."""
        mode = request.match_info.get("mode", "full")
        if mode not in _QUOTE_CAPS:
            raise web.HTTPNotFound
        wanted = request.query.getall("i", [])
        if not wanted:
            raise KiteError("InputException", "Missing or empty field `i`.")
        if len(wanted) > _QUOTE_CAPS[mode]:
            raise KiteError("InputException", f"Maximum {_QUOTE_CAPS[mode]} instruments allowed.")
        self._world.exchange.advance()
        data = {}
        today = self._world.clock.now().date()
        for name in wanted:
            instrument = self._world.market.find(name)
            if instrument is None or not is_listed(instrument, today):
                continue
            if name == f"{instrument.exchange}:{instrument.symbol}":
                data[name] = quote_row(self._world.market.quote(instrument), mode)
        return success(data)

    async def historical(self, request: web.Request) -> web.Response:
        """List candles; the last one may still be running."""
        interval = request.match_info["interval"]
        token = request.match_info["token"]
        instrument = find_token(int(token)) if token.isdecimal() else None
        if instrument is None:
            raise KiteError("InputException", "invalid token")
        if interval not in _INTERVALS:
            raise KiteError("InputException", "invalid interval")
        minutes, cap = _INTERVALS[interval]
        first = _moment(request.query.get("from", ""), end=False)
        last = _moment(request.query.get("to", ""), end=True)
        if first > last:
            raise KiteError("InputException", "invalid date range: from is after to")
        if last - first > timedelta(days=cap + 1):
            raise KiteError("InputException", f"interval exceeds max limit: {cap} days")
        rows = _candles(self._world.market.bars(instrument, first, last), minutes)
        if request.query.get("oi") == "1":
            rows = [[*row, 0] for row in rows]
        return success({"candles": rows})

    async def instruments(self, request: web.Request) -> web.Response:
        """List the instruments as CSV, of one exchange or of all."""
        exchange = request.match_info.get("exchange")
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow(_COLUMNS)
        for item in listed_on(self._world.clock.now().date()):
            if exchange in {None, item.exchange}:
                writer.writerow(
                    [
                        item.instrument_token,
                        item.exchange_token,
                        item.symbol,
                        item.name,
                        "0.0",
                        item.expiry.isoformat() if item.expiry else "",
                        "0.0",
                        item.tick_size,
                        item.lot_size,
                        "FUT" if item.expiry else "EQ",
                        item.segment,
                        item.exchange,
                    ]
                )
        response = web.Response(text=text.getvalue(), content_type="text/csv")
        response.enable_compression()
        return response
