"""Worlds of processes: sandbox, store server and controllers that are killed with ``kill -9``.

The broker misbehaves by the sandbox's faults, the store's answers are lost on the way by the proxy
of ``tests/faults/proxy.py``; after every end a controller lives until nothing moves, and all
invariants are checked by ``tests.invariants``.
"""

from __future__ import annotations

import asyncio
import random
import tempfile
import uuid
from pathlib import Path
from typing import Any

from core.adapters.mongo.server import launch
from tests.campaign.umpire import Verdict
from tests.fakes.sandbox_process import Sandbox
from tests.faults.controller import Doomed, Nursery
from tests.faults.life import FYERS, KITE, World, living
from tests.faults.proxy import Loss, through
from tests.faults.watch import Rule
from tests.invariants import CHECKS, assert_invariants

__all__ = ["process_world"]

_PATIENCE_S = 6.0
"""How long a controller may live that does not come to the call at which it ends."""
_ORDERS = {"method": "POST", "path": "*/orders/*"}
_TROUBLES: tuple[tuple[str, dict[str, Any]], ...] = (
    ("reset_after", {"match": _ORDERS}),
    ("reset_before", {"match": _ORDERS}),
    ("http", {"match": _ORDERS, "status": 502}),
    ("malformed", {"match": _ORDERS}),
    ("hide", {"delay_s": 1.0}),
    ("reject_later", {}),
    ("partial_fill", {"delay_s": 1.5}),
    ("cancel_then_fill", {}),
    ("html", {"match": {"method": "GET"}, "times": 3}),
    ("delay", {"match": {"method": "GET"}, "delay_s": 0.4, "times": 5}),
    ("stale_reads", {"match": {"method": "GET"}, "lasts_s": 1.0, "times": 0}),
)
_PLACES = (
    Rule("commit", "before", what="submit:"),
    Rule("commit", "after", what="submit:"),
    Rule("place", "before"),
    Rule("place", "after"),
    Rule("commit", "before", what="order:"),
    Rule("commit", "after", what="order:"),
    Rule("commit", "after", what="run:"),
)


def process_world(seed: int, rounds: int) -> Verdict:
    """Live through some ends of a real process."""
    nursery = Nursery()
    sandbox = Sandbox(is_tethered=True)
    try:
        with tempfile.TemporaryDirectory(prefix="saarthi-faults-") as folder:
            return asyncio.run(_world(seed, rounds, sandbox, nursery, Path(folder)))
    finally:
        sandbox.end()
        nursery.end()


async def _world(
    seed: int, rounds: int, sandbox: Sandbox, nursery: Nursery, folder: Path
) -> Verdict:
    chance, verdict = random.Random(f"processes {seed}"), Verdict()
    server = await launch(folder / "store", uri=None, mongod=None, lookup_path=False)
    try:
        async with through(server.server.uri) as (proxy, uri):
            name = f"faults_{uuid.uuid4().hex[:8]}"
            # In each second world updates are pushed, and cross what is read and what is sent.
            world = World(sandbox, uri, name, folder / "data", order_deadline_s=1.5)
            world.has_streams = seed % 2 == 0
            async with living(world) as life:
                await life.connect(KITE)
                await life.connect(FYERS)
                await life.settled()
            for n in range(rounds):
                direction = "FLAT" if n % 2 else "LONG"
                for target in ("kite", "fyers"):
                    kind, fields = chance.choice(_TROUBLES)
                    sandbox.fault(kind, target, **fields)
                    verdict.figures["faults"] += 1
                doomed = Doomed(
                    nursery, world, chance.choice(_PLACES), run=direction, stop_percent="3"
                )
                if chance.random() < 0.5:
                    proxy.lose(chance.choice(list(Loss)), "commitTransaction")
                    verdict.figures["faults"] += 1
                await doomed.ends(within_s=_PATIENCE_S)
                verdict.figures["kills"] += 1
                sandbox.ask("DELETE", "/faults")
                async with living(world) as life:
                    try:
                        await assert_invariants(life)
                    except AssertionError as error:
                        verdict.bad("invariants broken", f"round {n}: {error}")
                verdict.figures["invariants checked"] += len(CHECKS)
            placed = world.placed()
            verdict.figures["orders placed"] += sum(bool(entry["applied"]) for entry in placed)
            verdict.figures["orders intended"] += len({entry["tag"] for entry in placed})
            verdict.figures["notices"] += len(world.told.delivered)
            verdict.figures["worlds"] += 1
    finally:
        await server.stop()
    return verdict
