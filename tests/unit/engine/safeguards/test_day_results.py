"""The day's result of an account: broker's truth, fills that are newer, and when it is unknown."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from decimal import Decimal

import pytest

from core.domain.account_day import AccountDay
from core.domain.broker import Position
from core.domain.instrument import Product
from core.domain.order import Side
from core.engine.orders.gaps import Gap
from core.engine.safeguards.day_results import DayWatch
from core.ports.store import Change
from tests.fakes.brokers import SBIN
from tests.fakes.desk import STRATEGY, Desk, a_desk
from tests.fakes.memory_engine import market_clock
from tests.fakes.run_bench import TEN

pytestmark = [pytest.mark.row("R5")]


async def day_of(desk: Desk) -> AccountDay:
    account = await desk.engine.wiring.accounts.get(desk.broker_id)
    return await desk.engine.wiring.day_results.of(account)


def price(desk: Desk, last: str) -> None:
    desk.engine.wiring.prices.put(SBIN, Decimal(last), desk.clock.now())


@pytest.fixture
async def desk() -> Desk:
    """An account whose strategy bought 10 SBIN at 810."""
    desk = await a_desk()
    await desk.holds(10)
    return desk


async def test_result_of_the_account_and_of_its_strategy(desk: Desk) -> None:
    """By the last price, before and after what was charged and what closing will be charged."""
    price(desk, "805")
    day = await day_of(desk)
    assert day.result is not None and day.result.before == -50
    assert day.result.judged < -50 and day.result.all_charges
    assert day.by_strategy[STRATEGY].before == -50
    assert day.prices_at == desk.clock.now()


async def test_result_of_the_account_counts_what_is_outside_saarthi(desk: Desk) -> None:
    """A person's own loss is the account's; it is not the strategy's."""
    desk.at.by_hand(Side.BUY, 10)  # at 815.10
    await desk.turns(2)
    price(desk, "805")
    day = await day_of(desk)
    assert day.result is not None
    assert day.result.before == -50 - 101
    assert day.by_strategy[STRATEGY].before == -50


async def test_fill_that_the_positions_do_not_show_yet_counts(desk: Desk) -> None:
    """A position follows a fill seconds later: the fills are newer."""
    shown = desk.at.position_list[SBIN, Product.MIS]
    desk.at.by_hand(Side.SELL, 4)
    desk.at.position_list[SBIN, Product.MIS] = shown
    await desk.turns(1)
    price(desk, "800")
    day = await day_of(desk)
    assert day.result is not None
    assert day.result.before == Decimal("5.10") * 4 - 10 * 6


async def test_disputed_position_has_no_result(desk: Desk) -> None:
    """Nobody knows what is held, so nobody knows what it brought."""
    gap = Gap(10, 3)
    for _ in range(3):
        desk.engine.wiring.nets.gaps.saw(desk.broker_id, (SBIN, Product.MIS), gap, desk.clock.now())
        await desk.clock.advance(4)
    day = await day_of(desk)
    assert day.result is None and "contradict" in day.why


async def test_account_that_is_not_read_has_no_result(desk: Desk) -> None:
    """Hung for half a minute; and again known once it is read."""
    await desk.clock.advance(31)
    day = await day_of(desk)
    assert day.result is None and "31 s ago" in day.why
    await desk.turns(1)
    assert (await day_of(desk)).result is not None


async def test_account_without_login_that_holds_nothing_is_no_question() -> None:
    """Its result is nothing; one that holds something is unknown."""
    desk = await a_desk()
    desk.at.is_logged_out = True
    await desk.turns(2)
    day = await day_of(desk)
    assert day.result is not None and day.result.before == 0
    other = await a_desk()
    await other.holds(10)
    other.at.is_logged_out = True
    await other.clock.advance(11)
    await other.turns(2)
    day = await day_of(other)
    assert day.result is None and "login" in day.why


async def test_price_of_the_position_serves_until_one_was_asked_for(desk: Desk) -> None:
    """The broker's last price of the row, of the time at which it was read."""
    read_at = desk.worker.snapshot.positions_at
    day = await day_of(desk)
    assert day.result is not None and day.result.before == 50  # 815 in the row
    assert day.prices_at == read_at


async def test_holdings_are_no_part_of_the_day() -> None:
    """Delivery shares that were held before are not counted; a day's delivery purchase is."""
    desk = await a_desk()
    desk.at.position_list[SBIN, Product.CNC] = Position(
        SBIN,
        Product.CNC,
        5,
        Decimal(810),
        Decimal(800),
        day_buy_quantity=5,
        day_buy_value=Decimal(4050),
    )
    await desk.turns(1)
    day = await day_of(desk)
    assert day.result is not None and day.result.before == -50


@dataclass
class Judge:
    """A judge of results that needs some accounts."""

    wants: frozenset[str]
    seen: list[Mapping[str, AccountDay]] = field(default_factory=list)

    async def accounts(self) -> frozenset[str]:
        return self.wants

    async def judge(self, days: Mapping[str, AccountDay]) -> None:
        self.seen.append(days)


def watch_of(desk: Desk, *judges: Judge) -> DayWatch:
    wiring = desk.engine.wiring
    return DayWatch(wiring.accounts, wiring.hours, wiring.day_results, judges)


async def test_days_are_worked_out_once_for_all_judges(desk: Desk) -> None:
    """Each gets the accounts that anybody needs; prices are asked for what is held there."""
    one, idle = Judge(frozenset([desk.broker_id])), Judge(frozenset())
    watch = watch_of(desk, one, idle)
    need = await watch.need()
    assert need is not None and (need.instruments, need.every_s) == (frozenset([SBIN]), 3.0)
    await watch.judge()
    assert one.seen == idle.seen and list(one.seen[0]) == [desk.broker_id]
    assert await watch_of(desk, idle).need() is None


async def test_nothing_is_judged_while_nothing_trades() -> None:
    """Outside the session an exit could not be sent."""
    desk = await a_desk(market_clock(TEN.replace(hour=17)))
    assert await watch_of(desk, Judge(frozenset([desk.broker_id]))).need() is None


async def test_carried_position_without_its_last_close_has_no_result() -> None:
    """Counted from its entry, a loss of last week would be one of today."""
    desk = await a_desk()
    key = (SBIN, Product.NRML)
    desk.at.position_list[key] = Position(*key, 5, Decimal(900), Decimal(815))
    desk.at.quote_list[SBIN] = None
    await desk.turns(1)
    day = await day_of(desk)
    assert day.result is None and "previous close" in day.why


async def test_day_that_cannot_be_worked_out_keeps_no_other_from_it(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is unknown, and says so."""
    judge = Judge(frozenset([desk.broker_id]))
    watch = watch_of(desk, judge)
    await watch.need()

    async def broken(_account: object) -> AccountDay:
        raise KeyError("odd")

    monkeypatch.setattr(desk.engine.wiring.day_results, "of", broken)
    await watch.judge()
    assert judge.seen[0][desk.broker_id].why.endswith("an error that the log describes")


async def test_fill_without_its_price_has_no_result() -> None:
    """Bought for nothing it would be a profit that never was: the strategy's is not known.

    The account's is, where the broker's row says what was paid.
    """
    desk = await a_desk()
    await desk.holds(10)
    key = (SBIN, Product.MIS)
    shown = desk.at.position_list[key]
    desk.at.position_list[key] = replace(shown, day_buy_value=Decimal(8100))
    await desk.clock.advance(11)
    await desk.turns(1)
    await desk.engine.store.update("orders", {}, Change(set={"average_price": Decimal(0)}))
    price(desk, "805")
    day = await day_of(desk)
    assert day.result is not None and day.result.before == -50
    assert "price of a fill" in day.by_strategy[STRATEGY].missing[0]
