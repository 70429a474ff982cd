"""The umpire counts the seconds in which something is unprotected, and a pause forgets no notice."""

from __future__ import annotations

import random
from datetime import datetime, timedelta
from decimal import Decimal
from types import SimpleNamespace
from typing import cast

from core.domain.instrument import Product
from core.domain.order import OrderRequest, OrderType, Side
from core.domain.sessions import IST
from tests.campaign.market import Market
from tests.campaign.umpire import Umpire
from tests.campaign.venue import Venue
from tests.campaign.world import SBIN, World

START = datetime(2026, 11, 23, 10, 0, tzinfo=IST)
KEY = "alpha|one|NSE:SBIN|MIS"
PLACE = {"strategy": "alpha", "broker_id": "one", "instrument": "NSE:SBIN", "product": "MIS"}


class PausedDay:
    """Ten units whose stop the broker has refused, told once, and a pause of the account."""

    def __init__(self, told_at: float | None) -> None:
        self.at = 0.0
        goal = {"quantity": 10, "stop_price": Decimal(700)}
        refused = {**PLACE, "_id": "stop", "purpose": "stop", "state": "REJECTED", "reason": ""}
        told = {
            "kind": "software_stop",
            "created_at": START + timedelta(seconds=told_at or 0),
            "data": {"broker_id": "one", "instrument": "NSE:SBIN"},
        }
        tables = {
            "orders": [{**refused, "broker_order_id": "", "quantity": 10}],
            "outbox": [told] if told_at is not None else [],
        }
        self.gate = gate = {"mode": "NORMAL"}
        venue = Venue(
            Market(1, START, {SBIN: 815}), lambda: self.at, lambda: START, random.Random(1)
        )
        venue.accept(OrderRequest("entry", SBIN, Side.BUY, 10, OrderType.MARKET, Product.MIS))
        world = SimpleNamespace(
            loop=SimpleNamespace(time=lambda: self.at),
            clock=SimpleNamespace(market_now=lambda: START + timedelta(seconds=self.at)),
            start=START,
            life=object(),
            listeners=[],
            database=SimpleNamespace(
                committed={"goals": {KEY: goal}, "account_gates": {"one": gate}}
            ),
            rows=lambda name: tables[name],
            venue=lambda _broker_id: venue,
        )
        self.umpire = Umpire(cast("World", world))

    def unprotected_s(self) -> int:
        """Look for 300 s, of which the account is paused for ten, and return what was counted."""
        ledger = {"_id": KEY, **PLACE, "quantity": 10}
        for second in range(300):
            self.at, self.gate["mode"] = (
                float(second),
                "PAUSED" if 100 <= second < 110 else "NORMAL",
            )
            self.umpire._look_at(ledger)
        return self.umpire.verdict.figures["seconds unprotected without a notice"]


def test_pause_makes_no_notice_old() -> None:
    """What was told of a position that has lasted since is told, over a pause too."""
    assert PausedDay(told_at=2).unprotected_s() == 0
    assert PausedDay(told_at=None).unprotected_s() > 0
