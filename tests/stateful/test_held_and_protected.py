"""Strategy, user, broker, people besides and ends of the process, in any order that Hypothesis likes.

Against the whole engine in virtual time. At each execution an exit or stop closes at most what its
strategy holds; at every second what is held is protected, being closed or named; when all faults end
the books and what is outside them are the broker's net.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterator
from datetime import datetime, timedelta
from decimal import Decimal
from functools import partial

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    rule,
    run_state_machine_as_test,
)

from core.adapters.zerodha import ZERODHA
from core.domain.instrument import Product
from core.domain.mode import TradingMode
from core.domain.order import OrderRequest, OrderType, Side
from core.domain.sessions import IST
from core.domain.target import Direction
from tests.campaign.rest import come_to_rest
from tests.campaign.scripted import Wish, WishingStrategy
from tests.campaign.story import story_of
from tests.campaign.troubles import PLACE_TROUBLES, WRITE_TROUBLES
from tests.campaign.umpire import Umpire
from tests.campaign.virtual import lived, virtual_loop
from tests.campaign.world import SBIN, World

START = datetime(2026, 11, 23, 10, 0, 40, tzinfo=IST)
READS = st.sampled_from(["orders", "trades", "positions", "*"])
WAYS = st.sampled_from(["fails", "hangs", "stale", "doubled"])


class HeldAndProtected(RuleBasedStateMachine):
    """One account, one strategy, and everybody who may act."""

    def __init__(self) -> None:
        super().__init__()
        self._opened = virtual_loop(11)
        self.loop = self._opened.__enter__()
        self.strategy = WishingStrategy("alpha", SBIN)
        self.world = World(11, self.loop, START, {"alpha": self.strategy}, unrest=0.0004)
        self.umpire = Umpire(self.world)

    @initialize(units=st.sampled_from([1, 6, 25]))
    def open(self, units: int) -> None:
        async def part() -> None:
            await self.world.open()
            broker_id = await self.world.connect(ZERODHA, "One", {"alpha": units})
            self.world.venue(broker_id).on_fill = partial(self.umpire.filled, broker_id)
            await self.world.ask(
                "enable",
                lambda system, command: system.control.strategy_settings.set_enabled(
                    command, "alpha", enabled=True
                ),
            )
            watching = self.world.every(1.0, self.umpire.observe)
            self.loop.create_task(watching, name="w:umpire")

        lived(self.loop, part())

    @property
    def who(self) -> str:
        return self.world.accounts[0]

    def lets_pass(self, seconds: float) -> None:
        """Let time pass."""
        lived(self.loop, asyncio.sleep(seconds))
        assert not self.umpire.verdict.faults, self.umpire.verdict.faults

    @rule(direction=st.sampled_from(Direction), percent=st.sampled_from(["0.5", "2"]))
    def strategy_decides(self, direction: Direction, percent: str) -> None:
        """The strategy wants something else from the next minute on; that minute comes."""
        now = self.world.clock.market_now().replace(second=0, microsecond=0)
        wish = Wish(now + timedelta(minutes=1), direction, Decimal(percent))
        self.strategy.wishes.append(wish)
        self.lets_pass(66 - self.world.clock.market_now().second)

    @rule(seconds=st.sampled_from([1, 5, 20]))
    def time_passes(self, seconds: int) -> None:
        self.lets_pass(seconds)

    @rule()
    def user_closes(self) -> None:
        close = self.world.ask(
            "close",
            lambda system, command: system.control.orders.close(
                command, self.who, f"{SBIN}|MIS", despite_pause=True
            ),
        )
        lived(self.loop, close)

    @rule(mode=st.sampled_from(TradingMode))
    def user_sets_mode(self, mode: TradingMode) -> None:
        lived(self.loop, self.world.set_mode(mode, self.who))

    @rule()
    def wish_comes_again(self) -> None:
        """The messenger brings an old wish a second time."""
        lived(self.loop, self.world.redeliver())

    @rule(kind=st.sampled_from(PLACE_TROUBLES))
    def next_placement_meets(self, kind: str) -> None:
        self.world.client(self.who).troubles.write("place", kind)

    @rule(kind=st.sampled_from([*WRITE_TROUBLES, "fills"]))
    def next_cancel_meets(self, kind: str) -> None:
        self.world.client(self.who).troubles.write("cancel", kind)

    @rule(endpoint=READS, kind=WAYS, seconds=st.sampled_from([2, 8]))
    def reads_are_spoilt(self, endpoint: str, kind: str, seconds: int) -> None:
        self.world.client(self.who).troubles.read(endpoint, kind, seconds)

    @rule(share=st.sampled_from(["0.985", "1.015"]))
    def price_jumps(self, share: str) -> None:
        self.world.market.move(SBIN, self.world.clock.market_now(), share)
        self.lets_pass(6)

    @rule(part=st.sampled_from([1, 2]))
    def person_sells_what_is_held(self, part: int) -> None:
        """A user closes all or half of the position in the broker's app."""
        venue = self.world.venue(self.who)
        held = venue.net((SBIN, Product.MIS))
        units = abs(held) // part
        if units:
            side = Side.of(-held)
            venue.by_hand(OrderRequest("", SBIN, side, units, OrderType.MARKET, Product.MIS))

    @rule()
    def process_ends(self) -> None:
        lived(self.loop, self.world.restart(2.0))

    def teardown(self) -> None:
        try:
            verdict = self.umpire.verdict
            if self.world.accounts and not verdict.faults:
                lived(self.loop, self.world.set_mode(TradingMode.NORMAL, self.who))
                lived(self.loop, come_to_rest(self.world, verdict))
                self.umpire.judge()
            told = "\n".join([*story_of(self.world), *verdict.faults])
            assert not verdict.faults, told
        finally:
            self._opened.__exit__(None, None, None)


SETTINGS = settings(
    max_examples=12,
    stateful_step_count=14,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=list(HealthCheck),
)


@pytest.mark.invariant("I1", "I2", "I3", "I4", "I5", "I6", "I8", "I9")
@pytest.mark.matrix("B02", "B05", "B08", "B12", "N01", "N02", "N14", "O03")
@pytest.mark.row("R6", "R8")
def test_held_and_protected(quiet: None) -> None:
    """Whatever happens: orders once, books true, what is held protected, being closed or named."""
    run_state_machine_as_test(HeldAndProtected, settings=SETTINGS)


@pytest.fixture
def quiet() -> Iterator[None]:
    """Keep the logs of a thousand faults to themselves."""
    logging.disable(logging.CRITICAL)
    yield
    logging.disable(logging.NOTSET)
