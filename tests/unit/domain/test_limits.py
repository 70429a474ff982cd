"""Limits by values: what may be typed, what counts, and what an entry may not pass (row R1)."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest

from core.domain.instrument import InstrumentId, Product
from core.domain.ledger import Ledger
from core.domain.limit_use import WAITING, Books, Entering, load_of, use_of
from core.domain.limits import (
    USUAL,
    LimitKind,
    Limits,
    Load,
    first_passed,
    missing_live,
    parse_limit,
    shown,
)
from core.domain.order import EXTERNAL, OPEN_STATES, OrderState, Purpose, Side
from core.errors import UserError
from tests.fakes.orders import ACCOUNT, SBIN, SENT_AT, order_in

pytestmark = pytest.mark.row("R1")
LAKH = Decimal(100000)
INFY = InstrumentId("NSE", "INFY")
ENTRY = Entering(ACCOUNT, "orb", SBIN, Product.MIS, Side.BUY, "orb|2")
OTHER = "zerodha_bbbbbbbbbb"


def breach(limits: Limits, quantity: int = 10, price: str | None = "815.10", **load: Any) -> str:
    found = first_passed(
        [Load(limits, **load)], quantity, None if price is None else Decimal(price)
    )
    return f"{found.code}: {found.reason}" if found else ""


# What is typed


@pytest.mark.parametrize(
    ("text", "value"),
    [("250000", 250000), ("2,50,000", 250000), (" ₹2,50,000 ", 250000), ("250,000", 250000)],
)
def test_an_amount_is_read_with_any_right_grouping(text: str, value: int):
    """Plain digits, lakh and thousands grouping are the same number."""
    assert parse_limit(LimitKind.ORDER_VALUE, text) == Decimal(value)


@pytest.mark.parametrize("text", ["", "2,5,000", "1.5", "-5", "5e5", "ten", "٥٠٠", "2 50 000"])
def test_anything_else_is_refused_in_one_sentence(text: str):
    """A slip of a comma is a mistake, not another amount; the sentence says what is expected."""
    with pytest.raises(
        UserError, match=r"^Found .*; expected whole rupees, like 2,50,000 or 2.5L\.$"
    ):
        parse_limit(LimitKind.ORDER_VALUE, text)


@pytest.mark.parametrize("text", ["0", "1001", "9" * 50])
def test_a_count_out_of_bounds_is_refused_with_the_bounds(text: str):
    """Neither nothing at all nor more than a broker takes."""
    with pytest.raises(UserError, match="expected a whole number from 1 to 1,000"):
        parse_limit(LimitKind.ORDERS_MINUTE, text)


@pytest.mark.parametrize("kind", LimitKind)
def test_what_the_buttons_offer_can_be_typed(kind: LimitKind):
    """Each usual value is within the bounds, and the chat shows it so that it can be read back."""
    for value in USUAL[kind]:
        assert parse_limit(kind, shown(kind, parse_limit(kind, str(value)))) == value


def test_daily_loss_and_order_value_are_needed_for_live_entries():
    """The other limits may stay open (F8)."""
    assert missing_live(Limits()) == (LimitKind.DAILY_LOSS, LimitKind.ORDER_VALUE)
    assert not missing_live(Limits(daily_loss=LAKH, order_value=LAKH))


# What an entry may not pass


@pytest.mark.parametrize(
    ("limits", "load", "said"),
    [
        (
            Limits(order_value=Decimal(8000)),
            {},
            "ORDER_VALUE: order of ₹8,151 above the limit of ₹8,000",
        ),
        (Limits(order_value=Decimal(8151)), {}, ""),
        (
            Limits(order_value=Decimal(8151)),
            {"entry_units": 5},
            "ORDER_VALUE: order of ₹12,226.50 above the limit of ₹8,151",
        ),
        (
            Limits(position_value=Decimal(10000)),
            {"units": 10},
            "POSITION_VALUE: position of ₹16,302 above the limit of ₹10,000",
        ),
        (Limits(position_value=Decimal(16302)), {"units": 10}, ""),
        (
            Limits(open_positions=2),
            {"positions": 2},
            "OPEN_POSITIONS: 2 positions open, the limit is 2",
        ),
        (Limits(open_positions=2), {"positions": 1}, ""),
        (Limits(open_positions=2), {"positions": 3, "is_open": True}, ""),
        (
            Limits(orders_minute=5),
            {"in_minute": 5},
            "ORDERS_MINUTE: 5 orders in the last minute, the limit is 5 a minute",
        ),
        (Limits(orders_minute=5), {"in_minute": 4}, ""),
        (
            Limits(orders_day=100),
            {"in_day": 100, "is_all": True},
            "ORDERS_DAY: 100 orders today on all accounts together, the limit is 100 a day",
        ),
        (Limits(orders_day=100), {"in_day": 99}, ""),
        (Limits(daily_loss=Decimal(1)), {"units": 10**6}, ""),
    ],
)
def test_a_breach_has_its_code_and_numbers(limits: Limits, load: dict[str, Any], said: str):
    """At the limit it passes, above it does not."""
    assert breach(limits, **load) == said


@pytest.mark.parametrize("limits", [Limits(order_value=LAKH), Limits(position_value=LAKH)])
def test_an_unknown_price_passes_no_limit_of_a_value(limits: Limits):
    """What cannot be worked out is not sent; without a size nothing of it is asked yet."""
    assert "its price is not known" in breach(limits, price=None)
    assert breach(limits, quantity=0, price=None) == ""
    assert breach(Limits(open_positions=5), price=None) == ""


def test_only_a_limit_that_an_entry_could_pass_bounds_entries():
    """The daily loss ends in EXIT_ONLY, and is no check of an entry."""
    assert not Limits(daily_loss=LAKH).bounds_entries
    assert Limits(orders_day=1).bounds_entries and Limits(order_value=LAKH).bounds_entries


def test_the_stricter_of_two_sets_holds():
    """Of the account's and of all accounts' limits each denies by itself."""
    wide, tight = Load(Limits(order_value=LAKH)), Load(Limits(order_value=Decimal(1)), is_all=True)
    found = first_passed([wide, tight], 10, Decimal(815))
    assert found is not None
    assert "on all accounts together" in found.reason


# What counts


def books(*orders: Any, ledgers: tuple[Ledger, ...] = (), **more: Any) -> Books:
    rows = [replace(one, broker_id=one.broker_id) for one in orders]
    return Books(rows, ledgers, **more)


def load(found: Books, entry: Entering = ENTRY, **more: Any) -> Load:
    return load_of(Limits(), found, entry, SENT_AT + timedelta(seconds=30), **more)


@pytest.mark.parametrize("state", OrderState)
def test_an_entry_counts_while_it_may_fill(state: OrderState):
    """What works counts as if it had filled; what waits counts in planning alone."""
    working = books(order_in(state, quantity=7, strategy="other"))
    assert load(working).units == (7 if state in OPEN_STATES else 0)
    planned = load(working, counted=OPEN_STATES | WAITING).units
    assert planned == (7 if state in OPEN_STATES | WAITING else 0)


def test_its_own_row_does_not_count_beside_an_entry():
    """Nor does what it asks for count twice."""
    own = order_in(OrderState.INITIALIZED, client_order_id="own", run_id="orb|2")
    entry = replace(ENTRY, client_order_id="own")
    assert load(books(own), entry) == load(books(), entry)


def test_slices_are_one_entry():
    """Whatever became of the slices before, but for what was refused: that was cut anew."""
    states = [OrderState.FILLED, OrderState.ACCEPTED, OrderState.DENIED, OrderState.REJECTED]
    rows = [
        order_in(state, client_order_id=str(n), quantity=10, run_id="orb|2")
        for n, state in enumerate(states)
    ]
    assert load(books(*rows)).entry_units == 30
    changes: list[dict[str, Any]] = [
        {"run_id": "orb|1"},
        {"run_id": "orb|2", "strategy": "other"},
        {"run_id": "orb|2", "purpose": Purpose.STOP},
        {"run_id": "orb|2", "product": Product.NRML},
    ]
    others = [
        order_in(OrderState.FILLED, client_order_id=str(n), quantity=10, **one)
        for n, one in enumerate(changes)
    ]
    assert load(books(*others)).entry_units == 0


def test_what_strategies_hold_is_not_netted():
    """Two opposite ledgers are two positions' worth; the fills behind them are not outside."""
    rows = [
        order_in(OrderState.FILLED, client_order_id="a", filled_quantity=6, quantity=6),
        order_in(
            OrderState.FILLED,
            client_order_id="b",
            filled_quantity=4,
            quantity=4,
            side=Side.SELL,
            strategy="trend",
        ),
    ]
    held = (
        Ledger("orb", ACCOUNT, SBIN, Product.MIS, 6),
        Ledger("trend", ACCOUNT, SBIN, Product.MIS, -4),
    )
    found = load(books(*rows, ledgers=held))
    assert (found.units, found.positions, found.is_open) == (10, 1, True)


def test_what_a_reversal_closes_first_does_not_count():
    """The strategy's own other side is closed before the entry goes."""
    held = (Ledger("orb", ACCOUNT, SBIN, Product.MIS, 6),)
    rows = [order_in(OrderState.FILLED, quantity=6, filled_quantity=6)]
    short = replace(ENTRY, side=Side.SELL)
    assert load(books(*rows, ledgers=held), short).units == 0
    assert load(books(*rows, ledgers=held)).units == 6


@pytest.mark.parametrize(("product", "positions"), [("MIS", 1), ("NRML", 1), ("CNC", 0)])
def test_what_is_held_outside_counts(product: str, positions: int):
    """By the day's fills and what lived over night; delivery shares are holdings."""
    key = InstrumentId("NSE", "INFY"), Product(product)
    by_hand = order_in(
        OrderState.FILLED,
        client_order_id="X|1",
        strategy=EXTERNAL,
        purpose=Purpose.EXTERNAL,
        submitted_at=None,
        instrument=INFY,
        product=Product(product),
        filled_quantity=3,
        quantity=3,
    )
    found = books(by_hand, carried={(ACCOUNT, key): 2}, is_known=lambda *_: True)
    assert load(found, replace(ENTRY, instrument=INFY, product=Product(product))).units == (
        5 * positions
    )
    assert load(found).positions == positions
    assert load(found).in_day == 0


def test_what_was_sent_before_a_restore_counts():
    """An adopted order with our tag is one of the day's, though nobody's; a person's is not (D04)."""
    fields = {"strategy": EXTERNAL, "purpose": Purpose.EXTERNAL, "submitted_at": None}
    ours = order_in(OrderState.CANCELED, **fields)
    theirs = order_in(OrderState.CANCELED, client_order_id="X|1", **fields)
    found = load(books(ours, theirs))
    assert (found.in_minute, found.in_day) == (1, 1)


def test_without_the_nights_units_only_ledgers_count():
    """A carried derivative that no look has confirmed is no second position."""
    held = (Ledger("orb", ACCOUNT, SBIN, Product.NRML, 75),)
    found = use_of(books(ledgers=held), SENT_AT)
    assert dict(found.units) == {(ACCOUNT, (SBIN, Product.NRML)): 75}


def test_every_order_of_ours_counts_to_the_rate():
    """Exits and stops too, whatever became of them; not a user's own, nor what never went out."""
    rows = [
        order_in(OrderState.FILLED, client_order_id="a", purpose=Purpose.EXIT),
        order_in(OrderState.REJECTED, client_order_id="b", purpose=Purpose.STOP),
        order_in(OrderState.FILLED, client_order_id="c", submitted_at=SENT_AT - timedelta(hours=1)),
        order_in(OrderState.DENIED, client_order_id="d", submitted_at=None),
        order_in(OrderState.FILLED, client_order_id="e", strategy=EXTERNAL, submitted_at=None),
        # The clock was set back since.
        order_in(OrderState.FILLED, client_order_id="f", submitted_at=SENT_AT + timedelta(hours=1)),
    ]
    found = load(books(*rows))
    assert (found.in_minute, found.in_day) == (3, 4)


def test_all_accounts_are_counted_together():
    """Units of the instrument and positions of every account; the entry's place is its own."""
    rows = [
        order_in(OrderState.ACCEPTED, client_order_id="a", quantity=5, broker_id=OTHER),
        order_in(OrderState.ACCEPTED, client_order_id="b", quantity=5, instrument=INFY),
    ]
    found = load(books(*rows), is_all=True)
    assert (found.units, found.positions, found.is_open) == (5, 2, False)
