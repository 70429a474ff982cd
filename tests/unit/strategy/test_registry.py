"""What the controller relies on in every registered strategy."""

from __future__ import annotations

from datetime import time
from decimal import Decimal

import pytest

from core.domain.broker import Candle
from core.domain.instrument import InstrumentId
from core.domain.stop_rule import StopRule
from core.domain.target import Context, Strategy, checked_parameters
from core.errors import UserError
from strategy.registry import STRATEGIES
from tests.unit.strategy.days import at, bars, window

pytestmark = pytest.mark.row("D1")
ALL = pytest.mark.parametrize("strategy", STRATEGIES.values(), ids=STRATEGIES)


def test_the_two_complete_strategies_are_there():
    """Both are found under their names."""
    assert set(STRATEGIES) >= {"opening_range_breakout", "moving_average_crossover"}
    assert all(name == strategy.name for name, strategy in STRATEGIES.items())


@ALL
def test_defaults_pass_their_own_bounds(strategy: Strategy):
    """Each default is a value that a user might have typed."""
    for parameter in strategy.parameters:
        assert parameter.check(str(parameter.default)) == parameter.default


@ALL
def test_every_number_is_bounded(strategy: Strategy):
    """A number has both bounds, one beyond is refused; a text has choices or is the list."""
    for parameter in strategy.parameters:
        if isinstance(parameter.default, str):
            assert parameter.choices or parameter.name == "instruments"
            continue
        assert parameter.minimum is not None
        assert parameter.maximum is not None
        for beyond in (parameter.minimum - 1, parameter.maximum + 1):
            with pytest.raises(UserError, match=r"expected"):
                parameter.check(str(beyond))


@ALL
def test_with_its_defaults_it_runs_and_decides(strategy: Strategy):
    """Defaults give instruments, a day's slots before 15:00, and one target an instrument."""
    parameters = checked_parameters(strategy, {})
    instruments = strategy.instruments(parameters)
    assert instruments == (InstrumentId("NSE", "SBIN"), InstrumentId("NSE", "RELIANCE"))
    schedule = strategy.schedule(parameters)
    assert time(9, 15) < schedule.first < schedule.last < time(15, 0) == schedule.square_off
    minutes = strategy.data(parameters).bar_minutes
    day: list[Candle] = bars("09:15", [100] * 20, minutes)
    context = Context(at("12:00"), window(), dict.fromkeys(instruments, day), parameters)
    assert [target.instrument for target in strategy.decide(context)] == list(instruments)


@ALL
def test_it_trades_up_to_twenty_instruments(strategy: Strategy):
    """One more is refused with both numbers."""
    names = [f"NSE:S{number}" for number in range(21)]
    chosen = strategy.instruments(
        checked_parameters(strategy, {"instruments": ",".join(names[1:])})
    )
    assert list(map(str, chosen)) == names[1:]
    with pytest.raises(UserError, match="found 21; expected 1 to 20"):
        strategy.instruments(checked_parameters(strategy, {"instruments": ",".join(names)}))


@ALL
def test_its_schedule_says_until_when_it_enters(strategy: Strategy):
    """The controller says with it that a run enters nothing any more."""
    parameters = checked_parameters(strategy, {"entry_until": "11:00"})
    assert strategy.schedule(parameters).entry_until == time(11, 0)


@pytest.mark.row("R5")
@ALL
@pytest.mark.parametrize(
    ("changes", "rule"),
    [
        ({}, None),
        ({"stop_to_cost": "1.5"}, StopRule(Decimal("1.5"))),
        ({"trail": "2"}, StopRule(trail_by=Decimal(2))),
        ({"stop_to_cost": "1", "trail": "2"}, StopRule(Decimal(1), Decimal(2))),
    ],
)
def test_stops_follow_as_the_parameters_say(
    strategy: Strategy, changes: dict[str, str], rule: StopRule | None
):
    """Each target carries the rule; by default stops stay where the strategy puts them."""
    parameters = checked_parameters(strategy, changes)
    names = strategy.instruments(parameters)
    minutes = strategy.data(parameters).bar_minutes
    day: list[Candle] = bars("09:15", [100] * 20, minutes)
    context = Context(at("12:00"), window(), dict.fromkeys(names, day), parameters)
    assert {target.stop_rule for target in strategy.decide(context)} == {rule}
