"""What a panic that still runs does about accounts that are flat, and about more that is asked (R2)."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from decimal import Decimal

import pytest

from core.domain.instrument import Product
from core.domain.order import OrderRequest, OrderType, Side
from core.domain.panic import PanicEnd
from tests.campaign.virtual import run_virtually
from tests.campaign.world import INFY
from tests.fakes.panicking import Trading

pytestmark = pytest.mark.row("R2")


def play(story: Callable[[Trading], Awaitable[None]]) -> None:
    """Live a story in virtual time, in which a strategy holds ten units on two accounts."""

    async def live(trading: Trading) -> None:
        await trading.opened(2)
        await story(trading)

    run_virtually(lambda loop: live(Trading(loop)), 7)


def bought(trading: Trading, broker_id: str, product: Product, units: int = 5) -> None:
    """Let a person buy INFY in the broker's app."""
    trading.by_hand(broker_id, OrderRequest("", INFY, Side.BUY, units, OrderType.MARKET, product))


def test_holdings_are_closed_only_on_the_account_that_they_were_chosen_for() -> None:
    """A second confirmation with holdings adds them there; the first one's delivery stays."""

    async def story(trading: Trading) -> None:
        hung, other = trading.accounts
        for one in trading.accounts:
            bought(trading, one, Product.CNC)
        await asyncio.sleep(15)
        trading.world.client(hung).troubles.read("*", "hangs", 25)
        await trading.panic()
        await asyncio.sleep(10)
        assert (await trading.line(other)).is_flat and trading.net(other) == 5
        await trading.panic([other], with_holdings=True)
        await asyncio.sleep(60)
        panic = await trading.newest()
        assert (panic.panic_id, panic.end, panic.holdings) == ("000001", PanicEnd.FLAT, (other,))
        assert (trading.net(hung), trading.net(other)) == (5, 0)

    play(story)


def test_the_end_names_what_this_panic_has_cancelled_and_no_more() -> None:
    """Not an order that filled instead, nor what an earlier panic of the day has cancelled."""

    async def story(trading: Trading) -> None:
        one = trading.accounts[0]
        life = trading.world.life
        assert life is not None
        for units in (3, 4):
            order = OrderRequest(
                "", INFY, Side.BUY, units, OrderType.LIMIT, Product.MIS, Decimal(700)
            )
            trading.by_hand(one, order)
        await asyncio.sleep(15)
        trading.world.client(one).troubles.write("cancel", "fills")
        await trading.panic()
        await asyncio.sleep(25)
        first = await life.system.control.panic.view("000001")
        assert [view.quantity for view in first.cancelled] == [4]
        await trading.panic()
        await asyncio.sleep(15)
        second = await life.system.control.panic.view("000002")
        assert second.panic.end is PanicEnd.FLAT and second.cancelled == ()

    play(story)


def test_what_comes_to_a_flat_account_while_the_panic_runs_is_closed_too() -> None:
    """Its line says so until it is flat again, and the end is true for every account."""

    async def story(trading: Trading) -> None:
        hung, other = trading.accounts
        trading.world.client(hung).troubles.read("*", "hangs", 40)
        await trading.panic()
        await asyncio.sleep(10)
        assert (await trading.line(other)).is_flat
        bought(trading, other, Product.MIS)
        await asyncio.sleep(20)
        assert trading.is_flat(other) and (await trading.line(other)).is_flat
        await asyncio.sleep(90)
        assert (await trading.newest()).end is PanicEnd.FLAT
        assert trading.is_flat(hung) and trading.is_flat(other)

    play(story)
