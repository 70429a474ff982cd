"""A paper account over the end of the process at each kind of commit of its own books (row F6).

``make faults`` ends it at every call of every scenario; here are the moments around the books.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator

import pytest

from tests.campaign.enumerator import played
from tests.faults.watch import Rule


@pytest.fixture(autouse=True)
def quiet() -> Iterator[None]:
    """Keep the logs of the faults to themselves."""
    logging.disable(logging.CRITICAL)
    yield
    logging.disable(logging.NOTSET)


@pytest.mark.row("F6", "R4")
@pytest.mark.matrix("C02")
@pytest.mark.invariant("I1", "I2", "I3", "I4", "I5")
@pytest.mark.parametrize("side", ["before", "after"])
@pytest.mark.parametrize(
    ("scenario", "k"),
    [("paper entry", 1), ("paper entry", 2), ("paper exit", 2)],
    ids=["entry", "stop", "exit"],
)
def test_kill_around_a_commit_of_the_books(scenario: str, k: int, side: str) -> None:
    """What was committed is found, what was not never was; nothing is asked, nothing twice."""
    verdict = played(scenario, Rule("commit", side, k, what="paper:"))
    assert not verdict.faults, "\n".join([*verdict.story, *verdict.faults])
    assert verdict.figures["kills"] == 1
