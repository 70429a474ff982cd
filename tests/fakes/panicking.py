"""Accounts with positions and stops in a world of virtual time, for a panic to close."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from functools import partial

from core.adapters.fyers import FYERS
from core.adapters.zerodha import ZERODHA
from core.bootstrap import System
from core.domain.command import Command
from core.domain.instrument import Product
from core.domain.mode import TradingMode
from core.domain.notices.panic import PanicCard, PanicOver
from core.domain.order import OrderRequest, OrderType
from core.domain.panic import Line, Panic
from core.domain.sessions import IST
from core.domain.target import Direction
from core.engine.safeguards.panics import newest_panic
from tests.campaign.scripted import Wish, WishingStrategy
from tests.campaign.virtual import VirtualLoop
from tests.campaign.world import SBIN, World
from tests.fakes.memory_store import MemoryStore

__all__ = ["START", "Trading"]

START = datetime(2026, 11, 23, 10, 0, 30, tzinfo=IST)


async def _enable(name: str, system: System, command: Command) -> None:
    await system.control.strategy_settings.set_enabled(command, name, enabled=True)


class Trading:
    """A world in which a strategy holds ten units of SBIN with a stop on each account."""

    def __init__(
        self,
        loop: VirtualLoop,
        strategies: dict[str, Direction] | None = None,
        product: Product = Product.MIS,
    ) -> None:
        self.loop = loop
        wanted = strategies or {"alpha": Direction.LONG}
        since = START.replace(second=0) + timedelta(minutes=1)
        self.strategies = {name: WishingStrategy(name, SBIN, product=product) for name in wanted}
        for name, direction in wanted.items():
            self.strategies[name].wishes = [Wish(since, direction, Decimal(1))]
        self.world = World(7, loop, START, self.strategies, unrest=0.0002)

    async def opened(self, accounts: int = 1, *, units: int = 10) -> Trading:
        """Connect accounts, by turns at both brokers, and let the strategies enter."""
        world = self.world
        await world.open()
        for number in range(accounts):
            broker = (ZERODHA, FYERS)[number % 2]
            sizes = dict.fromkeys(self.strategies, units)
            await world.connect(broker, f"A{number}", sizes)
        for name in self.strategies:
            await world.ask("enable", partial(_enable, name))
        await asyncio.sleep(75)
        return self

    @property
    def accounts(self) -> Sequence[str]:
        """The accounts."""
        return self.world.accounts

    async def panic(
        self, broker_ids: Sequence[str] | None = None, *, with_holdings: bool = False
    ) -> str:
        """Confirm a panic on these accounts, or all; return what the user is told."""
        chosen = list(broker_ids or self.accounts)
        return await self.world.ask(
            "panic",
            lambda system, command: system.control.panic.start(
                command, chosen, with_holdings=with_holdings
            ),
        )

    async def stop(self) -> str:
        """End the newest panic."""
        panic = await self.newest()
        return await self.world.ask(
            "stop", lambda system, command: system.control.panic.stop(command, panic.panic_id)
        )

    async def newest(self) -> Panic:
        """Return the newest panic."""
        panic = await newest_panic(MemoryStore(self.world.database))
        assert panic is not None
        return panic

    async def line(self, broker_id: str) -> Line:
        """Return how an account stands in the newest panic."""
        panic = await self.newest()
        return next(one for one in panic.lines if one.broker_id == broker_id)

    def net(self, broker_id: str) -> int:
        """Return all units of an account at its broker together."""
        venue = self.world.venue(broker_id)
        return sum(venue.net(key) for key in venue.touched())

    def working(self, broker_id: str) -> list[OrderType]:
        """Return the kinds of orders that work at an account's broker."""
        orders = self.world.venue(broker_id).orders.values()
        return [order.order_type for order in orders if order.is_live]

    def is_flat(self, broker_id: str) -> bool:
        """Whether nothing is held and nothing works at an account's broker."""
        venue = self.world.venue(broker_id)
        held = any(venue.net(key) for key in venue.touched())
        return not held and not self.working(broker_id)

    def by_hand(self, broker_id: str, order: OrderRequest) -> None:
        """Let a person place an order in the broker's app; a limit order rests."""
        self.world.venue(broker_id).by_hand(order, rests=order.order_type is OrderType.LIMIT)

    def mode(self, broker_id: str) -> str:
        """Return the mode that holds for an account."""
        return str(self.world.database.committed["account_gates"][broker_id]["mode"])

    async def set_normal(self, broker_id: str | None) -> str:
        """Ask for NORMAL; return what the user is told."""
        return await self.world.ask(
            "mode",
            lambda system, command: system.control.modes.set(
                command, TradingMode.NORMAL, broker_id
            ),
        )

    def lowest(self, broker_id: str) -> int:
        """Return the lowest net that a position of an account has ever had."""
        nets: Counter[object] = Counter()
        lowest = 0
        for trade in self.world.venue(broker_id).trades:
            nets[trade.order.key] += trade.signed
            lowest = min(lowest, nets[trade.order.key])
        return lowest

    def notices(self) -> Counter[str]:
        """Return how many notices of each kind were written."""
        return Counter(str(row["kind"]) for row in self.world.rows("outbox"))

    def told(self, kind: type[PanicCard | PanicOver]) -> int:
        """Return how many notices of a kind were written."""
        return sum(row["kind"] == kind.kind for row in self.world.rows("outbox"))
