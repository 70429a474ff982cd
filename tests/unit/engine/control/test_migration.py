"""One strategy on two accounts, the old one EXIT_ONLY and the new one NORMAL (row S1)."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal

import pytest

from bot.views.modes import drain_screen
from core.adapters.fyers import FYERS
from core.domain.account import Account
from core.domain.broker import Holding
from core.domain.instrument import InstrumentId, Product
from core.domain.ledger import Ledger
from core.domain.mode import TradingMode
from core.domain.target import Direction
from core.engine.workers.account_worker import AccountWorker
from tests.fakes.brokers import SBIN
from tests.fakes.rendered import TAGS
from tests.fakes.run_bench import RunBench
from tests.fakes.scripted_broker import ScriptedAccount

pytestmark = pytest.mark.row("S1")

SLOT = timedelta(minutes=5)
PRICE = Decimal(815)
INFY = InstrumentId("NSE", "INFY")


@dataclass
class Move:
    """The old account and the new one, both under the bench's strategy."""

    bench: RunBench
    new: Account
    at_new: ScriptedAccount
    worker: AccountWorker

    @property
    def old(self) -> Account:
        return self.bench.account

    async def slot(self, direction: Direction) -> None:
        """Let the next slot's signal be this, and both accounts do what follows."""
        clock = self.bench.engine.clock
        await clock.advance(SLOT.total_seconds())
        now = clock.market_now()
        self.bench.bars("815.00", until=now)
        self.bench.strategy.want(direction, now)
        await self.bench.run()
        for _ in range(4):
            await self.bench.worker.turn()
            await self.worker.turn()

    def sent(self) -> tuple[list[tuple[str, int]], list[tuple[str, int]]]:
        """Return what was sent to the old account's broker and to the new one's."""
        new = [(str(one.side), one.quantity) for one in self.at_new.placed]
        return self.bench.sent(), new

    async def note(self) -> str:
        """Return why the old account entered nothing in the last run."""
        return await self.bench.note()

    async def left(self) -> str:
        """Return what the chat shows under "Left to close"."""
        views = await self.bench.engine.control.views.drain()
        return TAGS.sub("", drain_screen(views).text)


async def a_move() -> Move:
    bench = await RunBench().opened()
    engine = bench.engine
    new = await engine.connect("New", FYERS)
    await engine.control.strategy_settings.assign(
        engine.command(), bench.strategy.name, new.broker_id, size_value=Decimal(4)
    )
    worker = engine.wiring.new_worker(new.broker_id)
    # Known to the views as if their tasks ran; the test takes the turns itself.
    engine.wiring.pool._workers |= {bench.account.broker_id: bench.worker, new.broker_id: worker}
    return Move(bench, new, engine.at_broker(new), worker)


async def exit_only(move: Move) -> None:
    control, command = move.bench.engine.control, move.bench.engine.command()
    await control.modes.set(command, TradingMode.EXIT_ONLY, move.old.broker_id)


async def test_the_old_account_only_shrinks_while_the_new_one_trades() -> None:
    """It leaves with the strategy's exit and enters no more; the new one enters, exits and enters.

    What is left to close stands in the chat: the position, and the holdings that are no strategy's.
    """
    move = await a_move()
    move.bench.broker.holding_list = [Holding(INFY, 40, 0, Decimal(1400), Decimal(1500))]
    await move.slot(Direction.LONG)
    await exit_only(move)
    await move.bench.turns(1)
    left = await move.left()
    assert "Zerodha - Main" in left and "New" not in left
    assert "1 position" in left and "SBIN MIS · +10" in left
    assert "1 holding" in left and "INFY 40" in left
    await move.slot(Direction.FLAT)
    await move.slot(Direction.LONG)
    assert move.sent() == (
        [("BUY", 10), ("SELL", 10)],
        [("BUY", 4), ("SELL", 4), ("BUY", 4)],
    )
    assert await move.note() == "exit only: no entry is sent"
    left = await move.left()
    assert "position" not in left and "1 holding" in left
    move.bench.broker.holding_list = []
    await move.bench.engine.clock.advance(600)
    await move.bench.turns(2)
    assert "All closed" in await move.left()


@pytest.mark.parametrize("own", [0, 7])
async def test_delivery_holdings_shrink_by_what_the_strategy_carries(own: int) -> None:
    """Five shares of an earlier day are sold, once; what the user owns besides stays."""
    move = await a_move()
    bench, old = move.bench, move.old
    await bench.assign(product=Product.CNC)
    held = Ledger(bench.strategy.name, old.broker_id, SBIN, Product.CNC, 5, Decimal(810))
    await bench.engine.hold(held)
    bench.broker.holding_list = [Holding(SBIN, 5 + own, 0, PRICE, PRICE, names=frozenset({SBIN}))]
    await exit_only(move)
    await bench.turns(1)
    assert f"SBIN {5 + own}" in await move.left()
    for direction in (Direction.FLAT, Direction.FLAT, Direction.LONG):
        await move.slot(direction)
    old_sent, new_sent = move.sent()
    assert (old_sent, new_sent) == ([("SELL", 5)], [("BUY", 4)])
