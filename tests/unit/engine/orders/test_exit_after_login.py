"""An exit that a login holds up is worked out anew once the account is logged in again (row B10)."""

from __future__ import annotations

from dataclasses import replace

import pytest

from core.domain.order import Side
from core.domain.target import Direction
from tests.fakes.brokers import SBIN
from tests.fakes.run_bench import RunBench

pytestmark = pytest.mark.row("B8", "B10")


@pytest.mark.parametrize("by_hand", [0, 4, 10])
async def test_exit_closes_what_is_held_when_it_goes_out(by_hand: int) -> None:
    """A part, or all, was sold in the broker's app meanwhile: the rest is closed, and no more."""
    bench = await RunBench().opened()
    bench.strategy.want(Direction.LONG)
    await bench.run()
    await bench.turns()
    assert await bench.held() == 10
    bench.broker.is_logged_out = True
    await bench.close()
    await bench.turns()
    account = await bench.engine.control.accounts.get(bench.account.broker_id)
    assert account.needs_login
    assert await bench.goal() == 0, "what is to be closed is kept"
    if by_hand:
        sale = replace(bench.broker.placed[0], side=Side.SELL, quantity=by_hand)
        shown = bench.broker.show(sale)
        bench.broker.order_list[shown.broker_order_id] = replace(shown, tag=None)
        bench.broker.fill(shown.broker_order_id)
    tried = len(bench.sent())
    await bench.engine.clock.advance(11)
    await bench.engine.log_in(bench.account)
    for _ in range(4):
        await bench.turns(2)
        await bench.engine.clock.advance(6)
    left = 10 - by_hand
    assert bench.sent()[tried:] == ([("SELL", left)] if left else [])
    assert sum(one.quantity for one in bench.broker.position_list.values()) == 0
    assert await bench.held() == 0
    assert {name for name, _ in bench.broker.position_list} == {SBIN}
