"""The fan-out bench measures what it says; how long anything took is not asked here."""

from __future__ import annotations

from pathlib import Path

import aiohttp

from core.adapters.clock import clock_from_setting
from tests.bench.controller import Spec, controlled, market_clock
from tests.bench.door import Door, serving
from tests.bench.fanout import STAGES, stages_of
from tests.bench.peers import Bare


async def test_a_slot_is_followed_from_its_run_to_its_answers(tmp_path: Path) -> None:
    """An entry and an exit on two accounts, and the bare peer, are seen whole at one door."""
    clock = market_clock()
    server = await serving(Door(clock_from_setting(clock), delay_s=0.001))
    door = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    async with server, aiohttp.ClientSession() as session:
        async with controlled(Spec(door, "", str(tmp_path), clock)) as one:
            await one.connect(["smoke0001", "smoke0002"])
            for direction, held in (("LONG", 2), ("FLAT", 0)):
                times = await one.run(direction, expected=2, lead_s=0)
                assert (times["answered_all"], times["filled_all"]) == (True, True)
                async with session.get(f"{door}/_door/seen") as answer:
                    seen = {tag: (came, went) for _, tag, came, went in await answer.json()}
                assert seen.keys() == times["orders"].keys()
                stages = stages_of(times, seen)
                assert [len(stages[stage]) for stage in STAGES] == [2] * len(STAGES)
                assert (await one.rest())["held"] == held
        _, tags = await Bare(door, session, ["peer1", "peer2"]).send()
        async with session.get(f"{door}/_door/seen") as answer:
            assert sorted(tag for _, tag, _, _ in await answer.json()) == sorted(tags)
