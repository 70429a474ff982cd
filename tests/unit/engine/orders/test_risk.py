"""The checks of an order: each denies what it must, lets the rest through, and has its place."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from core.domain.instrument import InstrumentId, Product
from core.domain.ledger import Ledger
from core.domain.mode import TradingMode
from core.domain.order import (
    EXTERNAL,
    MANUAL,
    Order,
    OrderRequest,
    OrderState,
    OrderType,
    Purpose,
    Side,
)
from core.domain.outcome import Cause
from core.engine.orders.gate import Gate
from core.engine.orders.risk import CHECKS, Facts, allowed_quantity, first_denial, require
from core.errors import Denied

SBIN = InstrumentId.parse("NSE:SBIN")
ACCOUNT = "zerodha_abc123"
GATE = Gate(
    ACCOUNT,
    TradingMode.NORMAL,
    TradingMode.NORMAL,
    TradingMode.NORMAL,
    enabled=True,
    drain=False,
    fence=1,
    version=0,
)
ENTRY = Facts(Purpose.ENTRY, "orb", SBIN, Product.MIS, Side.BUY, 10, GATE)
HELD = Ledger("orb", ACCOUNT, SBIN, Product.MIS, 10)
EXIT = replace(ENTRY, purpose=Purpose.EXIT, side=Side.SELL, ledgers=[HELD], held=10)
PAUSED = replace(GATE, mode=TradingMode.PAUSED)
EXIT_ONLY = replace(GATE, mode=TradingMode.EXIT_ONLY)
DISABLED = replace(GATE, enabled=False)
DRAINING = replace(GATE, enabled=False, drain=True)
FROZEN = replace(GATE, frozen=True)


def order(
    purpose: Purpose,
    side: Side,
    quantity: int,
    state: OrderState = OrderState.ACCEPTED,
    strategy: str = "orb",
    product: Product = Product.MIS,
) -> Order:
    request = OrderRequest("id", SBIN, side, quantity, OrderType.MARKET, product)
    at = datetime(2026, 1, 5, 4, tzinfo=UTC)
    return Order(request, ACCOUNT, strategy, "run", purpose, state, "2026-01-05", at)


def code(facts: Facts) -> str:
    denial = first_denial(facts)
    return denial.code if denial else ""


def test_an_order_within_all_rules_passes() -> None:
    """Neither an entry nor an exit is denied when nothing speaks against it."""
    assert first_denial(ENTRY) is None
    assert first_denial(EXIT) is None


@pytest.mark.row("B10", "C2", "C3", "D2", "D7", "F8")
@pytest.mark.parametrize(
    ("facts", "changes", "expected"),
    [
        (ENTRY, {"gate": None}, "NO_GATE"),
        (ENTRY, {"is_known_day": False}, "UNKNOWN_DAY"),
        (ENTRY, {"shut": "your guard"}, "SHUT"),
        (EXIT, {"shut": "your guard"}, ""),
        (EXIT, {"is_known_day": False}, ""),
        (ENTRY, {"late": "the slot came too late"}, "LATE"),
        (EXIT, {"late": "the slot came too late"}, ""),
        (ENTRY, {"is_closing": True}, "SQUARE_OFF"),
        (EXIT, {"is_closing": True}, ""),
        (ENTRY, {"gate": PAUSED}, "PAUSED"),
        (EXIT, {"gate": PAUSED}, "PAUSED"),
        (EXIT, {"gate": PAUSED, "by_user": True}, "PAUSED"),
        (EXIT, {"gate": PAUSED, "by_user": True, "despite_pause": True}, ""),
        (EXIT, {"gate": PAUSED, "despite_pause": True}, "PAUSED"),
        (ENTRY, {"gate": EXIT_ONLY}, "EXIT_ONLY"),
        (EXIT, {"gate": EXIT_ONLY}, ""),
        (ENTRY, {"gate": DISABLED}, "DISABLED"),
        (EXIT, {"gate": DISABLED}, "DISABLED"),
        (EXIT, {"gate": DISABLED, "by_user": True}, ""),
        (ENTRY, {"gate": DRAINING}, "DISABLED"),
        (EXIT, {"gate": DRAINING}, ""),
        (ENTRY, {"is_assigned": False}, "OFF_HERE"),
        (EXIT, {"is_assigned": False}, ""),
        (ENTRY, {"product": Product.CNC, "side": Side.SELL}, "NO_SHORT"),
        (ENTRY, {"product": Product.CNC, "side": Side.SELL, "quantity": 0}, "NO_SHORT"),
        (ENTRY, {"product": Product.CNC}, ""),
        (ENTRY, {"side": Side.SELL}, ""),
        (replace(EXIT, ledgers=[replace(HELD, product=Product.CNC)]), {"product": Product.CNC}, ""),
        (ENTRY, {"gate": FROZEN}, "FROZEN"),
        (EXIT, {"gate": FROZEN}, ""),
        (ENTRY, {"needs_login": True}, "LOGIN"),
        (EXIT, {"needs_login": True}, ""),
        (ENTRY, {"clock_offset": timedelta(seconds=31)}, "CLOCK"),
        (ENTRY, {"clock_offset": timedelta(seconds=-31)}, "CLOCK"),
        (ENTRY, {"clock_offset": timedelta(seconds=30)}, ""),
        (EXIT, {"clock_offset": timedelta(seconds=3100)}, ""),
        (ENTRY, {"price_doubt": "bars end at 97.00, last price is 970.00"}, "PRICE"),
        (EXIT, {"price_doubt": "bars end at 97.00, last price is 970.00"}, ""),
        (ENTRY, {"unproved": "no round trip yet"}, "UNPROVED"),
        (EXIT, {"unproved": "no round trip yet"}, ""),
    ],
)
def test_account_and_strategy_decide(facts: Facts, changes: dict[str, Any], expected: str) -> None:
    """Mode, switches, freshness and login stop what they must, and exits only where they must."""
    assert code(replace(facts, **changes)) == expected


@pytest.mark.matrix("S04")
@pytest.mark.parametrize("state", [OrderState.SUBMITTED, OrderState.UNRESOLVED])
@pytest.mark.parametrize("facts", [ENTRY, EXIT])
def test_nothing_is_sent_beside_an_unknown_order(facts: Facts, state: OrderState) -> None:
    """An order that may or may not be at the broker closes its instrument, whoever sent it."""
    unknown = order(Purpose.ENTRY, Side.BUY, 1, state, strategy="other", product=Product.CNC)
    assert code(replace(facts, others=[unknown])) == "UNRESOLVED"


@pytest.mark.row("R6")
@pytest.mark.parametrize("state", [OrderState.SUBMITTED, OrderState.UNRESOLVED])
def test_a_stop_waits_for_unknown_orders_of_its_own_ledger_alone(state: OrderState) -> None:
    """Another's order of unknown fate leaves no position bare; one of its own would double it."""
    stop = replace(EXIT, purpose=Purpose.STOP)
    for other in ({"strategy": "other"}, {"product": Product.CNC}):
        assert (
            code(replace(stop, others=[order(Purpose.EXIT, Side.SELL, 10, state, **other)])) == ""
        )
    for purpose in (Purpose.ENTRY, Purpose.EXIT, Purpose.STOP):
        own = order(purpose, Side.SELL, 1, state)
        assert code(replace(stop, others=[own])) == "UNRESOLVED"


def test_one_entry_of_a_strategy_works_at_a_time() -> None:
    """A second entry waits; another strategy, another product and a final order do not matter."""
    working = order(Purpose.ENTRY, Side.BUY, 10)
    assert code(replace(ENTRY, others=[working])) == "ENTRY_WORKING"
    harmless = [
        order(Purpose.ENTRY, Side.BUY, 10, strategy="other"),
        order(Purpose.ENTRY, Side.BUY, 10, product=Product.CNC),
        order(Purpose.ENTRY, Side.BUY, 10, OrderState.FILLED),
    ]
    assert code(replace(ENTRY, others=harmless)) == ""
    beside = [order(Purpose.STOP, Side.SELL, 10), order(Purpose.EXIT, Side.SELL, 10)]
    assert code(replace(ENTRY, others=beside)) == ""
    for purpose in (Purpose.STOP, Purpose.EXIT):
        assert code(replace(EXIT, purpose=purpose, others=[working])) == ""


@pytest.mark.row("R3")
def test_slices_of_one_entry_work_beside_one_another() -> None:
    """They are of one run; an entry that another run decides waits."""
    slice_ = order(Purpose.ENTRY, Side.BUY, 10)
    assert code(replace(ENTRY, run_id=slice_.run_id, others=[slice_])) == ""
    assert code(replace(ENTRY, run_id="another", others=[slice_])) == "ENTRY_WORKING"


@pytest.mark.matrix("B09")
@pytest.mark.invariant("I6")
def test_an_unknown_position_is_not_flat() -> None:
    """In EXIT_ONLY, and for a user's close, the broker's net must be known; else the ledger does."""
    unknown = replace(EXIT, held=None)
    assert code(unknown) == ""
    assert code(replace(unknown, gate=EXIT_ONLY)) == "POSITION_UNKNOWN"
    assert code(replace(unknown, by_user=True)) == "POSITION_UNKNOWN"


@pytest.mark.row("C3")
@pytest.mark.invariant("I6")
@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, 10),
        ({"held": 4}, 4),
        ({"held": -3}, 0),
        ({"ledgers": []}, 0),
        ({"others": [order(Purpose.EXIT, Side.SELL, 6)]}, 4),
        ({"others": [order(Purpose.STOP, Side.SELL, 10, strategy="other")]}, 10),
        ({"gate": EXIT_ONLY, "others": [order(Purpose.EXTERNAL, Side.SELL, 7, strategy="x")]}, 3),
        ({"gate": EXIT_ONLY, "held": 0}, 0),
        ({"strategy": MANUAL, "by_user": True, "ledgers": [], "held": 25, "quantity": 25}, 25),
        ({"strategy": MANUAL, "by_user": True, "ledgers": [], "held": 0}, 0),
        ({"others": [order(Purpose.EXIT, Side.SELL, 6, product=Product.CNC)]}, 10),
    ],
)
def test_an_exit_closes_no_more_than_is_left(changes: dict[str, Any], expected: int) -> None:
    """The ledger, the broker's net where it counts, and what works already bound every exit."""
    facts = replace(EXIT, **changes)
    assert allowed_quantity(facts) == expected
    assert bool(code(facts)) is (expected == 0)


def test_a_change_of_a_resting_order_asks_for_nothing_new() -> None:
    """A stop that is moved needs no units left to close; the mode counts all the same."""
    moved = replace(EXIT, quantity=0, held=None, ledgers=[])
    assert code(moved) == ""
    assert code(replace(moved, gate=PAUSED)) == "PAUSED"


def test_the_first_denial_is_the_one_that_is_told() -> None:
    """When several checks deny, the user hears of the first in the list, with its sentence."""
    wrong = replace(ENTRY, gate=replace(PAUSED, enabled=False), is_assigned=False, needs_login=True)
    with pytest.raises(Denied, match="paused: no entry is sent") as denied:
        require(wrong)
    assert denied.value.code == "PAUSED"
    denials = [found.code for check in CHECKS if (found := check(wrong)) is not None]
    assert denials == ["PAUSED", "DISABLED", "OFF_HERE", "LOGIN"]


def test_every_denial_is_one_sentence() -> None:
    """A reason starts the user's line, so it is a sentence without a full stop."""
    cases = [
        replace(ENTRY, gate=None),
        replace(ENTRY, gate=PAUSED),
        replace(ENTRY, is_assigned=False),
        replace(EXIT, held=0, gate=EXIT_ONLY),
        replace(ENTRY, needs_login=True),
    ]
    for facts in cases:
        denial = first_denial(facts)
        assert denial is not None
        assert denial.reason
        assert not denial.reason.endswith(".")


@pytest.mark.row("R3")
def test_what_the_broker_refused_today_is_not_entered_again() -> None:
    """A product that is blocked today denies an entry with the broker's words, and no exit."""
    words = "RMS:Blocked for nse_cm MIS"
    refused = order(Purpose.ENTRY, Side.BUY, 10, OrderState.REJECTED, strategy="another")
    refused = replace(refused, cause=Cause.PRODUCT, reason=words)
    denial = first_denial(replace(ENTRY, quantity=0, others=[refused]))
    assert denial is not None
    assert denial.code == "REFUSED_BEFORE"
    assert words in denial.reason
    assert first_denial(replace(ENTRY, others=[replace(refused, cause=Cause.OTHER)])) is None
    assert first_denial(replace(EXIT, others=[refused])) is None


@pytest.mark.row("R3")
@pytest.mark.parametrize("name", ["MCX:CRUDEOIL26NOVFUT", "CDS:USDINR26NOVFUT", "BCD:X", "NCO:Y"])
def test_what_is_counted_in_lots_is_not_sent(name: str) -> None:
    """Commodities and currencies are refused in both directions: their size would be wrong."""
    for facts in (ENTRY, EXIT, replace(EXIT, strategy=MANUAL, by_user=True)):
        denial = first_denial(replace(facts, instrument=InstrumentId.parse(name)))
        assert denial is not None
        assert denial.code == "NOT_HANDLED"
        assert denial.reason == f"found {name}; Saarthi trades on NSE, BSE, NFO and BFO only"
    for handled in ("BSE:SBIN", "NFO:SBIN26NOVFUT", "BFO:SENSEX26NOVFUT"):
        assert first_denial(replace(ENTRY, instrument=InstrumentId.parse(handled))) is None


@pytest.mark.row("R3")
def test_a_users_share_on_margin_is_not_sold_as_another_product() -> None:
    """It is MTF at the broker: the sale would open a short beside it."""
    close = replace(EXIT, strategy=MANUAL, by_user=True, product=Product.NRML, ledgers=[])
    denial = first_denial(close)
    assert denial is not None
    assert (denial.code, "MTF" in denial.reason) == ("NOT_HANDLED", True)
    assert code(replace(close, product=Product.MIS)) == ""


def resting(side: Side, quantity: int, kind: OrderType = OrderType.LIMIT) -> Order:
    """Return a user's own order that works at the broker."""
    made = order(Purpose.EXTERNAL, side, quantity, strategy=EXTERNAL)
    return replace(made, request=replace(made.request, order_type=kind))


STOP = replace(EXIT, purpose=Purpose.STOP)
TARGET, HAND_STOP = resting(Side.SELL, 10), resting(Side.SELL, 10, OrderType.SL_M)


@pytest.mark.row("R8", "C3")
@pytest.mark.parametrize("gate", [GATE, EXIT_ONLY])
@pytest.mark.parametrize(
    ("facts", "others", "held", "allowed"),
    [
        (EXIT, [TARGET], 10, 0),
        (EXIT, [TARGET], None, 0),
        (EXIT, [resting(Side.SELL, 4)], 10, 6),
        (EXIT, [resting(Side.BUY, 10)], 10, 10),
        (EXIT, [HAND_STOP], 10, 0),
        (STOP, [HAND_STOP], 10, 0),
    ],
)
def test_users_own_resting_order_is_counted_against_an_exit(
    facts: Facts, others: list[Order], held: int | None, allowed: int, gate: Gate
) -> None:
    """FLAT beside a resting SELL 10 does not sell 20, in whatever mode."""
    facts = replace(facts, others=others, held=held, gate=gate)
    assert allowed_quantity(facts) == allowed
    if held is not None:
        assert code(facts) == ("" if allowed else "OWN_ORDER_RESTS")


@pytest.mark.row("R8")
def test_users_own_order_closes_what_is_outside_first() -> None:
    """10 of the strategy and 10 of the user's own: his SELL 10 is about his."""
    assert allowed_quantity(replace(EXIT, others=[TARGET], held=20)) == 10
    assert allowed_quantity(replace(EXIT, others=[resting(Side.SELL, 15)], held=20)) == 5


@pytest.mark.row("R8", "R6")
def test_users_own_target_does_not_keep_a_stop_away() -> None:
    """It rests above the price: the position needs its stop besides."""
    assert allowed_quantity(replace(STOP, others=[TARGET], held=10)) == 10


@pytest.mark.row("R8")
def test_nothing_held_is_not_blamed_on_a_users_order() -> None:
    """The sentence says what would help."""
    facts = replace(EXIT, others=[TARGET], held=0, ledgers=[])
    assert code(facts) == "NOT_HELD"


def of(strategy: str, quantity: int) -> Ledger:
    return replace(HELD, strategy=strategy, quantity=quantity)


OWN_CLOSE = replace(EXIT, strategy=MANUAL, by_user=True)
STOP_OF_ORB = order(Purpose.STOP, Side.SELL, 10)


@pytest.mark.row("C3", "D3")
@pytest.mark.parametrize(
    ("strategy", "ledgers", "held", "others", "expected"),
    [
        # +10 and -10 and +5 outside: the stop of the +10 does not use up the net of 5.
        (MANUAL, [of("orb", 10), of("fade", -10)], 5, [STOP_OF_ORB], 5),
        # Without opposite sides a stop counts as it always did.
        (MANUAL, [of("orb", 10)], 15, [STOP_OF_ORB], 5),
        # Nothing is outside: a strategy's units are not the user's, stop or no stop.
        (MANUAL, [of("orb", 10)], 10, [], 0),
        # A stop for more than its ledger has would take the user's units.
        (MANUAL, [of("orb", 4), of("fade", -4)], 5, [STOP_OF_ORB], 0),
        # An exit of another strategy counts in full, for it fills now.
        (MANUAL, [of("orb", 10), of("fade", -10)], 5, [order(Purpose.EXIT, Side.SELL, 10)], 0),
        # The same for a strategy whose exit is bounded by the net.
        ("trend", [of("orb", 10), of("fade", -10), of("trend", 5)], 5, [STOP_OF_ORB], 5),
        # Units that were closed outside are not held by two: the stop comes first.
        ("trend", [of("orb", 5), of("trend", 5)], 5, [order(Purpose.STOP, Side.SELL, 5)], 0),
    ],
)
def test_another_strategys_stop_counts_against_what_its_side_holds(
    strategy: str, ledgers: list[Ledger], held: int, others: list[Order], expected: int
) -> None:
    """A user's close beside opposite strategies: not blocked by a stop, and never too large."""
    facts = replace(
        OWN_CLOSE, strategy=strategy, ledgers=ledgers, held=held, others=others, quantity=10
    )
    assert allowed_quantity(facts) == expected


@pytest.mark.row("A12")
def test_wrong_address_denies_entries_alone() -> None:
    """Sized or not; an exit of the same size goes: the broker is the judge of that."""
    trouble = "Zerodha sees it at 198.51.100.7, but 203.0.113.5 is registered there"
    wrong = replace(GATE, address_trouble=trouble)
    for quantity in (0, 10):
        entry = replace(ENTRY, gate=wrong, quantity=quantity)
        assert code(entry) == "ADDRESS"
        assert code(replace(entry, gate=GATE)) == ""
    assert code(replace(EXIT, gate=wrong)) == ""
