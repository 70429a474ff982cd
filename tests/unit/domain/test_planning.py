"""What one run means for one account: entries for fresh signals, and no way back from a close."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal

import pytest

from core.domain.instrument import Instrument, InstrumentId, Product, Segment
from core.domain.planning import AccountState, Leg, plan_leg
from core.domain.sessions import IST
from core.domain.target import Direction, Target
from core.domain.views import AssignmentView, SizeKind

SLOT = datetime(2026, 11, 20, 9, 50, tzinfo=IST)
MINUTE = timedelta(minutes=1)
SBIN = InstrumentId.parse("NSE:SBIN")
ASSIGNED = AssignmentView(
    "orb",
    "zerodha_abc123",
    "Zerodha - Main",
    is_on=True,
    product=Product.MIS,
    size_kind=SizeKind.QUANTITY,
    size_value=Decimal(3),
    multiplier=Decimal(1),
)
FLAT = AccountState(
    held=0,
    wanted=0,
    is_closing=False,
    working_entry=False,
    why_not=lambda _units: "",
    run_id="run",
    capital=None,
    price=Decimal(900),
    instrument=None,
)


def leg(current: AccountState, direction: Direction, *, age: timedelta = timedelta()) -> Leg:
    target = Target(SBIN, direction, SLOT - age)
    return plan_leg(target, ASSIGNED, current, slot_at=SLOT, fresh_for=MINUTE)


@pytest.mark.row("D3")
def test_a_fresh_signal_enters_with_the_size_of_the_account(sbin: Instrument) -> None:
    """An account that holds nothing enters on the run of the signal's own slot, not later."""
    ready = replace(FLAT, instrument=sbin)
    assert leg(ready, Direction.SHORT) == Leg(-3, -3, "")
    assert leg(ready, Direction.SHORT, age=MINUTE) == Leg(0, 0, "")


@pytest.mark.row("D3")
def test_what_is_held_stays_while_the_signal_stands() -> None:
    """A position in the signal's direction is kept, yesterday's without a goal of today too."""
    held = replace(FLAT, held=2, wanted=2)
    assert leg(held, Direction.LONG, age=9 * MINUTE) == Leg(2, 0, "")
    assert leg(replace(held, wanted=0), Direction.LONG, age=9 * MINUTE) == Leg(2, 0, "")


@pytest.mark.row("A5")
@pytest.mark.row("E4")
def test_a_run_does_not_undo_a_close(sbin: Instrument) -> None:
    """While a position is being closed, the signal that opened it does not ask to keep it."""
    closing = replace(FLAT, held=2, is_closing=True, instrument=sbin)
    assert leg(closing, Direction.LONG, age=MINUTE) == Leg(0, 0, "")
    disabled = replace(closing, why_not=lambda _units: "disabled: no entry is sent")
    assert leg(disabled, Direction.LONG) == Leg(0, 0, "")
    assert leg(closing, Direction.LONG) == Leg(2, 0, "")


@pytest.mark.row("D3")
def test_a_partly_filled_entry_keeps_its_goal(sbin: Instrument) -> None:
    """While the rest may come the goal stays; when nothing works any more it is what has filled."""
    filling = replace(FLAT, held=4, wanted=10, working_entry=True, instrument=sbin)
    assert leg(filling, Direction.LONG, age=MINUTE) == Leg(10, 0, "")
    assert leg(filling, Direction.LONG) == Leg(10, 0, "")
    assert leg(filling, Direction.FLAT) == Leg(0, 0, "")
    assert leg(filling, Direction.SHORT, age=MINUTE) == Leg(0, 0, "")
    assert leg(replace(filling, working_entry=False), Direction.LONG) == Leg(4, 0, "")
    closing = replace(filling, wanted=0, is_closing=True)
    assert leg(closing, Direction.LONG, age=MINUTE) == Leg(0, 0, "")


@pytest.mark.row("D3")
def test_a_signal_that_was_acted_on_neither_enters_nor_keeps(sbin: Instrument) -> None:
    """It is old however young: it opens nothing, and does not take back a close."""
    acted = replace(FLAT, is_acted_on=True, instrument=sbin)
    assert leg(acted, Direction.LONG) == Leg(0, 0, "")
    assert leg(replace(acted, held=2, is_closing=True), Direction.LONG) == Leg(0, 0, "")
    assert leg(replace(acted, held=2, wanted=2), Direction.LONG) == Leg(2, 0, "")


def test_a_refused_entry_says_why(sbin: Instrument) -> None:
    """Where entries are not let through, the goal is flat and the reason is noted."""
    refused = replace(FLAT, why_not=lambda _: "exit only: no entry is sent", instrument=sbin)
    assert leg(refused, Direction.LONG) == Leg(0, 0, "exit only: no entry is sent")


@pytest.fixture
def sbin() -> Instrument:
    return Instrument(
        id=SBIN,
        broker_symbol="SBIN",
        broker_token="779521",
        lot_size=1,
        tick_size=Decimal("0.05"),
        segment=Segment.CASH,
    )


@pytest.mark.row("R3")
@pytest.mark.parametrize(
    ("size", "multiplier", "lot", "entry", "note"),
    [
        ("65", "1", 65, 65, ""),
        ("100", "1", 65, 65, "NSE:SBIN: 65 instead of 100, in whole lots of 65"),
        ("30", "1", 65, 0, "its size of 30 does not buy one lot, which is 65"),
        ("5", "0.5", 1, 2, "NSE:SBIN: 2 instead of 2.5, in whole units"),
        ("10", "2", 1, 20, ""),
    ],
)
def test_rounded_size_is_said(
    sbin: Instrument, size: str, multiplier: str, lot: int, entry: int, note: str
) -> None:
    """Case "rounded lots": a number that a user typed never becomes another one in silence."""
    assigned = replace(ASSIGNED, size_value=Decimal(size), multiplier=Decimal(multiplier))
    current = replace(FLAT, instrument=replace(sbin, lot_size=lot))
    target = Target(SBIN, Direction.LONG, SLOT)
    made = plan_leg(target, assigned, current, slot_at=SLOT, fresh_for=MINUTE)
    assert made == Leg(entry, entry, note)


@pytest.mark.row("R3")
def test_share_of_the_capital_is_rounded_as_ever(sbin: Instrument) -> None:
    """Nobody typed a number of units, so there is nothing to say."""
    share = replace(ASSIGNED, size_kind=SizeKind.CAPITAL_SHARE, size_value=Decimal(10))
    current = replace(FLAT, capital=Decimal(100_000), instrument=sbin)
    target = Target(SBIN, Direction.LONG, SLOT)
    made = plan_leg(target, share, current, slot_at=SLOT, fresh_for=MINUTE)
    assert made == Leg(11, 11, "")


@pytest.mark.row("D10")
def test_old_master_enters_nothing(sbin: Instrument) -> None:
    """An instrument of an earlier day's master may have another lot by now: entries wait."""
    current = replace(FLAT, instrument=replace(sbin, is_stale=True))
    made = leg(current, Direction.LONG)
    assert (made.goal, made.entry) == (0, 0)
    assert "today's list of instruments" in made.note
