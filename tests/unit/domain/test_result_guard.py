"""A guard on the day's result: when it fires, that its floor never falls, what is looser."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.domain.result_guard import (
    Breach,
    Guard,
    GuardDay,
    GuardScope,
    Reached,
    ScopeKind,
    Trail,
    floor_of,
    looser,
    problem_of,
    step,
)

pytestmark = [pytest.mark.row("R5")]

RUPEES = st.integers(100, 20_000).map(Decimal)
RESULTS = st.integers(-30_000, 30_000).map(Decimal)


@st.composite
def trails(draw: st.DrawFn) -> Trail:
    start = draw(RUPEES)
    keep = draw(st.integers(0, int(start) - 1).map(Decimal))
    each = draw(st.just(Decimal(0)) | RUPEES)
    more = draw(st.integers(1, int(each)).map(Decimal)) if each else Decimal(0)
    return Trail(start, keep, each, more)


GUARDS = st.builds(Guard, st.none() | RUPEES, st.none() | RUPEES, st.none() | trails())
FULL = Guard(
    Decimal(5000), Decimal(40000), Trail(Decimal(10000), Decimal(5000), Decimal(1000), Decimal(500))
)


@given(GUARDS, st.lists(RESULTS, max_size=30))
def test_floor_never_falls_and_it_fires_exactly_at_its_limits(
    guard: Guard, results: list[Decimal]
) -> None:
    """At a result at or below the stop or the floor, or at or above the target; once, then never."""
    day, highest = GuardDay("2026-11-26"), None
    for result in results:
        before = day
        day, breach = step(guard, day, result)
        if before.fired is not None:
            assert (day, breach) == (before, None)
            continue
        highest = result if highest is None else max(highest, result)
        floor = floor_of(guard.trail, highest)
        assert (day.highest, day.floor) == (highest, floor)
        assert before.floor is None or (day.floor is not None and day.floor >= before.floor)
        must = (
            (guard.stop is not None and result <= -guard.stop)
            or (floor is not None and result <= floor)
            or (guard.target is not None and result >= guard.target)
        )
        assert (breach is not None) is must
        assert day.fired == breach


@given(trails(), RESULTS)
def test_floor_lies_below_what_was_reached(trail: Trail, highest: Decimal) -> None:
    """A trail never fires at its own high."""
    floor = floor_of(trail, highest)
    assert floor is None or floor < highest


def test_lock_and_trail_by_hand() -> None:
    """From 10,000 keep 5,000, then of each further 1,000 keep 500."""
    day = GuardDay("2026-11-26")
    expected = [(9999, None), (10000, 5000), (11999, 5500), (12000, 6000), (6001, 6000)]
    for result, floor in expected:
        day, breach = step(FULL, day, Decimal(result))
        assert (day.floor, breach) == (floor, None)
    day, breach = step(FULL, day, Decimal(6000))
    assert breach == Breach(Reached.FLOOR, Decimal(6000), Decimal(6000))


def test_stop_names_a_loss_and_a_target_a_profit() -> None:
    """Which of the three was reached, with its limit as a signed result."""
    _, breach = step(FULL, GuardDay("d"), Decimal("-5000.01"))
    assert breach == Breach(Reached.STOP, Decimal(-5000), Decimal("-5000.01"))
    _, breach = step(replace(FULL, trail=None), GuardDay("d"), Decimal(40000))
    assert breach == Breach(Reached.TARGET, Decimal(40000), Decimal(40000))


@given(GUARDS, GUARDS, st.lists(RESULTS, max_size=20))
def test_tightening_never_lets_a_day_go_on_that_would_have_ended(
    old: Guard, new: Guard, results: list[Decimal]
) -> None:
    """What is not called looser fires no later than before, on every course of a day."""
    if looser(old, new):
        return
    first, second = GuardDay("d"), GuardDay("d")
    for result in results:
        first, _ = step(old, first, result)
        second, _ = step(new, second, result)
        assert first.fired is None or second.fired is not None


@pytest.mark.parametrize(
    ("new", "parts"),
    [
        (replace(FULL, stop=None), ("stop",)),
        (replace(FULL, stop=Decimal(5001)), ("stop",)),
        (replace(FULL, stop=Decimal(4999)), ()),
        (replace(FULL, target=None), ("target",)),
        (replace(FULL, target=Decimal(40001)), ("target",)),
        (replace(FULL, target=Decimal(39999)), ()),
        (replace(FULL, trail=None), ("trail",)),
        (replace(FULL, stop=None, target=None), ("stop", "target")),
        (replace(FULL, stop=Decimal(1000), trail=None), ("trail",)),
    ],
)
def test_looser_by_field(new: Guard, parts: tuple[str, ...]) -> None:
    """Each field by itself, whatever the others gain; what is new is never looser."""
    assert looser(FULL, new) == parts
    assert looser(Guard(), FULL) == ()


@pytest.mark.parametrize(
    ("change", "is_looser"),
    [
        ({"start": Decimal(10001)}, True),
        ({"start": Decimal(9000)}, False),
        ({"keep": Decimal(4999)}, True),
        ({"keep": Decimal(6000)}, False),
        ({"each": Decimal(1001)}, True),
        ({"each": Decimal(900)}, False),
        ({"more": Decimal(499)}, True),
        ({"more": Decimal(600)}, False),
        ({"each": Decimal(0), "more": Decimal(0)}, True),
    ],
)
def test_looser_by_field_of_the_trail(change: dict[str, Decimal], is_looser: bool) -> None:
    """A later start, less kept, larger steps or less of each."""
    assert FULL.trail is not None
    new = replace(FULL, trail=replace(FULL.trail, **change))
    assert looser(FULL, new) == (("trail",) if is_looser else ())


@pytest.mark.parametrize(
    ("guard", "words"),
    [
        (Guard(stop=Decimal("0.50")), "expected ₹1 to"),
        (Guard(target=Decimal(1_000_000_001)), "to ₹1,00,00,00,000"),
        (Guard(trail=Trail(Decimal(1000), Decimal(1000))), "must keep less"),
        (Guard(trail=Trail(Decimal(1000), Decimal(0), Decimal(500))), "expected both"),
        (Guard(trail=Trail(Decimal(1000), Decimal(0), Decimal(500), Decimal(501))), "no more than"),
        (Guard(target=Decimal(900), trail=Trail(Decimal(1000), Decimal(0))), "before the trail"),
    ],
)
def test_what_cannot_be_set_is_said(guard: Guard, words: str) -> None:
    """With what was found and what is expected."""
    assert words in problem_of(guard)


@given(GUARDS)
def test_every_other_guard_can_be_set(guard: Guard) -> None:
    """Of those that are made here, only a target below the trail's start cannot."""
    reaches = guard.trail and guard.target and guard.target <= guard.trail.start
    assert bool(problem_of(guard)) is bool(reaches)


@pytest.mark.parametrize(
    "scope",
    [
        GuardScope(ScopeKind.ALL),
        GuardScope(ScopeKind.ACCOUNT, "abc"),
        GuardScope(ScopeKind.STRATEGY, "abc", "orb"),
    ],
)
def test_scope_is_read_back_from_its_key(scope: GuardScope) -> None:
    """The key is what the store has; another text is none."""
    assert GuardScope.parse(scope.key) == scope
    for text in ("", "all|x|y|z", "account", "strategy|x", "nothing"):
        if text != scope.key:
            with pytest.raises(ValueError, match="no scope"):
                assert GuardScope.parse(text) is None


def test_what_a_scope_covers() -> None:
    """All covers everything, an account all its strategies, a strategy itself there."""
    assert GuardScope(ScopeKind.ALL).covers("a", "orb")
    assert GuardScope(ScopeKind.ACCOUNT, "a").covers("a", "orb")
    assert not GuardScope(ScopeKind.ACCOUNT, "a").covers("b", "orb")
    assert not GuardScope(ScopeKind.STRATEGY, "a", "orb").covers("a", "mac")
