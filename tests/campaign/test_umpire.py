"""The umpire counts the seconds in which something is unprotected, or through a stop that nobody has."""

from __future__ import annotations

import random
from collections.abc import Callable
from datetime import datetime, timedelta
from decimal import Decimal
from functools import partial
from types import SimpleNamespace
from typing import Any, cast

import pytest

from core.domain.instrument import Product
from core.domain.order import OrderRequest, OrderType, Side
from core.domain.sessions import IST
from tests.campaign.market import Market
from tests.campaign.troubles import Troubles
from tests.campaign.umpire import Umpire
from tests.campaign.venue import Venue
from tests.campaign.world import SBIN, World

START = datetime(2026, 11, 23, 10, 0, tzinfo=IST)
KEY = "alpha|one|NSE:SBIN|MIS"
PLACE = {"strategy": "alpha", "broker_id": "one", "instrument": "NSE:SBIN", "product": "MIS"}
STOP = Decimal(700)


class StoplessDay:
    """Ten units at 815 whose stop at 700 the broker has refused, which is told or not."""

    def __init__(self, told_at: float | None = 2) -> None:
        self.at, self.price = 0.0, Decimal(815)
        self.goal = {"quantity": 10, "stop_price": STOP}
        stop = {**PLACE, "_id": "stop", "purpose": "stop", "state": "REJECTED", "reason": ""}
        told = {
            "kind": "software_stop",
            "created_at": START + timedelta(seconds=told_at or 0),
            "data": {"broker_id": "one", "instrument": "NSE:SBIN"},
        }
        self.orders = [{**stop, "broker_order_id": "", "quantity": 10}]
        tables = {"orders": self.orders, "outbox": [told] if told_at is not None else []}
        self.gate = {"mode": "NORMAL"}
        committed = {"goals": {KEY: self.goal}, "account_gates": {"one": self.gate}}
        venue = Venue(
            Market(1, START, {SBIN: 815}), lambda: self.at, lambda: START, random.Random(1)
        )
        venue.accept(OrderRequest("entry", SBIN, Side.BUY, 10, OrderType.MARKET, Product.MIS))
        self.troubles = Troubles(lambda: self.at)
        self.database = SimpleNamespace(committed=committed, is_away=False)
        world = SimpleNamespace(
            loop=SimpleNamespace(time=lambda: self.at),
            clock=SimpleNamespace(market_now=lambda: START + timedelta(seconds=self.at)),
            start=START,
            market=SimpleNamespace(price=lambda _instrument, _at: self.price),
            accounts=["one"],
            life=SimpleNamespace(watch=SimpleNamespace(is_dead=False)),
            listeners=[],
            database=self.database,
            rows=self._rows(tables),
            venue=lambda _broker_id: venue,
            seat=lambda _broker_id: SimpleNamespace(troubles=self.troubles, is_login_dead=False),
            is_asked_about=lambda _broker_id, _key: False,
        )
        self.umpire = Umpire(cast("World", world))
        # Limits, guards and panics are none of this.
        self.umpire._safeguards = cast("Any", SimpleNamespace(observe=lambda **_: None))

    def _rows(self, tables: dict[str, Any]) -> Callable[[str], list[Any]]:
        more = {"ledgers": [{"_id": KEY, **PLACE, "quantity": 10}], "account_gates": [self.gate]}
        return lambda name: {**tables, **more}.get(name, [])

    def counted(self, figure: str, *happens: tuple[float, Callable[[], object]]) -> int:
        """Look for 300 s while this happens, and return a figure."""
        for second in range(300):
            self.at = float(second)
            for at, act in happens:
                if at == second:
                    act()
            self.umpire.observe()
        return self.umpire.verdict.figures[figure]

    def is_in(self, mode: str) -> Callable[[], object]:
        """Return what puts the account into a mode."""
        return lambda: self.gate.update(mode=mode)

    def falls(self) -> None:
        """Let the price be at the stop."""
        self.price = STOP

    def rises(self) -> None:
        """Let the price be above it."""
        self.price = STOP + 1


@pytest.mark.parametrize(("told_at", "is_counted"), [(2, False), (None, True)])
def test_pause_makes_no_notice_old(told_at: float | None, *, is_counted: bool) -> None:
    """What was told of a position that has lasted since is told, over a pause too."""
    day = StoplessDay(told_at)
    pause = ((100, day.is_in("PAUSED")), (110, day.is_in("NORMAL")))
    assert bool(day.counted("seconds unprotected without a notice", *pause)) is is_counted


def passed_by(day: StoplessDay, *happens: tuple[float, Callable[[], object]]) -> int:
    return day.counted("stops passed by", (100, day.falls), *happens)


def test_price_that_stays_through_a_stop_is_found_once() -> None:
    """Told or not: a stop that the product keeps has to fire."""
    assert passed_by(StoplessDay()) == 1


def test_price_that_comes_back_or_a_close_that_begins_is_well() -> None:
    """Thirty seconds through it are needed; a goal that is flat is a close, judged elsewhere."""
    day = StoplessDay()
    assert passed_by(day, (125, day.rises)) == 0
    day = StoplessDay()
    assert passed_by(day, (125, partial(day.goal.update, quantity=0))) == 0


def test_what_keeps_the_controller_from_it_is_not_counted() -> None:
    """A pause, a store that is away, prices that cannot be read, an order of unknown fate."""
    day = StoplessDay()
    assert passed_by(day, (105, day.is_in("PAUSED"))) == 0
    day = StoplessDay()
    assert passed_by(day, (105, partial(setattr, day.database, "is_away", True))) == 0
    day = StoplessDay()
    assert passed_by(day, (105, partial(day.troubles.read, "quotes", "fails", 500))) == 0
    day = StoplessDay()
    unknown = {**day.orders[0], "_id": "entry", "purpose": "entry", "state": "UNRESOLVED"}
    assert passed_by(day, (105, partial(day.orders.append, unknown))) == 0
