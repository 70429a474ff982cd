"""Ledgers against the broker's net: what is compared, and how often it must be seen."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal

import pytest

from core.domain.broker import Holding, Position
from core.domain.instrument import InstrumentId, Product
from core.domain.ledger import Ledger
from core.domain.order import LIVE_STATES, OrderState
from core.engine.orders.drift import Comparison, RepeatedLooks, compared
from core.engine.orders.reconciliation import Snapshot
from tests.fakes.orders import ACCOUNT, SBIN, SENT_AT, order_in

S = OrderState
KEY = (SBIN, Product.MIS)
pytestmark = pytest.mark.row("D3")


def ledger(quantity: int, strategy: str = "orb", product: Product = Product.MIS) -> Ledger:
    return Ledger(strategy, ACCOUNT, SBIN, product, quantity)


def holding(net: int | None, product: Product = Product.MIS) -> Snapshot:
    """Return a snapshot with this net of SBIN, or with positions not read yet."""
    if net is None:
        return Snapshot()
    price = Decimal(800)
    return Snapshot(positions=[Position(SBIN, product, net, price, price)], positions_at=SENT_AT)


# --- what is compared ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("ledgers", "net", "is_short"),
    [
        ([ledger(10)], 10, False),
        ([ledger(10)], 9, True),
        ([ledger(10)], 0, True),
        ([ledger(10)], -5, True),
        ([ledger(10)], 25, False),
        ([ledger(-10)], -10, False),
        ([ledger(-10)], -9, True),
        ([ledger(-10)], -25, False),
        ([ledger(6), ledger(4, "mac")], 9, True),
        ([ledger(6), ledger(4, "mac")], 10, False),
        ([ledger(6), ledger(-6, "mac")], 0, False),
    ],
)
def test_ledgers_that_say_more_than_the_broker_holds_are_short(
    ledgers: list[Ledger], net: int, *, is_short: bool
) -> None:
    """All strategies together; what is held beyond them is somebody's own."""
    assert compared(ledgers, [], holding(net)) == [Comparison(KEY, net, is_short)]


def test_instrument_without_a_row_is_held_by_nobody() -> None:
    """A positions list that was read and does not name it says 0."""
    snapshot = Snapshot(positions=[])
    assert compared([ledger(10)], [], snapshot) == [Comparison(KEY, 0, is_short=True)]


@pytest.mark.matrix("B09")
def test_unknown_is_not_flat() -> None:
    """Positions that could not be read are compared with nothing."""
    assert compared([ledger(10)], [], holding(None)) == []


@pytest.mark.parametrize("state", sorted(LIVE_STATES))
def test_order_that_rests_at_the_broker_is_no_excuse(state: OrderState) -> None:
    """A protective stop rests all day."""
    assert len(compared([ledger(10)], [order_in(state)], holding(0))) == 1


@pytest.mark.parametrize("state", [S.SUBMITTED, S.UNRESOLVED, S.HELD, S.INITIALIZED])
def test_order_that_may_be_moving_the_position_is_waited_for(state: OrderState) -> None:
    """In the same instrument and product alone."""
    assert compared([ledger(10)], [order_in(state)], holding(0)) == []
    other = order_in(state, instrument=InstrumentId("NSE", "RELIANCE"))
    assert len(compared([ledger(10)], [other], holding(0))) == 1


def test_flat_ledger_is_not_looked_at() -> None:
    """There is nothing to shrink."""
    assert compared([ledger(0)], [], holding(0)) == []


@pytest.mark.parametrize(
    ("apart_s", "expected"), [(0, 1), (5, 1), (-5, 1), (6, 0), (-6, 0), (None, 0)]
)
def test_delivery_needs_positions_and_holdings_of_one_moment(
    apart_s: float | None, expected: int
) -> None:
    """Shares move from one list to the other; more than five seconds apart they may be in both."""
    snapshot = holding(3, Product.CNC)
    if apart_s is not None:
        snapshot.holdings = [Holding(SBIN, 7, 0, Decimal(800), Decimal(800))]
        snapshot.funds_at = SENT_AT + timedelta(seconds=apart_s)
    found = compared([ledger(11, product=Product.CNC)], [], snapshot)
    assert found == [Comparison((SBIN, Product.CNC), 10, is_short=True)][:expected]


# --- how often it must be seen -------------------------------------------------------------------


def looks(*seen: tuple[float, int | None]) -> list[bool]:
    """Return what each look says: (monotonic time, the short net or None for no difference)."""
    counted = RepeatedLooks()
    return [
        counted.is_certain(ACCOUNT, Comparison(KEY, net or 0, is_short=net is not None), at)
        for at, net in seen
    ]


@pytest.mark.parametrize(
    ("seen", "is_last_certain"),
    [
        ([(0, 5), (4, 5), (8, 5)], True),
        ([(0, 5), (4, 5)], False),
        ([(0, 5), (1, 5), (2, 5), (3, 5)], False),
        ([(0, 5), (3.9, 5), (4, 5), (7.9, 5), (8, 5)], True),
        ([(0, 5), (4, 5), (8, None), (12, 5)], False),
        ([(0, 5), (4, 5), (8, 4)], False),
        ([(0, 5), (4, 5), (8, 4), (12, 4), (16, 4)], True),
    ],
)
def test_difference_is_certain_at_its_third_look(
    seen: list[tuple[float, int | None]], *, is_last_certain: bool
) -> None:
    """Alike each time, and with four seconds between them: a fill on its way is none."""
    told = looks(*seen)
    assert told == [False] * (len(seen) - 1) + [is_last_certain]


def test_settled_difference_is_counted_anew() -> None:
    """If the ledgers could not be shrunk, the next look is a first one."""
    assert looks((0, 5), (4, 5), (8, 5), (12, 5), (16, 5), (20, 5)) == [
        False,
        False,
        True,
        False,
        False,
        True,
    ]


def test_accounts_and_products_are_counted_apart() -> None:
    """What is seen on one account proves nothing on another."""
    counted = RepeatedLooks()
    seen = Comparison(KEY, 5, is_short=True)
    delivery = Comparison((SBIN, Product.CNC), 5, is_short=True)
    for at in (0.0, 4.0):
        assert not counted.is_certain("zerodha_b", seen, at)
        assert not counted.is_certain(ACCOUNT, delivery, at)
    assert not counted.is_certain(ACCOUNT, seen, 8.0)
    assert counted.is_certain("zerodha_b", seen, 8.0)
