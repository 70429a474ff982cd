"""What a strategy's settings refuse, and what a switch ends (rows D4 and D6)."""

from __future__ import annotations

from decimal import Decimal

import pytest

from core.domain.instrument import Product
from core.domain.ledger import Ledger
from core.errors import UserError
from tests.fakes.held import hold, want
from tests.fakes.run_bench import RunBench


async def holding(units: int, wanted: int) -> tuple[RunBench, Ledger]:
    """Let the strategy hold units and want another number of them."""
    bench = await RunBench().opened()
    ledger = await hold(bench.engine, bench.account, units, strategy=bench.strategy.name)
    await want(bench.engine, ledger, wanted)
    return bench, ledger


@pytest.mark.row("D4")
@pytest.mark.parametrize(
    ("held", "wanted", "left"),
    [(5, -10, 0), (10, 5, 5), (5, 10, 5), (0, 10, 0), (10, 0, 0)],
)
async def test_off_ends_what_would_enter_and_nothing_that_closes(
    held: int, wanted: int, left: int
) -> None:
    """A reversal closes and enters nothing; a smaller goal goes on; no unit is bought back."""
    bench, _ = await holding(held, wanted)
    await bench.assign(is_on=False)
    assert await bench.goal() == left


@pytest.mark.row("D4")
@pytest.mark.parametrize(("held", "wanted"), [(5, 5), (0, 5), (5, 0)])
async def test_the_product_stays_while_something_is_held_or_entered(held: int, wanted: int) -> None:
    """What is held belongs to one product: with another one nobody would close it."""
    bench, _ = await holding(held, wanted)
    with pytest.raises(UserError, match="holds or enters a position"):
        await bench.assign(product=Product.NRML)
    await bench.assign(product=Product.MIS)
    empty, _ = await holding(0, 0)
    await empty.assign(product=Product.NRML)


@pytest.mark.row("D4")
async def test_a_multiplier_has_bounds() -> None:
    """Both ends may be chosen, and what is beyond is refused with them."""
    bench = await RunBench().opened()
    for fine in ("0.01", "100"):
        await bench.assign(multiplier=Decimal(fine))
    for beyond in ("0.009", "100.01"):
        with pytest.raises(UserError, match=r"expected 0\.01 to 100"):
            await bench.assign(multiplier=Decimal(beyond))


@pytest.mark.row("D6")
async def test_a_switch_begins_with_the_next_slot_and_is_heard_at_once() -> None:
    """No slot that has passed is run, and nothing waits for a look at the settings."""
    bench = await RunBench().opened()
    engine, name = bench.engine, bench.strategy.name
    settings = engine.wiring.strategies
    await engine.clock.advance(60)
    began = engine.clock.market_now()
    for is_on in (True, False):
        settings.switched.clear()
        await settings.set_enabled(engine.command(), name, enabled=is_on)
        assert settings.switched.is_set()
        row = await settings.row(name)
        assert (row["enabled"], row["last_slot_at"]) == (is_on, began)
        await engine.clock.advance(60)
