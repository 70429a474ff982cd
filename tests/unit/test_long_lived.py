"""The garbage collector is left as it was found, whoever builds beside whom."""

from __future__ import annotations

import asyncio
import gc
import weakref
from collections.abc import Iterator

import pytest

from core.long_lived import (
    built_to_stay,
    collect_all,
    collect_later,
    collect_less,
    let_go,
    set_aside,
)
from tests.fakes.stream_server import until


@pytest.fixture(autouse=True)
def collector() -> Iterator[None]:
    """The collector as a new process has it, and afterwards as it was: others set it for good."""
    thresholds, callbacks = gc.get_threshold(), list(gc.callbacks)
    gc.callbacks[:] = [one for one in callbacks if one.__module__ != collect_less.__module__]
    gc.unfreeze()
    yield
    gc.set_threshold(*thresholds)
    gc.callbacks[:] = callbacks
    gc.unfreeze()


def test_nothing_is_collected_while_it_is_built() -> None:
    """Two that build beside one another, and one that fails, leave it on."""
    with built_to_stay():
        with built_to_stay():
            assert not gc.isenabled()
        assert not gc.isenabled()
    assert gc.isenabled()
    with pytest.raises(ValueError, match="odd"), built_to_stay():
        raise ValueError("odd")
    assert gc.isenabled()


async def test_nothing_is_collected_for_a_moment_and_then_again() -> None:
    """Nor while something is built that is ready only after it."""
    collect_later(0.0)
    assert not gc.isenabled()
    await until(gc.isenabled)
    with built_to_stay():
        collect_later(0.0)
        caught_up = asyncio.Event()
        asyncio.get_running_loop().call_later(0.0, caught_up.set)  # after the other
        await caught_up.wait()
        assert not gc.isenabled()
    assert gc.isenabled()


async def test_the_end_of_one_moment_ends_no_other() -> None:
    """Of two runs within a moment the second's orders wait for no collection, nor for a build."""
    loop = asyncio.get_running_loop()
    collect_later(0.0)
    collect_later(0.05)
    collect_later(0.0)
    began, passed = loop.time(), asyncio.Event()
    loop.call_later(0.0, passed.set)  # after the first one's end
    await passed.wait()
    with built_to_stay():
        pass
    assert not gc.isenabled()
    await until(gc.isenabled)
    assert loop.time() - began >= 0.049


async def test_much_that_is_new_after_a_moment_is_set_aside_unseen() -> None:
    """Looking at what a large fleet's slot has left would stop the loop."""
    before = gc.get_freeze_count()
    collect_later(0.0)
    kept = [[number] for number in range(25_000)]
    await until(gc.isenabled)
    assert gc.get_freeze_count() >= before + len(kept)


def test_much_is_set_aside_and_little_is_not() -> None:
    """A small list of a test or a demo leaves the collector all its objects."""
    before = gc.get_freeze_count()
    set_aside(100)
    assert gc.get_freeze_count() == before
    set_aside(100_000)
    assert gc.get_freeze_count() > before


def test_what_is_let_go_is_empty() -> None:
    """Dictionaries and lists; other things are nobody's to empty."""
    table, rows, fixed = {1: 2, 3: 4}, [1, 2, 3], (1, 2)
    let_go(table, rows, fixed)
    assert (table, rows, fixed) == ({}, [], (1, 2))


def test_what_a_whole_collection_has_left_is_set_aside_until_all_is_collected() -> None:
    """It is looked at once and no more, and a circle that has died among it goes in the end."""
    callbacks = list(gc.callbacks)

    class Circle:
        me: Circle

    circle = Circle()
    circle.me = circle
    gone = weakref.ref(circle)
    collect_less()
    collect_less()
    assert len(gc.callbacks) == len(callbacks) + 1
    gc.collect()
    assert gc.get_freeze_count() > 0
    del circle
    gc.collect()
    assert gone() is not None
    collect_all()
    assert gone() is None
