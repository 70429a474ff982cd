"""``kill -9`` at the places that matter, then a new controller: nothing twice, nothing forgotten."""

from __future__ import annotations

import pytest

from core.domain.order import OrderState
from tests.faults.controller import Doomed, Nursery
from tests.faults.life import FYERS, KITE, Simulated, World, living, until
from tests.faults.watch import Rule
from tests.invariants import assert_invariants

pytest_plugins = ("tests.faults.fixtures",)

KITE_KEY = KITE.api_key


@pytest.fixture
def world(stored_world: World) -> World:
    """On a server, because the controllers are processes of their own."""
    return stored_world


async def prepared(world: World, *, holding: bool) -> None:
    """Live once: connect both brokers, and hold one unit each where an exit is to be hurt."""
    async with living(world) as life:
        await life.connect(KITE)
        await life.connect(FYERS)
        if holding:
            await life.enter()
        await life.settled()


# An entry that leaves with its run has no commit of its own; an exit has.
SUBMISSION = pytest.param(
    Rule("commit", "before", what="submit:"), True, id="before-the-journal-C01"
)
# Where it is killed, whether the entry of that account is at the broker then, whether it is at last.
PLACES = [
    pytest.param(Rule("commit", "before", what="run:"), True, id="before-the-run-C01"),
    pytest.param(Rule("commit", "after", what="run:"), True, id="after-the-run-S01"),
    pytest.param(
        Rule("place", "before", api_key=KITE_KEY, after_places=1), False, id="before-the-send-C02"
    ),
    pytest.param(
        Rule("place", "after", api_key=KITE_KEY, after_places=2), True, id="before-the-record-C05"
    ),
]


# Up to the run's commit an exit takes the same way as an entry.
EXIT_PLACES = [
    pytest.param(*place.values, id=place.id, marks=[] if n > 1 else pytest.mark.slow)
    for n, place in enumerate([*PLACES[:2], SUBMISSION, *PLACES[2:]])
]


def applied(world: World, who: Simulated, side: str) -> int:
    """Count the orders of one side that came to stand in an account's book."""
    return sum(bool(w["applied"]) for w in world.placed(who) if w["side"] == side)


@pytest.mark.matrix("C01", "C02", "C05", "C09", "S01")
@pytest.mark.invariant("I1", "I2", "I3", "I4", "I5", "I8", "I9")
@pytest.mark.parametrize(("rule", "arrives"), PLACES)
async def test_killed_while_entering(
    nursery: Nursery, world: World, rule: Rule, arrives: bool
) -> None:
    """An entry is sent at most once, and one that never left is given up with a notice.

    The account at whose call the process dies has its fate by the place of the crash. The other one
    works at the same time and may be cut off in the middle of a request (C03): it is sent once, and
    its fate is the broker's.
    """
    await prepared(world, holding=False)
    doomed = Doomed(nursery, world, rule, run="LONG")
    await doomed.dies()
    async with living(world) as life:
        await life.settled()
        evidence = await assert_invariants(life)
        for broker_id, who in world.accounts.items():
            state = (await life.row(broker_id=broker_id, purpose="entry"))["state"]
            stands = applied(world, who, "BUY")
            assert len(world.placed(who)) <= 1
            assert state == ("FILLED" if stands else "NOT_PLACED")
            await life.holds(broker_id, stands)
            if rule.what == "run:" and rule.side == "before":
                assert stands == 1
    if rule.api_key:
        assert len(world.placed(KITE)) == applied(world, KITE, "BUY") == arrives
    if rule.api_key and not arrives:
        kinds = {row["kind"] for row in evidence.tables["outbox"]}
        assert {"order_unresolved", "order_resolved"} <= kinds


@pytest.mark.matrix("C01", "C02", "C05", "C09")
@pytest.mark.invariant("I1", "I2", "I3", "I4", "I5", "I8", "I9")
@pytest.mark.parametrize(("rule", "arrives"), EXIT_PLACES)
async def test_killed_while_exiting(
    nursery: Nursery, world: World, rule: Rule, arrives: bool
) -> None:
    """An exit is sent at most once; one that never left is worked out anew, under a new number."""
    await prepared(world, holding=True)
    doomed = Doomed(nursery, world, rule, run="FLAT")
    await doomed.dies()
    kite, fyers = world.accounts
    async with living(world) as life:
        await life.holds(kite, 0)
        await life.holds(fyers, 0)
        await assert_invariants(life)
        for broker_id, who in world.accounts.items():
            exits = [row["state"] for row in await life.rows(broker_id=broker_id, purpose="exit")]
            assert exits in (["FILLED"], ["NOT_PLACED", "FILLED"])
            assert applied(world, who, "SELL") == 1
            if rule.api_key == who.api_key:
                assert exits == (["FILLED"] if arrives else ["NOT_PLACED", "FILLED"])
                assert len(world.placed(who)) == 2


@pytest.mark.matrix("C04")
@pytest.mark.invariant("I1", "I2", "I3", "I4", "I5", "I8", "I9")
@pytest.mark.parametrize("direction", ["LONG", "FLAT"])
async def test_killed_while_the_answer_is_on_its_way(
    nursery: Nursery, world: World, direction: str
) -> None:
    """The broker has the order, its answer never came: it is found by its tag, nothing goes again."""
    exiting = direction == "FLAT"
    await prepared(world, holding=exiting)
    for who in (KITE, FYERS):
        world.sandbox.fault(
            "hang", who.target, match={"method": "POST", "path": "*/orders/*"}, effect=True
        )
    doomed = Doomed(nursery, world, run=direction)

    async def both_arrived() -> bool:
        entries = world.placed()
        return sum(bool(entry["applied"]) for entry in entries) == (4 if exiting else 2)

    await until(both_arrived, what="the orders")
    await doomed.kill()
    async with living(world) as life:
        for broker_id in world.accounts:
            await life.holds(broker_id, 0 if exiting else 1)
        await assert_invariants(life)
    assert len(world.placed()) == (4 if exiting else 2)


@pytest.mark.matrix("C10", "C11")
@pytest.mark.invariant("I1", "I2", "I4", "I5", "I8")
async def test_killed_three_times_while_it_recovers(nursery: Nursery, world: World) -> None:
    """Recovery that is killed between its own writes starts over and ends in the same place."""
    await prepared(world, holding=True)
    at_last = Rule("place", "after", api_key=KITE_KEY, after_places=2)
    await Doomed(nursery, world, at_last, run="FLAT").dies()
    # Killed before its first write it has settled nothing, so that the next one dies for certain.
    for side in ("before", "before", "after"):
        await Doomed(nursery, world, Rule("commit", side, what="order:")).dies()
    kite, fyers = world.accounts
    async with living(world) as life:
        await life.holds(kite, 0)
        await life.holds(fyers, 0)
        await assert_invariants(life)
        attempts = [row["attempt"] for row in await life.rows(purpose="exit")]
        assert attempts == [1, 1]
        assert all(
            row["state"] == OrderState.FILLED.value for row in await life.rows(purpose="exit")
        )
    assert len(world.placed()) == 4
