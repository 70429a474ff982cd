"""Samples of accounts and views: plausible unless told otherwise by keyword."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import Any

from core.adapters.zerodha import ZERODHA
from core.domain.account import (
    Account,
    TokenStatus,
)
from core.domain.broker import BrokerTrade
from core.domain.broker_profile import BrokerProfile
from core.domain.instrument import InstrumentId, Product
from core.domain.mode import TradingMode
from core.domain.order import OrderState, OrderType, Purpose, Side
from core.domain.sessions import IST
from core.domain.target import Direction, Parameter, Target
from core.domain.views import (
    AssignmentView,
    OrderView,
    PositionView,
    RunLine,
    RunView,
    StrategyView,
    TradeView,
)

__all__ = ["AT", "a_position", "a_run", "a_strategy", "a_trade", "an_account", "an_order"]

AT = datetime(2026, 11, 23, 10, 15, tzinfo=IST)
SBIN = InstrumentId("NSE", "SBIN")


def an_account(
    broker_id: str = "zerodha_aaaaaaaaaa",
    broker: BrokerProfile = ZERODHA,
    display_name: str = "Main",
    **fields: Any,
) -> Account:
    """Return an account that is logged in, enabled and the default unless told otherwise."""
    given: dict[str, Any] = {
        "api_key": "abcd1234efgh5678",
        "is_default": True,
        "enabled": True,
        "trading_mode": TradingMode.NORMAL,
        "token_status": TokenStatus.VALID,
        "token_generated_at": AT,
        "created_at": AT,
        **fields,
    }
    return Account(broker_id=broker_id, broker=broker, display_name=display_name, **given)


def a_position(account: Account, **fields: Any) -> PositionView:
    """Return ten SBIN bought by ``orb``."""
    given: dict[str, Any] = {
        "key": "NSE:SBIN|MIS",
        "instrument": SBIN,
        "product": Product.MIS,
        "quantity": 10,
        "average_price": Decimal("812.35"),
        "last_price": Decimal("815.10"),
        "realised": Decimal(0),
        "unrealised": Decimal("27.50"),
        "owners": {"orb": 10},
        **fields,
    }
    return PositionView(broker_id=account.broker_id, account_label=account.label, **given)


def an_order(account: Account, **fields: Any) -> OrderView:
    """Return a working limit order of ``orb``."""
    given: dict[str, Any] = {
        "key": "SABCDEFGHIJKLMNOPQR2",
        "instrument": SBIN,
        "side": Side.BUY,
        "quantity": 10,
        "filled_quantity": 0,
        "average_price": Decimal(0),
        "order_type": OrderType.LIMIT,
        "product": Product.MIS,
        "limit_price": Decimal("812.00"),
        "trigger_price": None,
        "state": OrderState.ACCEPTED,
        "purpose": Purpose.ENTRY,
        "strategy": "orb",
        "reason": "",
        "broker_order_id": "240101000000001",
        "at": AT,
        "is_cancellable": True,
        **fields,
    }
    return OrderView(broker_id=account.broker_id, account_label=account.label, **given)


def a_trade(account: Account, **fields: Any) -> TradeView:
    """Return an execution of ten SBIN."""
    given: dict[str, Any] = {
        "trade_id": "1",
        "broker_order_id": "240101000000001",
        "instrument": SBIN,
        "side": Side.BUY,
        "product": Product.MIS,
        "quantity": 10,
        "price": Decimal("812.35"),
        "traded_at": AT,
        **fields,
    }
    return TradeView(account.label, BrokerTrade(**given), "orb")


def a_run(*orders: OrderView, **fields: Any) -> RunView:
    """Return a run with a line for each account of ``orders``."""
    labels = dict.fromkeys((one.broker_id, one.account_label) for one in orders)
    given: dict[str, Any] = {
        "run_id": "orb@2026-11-23T10:15",
        "strategy": "orb",
        "title": "Opening range breakout",
        "slot_at": AT,
        "targets": (Target(SBIN, Direction.LONG, AT, Decimal("805.00"), "broke above 812.00"),),
        "lines": tuple(
            RunLine(
                broker_id, label, tuple(one for one in orders if one.broker_id == broker_id), ""
            )
            for broker_id, label in labels
        ),
        "note": "",
        **fields,
    }
    return RunView(**given)


def a_strategy(*assignments: AssignmentView, **fields: Any) -> StrategyView:
    """Return the opening range breakout with two parameters."""
    given: dict[str, Any] = {
        "name": "opening_range_breakout",
        "title": "Opening range breakout",
        "description": "Trades the break of the first half hour's range.",
        "is_enabled": False,
        "parameters": (
            (Parameter("range_minutes", "Range, minutes", 30, 5, 120), 30),
            (Parameter("stop_percent", "Stop, percent", Decimal("0.5")), Decimal("0.5")),
        ),
        "next_slot": AT,
        "every_minutes": 1,
        "last_run": None,
        "assignments": assignments,
        **fields,
    }
    return StrategyView(**given)
