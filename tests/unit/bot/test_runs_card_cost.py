"""The card of several runs is made from few reads: what an account holds is judged once (E1)."""

from __future__ import annotations

from decimal import Decimal
from unittest import mock

import pytest

from bot.notices.render import render
from core.domain.notices.runs import RunsTogether
from core.domain.target import Direction
from core.engine.control.strategy_views import StrategyViews
from core.engine.orders.protections import Protections
from tests.fakes.bot_engine import BotEngine
from tests.fakes.rendered import lookups
from tests.fakes.run_bench import RunBench


@pytest.mark.row("E1")
async def test_an_account_is_judged_once_for_all_runs_of_a_card() -> None:
    """Forty runs judged each alone would hold back orders for half a second at each fill."""
    bench = await RunBench().opened()
    for number in range(3):
        await bench.engine.clock.advance(300)
        now = bench.engine.clock.market_now()
        bench.bars("815.00", until=now)
        bench.strategy.want(Direction(1 - number), now, stop=Decimal(805) if not number else None)
        await bench.run()
        await bench.turns()
    runs = await bench.engine.store.find("runs", {})
    assert len(runs) == 3
    engine = mock.Mock(spec=BotEngine, control=bench.engine.control)
    with (
        mock.patch.object(Protections, "of_account", autospec=True, return_value=[]) as judged,
        mock.patch.object(StrategyViews, "get", autospec=True) as pages,
    ):
        screen = await render(RunsTogether(tuple(one["_id"] for one in runs)), lookups(engine))
    assert screen.text.startswith("<b>3 runs</b>")
    assert judged.call_count == 1 and pages.call_count == 0
