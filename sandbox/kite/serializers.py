"""Kite's JSON rows, made from the exchange's orders, trades and portfolios."""

from dataclasses import replace
from datetime import date, datetime
from functools import partial
from typing import Any

from sandbox.instruments import Instrument
from sandbox.market import Market, Quote
from sandbox.orders import CANCELLED, REJECTED, Order, Trade
from sandbox.portfolio import Holding, Portfolio, Position

__all__ = [
    "history_rows",
    "holding_row",
    "margins",
    "order_row",
    "position_rows",
    "quote_row",
    "stamp",
    "trade_row",
]


def stamp(text: str | datetime | None) -> str | None:
    """Write a moment as Kite does: ``YYYY-MM-DD HH:MM:SS``, IST without a zone."""
    if text is None:
        return None
    moment = datetime.fromisoformat(text) if isinstance(text, str) else text
    return f"{moment:%Y-%m-%d %H:%M:%S}"


def _pending(order: Order) -> int:
    """Cancelled rows keep what did not fill as pending, rejected rows show none."""
    if order.status == REJECTED:
        return 0
    if order.status == CANCELLED:
        return order.quantity - order.filled_quantity
    return order.leaves_quantity


def order_row(order: Order, instrument: Instrument) -> dict[str, Any]:
    """Return a row of ``GET /orders``."""
    row: dict[str, Any] = {
        "account_id": order.user_id,
        "placed_by": order.placed_by,
        "order_id": order.order_id,
        "exchange_order_id": order.exchange_order_id,
        "parent_order_id": None,
        "status": order.status,
        "status_message": order.message,
        "status_message_raw": order.message_raw,
        "order_timestamp": stamp(order.updated_at),
        "exchange_update_timestamp": stamp(order.exchange_at),
        "exchange_timestamp": stamp(order.exchange_at),
        "variety": order.extra.get("variety", "regular"),
        "modified": order.modifications > 0,
        "exchange": instrument.exchange,
        "tradingsymbol": instrument.symbol,
        "instrument_token": instrument.instrument_token,
        "order_type": order.order_type,
        "transaction_type": order.side,
        "validity": order.validity,
        "validity_ttl": 0,
        "product": order.product,
        "quantity": order.quantity,
        "disclosed_quantity": order.disclosed_quantity,
        "price": order.price,
        "trigger_price": order.trigger_price,
        "average_price": order.average_price,
        "filled_quantity": order.filled_quantity,
        "pending_quantity": _pending(order),
        "cancelled_quantity": order.cancelled_quantity,
        "market_protection": 0,
        "meta": {},
        "tag": order.tag,
        "guid": f"{order.order_id}X{order.api_key[:6]}",
    }
    tags = [*([order.tag] if order.tag else []), *order.system_tags, *order.extra.get("tags", [])]
    if tags:
        row["tags"] = tags
    return row


def history_rows(order: Order, instrument: Instrument) -> list[dict[str, Any]]:
    """Return the states of an order, oldest first; such rows lack some keys."""
    rows = []
    for entry in order.history:
        row = order_row(order, instrument)
        for name in ("status_message_raw", "guid", "account_id", "validity_ttl", "meta"):
            del row[name]
        row["status"] = entry["status"]
        row["status_message"] = entry["message"]
        row["order_timestamp"] = stamp(entry["at"])
        row["filled_quantity"] = entry["filled_quantity"]
        row["average_price"] = entry["average_price"]
        row["pending_quantity"] = order.quantity - entry["filled_quantity"]
        rows.append(row)
    return rows


def trade_row(trade: Trade, order: Order, instrument: Instrument) -> dict[str, Any]:
    """Return a row of ``GET /trades``; its order timestamp is a time of day only."""
    return {
        "trade_id": trade.trade_id,
        "order_id": trade.order_id,
        "exchange": instrument.exchange,
        "tradingsymbol": instrument.symbol,
        "instrument_token": instrument.instrument_token,
        "product": trade.product,
        "average_price": trade.price,
        "quantity": trade.quantity,
        "exchange_order_id": trade.exchange_order_id,
        "transaction_type": trade.side,
        "fill_timestamp": stamp(trade.at),
        "order_timestamp": f"{datetime.fromisoformat(order.placed_at):%H:%M:%S}",
        "exchange_timestamp": stamp(trade.at),
    }


def _average(quantity: int, value: float) -> float:
    return round(value / quantity, 4) if quantity else 0


def _position_row(
    position: Position,
    instrument: Instrument,
    last: float,
    close: float,
    *,
    day_only: bool,
    is_split: bool,
) -> dict[str, Any]:
    """Return a row; ``pnl`` is since the entry, ``m2m`` since the previous close.

    Both come from values: what was sold less what was bought, plus what is still held. Kite puts
    all of the profit into ``unrealised`` and none into ``realised``, also on a flat row, unless
    ``is_split``.
    """
    shown = _of_today(position) if day_only else position
    pnl = shown.pnl(last)
    unrealised = shown.unrealised(last) if is_split else pnl
    return {
        "tradingsymbol": instrument.symbol,
        "exchange": instrument.exchange,
        "instrument_token": instrument.instrument_token,
        "product": shown.product,
        "quantity": shown.quantity,
        "overnight_quantity": shown.overnight_quantity,
        "multiplier": 1,
        "average_price": round(shown.average_price, 4),
        "close_price": close if position.overnight_quantity else 0,
        "last_price": last,
        "pnl": round(pnl, 4),
        "unrealised": round(unrealised, 4),
        "realised": round(pnl - unrealised, 4),
        **_values(shown, last, close),
    }


def _of_today(position: Position) -> Position:
    """Return a position without what was carried into the day."""
    return replace(position, overnight_quantity=0, overnight_price=0.0)


def _values(shown: Position, last: float, close: float) -> dict[str, float]:
    """Return values bought and sold: in all, today, and with the carried part at ``close``."""
    bought, buy_value = shown.total_buys
    sold, sell_value = shown.total_sells
    buy_m2m = shown.buy_value + max(0, shown.overnight_quantity) * close
    sell_m2m = shown.sell_value + max(0, -shown.overnight_quantity) * close
    return {
        "value": round(sell_value - buy_value, 4),
        "m2m": round(sell_m2m - buy_m2m + shown.quantity * last, 4),
        "buy_quantity": bought,
        "buy_price": _average(bought, buy_value),
        "buy_value": round(buy_value, 4),
        "buy_m2m": round(buy_m2m, 4),
        "sell_quantity": sold,
        "sell_price": _average(sold, sell_value),
        "sell_value": round(sell_value, 4),
        "sell_m2m": round(sell_m2m, 4),
        "day_buy_quantity": shown.buy_quantity,
        "day_buy_price": _average(shown.buy_quantity, shown.buy_value),
        "day_buy_value": round(shown.buy_value, 4),
        "day_sell_quantity": shown.sell_quantity,
        "day_sell_price": _average(shown.sell_quantity, shown.sell_value),
        "day_sell_value": round(shown.sell_value, 4),
    }


def position_rows(
    portfolio: Portfolio, market: Market, at: datetime, *, is_split: bool
) -> dict[str, list[dict[str, Any]]]:
    """Return ``GET /portfolio/positions``: net exposure, and today's activity alone."""
    net, day = [], []
    for position in portfolio.positions():
        instrument = market.find(position.symbol)
        if instrument is None:
            continue
        last = market.last_price(instrument, at)
        close = market.previous_close(instrument, at)
        row = partial(_position_row, position, instrument, last, close, is_split=is_split)
        net.append(row(day_only=False))
        if position.buy_quantity or position.sell_quantity:
            day.append(row(day_only=True))
    return {"net": net, "day": day}


def holding_row(
    holding: Holding, instrument: Instrument, last: float, close: float, today: date
) -> dict[str, Any]:
    """Return a row of ``GET /portfolio/holdings``.

    ``quantity`` is what may still be sold of the settled shares; T1, sold and pledged ones are
    apart.
    """
    held = holding.quantity + holding.t1_quantity
    average = round(holding.average_price, 4)
    return {
        "tradingsymbol": instrument.symbol,
        "exchange": instrument.exchange,
        "instrument_token": instrument.instrument_token,
        "isin": instrument.isin,
        "product": "CNC",
        "price": 0,
        "quantity": holding.quantity,
        "used_quantity": holding.used_quantity,
        "t1_quantity": holding.t1_quantity,
        "realised_quantity": holding.quantity + holding.used_settled,
        "authorised_quantity": 0,
        "authorised_date": f"{today} 00:00:00",
        "authorisation": {},
        "opening_quantity": held + holding.used_quantity,
        "short_quantity": 0,
        "collateral_quantity": holding.collateral_quantity,
        "collateral_type": "",
        "discrepancy": False,
        "average_price": average,
        "last_price": last,
        "close_price": close,
        "pnl": round((last - average) * held, 4),
        "day_change": round(last - close, 4),
        "day_change_percentage": round((last - close) / close * 100, 4) if close else 0,
        "mtf": {
            "quantity": 0,
            "used_quantity": 0,
            "average_price": 0,
            "value": 0,
            "initial_margin": 0,
        },
    }


def _segment(cash: float, net: float, utilised: dict[str, float]) -> dict[str, Any]:
    names = (
        "debits exposure m2m_realised m2m_unrealised option_premium payout span holding_sales "
        "turnover liquid_collateral stock_collateral delivery"
    )
    return {
        "enabled": True,
        "net": net,
        "available": {
            "adhoc_margin": 0,
            "cash": cash,
            "opening_balance": cash,
            "live_balance": net,
            "collateral": 0,
            "intraday_payin": 0,
        },
        "utilised": {name: utilised.get(name, 0) for name in names.split()},
    }


def margins(portfolio: Portfolio) -> dict[str, Any]:
    """Return ``GET /user/margins``; ``net`` is what may be used."""
    funds = portfolio.funds()
    used = {
        "debits": round(funds.opening - funds.net, 4),
        "exposure": round(funds.used - funds.delivery, 4),
        "m2m_realised": round(funds.realised, 4),
        "m2m_unrealised": round(funds.unrealised, 4),
        "delivery": round(max(0.0, funds.delivery), 4),
        "holding_sales": round(max(0.0, -funds.delivery), 4),
    }
    equity = _segment(round(funds.opening, 4), round(funds.net, 4), used)
    return {"equity": equity, "commodity": _segment(0, 0, {})}


def _ohlc(quote: Quote) -> dict[str, float]:
    return {"open": quote.open, "high": quote.high, "low": quote.low, "close": quote.close}


def quote_row(quote: Quote, mode: str) -> dict[str, Any]:
    """Return an instrument's part of ``/quote/ltp``, ``/quote/ohlc`` or ``/quote``."""
    token = quote.instrument.instrument_token
    if mode == "ltp":
        return {"instrument_token": token, "last_price": quote.last_price}
    if mode == "ohlc":
        return {
            "instrument_token": token,
            "last_price": quote.last_price,
            "ohlc": _ohlc(quote),
        }
    return {
        "instrument_token": token,
        "timestamp": stamp(quote.at),
        "last_trade_time": stamp(quote.last_trade_at),
        "last_price": quote.last_price,
        "last_quantity": 0 if quote.instrument.is_index else 5,
        "buy_quantity": 0,
        "sell_quantity": 0,
        "volume": quote.volume,
        "average_price": quote.average_price,
        "oi": 0,
        "oi_day_high": 0,
        "oi_day_low": 0,
        "net_change": round(quote.last_price - quote.close, 2),
        "lower_circuit_limit": quote.lower_circuit,
        "upper_circuit_limit": quote.upper_circuit,
        "ohlc": _ohlc(quote),
        "depth": {"buy": _depth(quote, -1), "sell": _depth(quote, 1)},
    }


def _depth(quote: Quote, sign: int) -> list[dict[str, Any]]:
    if quote.instrument.is_index or quote.stuck_side == ("SELL" if sign < 0 else "BUY"):
        return [{"price": 0, "quantity": 0, "orders": 0} for _ in range(5)]
    tick = quote.instrument.tick_size
    return [
        {
            "price": round(quote.last_price + sign * tick * (level + 1), 2),
            "quantity": 250 * (level + 1),
            "orders": level + 2,
        }
        for level in range(5)
    ]
