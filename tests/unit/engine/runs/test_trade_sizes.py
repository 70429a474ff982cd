"""What a strategy would trade, worked out as its runs do."""

from __future__ import annotations

from decimal import Decimal

import pytest

from core.domain.instrument import InstrumentId
from tests.fakes.brokers import SBIN
from tests.fakes.run_bench import RunBench


@pytest.mark.row("D4")
async def test_sizes_are_those_of_a_run() -> None:
    """Units by quantity, and rupees at the last price; an account that is off has none."""
    bench = await RunBench().opened(quantity=12)
    bench.quoted("815.10")
    await bench.turns(1)
    sizes, name = bench.engine.control.sizes, bench.strategy.name
    (view,) = await sizes.of(name)
    (line,) = view.lines
    assert (line.units, line.price, view.value) == (12, Decimal("815.10"), Decimal("9781.20"))
    assert view.kept_out == ""
    await bench.assign(is_on=False)
    assert await sizes.of(name) == ()
    assert len(await sizes.of(name, bench.account.broker_id)) == 1


@pytest.mark.row("D6")
async def test_a_name_that_no_broker_lists_is_suggested_for() -> None:
    """``SBINN`` may be ``SBIN``; what is listed is not asked about."""
    bench = await RunBench().opened()
    await bench.turns(1)
    wrong = InstrumentId("NSE", "SBINN")
    assert await bench.engine.control.sizes.unlisted([SBIN, wrong]) == {wrong: (SBIN,)}
