"""Cases of the fault matrix that a scenario in memory holds."""

from __future__ import annotations

import logging
from collections.abc import Iterator

import pytest

from tests.campaign.enumerator import played
from tests.campaign.world import World
from tests.faults.watch import Rule


@pytest.fixture(autouse=True)
def quiet() -> Iterator[None]:
    """Keep the logs of the faults to themselves."""
    logging.disable(logging.CRITICAL)
    yield
    logging.disable(logging.NOTSET)


def raises(world: World) -> None:
    """Let the chosen call raise instead of ending the process."""
    assert world.life is not None

    async def boom() -> None:
        raise MemoryError

    world.life.watch.act = boom


@pytest.mark.matrix("C15")
@pytest.mark.invariant("I1", "I2", "I4", "I5")
@pytest.mark.parametrize(
    "rule",
    [
        Rule("place", "before"),
        Rule("place", "after"),
        Rule("orders", "after"),
        Rule("commit", "before", what="submit:"),
        Rule("commit", "after", what="order:"),
    ],
    ids=lambda rule: f"{rule.name}-{rule.side}-{rule.what}",
)
@pytest.mark.parametrize("scenario", ["entry", "exit"])
def test_call_that_raises(scenario: str, rule: Rule) -> None:
    """An exception where nobody expects one ends like a kill there: nothing twice, nothing lost."""
    verdict = played(scenario, rule, raises)
    assert not verdict.faults, "\n".join([*verdict.story, *verdict.faults])


def perishes(world: World) -> None:
    """Kill what decides, in the middle of the next decision."""
    world.decision_dies()


@pytest.mark.matrix("S02")
@pytest.mark.row("R6")
@pytest.mark.parametrize("scenario", ["entry", "exit", "reversal"])
def test_decision_whose_process_is_killed(scenario: str) -> None:
    """That run changes nothing and says so, and the next slot works."""
    verdict = played(scenario, None, perishes)
    assert not verdict.faults, "\n".join([*verdict.story, *verdict.faults])
    assert verdict.figures["faults"] >= 1


def cut_off(world: World) -> None:
    """Let nothing pass to the broker until the faults end."""
    troubles = world.client(world.accounts[0]).troubles
    troubles.read("*", "fails", 600)
    for _ in range(200):
        troubles.write("place", "not sent")
        troubles.write("cancel", "not sent")


@pytest.mark.matrix("N13")
@pytest.mark.row("R6")
@pytest.mark.parametrize("scenario", ["exit", "close"])
def test_partition_that_heals(scenario: str) -> None:
    """A position whose exit cannot leave is named, and closed once when the broker is back."""
    verdict = played(scenario, None, cut_off)
    assert not verdict.faults, "\n".join([*verdict.story, *verdict.faults])
