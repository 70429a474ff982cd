"""The throttle's promises (invariant I11): sliding windows, a share for orders, Retry-After."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.adapters.fyers.broker import FYERS_LIMITS
from core.adapters.throttle import (
    READS,
    Bucket,
    Limit,
    RateExceeded,
    Throttle,
)
from core.adapters.zerodha.broker import KITE_LIMITS
from tests.fakes.clock import ManualClock

FAR = 1e9


async def granted(
    throttle: Throttle, clock: ManualClock, bucket: Bucket, count: int
) -> list[float]:
    """Let ``count`` requests queue at once and return when each was let through."""
    times: list[float] = []

    async def one() -> None:
        await throttle.acquire(bucket, FAR)
        times.append(clock.monotonic())

    tasks = [asyncio.create_task(one()) for _ in range(count)]
    for _ in range(10_000):
        if all(task.done() for task in tasks):
            break
        await clock.advance(0.25)
    await asyncio.gather(*tasks)
    return times


def busiest(times: list[float], seconds: float) -> int:
    """Return the most requests in any half-open window of ``seconds``."""
    return max(sum(start <= at < start + seconds for at in times) for start in times)


@pytest.mark.invariant("I11")
@pytest.mark.parametrize(
    ("limits", "bucket", "second", "minute"),
    [
        (KITE_LIMITS, Bucket.ORDERS, 8, 300),
        (FYERS_LIMITS, Bucket.ORDERS, 9, 190),
        (FYERS_LIMITS, Bucket.OTHER, 6, 120),
    ],
    ids=["Kite", "Fyers", "reads at Fyers"],
)
async def test_burst_never_exceeds_any_window(
    limits: Sequence[Limit], bucket: Bucket, second: int, minute: int
) -> None:
    """A burst keeps within the second and the minute at once, unlike a leaky bucket."""
    clock = ManualClock()
    times = await granted(Throttle(clock, limits), clock, bucket, 400)
    assert busiest(times, 1.0) == second
    assert busiest(times, 60.0) == minute


@pytest.mark.invariant("I11")
@pytest.mark.parametrize(
    ("limits", "bucket", "allowed"),
    [
        (KITE_LIMITS, {Bucket.ORDERS}, {1.0: 10, 60.0: 400, 86_400.0: 5_000}),
        (FYERS_LIMITS, set(Bucket), {1.0: 10, 60.0: 200, 86_400.0: 100_000}),
    ],
    ids=["Kite", "Fyers"],
)
def test_limits_are_below_those_of_the_broker(
    limits: Sequence[Limit], bucket: set[Bucket], allowed: dict[float, int]
) -> None:
    """By the second, the minute and the day (facts/kite.md 10, facts/fyers.md 10)."""
    ours = {one.seconds: one.count for one in limits if one.buckets == bucket}
    assert ours.keys() == allowed.keys()
    assert all(0 < ours[span] < most for span, most in allowed.items())


@pytest.mark.invariant("I11")
@pytest.mark.parametrize(
    ("bucket", "count", "seconds"),
    [(Bucket.QUOTES, 1, 1.0), (Bucket.HISTORICAL, 3, 1.0), (Bucket.OTHER, 8, 1.0)],
)
async def test_kite_reads_keep_their_rates(bucket: Bucket, count: int, seconds: float) -> None:
    """Quotes, candles and the rest each keep the rate that Kite documents."""
    clock = ManualClock()
    times = await granted(Throttle(clock, KITE_LIMITS), clock, bucket, 20)
    assert busiest(times, seconds) == count


@pytest.mark.matrix("R04")
@pytest.mark.invariant("I11")
async def test_reads_leave_orders_their_share() -> None:
    """When reads have used up their minute, orders still pass at once."""
    clock = ManualClock()
    throttle = Throttle(clock, FYERS_LIMITS)
    await granted(throttle, clock, Bucket.OTHER, 120)
    with pytest.raises(RateExceeded):
        await throttle.acquire(Bucket.QUOTES, clock.monotonic() + 5)
    before = clock.monotonic()
    times = await granted(throttle, clock, Bucket.ORDERS, 60)
    assert times[0] == before
    assert times[-1] - before < 15


@given(st.lists(st.tuples(st.sampled_from(list(Bucket)), st.floats(0, 20)), max_size=60))
def test_no_mix_exceeds_a_limit(requests: list[tuple[Bucket, float]]) -> None:
    """Whatever is asked for and when, no limit is exceeded in any window."""
    limits = (Limit(READS | {Bucket.ORDERS}, 3, 1.0), Limit(READS, 2, 1.0), Limit(READS, 5, 10.0))

    async def run() -> list[tuple[float, Bucket]]:
        clock = ManualClock()
        throttle = Throttle(clock, limits)
        passed: list[tuple[float, Bucket]] = []

        async def one(bucket: Bucket, at: float) -> None:
            await clock.sleep(at)
            await throttle.acquire(bucket, FAR)
            passed.append((clock.monotonic(), bucket))

        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(one(*request)) for request in requests]
            while not all(task.done() for task in tasks):
                await clock.advance(1.0)
        return passed

    passed = asyncio.run(run())
    assert len(passed) == len(requests)
    for limit in limits:
        times = [at for at, bucket in passed if bucket in limit.buckets]
        assert not times or busiest(times, limit.seconds - 1e-6) <= limit.count


async def test_place_beyond_the_deadline_is_refused_at_once() -> None:
    """A caller that cannot be served in time learns it without waiting, and takes no place."""
    clock = ManualClock()
    throttle = Throttle(clock, [Limit(frozenset(Bucket), 1, 10.0)])
    await throttle.acquire(Bucket.ORDERS, 1.0)
    with pytest.raises(RateExceeded) as caught:
        await throttle.acquire(Bucket.ORDERS, clock.monotonic() + 5)
    assert caught.value.wait_s == pytest.approx(10)
    await clock.advance(10)
    await throttle.acquire(Bucket.ORDERS, clock.monotonic())


@pytest.mark.matrix("N09")
async def test_retry_after_holds_its_buckets_only() -> None:
    """A pause holds the buckets it names, for its time, and a shorter one does not end it."""
    clock = ManualClock()
    throttle = Throttle(clock, KITE_LIMITS)
    throttle.pause([Bucket.OTHER], 30)
    throttle.pause([Bucket.OTHER], 1)
    await throttle.acquire(Bucket.ORDERS, clock.monotonic())
    with pytest.raises(RateExceeded):
        await throttle.acquire(Bucket.OTHER, clock.monotonic() + 29)
    await clock.advance(30)
    await throttle.acquire(Bucket.OTHER, clock.monotonic())


async def test_cancelled_waiter_frees_the_queue() -> None:
    """A waiter that is cancelled does not hold up those behind it."""
    clock = ManualClock()
    throttle = Throttle(clock, [Limit(frozenset(Bucket), 1, 10.0)])
    await throttle.acquire(Bucket.ORDERS, 0)
    first = asyncio.create_task(throttle.acquire(Bucket.ORDERS, FAR))
    second = asyncio.create_task(throttle.acquire(Bucket.ORDERS, FAR))
    await clock.wait_for_sleepers()
    first.cancel()
    await clock.advance(10)
    await asyncio.wait_for(second, 150)


@pytest.mark.invariant("I11")
async def test_place_that_was_given_back_is_free_again() -> None:
    """A request that did not leave counts for nothing, in any of its limits; once."""
    clock = ManualClock()
    throttle = Throttle(clock, [Limit(frozenset({Bucket.OTHER}), 2, 1.0), Limit(READS, 2, 60.0)])
    await throttle.acquire(Bucket.OTHER, FAR)
    at = await throttle.acquire(Bucket.OTHER, FAR)
    throttle.give_back(Bucket.OTHER, at)
    await throttle.acquire(Bucket.OTHER, clock.monotonic())
    with pytest.raises(RateExceeded):
        await throttle.acquire(Bucket.OTHER, clock.monotonic() + 59.0)
    throttle.give_back(Bucket.OTHER, 7.0)  # nothing was counted then
    with pytest.raises(RateExceeded):
        await throttle.acquire(Bucket.OTHER, clock.monotonic() + 59.0)
