"""The umpire forgives a stop that made way when a hand had closed what it protected; no other one."""

from __future__ import annotations

import random
from datetime import datetime, timedelta
from decimal import Decimal
from types import SimpleNamespace
from typing import Any, cast

import pytest

from core.domain.instrument import Product
from core.domain.order import OrderRequest, OrderType, Side
from core.domain.sessions import IST
from core.domain.stops import MAKES_WAY
from tests.campaign.market import Market
from tests.campaign.vain_umpire import VainUmpire
from tests.campaign.venue import Venue
from tests.campaign.world import SBIN, World

START = datetime(2026, 11, 23, 10, 0, tzinfo=IST)
KEY = "alpha|one|NSE:SBIN|MIS"
PLACE = {"strategy": "alpha", "broker_id": "one", "instrument": "NSE:SBIN", "product": "MIS"}
GONE = 100.0


class StoppedDay:
    """A world in which the stop of ten units makes way at 100 s, judged at 200 s."""

    def __init__(self) -> None:
        self.at, self.held = 0.0, 10
        market = Market(1, START, {SBIN: 815})
        self.venue = Venue(market, lambda: self.at, lambda: START, random.Random(1))
        request = OrderRequest(
            "stop", SBIN, Side.SELL, 10, OrderType.SL_M, Product.MIS, None, Decimal(700)
        )
        self.stop = self.venue.accept(request)
        self.rows: list[dict[str, Any]] = [self._row("stop", self.stop.order_id, 50, MAKES_WAY)]
        world = SimpleNamespace(
            loop=SimpleNamespace(time=lambda: self.at),
            clock=SimpleNamespace(has_stepped=False),
            start=START,
            rows=lambda name: self.rows if name == "orders" else self._ledgers(),
            venue=lambda _broker_id: self.venue,
        )
        self.umpire = VainUmpire(cast("World", world))

    def _row(self, name: str, number: str, at: float, reason: str = "") -> dict[str, Any]:
        made = START + timedelta(seconds=at)
        what = {"purpose": name, "created_at": made, "reason": reason}
        return {**PLACE, **what, "_id": name, "broker_order_id": number}

    def _ledgers(self) -> list[dict[str, Any]]:
        return [{"_id": KEY, **PLACE, "quantity": self.held}]

    def trades(self, units: int) -> None:
        """Let a person trade in the broker's app."""
        self.venue.by_hand(
            OrderRequest("", SBIN, Side.of(units), abs(units), OrderType.MARKET, Product.MIS)
        )

    def becomes(self, held: int) -> None:
        """Let the ledger hold so many units."""
        self.held = held

    def exits(self) -> None:
        """Let an exit be placed."""
        self.rows.append(self._row("exit", "", self.at))

    def judged(self, *happens: tuple[float, Any], hindered: tuple[float, ...] = ()) -> list[str]:
        """Play what happens, look each second, and return what is wrong at rest."""
        left = [*happens, (GONE, lambda: self.venue.end(self.stop, "CANCELLED", by="us"))]
        for second in range(90, 200):
            self.at = float(second)
            for at, act in sorted(left, key=lambda one: one[0]):
                if at == second:
                    act()
            self.umpire.observe()
        return list(self.umpire.judge(hindered))


def test_stop_that_made_way_for_nothing_is_found() -> None:
    """Neither an exit nor the stop again, and nobody else traded."""
    assert StoppedDay().judged() == ["the stop stop made way at 100 s and nothing followed"]


def test_exit_within_the_time_is_what_it_made_way_for() -> None:
    """One that comes later is too late."""
    for at, found in ((120.0, 0), (140.0, 1)):
        day = StoppedDay()
        assert len(day.judged((at, day.exits))) == found


@pytest.mark.parametrize("sold_at", [99, 103, 128])
def test_what_a_hand_has_closed_needs_no_exit(sold_at: int) -> None:
    """Whether the sale came before the stop was gone or after it."""
    day = StoppedDay()
    sold = (sold_at, lambda: day.trades(-10))
    assert day.judged(sold, (max(sold_at + 1, 101), lambda: day.becomes(0))) == []


@pytest.mark.parametrize(("is_stop", "found"), [(True, 0), (False, 1)])
def test_another_stop_that_fills_closes_as_well(is_stop: bool, found: int) -> None:
    """One of two was on its way to its end when it was hit: four more were sold than were held."""
    day = StoppedDay()

    def hit() -> None:
        sale = OrderRequest("hit", SBIN, Side.SELL, 14, OrderType.MARKET, Product.MIS)
        number = day.venue.accept(sale).order_id
        day.rows.append(day._row("stop" if is_stop else "entry", number, 50))

    assert len(day.judged((101, hit), (102, lambda: day.becomes(-4)))) == found


def test_hand_that_leaves_something_forgives_nothing() -> None:
    """Six of ten units are left without a stop and without an exit."""
    day = StoppedDay()
    happens = ((103, lambda: day.trades(-4)), (104, lambda: day.becomes(6)))
    assert len(day.judged(*happens)) == 1


def test_hand_that_bought_forgives_nothing() -> None:
    """A ledger that becomes flat beside a purchase was not closed by it."""
    day = StoppedDay()
    assert len(day.judged((103, lambda: day.trades(5)), (104, lambda: day.becomes(0)))) == 1


def test_ledger_that_is_flat_by_itself_forgives_nothing() -> None:
    """Nobody sold: the journal alone says that nothing is held."""
    day = StoppedDay()
    assert len(day.judged((104, lambda: day.becomes(0)))) == 1


def test_hand_that_closes_too_late_forgives_nothing() -> None:
    """Thirty seconds without a stop and without an exit have passed by then."""
    day = StoppedDay()
    assert len(day.judged((140, lambda: day.trades(-10)), (141, lambda: day.becomes(0)))) == 1


def test_what_was_closed_and_entered_again_before_is_another_position() -> None:
    """A sale by hand before the units that the stop protected forgives nothing."""
    day = StoppedDay()
    earlier = ((91, lambda: day.trades(-10)), (92, lambda: day.becomes(0)))
    assert len(day.judged(*earlier, (95, lambda: day.becomes(10)))) == 1
