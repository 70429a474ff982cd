"""A panic over a store in memory and brokers in memory, in virtual time (row R2)."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import timedelta
from decimal import Decimal

import pytest

from core.adapters.fyers import FYERS
from core.domain.instrument import Product
from core.domain.mode import TradingMode
from core.domain.notices.panic import PanicCard, PanicOver
from core.domain.order import OrderRequest, OrderType, Side
from core.domain.panic import Hindrance, PanicEnd
from core.domain.target import Direction
from tests.campaign.virtual import VirtualLoop, run_virtually
from tests.campaign.world import SBIN
from tests.fakes.panicking import Trading

pytestmark = pytest.mark.row("R2")


def play(
    story: Callable[[Trading], Awaitable[None]], accounts: int = 1, **strategies: Direction
) -> None:
    """Live a story in virtual time, in which strategies hold units on some accounts."""
    run_virtually(lambda loop: _live(Trading(loop, strategies), story, accounts), 7)


async def _live(
    trading: Trading, story: Callable[[Trading], Awaitable[None]], accounts: int
) -> None:
    await trading.opened(accounts)
    await story(trading)


def own(side: Side, units: int, kind: OrderType, price: str | None = None) -> OrderRequest:
    """Return an order that a person places in the broker's app."""
    limit = Decimal(price) if price and kind is OrderType.LIMIT else None
    trigger = Decimal(price) if price and kind is OrderType.SL_M else None
    return OrderRequest("", SBIN, side, units, kind, Product.MIS, limit, trigger)


def test_everything_is_flat_and_the_panic_is_over() -> None:
    """Positions are closed, their stops gone, the accounts EXIT_ONLY, and it ends by itself."""

    async def story(trading: Trading) -> None:
        assert [trading.net(one) for one in trading.accounts] == [10, 10, 10]
        await trading.panic()
        await asyncio.sleep(15)
        for one in trading.accounts:
            assert trading.is_flat(one)
            assert trading.mode(one) == "EXIT_ONLY"
        panic = await trading.newest()
        assert panic.end is PanicEnd.FLAT
        assert panic.counts.flat == 3
        assert 2 <= trading.told(PanicCard) <= 6
        assert trading.told(PanicOver) == 1

    play(story, 3)


def test_an_exit_of_a_panic_has_no_card_of_its_own() -> None:
    """Twenty accounts would bury the live message under cards of runs and results."""

    async def story(trading: Trading) -> None:
        trading.world.venue(trading.accounts[0]).by_hand(own(Side.BUY, 5, OrderType.MARKET))
        await asyncio.sleep(15)
        before = trading.notices()
        await trading.panic()
        await asyncio.sleep(20)
        new = trading.notices() - before
        assert not {"order_update", "position_closed"} & set(new)
        assert set(new) <= {"run_card", "panic_card", "panic_over", "external_order"}

    play(story)


@pytest.mark.invariant("I7")
def test_a_hung_account_delays_no_other() -> None:
    """It is named while it hangs, the others are flat, and it goes on when it answers again."""

    async def story(trading: Trading) -> None:
        hung, *others = trading.accounts
        troubles = trading.world.client(hung).troubles
        troubles.read("*", "hangs", 100)
        await asyncio.sleep(1)
        await trading.panic()
        await asyncio.sleep(12)
        assert all(trading.is_flat(one) for one in others)
        line = await trading.line(hung)
        assert line.hindrance is Hindrance.SILENT
        assert (await trading.newest()).is_running
        await asyncio.sleep(120)
        assert trading.is_flat(hung)
        assert (await trading.newest()).end is PanicEnd.FLAT

    play(story, 3)


def test_an_expired_account_is_named_and_goes_on_after_its_login() -> None:
    """The line says login, the others are flat; a login is all that it takes."""

    async def story(trading: Trading) -> None:
        expired, other = trading.accounts
        trading.world.client(expired).is_login_dead = True
        await asyncio.sleep(8)
        await trading.panic()
        await asyncio.sleep(15)
        assert trading.is_flat(other)
        assert (await trading.line(expired)).hindrance is Hindrance.LOGIN
        await asyncio.sleep(60)
        assert trading.net(expired) == 10
        await trading.world.log_in(expired)
        await asyncio.sleep(20)
        assert trading.is_flat(expired)
        assert (await trading.newest()).end is PanicEnd.FLAT

    play(story, 2)


def test_a_throttled_account_is_named_and_goes_on() -> None:
    """The broker asks to slow down: it is said so, and asked no faster than it wants."""

    async def story(trading: Trading) -> None:
        slow, other = trading.accounts
        trading.world.client(slow).troubles.read("*", "throttled", 60)
        await asyncio.sleep(6)
        await trading.panic()
        await asyncio.sleep(12)
        assert trading.is_flat(other)
        assert (await trading.line(slow)).hindrance is Hindrance.THROTTLED
        await asyncio.sleep(80)
        assert trading.is_flat(slow)

    play(story, 2)


def test_an_exit_at_the_circuit_limit_is_named_and_keeps_its_place() -> None:
    """Nobody trades at the lower limit: the exit rests there and is not cancelled."""

    async def story(trading: Trading) -> None:
        stuck, other = trading.accounts
        limit = Decimal(2000)  # nothing can trade below: every price stands at the lower limit
        trading.world.market.limits[SBIN] = (limit, limit * 2)
        trading.world.client(stuck).troubles.write("place", "rests")
        await trading.panic()
        await asyncio.sleep(40)
        assert trading.is_flat(other)
        line = await trading.line(stuck)
        assert line.hindrance is Hindrance.CIRCUIT
        assert trading.working(stuck) == [OrderType.MARKET]
        venue = trading.world.venue(stuck)
        sent = [one for one in venue.orders.values() if one.order_type is OrderType.MARKET]
        assert len(sent) == 2  # the entry and one exit
        venue.fill_rest(sent[-1])
        await asyncio.sleep(20)
        assert (await trading.newest()).end is PanicEnd.FLAT

    play(story, 2)


def test_orders_of_a_person_are_cancelled_and_their_position_closed() -> None:
    """A target, a stop and five units by hand: all of it goes, and nothing turns over."""

    async def story(trading: Trading) -> None:
        (one,) = trading.accounts
        trading.by_hand(one, own(Side.BUY, 5, OrderType.MARKET))
        trading.by_hand(one, own(Side.SELL, 15, OrderType.LIMIT, "900"))
        trading.by_hand(one, own(Side.SELL, 5, OrderType.SL_M, "700"))
        trading.by_hand(one, own(Side.BUY, 7, OrderType.LIMIT, "700"))
        await asyncio.sleep(15)
        await trading.panic()
        await asyncio.sleep(25)
        assert trading.is_flat(one)
        assert trading.lowest(one) == 0
        assert (await trading.newest()).end is PanicEnd.FLAT

    play(story)


def test_opposite_strategies_are_both_flat() -> None:
    """They hold nothing together at the broker; both ledgers and both stops go all the same."""

    async def story(trading: Trading) -> None:
        (one,) = trading.accounts
        assert sorted(row["quantity"] for row in trading.world.rows("ledgers")) == [-10, 10]
        await trading.panic()
        await asyncio.sleep(25)
        assert trading.is_flat(one)
        assert [row["quantity"] for row in trading.world.rows("ledgers")] == [0, 0]
        assert (await trading.newest()).end is PanicEnd.FLAT

    play(story, alpha=Direction.LONG, beta=Direction.SHORT)


def test_a_second_confirmation_is_harmless() -> None:
    """While it runs and after it: nothing is sold twice, and one that is over is not revived."""

    async def story(trading: Trading) -> None:
        (one,) = trading.accounts
        await trading.panic()
        await trading.panic()
        await asyncio.sleep(15)
        first = await trading.newest()
        assert trading.is_flat(one) and trading.lowest(one) == 0
        await trading.panic()
        await asyncio.sleep(10)
        second = await trading.newest()
        assert second.panic_id != first.panic_id and second.end is PanicEnd.FLAT
        assert trading.is_flat(one) and trading.lowest(one) == 0

    play(story)


def test_two_users_at_once_make_one_panic() -> None:
    """Each chooses another account at the same moment: one panic has both."""

    async def story(trading: Trading) -> None:
        first, second = trading.accounts
        await asyncio.gather(trading.panic([first]), trading.panic([second]))
        assert len(trading.world.rows("panics")) == 1
        assert set((await trading.newest()).broker_ids) == {first, second}
        await asyncio.sleep(15)
        assert trading.is_flat(first) and trading.is_flat(second)

    play(story, 2)


def test_only_the_chosen_accounts_are_closed() -> None:
    """The other one keeps its position, its stop and its mode."""

    async def story(trading: Trading) -> None:
        chosen, other = trading.accounts
        await trading.panic([chosen])
        await asyncio.sleep(15)
        assert trading.is_flat(chosen)
        assert trading.net(other) == 10 and trading.working(other) == [OrderType.SL_M]
        assert (trading.mode(chosen), trading.mode(other)) == ("EXIT_ONLY", "NORMAL")

    play(story, 2)


def test_an_account_that_is_added_later_enters_nothing_either() -> None:
    """Every account was chosen, so the mode for all is set too."""

    async def story(trading: Trading) -> None:
        await trading.panic()
        added = await trading.world.connect(FYERS, "Later", {"alpha": 10})
        assert trading.mode(added) == "EXIT_ONLY"

    play(story)


def test_a_paused_account_is_closed_and_stays_paused() -> None:
    """The one confirmation covers the pause, and no mode becomes less strict."""

    async def story(trading: Trading) -> None:
        (one,) = trading.accounts
        await trading.world.set_mode(TradingMode.PAUSED, one)
        await trading.panic()
        await asyncio.sleep(15)
        assert trading.is_flat(one)
        assert trading.mode(one) == "PAUSED"
        assert (await trading.newest()).end is PanicEnd.FLAT

    play(story)


def test_normal_is_refused_while_a_panic_runs() -> None:
    """Strategies would enter what it closes; after it a person may set NORMAL again."""

    async def story(trading: Trading) -> None:
        (one,) = trading.accounts
        trading.world.client(one).troubles.read("*", "hangs", 20)
        await trading.panic()
        answers = [await trading.set_normal(one), await trading.set_normal(None)]
        assert all("panic" in answer for answer in answers)
        assert trading.mode(one) == "EXIT_ONLY"
        await asyncio.sleep(60)
        assert await trading.set_normal(None) == "done"
        assert await trading.set_normal(one) == "done"
        assert trading.mode(one) == "NORMAL"

    play(story)


def test_delivery_stays_with_its_stop_unless_it_is_asked_for() -> None:
    """CNC is not touched by the first panic, which ends; the second one is asked to close it."""

    async def story(loop: VirtualLoop) -> None:
        trading = await Trading(loop, product=Product.CNC).opened()
        (one,) = trading.accounts
        assert trading.working(one) == [OrderType.SL_M]
        await trading.panic()
        await asyncio.sleep(20)
        assert (await trading.newest()).end is PanicEnd.FLAT
        assert trading.net(one) == 10 and trading.working(one) == [OrderType.SL_M]
        await trading.panic(with_holdings=True)
        await asyncio.sleep(30)
        assert trading.is_flat(one)
        assert (await trading.newest()).end is PanicEnd.FLAT

    run_virtually(story, 7)


def test_holdings_are_added_to_a_panic_that_runs() -> None:
    """An account that was flat without them is looked at anew."""

    async def story(loop: VirtualLoop) -> None:
        trading = await Trading(loop, product=Product.CNC).opened(2)
        flat, hung = trading.accounts
        trading.world.client(hung).troubles.read("*", "hangs", 40)
        await trading.panic()
        await asyncio.sleep(15)
        assert (await trading.line(flat)).is_flat and trading.net(flat) == 10
        await trading.panic(with_holdings=True)
        await asyncio.sleep(20)
        assert trading.is_flat(flat)
        assert (await trading.newest()).is_running
        await asyncio.sleep(60)
        assert trading.is_flat(hung)
        assert (await trading.newest()).end is PanicEnd.FLAT

    run_virtually(story, 7)


@pytest.mark.row("R6")
def test_stop_trying_gives_back_what_is_held_with_its_stop() -> None:
    """An exit that rests is cancelled, the position stays, and the stop that made way is back."""

    async def story(trading: Trading) -> None:
        (one,) = trading.accounts
        trading.world.client(one).troubles.write("place", "rests")
        await trading.panic()
        await asyncio.sleep(6)
        assert trading.working(one) == [OrderType.MARKET]
        await trading.stop()
        await asyncio.sleep(20)
        assert trading.net(one) == 10
        assert trading.working(one) == [OrderType.SL_M]
        panic = await trading.newest()
        assert panic.end is PanicEnd.STOPPED and panic.ended_by in {"1", "2"}
        assert await trading.stop() == "done"
        assert trading.told(PanicOver) == 1

    play(story)


def test_what_is_given_up_is_not_closed_by_a_later_login() -> None:
    """Nothing more is sent once the user has ended it."""

    async def story(trading: Trading) -> None:
        (one,) = trading.accounts
        trading.world.client(one).is_login_dead = True
        await asyncio.sleep(8)
        await trading.panic()
        await asyncio.sleep(10)
        await trading.stop()
        await trading.world.log_in(one)
        await asyncio.sleep(30)
        assert trading.net(one) == 10 and trading.working(one) == [OrderType.SL_M]

    play(story)


@pytest.mark.parametrize("after_s", [0.1, 1.0])
@pytest.mark.matrix("C10")
def test_a_panic_goes_on_after_a_kill(after_s: float) -> None:
    """Killed at some moment after the confirmation: the next life closes what is left."""

    async def story(trading: Trading) -> None:
        await trading.panic()
        await asyncio.sleep(after_s)
        await trading.world.restart(3.0)
        await asyncio.sleep(40)
        assert all(trading.is_flat(one) for one in trading.accounts)
        assert all(trading.lowest(one) == 0 for one in trading.accounts)
        assert (await trading.newest()).end is PanicEnd.FLAT
        assert trading.told(PanicOver) == 1

    play(story, 2)


@pytest.mark.parametrize("step_s", [-600, 600])
def test_a_step_of_the_clock_does_not_keep_a_panic_from_its_end(step_s: int) -> None:
    """Flat is what a read after the last change shows, by order and not by time."""

    async def story(trading: Trading) -> None:
        await trading.panic()
        await asyncio.sleep(0.3)
        trading.world.clock.step(timedelta(seconds=step_s))
        await asyncio.sleep(30)
        assert all(trading.is_flat(one) for one in trading.accounts)
        assert (await trading.newest()).end is PanicEnd.FLAT

    play(story, 2)


def test_an_account_that_is_disconnected_meanwhile_ends_its_part() -> None:
    """It cannot be closed from here any more: it is named as that, and the panic can end."""

    async def story(trading: Trading) -> None:
        gone, other = trading.accounts
        trading.world.client(gone).is_login_dead = True
        await asyncio.sleep(8)
        await trading.panic()
        await asyncio.sleep(10)
        await trading.world.ask(
            "disconnect",
            lambda system, command: system.control.registration.disconnect(command, gone),
        )
        await asyncio.sleep(10)
        panic = await trading.newest()
        assert panic.end is PanicEnd.FLAT and panic.counts.flat == 1
        assert (await trading.line(gone)).hindrance is Hindrance.GONE
        assert trading.is_flat(other)

    play(story, 2)


@pytest.mark.parametrize("after_s", [0.0, 0.2, 0.5])
def test_a_panic_that_is_ended_at_once_leaves_nothing_half_wanted(after_s: float) -> None:
    """At whatever moment: flat because it was quick, or held with the stop back; never neither."""

    async def story(trading: Trading) -> None:
        (one,) = trading.accounts
        await trading.panic()
        await asyncio.sleep(after_s)
        await trading.stop()
        await asyncio.sleep(30)
        if trading.net(one):
            assert (trading.net(one), trading.working(one)) == (10, [OrderType.SL_M])
        else:
            assert trading.is_flat(one)

    play(story)
