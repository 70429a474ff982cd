"""The transports compare the machine's clock with the ``Date`` of each broker's answers (K02)."""

from __future__ import annotations

import asyncio
import json
from datetime import timedelta
from email.utils import format_datetime

import pytest

from core.adapters.clock import SystemClock
from core.domain.host_clock import certain_offset
from core.ports.clock import clock_offset
from tests.fakes.brokers import BROKER_CASES, BrokerCase
from tests.fakes.clock import running_from
from tests.faults.raw_http import Behaviour, answer, serving

AHEAD = timedelta(seconds=40)


def dated(clock: SystemClock, ahead: timedelta = AHEAD, **headers: str) -> Behaviour:
    """Answer with an empty day of orders, some seconds ahead of a clock."""

    async def behave(writer: asyncio.StreamWriter) -> bool:
        date = format_datetime((clock.now() + ahead).replace(microsecond=0), usegmt=True)
        body = json.dumps({"status": "success", "s": "ok", "data": [], "orderBook": []}).encode()
        return await answer(200, body, "application/json", Date=date, **headers)(writer)

    return behave


@pytest.mark.matrix("K02")
@pytest.mark.parametrize("case", BROKER_CASES, ids=lambda case: case.profile.name)
async def test_three_answers_show_how_slow_the_clock_is(case: BrokerCase) -> None:
    """Slow answers are left out, so a slow machine asks more often and finds the same."""
    clock = SystemClock()
    async with serving(dated(clock)) as server:
        client = case.client(server.url, deadline_s=30, clock=clock)
        while not (offset := clock_offset(clock)):
            await client.orders()
        await client.aclose()
    assert abs(offset - AHEAD) <= timedelta(seconds=1)


async def test_in_a_replay_a_broker_that_tells_real_time_is_right() -> None:
    """Market time is years away from its ``Date``, and nothing is wrong with the clock."""
    clock = running_from(SystemClock().now() - timedelta(days=2000))
    case = BROKER_CASES[0]
    async with serving(dated(clock, timedelta(0))) as server:
        client = case.client(server.url, deadline_s=30, clock=clock)
        while not clock.offsets():
            await client.orders()
        await client.aclose()
    assert abs(clock_offset(clock)) <= timedelta(seconds=1)


@pytest.mark.matrix("K02")
async def test_a_cached_answer_says_nothing_about_the_clock() -> None:
    """Its ``Date`` is of the day on which it was made."""
    clock = SystemClock()
    case = BROKER_CASES[0]
    async with serving(dated(clock, Age="40")) as server:
        client = case.client(server.url, deadline_s=30, clock=clock)
        for _ in range(4):
            await client.orders()
        await client.aclose()
    assert certain_offset(clock.offsets()) == timedelta(0)
    assert clock.offsets() == {}
