"""Panics beside brokers and stores that almost work, and what one leaves when it is ended (row R2)."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest

from core.domain.broker import BrokerOrder, BrokerTrade
from core.domain.instrument import Product
from core.domain.order import OrderRequest, OrderType, Side
from core.domain.outcome import Acked, WriteOutcome
from core.domain.panic import Hindrance, PanicEnd
from core.engine.orders.gateway import Gateway
from core.engine.safeguards.panic_account import PanicPursuit
from core.engine.workers.account_worker import AccountWorker
from core.errors import StoreUnavailable
from tests.campaign.client import CampaignClient
from tests.campaign.virtual import run_virtually
from tests.campaign.world import INFY, SBIN
from tests.fakes.panicking import Trading

pytestmark = pytest.mark.row("R2")


def play(story: Callable[[Trading, str], Awaitable[None]]) -> None:
    """Live a story in virtual time, in which a strategy holds ten units on one account."""

    async def live(trading: Trading) -> None:
        await trading.opened()
        await story(trading, trading.accounts[0])

    run_virtually(lambda loop: live(Trading(loop)), 7)


def own(side: Side, units: int, limit: str | None = None) -> OrderRequest:
    """Return a person's own order: at the market in INFY, or a limit order in SBIN."""
    if limit is None:
        return OrderRequest("", INFY, side, units, OrderType.MARKET, Product.MIS)
    return OrderRequest("", SBIN, side, units, OrderType.LIMIT, Product.MIS, Decimal(limit))


def never_cancels(client: CampaignClient, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a broker take the cancels of limit orders, and the exchange never confirm them."""
    asked: set[str] = set()
    cancel, orders = client.cancel, client.orders

    async def taken(broker_order_id: str) -> WriteOutcome:
        if client.venue.orders[broker_order_id].order_type is not OrderType.LIMIT:
            return await cancel(broker_order_id)
        asked.add(broker_order_id)
        return Acked(broker_order_id)

    async def pending() -> Sequence[BrokerOrder]:
        return [
            replace(row, has_pending_request=row.broker_order_id in asked) for row in await orders()
        ]

    monkeypatch.setattr(client, "cancel", taken)
    monkeypatch.setattr(client, "orders", pending)


def test_an_account_whose_reads_are_slow_is_seen_to_be_flat() -> None:
    """Two seconds a request, ten for all of them: it answers, so it is no silent one for ever."""

    async def story(trading: Trading, one: str) -> None:
        trading.world.client(one).troubles.read("*", "slow", 400)
        await trading.panic()
        await asyncio.sleep(60)
        assert trading.is_flat(one)
        assert (await trading.newest()).end is PanicEnd.FLAT

    play(story)


@pytest.mark.matrix("C10")
def test_a_cancel_that_an_earlier_life_asked_for_in_vain_is_named(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """It keeps nothing back over a restart: what it does not cover is closed, and it is named."""

    async def story(trading: Trading, one: str) -> None:
        trading.by_hand(one, own(Side.SELL, 4, "900"))
        await asyncio.sleep(12)
        never_cancels(trading.world.client(one), monkeypatch)
        await trading.panic()
        await asyncio.sleep(2)
        await trading.world.restart(1.0)
        await asyncio.sleep(40)
        assert trading.net(one) == 4
        line = await trading.line(one)
        assert (line.hindrance, line.detail) == (Hindrance.CANCEL, "Sell 4 NSE:SBIN")

    play(story)


def test_a_cancel_that_is_not_written_down_frees_no_account_before_the_others_end(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Its lock keeps a worker from exits that a cancel on its way could collide with."""
    cancel, cancel_all = Gateway.cancel, PanicPursuit._cancel
    workers: list[AccountWorker] = []
    is_locked: list[bool] = []
    asked: list[str] = []

    async def cancelling(self: PanicPursuit, *given: Any) -> None:
        workers.append(given[1])
        await cancel_all(self, *given)

    async def first_fails(self: Gateway, *given: Any) -> WriteOutcome:
        asked.append(given[1].client_order_id)
        if len(asked) == 1:
            raise StoreUnavailable("the store is away")
        await asyncio.sleep(0.5)
        is_locked.append(workers[-1].lock.locked())
        return await cancel(self, *given)

    async def story(trading: Trading, one: str) -> None:
        trading.by_hand(one, own(Side.SELL, 4, "900"))
        trading.by_hand(one, own(Side.SELL, 3, "910"))
        await asyncio.sleep(12)
        monkeypatch.setattr(Gateway, "cancel", first_fails)
        monkeypatch.setattr(PanicPursuit, "_cancel", cancelling)
        await trading.panic()
        await asyncio.sleep(60)
        assert len(set(asked[:2])) == 2, "two at once"
        assert is_locked
        assert all(is_locked)
        assert trading.is_flat(one)

    play(story)


def test_a_store_that_is_away_for_a_while_ends_no_pursuit(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """The panic goes on when it is back; no service has crashed, and no request was cut off."""

    async def story(trading: Trading, one: str) -> None:
        await trading.panic()
        await asyncio.sleep(0.2)
        for _ in range(4):
            trading.world.database.is_away = True
            await asyncio.sleep(5)
            trading.world.database.is_away = False
            await asyncio.sleep(0.1)
        await asyncio.sleep(20)
        assert trading.is_flat(one)
        assert (await trading.newest()).end is PanicEnd.FLAT

    with caplog.at_level(logging.ERROR):
        play(story)
    assert "service panic crashed" not in caplog.text


@pytest.mark.invariant("I6")
def test_stop_trying_cancels_exits_of_what_no_strategy_owns_too() -> None:
    """Left at the broker it would open a position once a person has closed these units."""

    async def story(trading: Trading, one: str) -> None:
        trading.by_hand(one, own(Side.BUY, 5))
        await asyncio.sleep(12)
        for _ in range(2):
            trading.world.client(one).troubles.write("place", "rests")
        await trading.panic()
        await asyncio.sleep(6)
        assert trading.working(one) == [OrderType.MARKET, OrderType.MARKET]
        await trading.stop()
        await asyncio.sleep(20)
        assert trading.working(one) == [OrderType.SL_M]
        assert trading.net(one) == 15
        goals = [row for row in trading.world.rows("goals") if row["strategy"] == "manual"]
        assert goals == []

    play(story)


@pytest.mark.row("R8")
def test_a_position_that_shows_before_its_order_keeps_an_account_from_being_flat(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Bought by hand a moment ago: the orders do not list it yet, so the fills say nothing of it."""

    async def story(trading: Trading, one: str) -> None:
        client, until = trading.world.client(one), trading.loop.time() + 8
        orders, trades = client.orders, client.trades

        async def late_orders() -> Sequence[BrokerOrder]:
            rows = await orders()
            return [r for r in rows if r.instrument != INFY or trading.loop.time() > until]

        async def late_trades() -> Sequence[BrokerTrade]:
            rows = await trades()
            return [r for r in rows if r.instrument != INFY or trading.loop.time() > until]

        monkeypatch.setattr(client, "orders", late_orders)
        monkeypatch.setattr(client, "trades", late_trades)
        await trading.panic()
        trading.by_hand(one, own(Side.BUY, 5))
        await asyncio.sleep(40)
        assert trading.is_flat(one)
        assert (await trading.newest()).end is PanicEnd.FLAT

    play(story)
