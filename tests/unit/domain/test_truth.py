"""What is held, by all witnesses: fills prove, positions confirm or contradict."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import pytest

from core.domain.broker import Holding, Position
from core.domain.instrument import InstrumentId, Product
from core.domain.ledger import Ledger
from core.domain.order import EXTERNAL, MANUAL, Order, OrderState, Purpose, Side
from core.domain.truth import (
    Conversion,
    Key,
    Net,
    closed_by_hand,
    conversions,
    filled,
    lived_over_night,
    owned,
    result_of_close,
    shown,
    voided,
)
from tests.fakes.orders import ACCOUNT, DAY, SBIN, order_in

S = OrderState
MIS, CNC, NRML = (SBIN, Product.MIS), (SBIN, Product.CNC), (SBIN, Product.NRML)
RELIANCE = InstrumentId("NSE", "RELIANCE")
pytestmark = pytest.mark.row("R8")


def ledger(
    quantity: int, strategy: str = "orb", product: Product = Product.MIS, day: str = DAY
) -> Ledger:
    return Ledger(strategy, ACCOUNT, SBIN, product, quantity, day=day)


def fill(
    side: Side, quantity: int, strategy: str = "orb", price: int = 800, **changes: object
) -> Order:
    """Return an order of today that has filled."""
    return order_in(
        S.FILLED,
        side=side,
        quantity=quantity,
        filled_quantity=quantity,
        strategy=strategy,
        average_price=Decimal(price),
        **changes,
    )


def test_fills_of_every_origin_add_up() -> None:
    """Ours, a user's and foreign ones; what is partly filled counts with what has filled."""
    orders = [
        fill(Side.BUY, 10),
        fill(Side.SELL, 3, EXTERNAL),
        fill(Side.SELL, 2, MANUAL),
        order_in(S.CANCELED, side=Side.BUY, quantity=9, filled_quantity=4),
        order_in(S.ACCEPTED, side=Side.SELL, quantity=9),
        fill(Side.BUY, 7, product=Product.CNC),
    ]
    assert filled(orders) == {MIS: 9, CNC: 7}


def test_ledgers_add_up_without_flat_ones() -> None:
    """Opposite strategies on one instrument leave their difference."""
    ledgers = [ledger(10), ledger(-4, "mac"), ledger(0, product=Product.CNC)]
    assert owned(ledgers) == {MIS: 6}


def test_shares_are_shown_only_where_holdings_are_known() -> None:
    """Unknown is not flat (B09); an instrument that a read does not name is at 0."""
    price = Decimal(800)
    positions = [Position(*MIS, 5, price, price), Position(*CNC, 2, price, price)]
    held = [Holding(SBIN, 7, 1, price, price)]
    keys = [MIS, CNC, (RELIANCE, Product.MIS)]
    assert shown(keys, positions, None) == {MIS: 5, (RELIANCE, Product.MIS): 0}
    assert shown(keys, positions, held) == {MIS: 5, CNC: 10, (RELIANCE, Product.MIS): 0}


@pytest.mark.parametrize(
    ("net", "quantity", "outside"),
    [
        (Net(10, 10, 6), 10, 4),
        (Net(10, None, 10), 10, 0),
        (Net(None, 10, 10), None, None),
        (Net(10, 0, 10, is_disputed=True), None, None),
        (Net(10, 4, 10, is_settling=True), 4, -6),
        (Net(4, 10, 4, is_settling=True), 4, 0),
        (Net(10, -5, 10, is_settling=True), 0, -10),
        (Net(-10, -4, -10, is_settling=True), -4, 6),
    ],
)
def test_net_is_known_when_the_witnesses_agree(
    net: Net, quantity: int | None, outside: int | None
) -> None:
    """Disputed or never seen is unknown; while it settles, what both show may be closed."""
    assert (net.quantity, net.outside) == (quantity, outside)


@pytest.mark.parametrize(
    ("by_positions", "by_fills", "by_own_fills", "owns", "before"),
    [
        (75, 0, 0, 75, 75),
        (75, 25, 0, 0, 50),
        (75, 25, 25, 75, 50),
        (100, 0, 0, 75, 100),
        (0, 0, 0, 75, 75),  # a list that is not filled yet: the ledger stands
        (0, 25, 25, 75, 50),
        (25, -50, -50, 25, 75),
        (0, -75, 0, 75, 75),  # closed by hand before the look
        (25, -50, 0, 75, 75),
        (0, 75, 0, -75, -75),
        (0, 25, 0, 75, 75),
        (-75, 0, 0, -75, -75),
        (0, 0, 0, -75, -75),
        (0, 0, 0, 0, 0),
    ],
)
def test_what_lived_over_night_never_forgets_a_ledger(
    by_positions: int, by_fills: int, by_own_fills: int, owns: int, before: int
) -> None:
    """Positions less the day's fills, unless that is less than strategies owned then."""
    found = lived_over_night(
        by_positions=by_positions, by_fills=by_fills, by_own_fills=by_own_fills, owned=owns
    )
    assert found == before


@pytest.mark.parametrize(
    ("gaps", "by_fills", "found"),
    [
        ({MIS: -5, CNC: 5}, {MIS: 5, CNC: 0}, [Conversion(SBIN, Product.MIS, Product.CNC, 5)]),
        ({MIS: 5, NRML: -5}, {MIS: -5, NRML: 0}, [Conversion(SBIN, Product.MIS, Product.NRML, -5)]),
        # An empty answer while both sides are held.
        ({MIS: -5, NRML: 5}, {MIS: 5, NRML: -5}, []),
        ({MIS: -5, CNC: 4}, {MIS: 5, CNC: 0}, []),
        ({MIS: -5, (RELIANCE, Product.CNC): 5}, {MIS: 5}, []),
        ({MIS: -5, CNC: 5}, {MIS: 0, CNC: 0}, []),
        ({MIS: -5}, {MIS: 5}, []),
        ({MIS: -5, CNC: 3, NRML: 2}, {MIS: 5}, []),
        ({MIS: 0, CNC: 0}, {MIS: 5, CNC: 5}, []),
        # A third product that did not move.
        (
            {MIS: -5, NRML: 5, CNC: 0},
            {MIS: 5, NRML: 0, CNC: 3},
            [Conversion(SBIN, Product.MIS, Product.NRML, 5)],
        ),
    ],
)
def test_conversion_is_a_pair_of_gaps(
    gaps: dict[Key, int], by_fills: dict[Key, int], found: list[Conversion]
) -> None:
    """What one product lost, another one of the same instrument has, to the unit."""
    assert conversions(gaps, by_fills) == found


@pytest.mark.parametrize(
    ("day", "product", "orders", "is_void"),
    [
        ("2021-05-11", Product.MIS, [], True),
        ("2021-05-11", Product.NRML, [], False),
        (DAY, Product.MIS, [], False),
        ("", Product.MIS, [], True),
        ("", Product.MIS, [fill(Side.BUY, 5)], False),
        ("", Product.MIS, [fill(Side.BUY, 5, "mac")], True),
    ],
)
def test_intraday_ledger_ends_with_its_day(
    day: str, product: Product, orders: list[Order], *, is_void: bool
) -> None:
    """One that was stored without its day is dated by today's fills."""
    ledgers = [ledger(5, product=product, day=day)]
    found = [one.quantity for one in voided(ledgers, DAY, orders)]
    assert found == ([0] if is_void else [])


def by_hand(side: Side, quantity: int, price: int = 970) -> Order:
    return fill(side, quantity, EXTERNAL, price, purpose=Purpose.EXTERNAL)


@pytest.mark.parametrize(
    ("ledgers", "net", "orders", "left"),
    [
        ([5], 0, [by_hand(Side.SELL, 5)], [0]),
        ([5], 3, [by_hand(Side.SELL, 2)], [3]),
        ([5], 5, [by_hand(Side.SELL, 5)], None),  # what is outside was sold
        ([5], 0, [], None),  # nothing foreign has filled: positions and fills differ
        ([5], -3, [by_hand(Side.SELL, 8)], [0]),
        ([-5], 0, [by_hand(Side.BUY, 5)], [0]),
        ([6, 4], 7, [by_hand(Side.SELL, 3)], [3]),
        ([6, 4], 2, [by_hand(Side.SELL, 8)], [0, 2]),
        ([10, -4], 2, [by_hand(Side.SELL, 4)], [6]),
        ([5], 0, [by_hand(Side.SELL, 2)], [3]),  # never by more than was sold by hand
    ],
)
def test_hand_sale_beyond_what_is_outside_reduces_ledgers(
    ledgers: list[int], net: int, orders: list[Order], left: list[int] | None
) -> None:
    """The first strategies in its direction; nothing without a foreign fill."""
    before = [ledger(units, name) for units, name in zip(ledgers, "abc", strict=False)]
    changed, price = closed_by_hand(before, net, orders)
    assert [one.quantity for one in changed] == (left or [])
    if changed:
        assert price == 970


def test_result_of_a_close_by_hand() -> None:
    """By the price of the foreign fills against each ledger's average; unknown prices say so."""
    long = Ledger("orb", ACCOUNT, SBIN, Product.MIS, 10, Decimal(100))
    short = Ledger("mac", ACCOUNT, SBIN, Product.MIS, -10, Decimal(100))
    assert result_of_close([long], [replace(long, quantity=4)], Decimal(103)) == Decimal(18)
    assert result_of_close([short], [replace(short, quantity=0)], Decimal(103)) == Decimal(-30)
    assert result_of_close([long], [replace(long, quantity=0)], Decimal(0)) is None
    assert result_of_close([long], [], Decimal(103)) is None
