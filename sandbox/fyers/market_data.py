"""Quotes, depth, candles and market status under `/data`."""

import json
from collections.abc import Iterable
from datetime import UTC, date, datetime, time, timedelta
from typing import Any

from aiohttp import web

from sandbox.clock import IST
from sandbox.fyers.order_requests import invalid
from sandbox.fyers.responses import FyersError, ok
from sandbox.fyers.symbols import CAPITAL_MARKET, DERIVATIVES, find_symbol, fy_token, symbol_of
from sandbox.instruments import Instrument
from sandbox.market import Quote
from sandbox.prices import Bar
from sandbox.sessions import AUCTION_SINCE, is_trading_day, special_hours, within_segment
from sandbox.world import World

__all__ = ["FyersMarketData"]

MAX_SYMBOLS = 50
LEVELS = 5
MINUTES = (1, 2, 3, 5, 10, 15, 20, 30, 60, 120, 240)
INTRADAY_DAYS = 100
DAILY_DAYS = 366
_NSE, _MCX, _BSE, _COMMODITY = 10, 11, 12, 20
_PREOPEN_SINCE = date(2026, 9, 7)


class FyersMarketData:
    """The handlers of the data paths."""

    def __init__(self, world: World) -> None:
        self._world = world

    def routes(self) -> list[web.RouteDef]:
        """Return the routes of these handlers."""
        return [
            web.get("/data/quotes", self.quotes),
            web.post("/data/quotes", self.quotes_v2),
            web.get("/data/depth", self.depth),
            web.get("/data/history", self.history),
            web.get("/data/marketStatus", self.status),
        ]

    async def quotes(self, request: web.Request) -> web.StreamResponse:
        """Answer quotes of up to fifty symbols in the query."""
        return self._quotes(request.query.get("symbols", "").split(","))

    async def quotes_v2(self, request: web.Request) -> web.StreamResponse:
        """Answer quotes of up to fifty symbols in a JSON list."""
        try:
            body = json.loads(await request.read())
        except ValueError:
            body = None
        symbols = body.get("symbols") if isinstance(body, dict) else None
        if isinstance(symbols, str):
            symbols = symbols.split(",")
        if not isinstance(symbols, list):
            raise invalid("Invalid input: symbols is required")
        return self._quotes([str(symbol) for symbol in symbols])

    async def depth(self, request: web.Request) -> web.StreamResponse:
        """Answer the five best levels of one symbol."""
        instrument = self._known(request.query.get("symbol", ""))
        quote = self._world.market.quote(instrument)
        with_ohlc = request.query.get("ohlcv_flag", "0") == "1"
        payload = {symbol_of(instrument): _depth(quote, with_ohlc=with_ohlc)}
        return web.json_response(ok(message="", d=payload))

    async def history(self, request: web.Request) -> web.StreamResponse:
        """Answer candles; the forming one is included while the range reaches it."""
        query = request.query
        instrument = self._known(query.get("symbol", ""))
        minutes = _minutes(query.get("resolution", ""))
        is_epoch = query.get("date_format", "0") == "0"
        first = _moment(query.get("range_from", ""), is_epoch=is_epoch, at_end=False)
        last = _moment(query.get("range_to", ""), is_epoch=is_epoch, at_end=True)
        _check_range(first, last, INTRADAY_DAYS if minutes else DAILY_DAYS)
        bars = self._world.market.bars(instrument, first, last)
        candles = _grouped(bars, minutes)
        if query.get("oi_flag") == "1":
            candles = [[*candle, 0] for candle in candles]
        if not candles:
            return web.json_response({"s": "no_data", "code": 200, "message": "", "candles": []})
        return web.json_response(ok(candles=candles))

    async def status(self, _request: web.Request) -> web.StreamResponse:
        """Answer the phase of each segment."""
        return web.json_response(ok(marketStatus=_phases(self._world.clock.now())))

    def _quotes(self, symbols: Iterable[str]) -> web.StreamResponse:
        wanted = [symbol.strip() for symbol in symbols if symbol.strip()]
        if not wanted or len(wanted) > MAX_SYMBOLS:
            raise invalid(f"Invalid input: give 1 to {MAX_SYMBOLS} symbols")
        return web.json_response(ok(d=[self._quote(symbol) for symbol in wanted]))

    def _quote(self, symbol: str) -> dict[str, Any]:
        instrument = find_symbol(symbol, self._world.clock.now().date())
        if instrument is None:
            problem = {"s": "error", "code": -300, "errmsg": "Please provide a valid symbol"}
            return {"n": symbol, "s": "error", "v": problem}
        return {"n": symbol, "s": "ok", "v": _quote_values(self._world.market.quote(instrument))}

    def _known(self, symbol: str) -> Instrument:
        instrument = find_symbol(symbol, self._world.clock.now().date())
        if instrument is None:
            raise FyersError(-300, "Please provide a valid symbol")
        return instrument


def _change(quote: Quote) -> tuple[float, float]:
    change = round(quote.last_price - quote.close, 2)
    return change, round(100 * change / quote.close, 2) if quote.close else 0.0


def _quote_values(quote: Quote) -> dict[str, Any]:
    instrument = quote.instrument
    change, percent = _change(quote)
    ticker = symbol_of(instrument)
    tick = 0.0 if instrument.is_index else instrument.tick_size
    traded = quote.last_trade_at or quote.at
    return {
        "ch": change,
        "chp": percent,
        "lp": quote.last_price,
        "spread": tick,
        "ask": round(quote.last_price + tick, 2),
        "bid": quote.last_price,
        "open_price": quote.open,
        "high_price": quote.high,
        "low_price": quote.low,
        "prev_close_price": quote.close,
        "atp": quote.average_price,
        "volume": quote.volume,
        "short_name": ticker.partition(":")[2],
        "exchange": instrument.exchange,
        "description": ticker,
        "original_name": ticker,
        "symbol": ticker,
        "fyToken": fy_token(instrument),
        "tt": str(int(traded.timestamp())),
    }


def _depth(quote: Quote, *, with_ohlc: bool) -> dict[str, Any]:
    instrument = quote.instrument
    change, percent = _change(quote)
    bids = [] if instrument.is_index else _levels(quote, -1)
    asks = [] if instrument.is_index else _levels(quote, 1)
    values: dict[str, Any] = {
        "totalbuyqty": sum(level["volume"] for level in bids),
        "totalsellqty": sum(level["volume"] for level in asks),
        "bids": bids,
        "ask": asks,
        "tick_Size": instrument.tick_size,
        "ch": change,
        "chp": percent,
        "ltq": 1,
        "ltt": int((quote.last_trade_at or quote.at).timestamp()),
        "ltp": quote.last_price,
        "v": quote.volume,
        "atp": quote.average_price,
        "lower_ckt": quote.lower_circuit,
        "upper_ckt": quote.upper_circuit,
        "expiry": "",
        "oi": 0,
        "oiflag": False,
        "pdoi": 0,
        "oipercent": 0.0,
    }
    if with_ohlc:
        values |= {"o": quote.open, "h": quote.high, "l": quote.low, "c": quote.close}
    return values


def _levels(quote: Quote, sign: int) -> list[dict[str, Any]]:
    """Return five levels away from the last price; the best bid is the last price itself."""
    if quote.stuck_side == ("SELL" if sign < 0 else "BUY"):
        return [{"price": 0, "volume": 0, "ord": 0} for _ in range(LEVELS)]
    tick = quote.instrument.tick_size
    first = 0 if sign < 0 else 1
    return [
        {
            "price": round(quote.last_price + sign * tick * (first + step), 2),
            "volume": 100 * (step + 1),
            "ord": step + 1,
        }
        for step in range(LEVELS)
    ]


def _minutes(resolution: str) -> int | None:
    """Return the minutes of a resolution, None for days."""
    if resolution in {"D", "1D"}:
        return None
    if resolution.isdigit() and int(resolution) in MINUTES:
        return int(resolution)
    raise invalid("Invalid input: resolution")


def _moment(text: str, *, is_epoch: bool, at_end: bool) -> datetime:
    try:
        if is_epoch:
            return datetime.fromtimestamp(int(text), IST)
        day = date.fromisoformat(text)
    except (ValueError, OverflowError, OSError):
        raise invalid("Invalid input: range_from and range_to") from None
    return datetime.combine(day, time.max if at_end else time.min, IST)


def _check_range(first: datetime, last: datetime, days: int) -> None:
    if last < first:
        raise invalid("Invalid input: range_from is after range_to")
    if last - first > timedelta(days=days):
        raise invalid(f"Invalid input: at most {days} days in one request")


def _grouped(bars: Iterable[Bar], minutes: int | None) -> list[list[float]]:
    """Return candles of some minutes, counted from the day's open, or of whole days.

    A candle is stamped with the epoch of its start; that of a day with its midnight UTC.
    """
    candles: dict[int, list[float]] = {}
    for bar in bars:
        stamp = _stamp(bar.start, minutes)
        row = candles.get(stamp)
        if row is None:
            candles[stamp] = [stamp, bar.open, bar.high, bar.low, bar.close, bar.volume]
        else:
            row[2] = max(row[2], bar.high)
            row[3] = min(row[3], bar.low)
            row[4] = bar.close
            row[5] += bar.volume
    return list(candles.values())


def _stamp(start: datetime, minutes: int | None) -> int:
    local = start.astimezone(IST)
    if minutes is None:
        return int(datetime.combine(local.date(), time.min, UTC).timestamp())
    opened = datetime.combine(local.date(), time(9, 15), IST)
    passed = (local - opened) // timedelta(minutes=minutes)
    return int((opened + passed * timedelta(minutes=minutes)).timestamp())


def _phases(now: datetime) -> list[dict[str, Any]]:
    """Return the phase of each segment; shares in the closing auction stop before theirs does."""
    local = now.astimezone(IST)
    cash, commodity = "CLOSED", "CLOSED"
    if special_hours(local.date()):
        cash = "OPEN" if within_segment("cash", now) else "CLOSED"
    elif is_trading_day(local.date()):
        cash = _cash_phase(local)
        commodity = "OPEN" if time(9, 0) <= local.time() < time(23, 30) else "CLOSED"
    rows = (
        (_NSE, CAPITAL_MARKET, cash),
        (_NSE, DERIVATIVES, "OPEN" if within_segment("derivatives", now) else "CLOSED"),
        (_BSE, CAPITAL_MARKET, cash),
        (_MCX, _COMMODITY, commodity),
    )
    return [
        {"exchange": exchange, "segment": segment, "market_type": "NORMAL", "status": status}
        for exchange, segment, status in rows
    ]


def _cash_phase(local: datetime) -> str:
    preopen_end = time(9, 12) if local.date() >= _PREOPEN_SINCE else time(9, 8)
    postclose = time(15, 50) if local.date() >= AUCTION_SINCE else time(15, 40)
    phases = (
        (time(9, 0), "CLOSED"),
        (preopen_end, "PREOPEN"),
        (time(9, 15), "PREOPEN_CLOSED"),
        (time(15, 30), "OPEN"),
        (postclose, "CLOSED"),
        (time(16, 0), "POSTCLOSE_START"),
        (time(16, 30), "POSTCLOSE_CLOSED"),
    )
    return next((name for end, name in phases if local.time() < end), "CLOSED")
