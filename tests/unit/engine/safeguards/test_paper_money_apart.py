"""Paper money is never added to money: not in limits, not in guards, not in totals (row F6)."""

from __future__ import annotations

from decimal import Decimal

import pytest

from bot.views.dashboard import pnl_screen
from core.adapters.paper import PAPER_PROFILE
from core.domain.account import Account, AccountDraft
from core.domain.account_day import AccountDay
from core.domain.day_result import DayResult
from core.domain.identifiers import is_paper
from core.domain.instrument import Product
from core.domain.ledger import Ledger
from core.domain.limit_use import Entering
from core.domain.limits import LimitKind
from core.domain.order import Side
from core.domain.result_guard import GuardScope, ScopeKind
from core.domain.views import PnlView
from core.engine.orders.gate import gate_at
from core.engine.orders.limit_use import books_of, bounds_of
from core.engine.orders.limits import ALL
from core.engine.orders.shut import shut_day, why_shut
from tests.fakes.brokers import SBIN
from tests.fakes.memory_engine import MemoryEngine, market_clock
from tests.fakes.run_bench import TEN

pytestmark = pytest.mark.row("F6")
DAY = "2026-11-23"


async def both() -> tuple[MemoryEngine, Account, Account]:
    """A live and a paper account."""
    engine = await MemoryEngine(market_clock(TEN)).owned()
    live = await engine.connect("Live")
    draft = AccountDraft(PAPER_PROFILE, "Try", "", "")
    paper = await engine.control.registration.add(engine.command(), draft)
    return engine, live, paper


def day(account: Account, rupees: int) -> AccountDay:
    return AccountDay(account.broker_id, DayResult(realised=Decimal(rupees)))


async def test_daily_loss_of_all_counts_money_alone() -> None:
    """A loss on paper stops no live account, and a live loss leaves the paper account alone."""
    engine, live, paper = await both()
    loss = engine.wiring.loss_limit
    await engine.control.limits.set(engine.command(), ALL, LimitKind.DAILY_LOSS, "1000")
    await loss.judge({live.broker_id: day(live, -10), paper.broker_id: day(paper, -5000)})
    assert loss.result(None) == -10
    assert await loss.accounts() == {live.broker_id}
    await loss.judge({live.broker_id: day(live, -1500), paper.broker_id: day(paper, 90_000)})
    modes = [await gate_at(engine.store, one.broker_id) for one in (live, paper)]
    assert [gate.account_mode.value for gate in modes if gate] == ["EXIT_ONLY", "NORMAL"]


async def test_daily_loss_of_a_paper_account_is_its_own() -> None:
    """Its own limit stops it, as any account's does."""
    engine, live, paper = await both()
    scope, loss = paper.broker_id, engine.wiring.loss_limit
    await engine.control.limits.set(engine.command(), scope, LimitKind.DAILY_LOSS, "1000")
    await loss.judge({live.broker_id: day(live, -10), paper.broker_id: day(paper, -5000)})
    modes = [await gate_at(engine.store, one.broker_id) for one in (live, paper)]
    assert [gate.account_mode.value for gate in modes if gate] == ["NORMAL", "EXIT_ONLY"]


async def test_limits_of_all_neither_count_nor_bound_paper() -> None:
    """What is held on paper takes no place among the live positions, and asks nobody for one."""
    engine, live, paper = await both()
    await engine.control.limits.set(engine.command(), ALL, LimitKind.OPEN_POSITIONS, "1")
    for account in (live, paper):
        await engine.hold(Ledger("one", account.broker_id, SBIN, Product.MIS, 10))
    books = await books_of(engine.store, None, DAY, engine.clock.now())
    assert {one.broker_id for one in books.ledgers} == {live.broker_id}
    assert {place[0] for place in books.sums.filled} == {live.broker_id}
    for account, scopes in ((live, [True]), (paper, [])):
        entry = Entering(account.broker_id, "two", SBIN, Product.MIS, Side.BUY, "run")
        bounds = await bounds_of(engine.store, entry, day=DAY, now=engine.clock.now(), address=None)
        assert [load.is_all for load in bounds.loads] == scopes


async def test_guard_of_all_covers_no_paper_account() -> None:
    """It neither counts a paper account's result nor shuts its day."""
    engine, live, paper = await both()
    everybody = GuardScope(ScopeKind.ALL)
    assert everybody.includes(live.broker_id) and not everybody.includes(paper.broker_id)
    await shut_day(
        engine.store,
        everybody,
        day=DAY,
        reason="its stop was reached",
        at=engine.clock.now(),
        broker_ids=[live.broker_id],
    )
    assert await why_shut(engine.store, live.broker_id, "one", DAY)
    assert not await why_shut(engine.store, paper.broker_id, "one", DAY)


def test_profit_has_a_total_for_each_kind_of_money() -> None:
    """Two live and two paper accounts have two totals; one of each has none."""

    def line(broker_id: str, label: str, rupees: int) -> PnlView:
        return PnlView(broker_id, label, Decimal(rupees), Decimal(0), Decimal(0))

    live = [line("zerodha_aaaaaaaaaa", "Zerodha - A", 100), line("fyers_aaaaaaaaaa", "F - B", 200)]
    paper = [line(f"paper_{n}aaaaaaaaa", f"📝 Paper - {n}", 7000) for n in "12"]
    assert [is_paper(one.broker_id) for one in (*live, *paper)] == [False, False, True, True]
    text = pnl_screen([*live, *paper], [], "all", None).text
    assert "Together <b>+₹300.00</b>" in text
    assert "📝 Paper together <b>+₹14,000.00</b>" in text
    assert "ogether" not in pnl_screen([live[0], paper[0]], [], "all", None).text
