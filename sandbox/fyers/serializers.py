"""Serializers: orders, trades, positions and holdings as Fyers writes them.

Numbers: status 1 cancelled, 2 filled, 4 in transit, 5 rejected, 6 pending (partly filled and
waiting for a trigger too); type 1 limit, 2 market, 3 stop, 4 stop-limit. A market order that was
converted to a protected limit shows as the limit order it has become. Times are IST without a zone.
"""

from datetime import datetime
from typing import Any

from sandbox import orders as words
from sandbox.clock import MarketClock
from sandbox.fyers.symbols import exchange_number, fy_token, segment_number, symbol_of
from sandbox.instruments import Instrument
from sandbox.listing import find
from sandbox.market import Market
from sandbox.orders import Order, Trade
from sandbox.portfolio import Holding, Portfolio, Position

__all__ = [
    "ORDER_TYPES",
    "PRODUCTS",
    "FyersSerializer",
    "local_time",
    "position_id",
    "shown_tag",
    "status_of",
    "when_placed",
]

ORDER_TYPES = {1: "LIMIT", 2: "MARKET", 3: "SL-M", 4: "SL"}
PRODUCTS = {"CNC": "CNC", "INTRADAY": "MIS", "MARGIN": "NRML", "MTF": "MTF"}
_TYPE_NUMBERS = {name: number for number, name in ORDER_TYPES.items()}
_PRODUCT_NAMES = {kept: name for name, kept in PRODUCTS.items()}
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_CANCELLED, _FILLED, _TRANSIT, _REJECTED, _PENDING = 1, 2, 4, 5, 6
_STATUSES = {
    words.CANCELLED: _CANCELLED,
    words.COMPLETE: _FILLED,
    words.REJECTED: _REJECTED,
    words.AMO_RECEIVED: _PENDING,
}


def local_time(text: str) -> str:
    """Write a market time as `23-Nov-2026 09:34:38`, with English months whatever the locale."""
    at = datetime.fromisoformat(text)
    return f"{at.day:02d}-{_MONTHS[at.month - 1]}-{at.year} {at:%H:%M:%S}"


def when_placed(order: Order) -> str:
    """Return the time that the order@@portfolio shows."""
    return local_time(order.updated_at or order.placed_at)


def status_of(order: Order) -> int:
    """Return Fyers' number for the state of an order."""
    if order.status in _STATUSES:
        return _STATUSES[order.status]
    return _TRANSIT if order.status in words.INTERIM else _PENDING


def shown_tag(tag: str | None) -> str:
    """Return a tag with the prefix that says whose it is."""
    return f"1:{tag}" if tag else "2:Untagged"


def position_id(symbol: str, product: str) -> str:
    """Return the id of a position: symbol ticker and product."""
    return f"{symbol_of(_instrument(symbol))}-{_PRODUCT_NAMES[product]}"


class FyersSerializer:
    """WriteReader JSON rows with the market's present prices."""

    def __init__(self, market: Market, clock: MarketClock) -> None:
        self._market = market
        self._clock = clock

    def order(self, order: Order, number: int) -> dict[str, Any]:
        """Return a row of `orderBook`."""
        instrument = _instrument(order.symbol)
        last, change, percent = self._change(instrument)
        status = status_of(order)
        return {
            **_identity(order),
            **_amounts(order),
            **_place_of(instrument),
            "ex_sym": instrument.symbol,
            "description": instrument.name,
            "instrument": 0,
            "symbol": symbol_of(instrument),
            "type": _TYPE_NUMBERS[order.order_type],
            "side": order.sign,
            "productType": _PRODUCT_NAMES[order.product],
            "orderValidity": order.validity,
            "offlineOrder": bool(order.extra.get("offline", False)),
            "status": status,
            "orderNumStatus": f"{order.order_id}:{status}",
            "message": order.message or "",
            "orderDateTime": when_placed(order),
            "orderTag": shown_tag(order.tag),
            "takeProfit": float(order.extra.get("takeProfit", 0)),
            "stopLoss": float(order.extra.get("stopLoss", 0)),
            "pan": "XXXXX0000X",
            "source": "ITS" if order.api_key else "M",
            "slNo": number,
            "lp": last,
            "ch": change,
            "chp": percent,
        }

    def trade(self, trade: Trade, order: Order | None, number: int) -> dict[str, Any]:
        """Return a row of `tradeBook`."""
        instrument = _instrument(trade.symbol)
        return {
            "clientId": trade.user_id,
            "orderDateTime": local_time(trade.at),
            "orderNumber": trade.order_id,
            "exchangeOrderNo": trade.exchange_order_id,
            **_place_of(instrument),
            "side": 1 if trade.side == "BUY" else -1,
            "orderType": _TYPE_NUMBERS[order.order_type] if order else 1,
            "productType": _PRODUCT_NAMES[trade.product],
            "tradedQty": trade.quantity,
            "tradePrice": trade.price,
            "tradeValue": round(trade.price * trade.quantity, 2),
            "tradeNumber": trade.trade_id,
            "row": number,
            "symbol": symbol_of(instrument),
            "orderTag": shown_tag(order.tag if order else None),
        }

    def position(self, position: Position, number: int) -> dict[str, Any]:
        """Return a row of `netPositions`.

        `avgPrice` is the average of the open side, `netAvg` what the net quantity has cost after
        what was realised, as in the published sample.
        """
        instrument = _instrument(position.symbol)
        last = self._market.last_price(instrument)
        net = position.quantity
        bought, buy_value = position.total_buys
        sold, sell_value = position.total_sells
        unrealised = position.unrealised(last)
        cost = (buy_value - sell_value) / net if net else 0.0
        return {
            "symbol": symbol_of(instrument),
            "id": position_id(position.symbol, position.product),
            "netQty": net,
            "qty": abs(net),
            "avgPrice": round(position.average_price, 2),
            "netAvg": round(cost, 2),
            "side": (net > 0) - (net < 0),
            "productType": _PRODUCT_NAMES[position.product],
            "realized_profit": round(position.pnl(last) - unrealised, 2),
            "unrealized_profit": round(unrealised, 2),
            "pl": round(position.pnl(last), 2),
            "ltp": last,
            "buyQty": bought,
            "buyAvg": round(buy_value / bought, 2) if bought else 0.0,
            "buyVal": round(buy_value, 2),
            "sellQty": sold,
            "sellAvg": round(sell_value / sold, 2) if sold else 0.0,
            "sellVal": round(sell_value, 2),
            "slNo": number,
            **_place_of(instrument),
            "crossCurrency": "N",
            "rbiRefRate": 1.0,
            "qtyMulti_com": 1.0,
            "cfBuyQty": max(0, position.overnight_quantity),
            "cfSellQty": max(0, -position.overnight_quantity),
            "dayBuyQty": position.buy_quantity,
            "daySellQty": position.sell_quantity,
        }

    def holding(self, held: Holding, number: int) -> dict[str, Any]:
        """Return a row of `holdings`."""
        instrument = _instrument(held.symbol)
        last = self._market.last_price(instrument)
        quantity = held.quantity + held.t1_quantity + held.used_quantity
        remaining = held.quantity + held.t1_quantity
        return {
            "symbol": symbol_of(instrument),
            "holdingType": "T1" if held.t1_quantity and not held.quantity else "HLD",
            "quantity": quantity,
            "remainingQuantity": remaining,
            "costPrice": round(held.average_price, 2),
            "marketVal": round(last * remaining, 2),
            "pl": round((last - held.average_price) * remaining, 2),
            "ltp": last,
            "id": number,
            **_place_of(instrument),
            "isin": instrument.isin,
            "qty_t1": held.t1_quantity,
            "remainingPledgeQuantity": remaining,
            "collateralQuantity": held.collateral_quantity,
        }

    def holdings(self, portfolio: Portfolio) -> dict[str, Any]:
        """Return the payload of the holdings with their totals."""
        rows = [self.holding(held, number) for number, held in enumerate(portfolio.holdings(), 1)]
        invested = sum(row["costPrice"] * row["remainingQuantity"] for row in rows)
        current = sum(row["marketVal"] for row in rows)
        total = current - invested
        overall = {
            "count_total": len(rows),
            "total_investment": round(invested, 2),
            "total_current_value": round(current, 2),
            "total_pl": round(total, 2),
            "pnl_perc": round(100 * total / invested, 4) if invested else 0.0,
        }
        return {"holdings": rows, "overall": overall}

    def positions(self, portfolio: Portfolio) -> dict[str, Any]:
        """Return the payload of the positions with their totals."""
        rows = [self.position(item, number) for number, item in enumerate(portfolio.positions(), 1)]
        overall = {
            "count_total": len(rows),
            "count_open": sum(1 for row in rows if row["netQty"]),
            "pl_total": round(sum(row["pl"] for row in rows), 2),
            "pl_realized": round(sum(row["realized_profit"] for row in rows), 2),
            "pl_unrealized": round(sum(row["unrealized_profit"] for row in rows), 2),
        }
        return {"netPositions": rows, "overall": overall}

    def _change(self, instrument: Instrument) -> tuple[float, float, float]:
        now = self._clock.now()
        last = self._market.last_price(instrument, now)
        close = self._market.previous_close(instrument, now) or last
        change = round(last - close, 2)
        return last, change, round(100 * change / close, 2) if close else 0.0


def _identity(order: Order) -> dict[str, Any]:
    return {
        "clientId": order.user_id,
        "id": order.order_id,
        "id_fyers": order.extra.get("id_fyers", ""),
        "exchOrdId": order.exchange_order_id or "",
        "parentId": "",
    }


def _amounts(order: Order) -> dict[str, Any]:
    return {
        "qty": order.quantity,
        "remainingQuantity": order.leaves_quantity,
        "filledQty": order.filled_quantity,
        "discloseQty": order.disclosed_quantity,
        "disclosedQty": order.disclosed_quantity,
        "dqQtyRem": 0,
        "limitPrice": order.price,
        "stopPrice": order.trigger_price,
        "tradedPrice": round(order.average_price, 2),
    }


def _place_of(instrument: Instrument) -> dict[str, Any]:
    return {
        "fyToken": fy_token(instrument),
        "exchange": exchange_number(instrument),
        "segment": segment_number(instrument),
    }


def _instrument(symbol: str) -> Instrument:
    found = find(symbol)
    if found is None:
        raise LookupError(f"no instrument {symbol!r}")
    return found
