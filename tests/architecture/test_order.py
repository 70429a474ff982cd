"""The order of a run: every test once, the long ones spread over the workers and first."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import cast

import pytest

from tests.order import SECONDS, spread

ROOT = Path(__file__).parents[2]
LONGEST = next(iter(SECONDS))


class Item:
    """A test as pytest collects it, by its id."""

    def __init__(self, nodeid: str) -> None:
        self.nodeid = nodeid

    def get_closest_marker(self, _name: str) -> None:
        return None


def items(*nodeids: str) -> Sequence[pytest.Item]:
    return cast("Sequence[pytest.Item]", [Item(nodeid) for nodeid in nodeids])


def test_what_is_called_long_exists() -> None:
    """A test that was renamed or removed does not stay in the table."""
    for name in SECONDS:
        path, _, test = name.partition("::")
        assert (ROOT / path).exists(), name
        assert f"def {test}" in (ROOT / path).read_text(encoding="utf-8") if test else True, name


@pytest.mark.parametrize("workers", [1, 2, 5, 40])
def test_each_share_has_its_part_of_the_long_tests_and_ends_with_short_ones(workers: int) -> None:
    """No test is lost or doubled, and no worker has two long ones while another has none."""
    long = [f"{LONGEST}[{number}]" for number in range(7)]
    short = [f"tests/unit/test_short.py::test_{number}" for number in range(16)]
    given = items(*short[:9], *long, *short[9:])
    ordered = spread(given, workers)
    assert sorted(item.nodeid for item in ordered) == sorted(long + short)
    counts, left = [], list(ordered)
    for waiting in range(workers, 0, -1):
        size = len(left) // waiting
        share, left = left[:size], left[size:]
        marks = [item.nodeid.startswith(LONGEST) for item in share]
        assert marks == [True] * len(marks) or not marks[-1]
        if share:
            counts.append(sum(marks))
    assert max(counts) - min(counts) <= 1
