"""The order of a run on several workers: long tests early, spread over all of them.

``--dist worksteal`` gives each worker an equal share of the list, and what is idle takes from the
end of another's share. So each share has its part of the long tests, and ends with short ones, which
are what is left to take: no worker is still busy with a long test when the others have nothing left.
Before that long and short ones alternate, because most long tests wait and most short ones compute.
Within both the order stays the random one.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence

import pytest

__all__ = ["SECONDS", "spread"]

SECONDS: Mapping[str, float] = {
    "tests/e2e/test_demo.py::test_the_story_plays_by_itself": 80,
    "tests/e2e/test_replay.py": 60,
    "tests/browser/test_demo_by_hand.py": 40,
    "tests/contract/test_engine_faults.py::test_every_unknown_answer": 40,
    "tests/e2e/test_demo.py": 22,
    "tests/e2e/test_adding_a_broker.py": 20,
    "tests/e2e/test_live.py": 18,
    "tests/e2e/test_restore.py": 18,
    "tests/contract/test_isolation.py": 15,
    "tests/contract/test_engine_faults.py": 9,
    "tests/crash/": 12,
    "tests/contract/test_engine_exits.py": 11,
    "tests/contract/test_rotate_key.py": 10,
    "tests/e2e/test_migrate_legacy.py": 8,
    "tests/e2e/test_secrets.py": 10,
    "tests/contract/test_engine_close.py": 9,
    "tests/dates/test_other_days.py": 7,
    "tests/contract/test_engine_logins.py": 5,
    "tests/e2e/": 5,
    "tests/contract/test_commit_faults.py": 5,
    "tests/contract/test_store_server.py": 5,
    "tests/contract/test_backup.py": 2,
}
"""How long a test takes, by the first of these that its id begins with. Worth a look with
``pytest --durations=60`` now and then; a wrong figure costs time, nothing else."""
_SLOW_S = 5.0
"""Of a test that is marked slow, where nothing is said above."""


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put the tests in order, after they were shuffled."""
    items[:] = spread(items, int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1")))


def _seconds(item: pytest.Item) -> float:
    for name, seconds in SECONDS.items():
        if item.nodeid.startswith(name):
            return seconds
    return _SLOW_S if item.get_closest_marker("slow") else 0.0


def spread(items: Sequence[pytest.Item], workers: int) -> list[pytest.Item]:
    """Return the tests in an order whose ``workers`` equal shares take about equally long."""
    seconds = {item: _seconds(item) for item in items}
    short = [item for item in items if not seconds[item]]
    sizes = _sizes(len(items), workers)
    shares: list[list[pytest.Item]] = [[] for _ in sizes]
    taken = [0.0] * workers
    for item in sorted((one for one in items if seconds[one]), key=lambda one: -seconds[one]):
        place = min(
            (n for n in range(workers) if len(shares[n]) < sizes[n]), key=lambda n: taken[n]
        )
        shares[place].append(item)
        taken[place] += seconds[item]
    place_of = {item: place for place, item in enumerate(items)}
    ordered: list[pytest.Item] = []
    for share, size in zip(shares, sizes, strict=True):
        count = size - len(share)
        ordered += _alternate(sorted(share, key=place_of.__getitem__), short[:count])
        short = short[count:]
    return ordered


def _alternate(long: Sequence[pytest.Item], short: Sequence[pytest.Item]) -> list[pytest.Item]:
    """Return a share: after each long test a part of the first half of the short ones."""
    each = len(short) // 2 // max(1, len(long))
    found: list[pytest.Item] = []
    for number, item in enumerate(long):
        found += [item, *short[number * each : (number + 1) * each]]
    return [*found, *short[len(long) * each :]]


def _sizes(count: int, workers: int) -> list[int]:
    """Return how large the shares of ``--dist worksteal`` are."""
    sizes = []
    for left in range(workers, 0, -1):
        sizes.append(count // left)
        count -= count // left
    return sizes
