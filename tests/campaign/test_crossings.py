"""The umpire forgives a stop that fills on its way out, and only one that was asked to go."""

from __future__ import annotations

from collections import Counter
from types import SimpleNamespace
from typing import Any, cast

import pytest

from tests.campaign.crossings_umpire import CrossingsUmpire
from tests.campaign.world import World, Written

KEY = "alpha|one|NSE:SBIN|MIS"


class CrossedDay:
    """A world in which ten units of alpha have crossed at 100 s."""

    def __init__(self) -> None:
        self.at, self.row = 0.0, {"_id": "stop", "state": "ACCEPTED"}
        self.books = Counter({KEY: 10})
        self.world = SimpleNamespace(loop=SimpleNamespace(time=lambda: self.at), listeners=[])
        self.crossings = CrossingsUmpire(cast("World", self.world), self.books)

    def _commits(self, at: float, *written: Written) -> None:
        self.at = at
        for listener in self.world.listeners:
            listener(list(written))

    def crosses(self, at: float) -> None:
        where = {"broker_id": "one", "instrument": "NSE:SBIN", "product": "MIS"}
        data = {**where, "units": 10, "strategies": ["alpha"]}
        row = {"_id": "1", "kind": "ledgers_crossed", "data": data}
        self._commits(at, Written("outbox", "1", None, row))

    def becomes(self, at: float, state: str) -> None:
        old, self.row = self.row, {**self.row, "state": state}
        self._commits(at, Written("orders", "stop", old, self.row))

    def is_excused(self, at: float) -> bool:
        self.at = at
        return self.crossings.excuse(cast("dict[str, Any]", self.row), KEY)


def test_crossing_moves_the_books_when_it_is_committed() -> None:
    """Not at the next fill: thirty seconds are counted from then."""
    day = CrossedDay()
    day.crosses(100)
    assert day.books[KEY] == 0


@pytest.mark.parametrize(
    ("asked_at", "taken_back_at", "fills_at", "is_excused"),
    [
        (101, None, 105, True),  # the cancel is under way
        (90, None, 105, True),
        (101, 102, 105, True),  # it did not get through, and is asked for again
        (101, 102, 117, False),  # nobody has asked again
        (90, 95, 105, False),  # it was for something else, and is over
        (101, None, 131, False),  # it takes too long
        (None, None, 105, False),  # nobody has asked
    ],
)
def test_only_a_stop_that_was_asked_to_go_is_excused(
    asked_at: float | None, taken_back_at: float | None, fills_at: float, is_excused: bool
) -> None:
    """Each of the ways in which a cancel stands when its stop fills."""
    day = CrossedDay()
    happens = {100.0: day.crosses}
    if asked_at is not None:
        happens[asked_at] = lambda at: day.becomes(at, "PENDING_CANCEL")
    if taken_back_at is not None:
        happens[taken_back_at] = lambda at: day.becomes(at, "ACCEPTED")
    for at in sorted(happens):
        happens[at](at)
    assert day.is_excused(fills_at) is is_excused
