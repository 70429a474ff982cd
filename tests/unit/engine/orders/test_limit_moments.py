"""A limit, and another entry, at every moment of a submission: none slips between (rows R1, I6)."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from decimal import Decimal
from typing import Any

import pytest

from core.domain.limits import LimitKind
from core.domain.order import Order
from core.domain.target import Direction
from core.engine.orders import gateway, limits
from core.engine.orders.gateway import Ticket
from core.engine.orders.limits import ALL
from core.errors import Denied
from tests.fakes.limit_umpire import LimitUmpire
from tests.fakes.run_bench import RunBench

pytestmark = [pytest.mark.row("R1"), pytest.mark.invariant("I6")]
MOMENTS = 28
"""So many turns of the loop a submission takes, and some more."""
Patch = pytest.MonkeyPatch
Beside = Callable[[RunBench, list[Order]], Awaitable[object]]


async def a_bench() -> tuple[RunBench, list[Order]]:
    """Return an account with a planned entry of ten SBIN, and another one with the same."""
    bench = await RunBench().opened()
    second = await bench.engine.connect("Second")
    settings = bench.engine.control.strategy_settings
    await settings.assign(
        bench.engine.command(), bench.strategy.name, second.broker_id, size_value=Decimal(10)
    )
    bench.strategy.want(Direction.LONG)
    await bench.run()
    rows = await bench.engine.orders()
    mine = bench.account.broker_id
    return bench, sorted(rows, key=lambda one: one.broker_id != mine)


async def send(bench: RunBench, order: Order) -> None:
    accounts = {one.broker_id: one for one in await bench.engine.wiring.accounts.all()}
    client = bench.engine.at_broker(accounts[order.broker_id])
    with suppress(Denied):
        await bench.engine.wiring.gateway.submit(client, Ticket(order))


async def faults_of(scope: str, kind: LimitKind, beside: Beside) -> list[str]:
    """Do something at each moment of a submission; return what was beyond a limit."""
    found: list[str] = []
    for moment in range(MOMENTS):
        bench, rows = await a_bench()
        umpire = LimitUmpire(bench.engine.store.database)
        if kind is LimitKind.OPEN_POSITIONS:
            await bench.engine.control.limits.set(bench.engine.command(), scope, kind, "1")

        async def later(bench: RunBench = bench, n: int = moment, rows: list[Order] = rows) -> None:
            for _ in range(n):
                await asyncio.sleep(0)
            await beside(bench, rows)

        await asyncio.gather(send(bench, rows[0]), later())
        assert umpire.entries
        found += umpire.faults
    return found


async def lowers(bench: RunBench, rows: list[Order]) -> None:
    """Lower the account's order value below the entry."""
    control, command = bench.engine.control.limits, bench.engine.command()
    await control.set(command, rows[0].broker_id, LimitKind.ORDER_VALUE, "1000")


async def lowers_all(bench: RunBench, _rows: list[Order]) -> None:
    """The same of all accounts together."""
    control, command = bench.engine.control.limits, bench.engine.command()
    await control.set(command, ALL, LimitKind.ORDER_VALUE, "1000")


async def enters_too(bench: RunBench, rows: list[Order]) -> None:
    """Send the other account's entry."""
    await send(bench, rows[1])


def touches_nothing(patch: Patch) -> None:
    """A change of a limit writes no gate."""

    async def nothing(*_arguments: Any) -> None:
        return None

    patch.setattr(limits, "touch_gate", nothing)
    patch.setattr(limits, "touch_gates", nothing)


def writes_nothing_shared(patch: Patch) -> None:
    """An entry writes nothing that another account's entry reads."""

    async def nothing(_view: Any) -> None:
        return None

    patch.setattr(gateway, "count_entry", nothing)


CASES = {
    "change": (LimitKind.ORDER_VALUE, lowers, touches_nothing),
    "change of all": (LimitKind.ORDER_VALUE, lowers_all, touches_nothing),
    "two accounts": (LimitKind.OPEN_POSITIONS, enters_too, writes_nothing_shared),
}


@pytest.mark.parametrize("case", CASES)
async def test_at_no_moment_an_entry_is_beyond_a_limit(case: str):
    """Whichever commits first, the other is judged by it, as those of two processes would be."""
    kind, beside, _ = CASES[case]
    assert await faults_of(ALL, kind, beside) == []


@pytest.mark.parametrize("case", CASES)
async def test_at_some_moment_a_broken_product_is(case: str, monkeypatch: Patch):
    """What makes them meet is needed: without it one slips between."""
    kind, beside, breaks = CASES[case]
    breaks(monkeypatch)
    assert await faults_of(ALL, kind, beside)
