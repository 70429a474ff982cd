"""A stop that follows its position: to the entry price, then behind the best price, never back."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.domain.stop_rule import STEP, StopRule, moved_stop, tighter

pytestmark = [pytest.mark.row("R5")]
COST = Decimal(1000)
PERCENTS = st.none() | st.decimals("0.1", "20", places=1)
RULES = st.builds(StopRule, PERCENTS, PERCENTS)
PRICES = st.lists(st.decimals("700", "1400", places=2), max_size=30)


@given(RULES, st.sampled_from([10, -10]), PRICES)
def test_stop_never_moves_away_from_the_price(
    rule: StopRule, held: int, prices: list[Decimal]
) -> None:
    """On every course of prices it only comes nearer, and stays behind the price that moved it."""
    sign = 1 if held > 0 else -1
    stop = COST - sign * 50
    for last in prices:
        moved = moved_stop(rule, held=held, cost=COST, stop=stop, last=last)
        if moved is None:
            continue
        assert (moved - stop) * sign > 0
        assert (last - moved) * sign > 0
        stop = moved


@given(st.decimals("0.1", "20", places=1), st.sampled_from([10, -10]), PRICES)
def test_trailing_stop_is_at_its_distance_but_for_a_step(
    trail: Decimal, held: int, prices: list[Decimal]
) -> None:
    """Behind the best price, or no more than a step further."""
    sign = 1 if held > 0 else -1
    rule, stop = StopRule(trail_by=trail), COST - sign * 300
    for last in prices:
        stop = moved_stop(rule, held=held, cost=COST, stop=stop, last=last) or stop
        distance = last * trail / 100
        assert (last - stop) * sign <= distance + last * STEP + Decimal("0.01")


@pytest.mark.parametrize(
    ("held", "last", "expected"),
    [
        (10, "1009.99", None),
        (10, "1010", "1000.00"),
        (-10, "990.01", None),
        (-10, "990", "1000.00"),
    ],
)
def test_stop_goes_to_the_entry_price_at_its_profit(
    held: int, last: str, expected: str | None
) -> None:
    """At one percent, long and short; once there it stays."""
    rule, stop = StopRule(Decimal(1)), COST - held
    found = moved_stop(rule, held=held, cost=COST, stop=stop, last=Decimal(last))
    assert found == (None if expected is None else Decimal(expected))
    assert moved_stop(rule, held=held, cost=COST, stop=COST, last=Decimal(last)) is None


def test_small_steps_are_not_taken() -> None:
    """A broker lets an order be changed so many times: a quarter of a percent, at least."""
    rule = StopRule(trail_by=Decimal(1))
    at = {"held": 10, "cost": COST, "stop": Decimal(990)}
    assert moved_stop(rule, **at, last=Decimal(1002)) is None  # type: ignore[arg-type]
    assert moved_stop(rule, **at, last=Decimal(1003)) == Decimal("992.97")  # type: ignore[arg-type]


def test_ledger_without_a_price_has_no_cost_to_go_to() -> None:
    """What was never seen to fill cost nobody knows what."""
    rule = StopRule(Decimal(1))
    stop = moved_stop(rule, held=10, cost=Decimal(0), stop=Decimal(990), last=Decimal(1100))
    assert stop is None


def test_nearer_of_two_stops() -> None:
    """The higher of a long, the lower of a short; one that is not there does not count."""
    low, high = Decimal(990), Decimal(995)
    assert (tighter(low, high, 10), tighter(low, high, -10)) == (high, low)
    assert (tighter(None, low, 10), tighter(None, None, 10)) == (low, None)
