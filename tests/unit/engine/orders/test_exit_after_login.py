"""An exit that a login holds up is worked out anew once the account is logged in again (row B10)."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace

import pytest

from bot.notices.render import render
from core.domain.notices.logins import TokenWarning
from core.domain.order import Side
from core.domain.outcome import Refusal, Refused
from core.domain.target import Direction
from core.engine.orders.gateway import WriteRefused
from tests.fakes.brokers import SBIN
from tests.fakes.rendered import TAGS, lookups
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
    (warning,) = await bench.engine.notices(TokenWarning)
    assert isinstance(warning, TokenWarning)
    assert warning.broker_ids == (account.broker_id,), "once, not once an order"
    screen = await render(warning, lookups(bench.engine))  # type: ignore[arg-type]
    assert "⏸ waits: Sell 10 SBIN MIS" in TAGS.sub("", screen.text)
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
    assert await bench.engine.control.modes.exits_behind_login(account.broker_id) == ()
    assert {name for name, _ in bench.broker.position_list} == {SBIN}


async def test_exit_that_was_refused_for_its_login_is_shown_once() -> None:
    """The login ends at the very write: the exit is held back, and counts as no second one."""
    bench = await RunBench().opened()
    bench.strategy.want(Direction.LONG)
    await bench.run()
    await bench.turns()
    bench.broker.answers = [Refused(Refusal.AUTH_REQUIRED, "the session has ended")]
    await bench.close()
    with suppress(WriteRefused):
        await bench.worker.turn()
    (warning,) = await bench.engine.notices(TokenWarning)
    screen = await render(warning, lookups(bench.engine))  # type: ignore[arg-type]
    assert TAGS.sub("", screen.text).count("⏸ waits: Sell 10 SBIN MIS") == 1
