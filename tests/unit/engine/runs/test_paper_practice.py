"""A newcomer without a broker: made-up prices for paper, and none of them for an order (row F6)."""

from __future__ import annotations

from decimal import Decimal
from itertools import count

import pytest

from bot.views.runs import run_text
from core.adapters.paper import PAPER_PROFILE
from core.domain.account import Account, AccountDraft
from core.domain.instrument import Product
from core.domain.limit_use import Entering
from core.domain.order import Order, OrderState, Purpose, Side
from core.domain.target import Direction
from core.engine.orders.limit_use import bounds_of, held_back
from core.engine.runs.plan import RunRequest
from tests.fakes.brokers import SBIN
from tests.fakes.memory_engine import MemoryEngine, market_clock
from tests.fakes.run_bench import TEN, Obedient

ADDRESS = "https://broker.example"
pytestmark = pytest.mark.row("F6")


class Newcomer:
    """An engine with one paper account and nothing else."""

    def __init__(self) -> None:
        self.strategy = Obedient()
        self.engine = MemoryEngine(market_clock(TEN), {self.strategy.name: self.strategy})
        self.paper: Account
        self._numbers = count()

    async def opened(self) -> Newcomer:
        await self.engine.owned()
        draft = AccountDraft(PAPER_PROFILE, "Try", "", "")
        control = self.engine.control
        added = await control.registration.add(self.engine.command(), draft)
        await control.switch.enable(self.engine.command(), added.broker_id)
        self.paper = await self.engine.wiring.accounts.get(added.broker_id)
        await self.sized(self.paper)
        return self

    async def sized(self, account: Account) -> None:
        """Let the strategy buy ten on an account."""
        settings, command = self.engine.control.strategy_settings, self.engine.command()
        ten = Decimal(10)
        await settings.assign(command, self.strategy.name, account.broker_id, size_value=ten)

    async def run(self) -> str:
        """Run now, and let the accounts' workers act; return the run's id."""
        run_id, now = f"run{next(self._numbers)}", self.engine.clock.market_now()
        self.strategy.want(Direction.LONG, signal_at=now)
        await self.engine.wiring.runner.run(RunRequest(run_id, self.strategy.name, now))
        for account in await self.engine.wiring.accounts.all():
            worker = self.engine.wiring.new_worker(account.broker_id)
            for _ in range(3):
                await worker.turn()
        return run_id

    async def entries(self, account: Account) -> list[Order]:
        """Return an account's entries."""
        return [
            one
            for one in await self.engine.orders()
            if one.broker_id == account.broker_id and one.purpose is Purpose.ENTRY
        ]


async def test_strategy_trades_on_paper_without_any_broker() -> None:
    """The first filled order needs no broker, no login and no data plan; the card says what it is."""
    newcomer = await Newcomer().opened()
    run_id = await newcomer.run()
    [entry] = await newcomer.entries(newcomer.paper)
    assert (entry.state, entry.filled_quantity) == (OrderState.FILLED, 10)
    views = newcomer.engine.control.views
    card = run_text(await views.run(run_id), "Obedient")
    assert "📝 Prices made up for practice" in card and "📝 Paper - Try" in card
    dashboard = await views.dashboard(newcomer.paper.broker_id)
    assert any("made up" in one for one in dashboard.incomplete)
    health = await newcomer.engine.control.health.read()
    assert "made up for practice" in health.data_account


async def test_day_that_began_with_made_up_prices_is_no_day_for_orders() -> None:
    """A broker that is connected on it enters nothing until the next day, and says why."""
    newcomer = await Newcomer().opened()
    await newcomer.run()
    engine = newcomer.engine
    live = await engine.connect("Main")
    await newcomer.sized(live)
    assert [one.broker_id for one in await engine.wiring.market_data.sources()] == [live.broker_id]
    said = await held_back(engine.store, live.broker_id, ADDRESS, "2026-11-23")
    assert any("made up" in one for one in said)
    for day, accounts in (("2026-11-23", [live]), ("2026-11-25", [])):
        for account in (live, newcomer.paper):
            entry = Entering(account.broker_id, "any", SBIN, Product.MIS, Side.BUY, "run")
            now = engine.clock.now()
            bounds = await bounds_of(engine.store, entry, day=day, now=now, address=ADDRESS)
            assert ("made up" in bounds.unproved) is (account in accounts)


async def test_practice_is_over_for_good_with_the_first_broker() -> None:
    """Disconnected again, it leaves no account that gives prices, and none are made up."""
    newcomer = await Newcomer().opened()
    engine = newcomer.engine
    live = await engine.connect("Main")
    await engine.control.registration.disconnect(engine.command(), live.broker_id)
    assert await engine.wiring.market_data.sources() == ()
    client = await engine.wiring.connections.client(newcomer.paper)
    assert client is not None
    await engine.clock.advance(3)
    await newcomer.run()
    assert await client.trades() == []
