"""A paper account beside a live one: one decision, two fills, and no way across (row F6)."""

from __future__ import annotations

import asyncio
from decimal import Decimal
from typing import Any

import pytest

from core.adapters.paper import PAPER_PROFILE
from core.domain.account import Account, AccountDraft
from core.domain.broker import Quote
from core.domain.instrument import Product
from core.domain.notices.orders import OrderUpdate
from core.domain.order import Order, OrderRequest, OrderState, OrderType, Purpose, Side
from core.domain.outcome import WriteOutcome
from core.domain.target import Direction
from core.engine.runs.market_data import DATA_ACCOUNT
from core.engine.workers.account_worker import AccountWorker
from core.errors import UserError
from tests.fakes.brokers import SBIN
from tests.fakes.run_bench import RunBench

pytestmark = pytest.mark.row("F6")


class Killed(BaseException):
    """The end of a process, in the middle of a call."""


class BothBench(RunBench):
    """A live and a paper account under one strategy."""

    paper: Account
    at_desk: AccountWorker

    async def opened(self, quantity: int = 10) -> BothBench:
        await super().opened(quantity)
        engine, draft = self.engine, AccountDraft(PAPER_PROFILE, "Try", "", "")
        added = await engine.control.registration.add(engine.command(), draft)
        await engine.control.switch.enable(engine.command(), added.broker_id)
        self.paper = await engine.wiring.accounts.get(added.broker_id)
        self.at_desk = engine.wiring.new_worker(self.paper.broker_id)
        await engine.control.strategy_settings.assign(
            engine.command(),
            self.strategy.name,
            self.paper.broker_id,
            size_value=Decimal(quantity),
        )
        self.quote("815.10")
        return self

    def quote(self, price: str) -> None:
        """Let SBIN trade at a price now, at the live account's broker alone."""
        quote = Quote(SBIN, Decimal(price), self.engine.clock.market_now(), volume=1_000_000)
        self.broker.quote_list[SBIN] = quote

    async def both_turn(self) -> None:
        """Let both accounts' workers do what they have to, and the exchange look."""
        for _ in range(4):
            await self.worker.turn()
            await self.at_desk.turn()
            await self.engine.clock.advance(3)
            self.quote(str(self.broker.quote_list[SBIN].last_price))  # type: ignore[union-attr]
            await self.engine.wiring.paper.tick()

    async def of(self, account: Account, purpose: Purpose) -> list[Order]:
        """Return an account's orders of one purpose."""
        return [
            one
            for one in await self.engine.orders()
            if one.broker_id == account.broker_id and one.purpose is purpose
        ]


async def test_decided_is_the_same_and_only_the_fill_differs() -> None:
    """Entry and stop of one run are the same orders on both; the live broker sees its own alone."""
    bench = await BothBench().opened()
    bench.strategy.want(Direction.LONG, stop=Decimal("800.00"))
    await bench.run()
    await bench.both_turn()
    for purpose in (Purpose.ENTRY, Purpose.STOP):
        [live] = await bench.of(bench.account, purpose)
        [paper] = await bench.of(bench.paper, purpose)
        for field in ("side", "quantity", "order_type", "product", "instrument", "trigger_price"):
            assert getattr(live.request, field) == getattr(paper.request, field)
        assert (live.decided_price, live.strategy) == (paper.decided_price, paper.strategy)
    [entry] = await bench.of(bench.paper, Purpose.ENTRY)
    assert entry.state is OrderState.FILLED
    assert entry.average_price == Decimal("815.55")
    mine = {one.client_order_id for one in await bench.engine.orders()}
    paper_tags = {one.client_order_id for one in await bench.engine.orders()} - {
        one.client_order_id for one in bench.broker.placed
    }
    assert mine and paper_tags == {
        one.client_order_id
        for one in await bench.engine.orders()
        if one.broker_id == bench.paper.broker_id
    }


async def test_stop_of_a_paper_account_closes_it() -> None:
    """The resting stop triggers by the data account's price, and the ledger follows it to flat."""
    bench = await BothBench().opened()
    bench.strategy.want(Direction.LONG, stop=Decimal("800.00"))
    await bench.run()
    await bench.both_turn()
    bench.quote("799.00")
    await bench.both_turn()
    [stop] = await bench.of(bench.paper, Purpose.STOP)
    assert stop.state is OrderState.FILLED
    ledgers = [
        one for one in await bench.engine.ledgers() if one.broker_id == bench.paper.broker_id
    ]
    assert [one.quantity for one in ledgers] == [0]


async def test_restart_finds_an_order_whose_answer_was_lost() -> None:
    """Killed between the paper broker's commit and the journal's: the order is found by its tag."""
    bench = await BothBench().opened()
    await bench.engine.become_writer()
    bench.strategy.want(Direction.LONG)
    client = await bench.engine.wiring.connections.client(bench.paper)
    assert client is not None
    place = client.place

    async def dies(order: object) -> object:
        await place(order)  # type: ignore[arg-type]
        raise Killed

    client.place = dies  # type: ignore[assignment, method-assign]
    await bench.run()
    with pytest.raises((Killed, BaseExceptionGroup)):
        await bench.at_desk.turn()
    [order] = await bench.of(bench.paper, Purpose.ENTRY)
    assert order.state is OrderState.SUBMITTED
    client.place = place  # type: ignore[method-assign]
    bench.at_desk = bench.engine.wiring.new_worker(bench.paper.broker_id)
    await bench.both_turn()
    [order] = await bench.of(bench.paper, Purpose.ENTRY)
    assert (order.state, order.filled_quantity) == (OrderState.FILLED, 10)
    assert len(await client.orders()) == 1


@pytest.mark.row("R4", "R7")
@pytest.mark.parametrize("lost", [Purpose.ENTRY, Purpose.STOP, Purpose.EXIT])
async def test_order_that_a_kill_kept_from_the_paper_books_is_known_at_the_next_turn(
    lost: Purpose,
) -> None:
    """Its fate is never asked: a stop stands again and an exit goes out in the turn after a kill."""
    bench = await BothBench().opened()
    client = await bench.engine.wiring.connections.client(bench.paper)
    assert client is not None
    place, is_killed = client.place, asyncio.Event()

    async def dies(order: OrderRequest) -> WriteOutcome:
        row = await bench.engine.wiring.journal.get(order.client_order_id)
        if row.purpose is not lost:
            return await place(order)
        is_killed.set()
        await asyncio.Event().wait()
        raise Killed

    async def live() -> None:
        bench.strategy.want(Direction.LONG, stop=Decimal("800.00"))
        await bench.run()
        await bench.both_turn()
        live_one, bench.account = bench.account, bench.paper
        await bench.close()
        bench.account = live_one
        await bench.both_turn()

    client.place = dies  # type: ignore[method-assign]
    living = asyncio.create_task(live())
    waiting = asyncio.create_task(is_killed.wait())
    await asyncio.wait({living, waiting}, return_when=asyncio.FIRST_COMPLETED)
    living.cancel()
    await asyncio.gather(living, return_exceptions=True)
    assert is_killed.is_set()
    [order] = await bench.of(bench.paper, lost)
    assert order.state is OrderState.SUBMITTED
    client.place = place  # type: ignore[method-assign]
    bench.engine.wiring.gateway.in_flight.clear()  # as of another process
    bench.at_desk = bench.engine.wiring.new_worker(bench.paper.broker_id)
    await bench.both_turn()
    orders = await bench.of(bench.paper, lost)
    states = {str(one.state): one.client_order_id for one in orders}
    again = {Purpose.ENTRY: set(), Purpose.STOP: {"ACCEPTED"}, Purpose.EXIT: {"FILLED"}}[lost]
    assert states.keys() == {"NOT_PLACED"} | again
    assert states["NOT_PLACED"] == order.client_order_id
    told = await bench.engine.notices()
    alarms = {one for one in told if getattr(one, "client_order_id", "") == order.client_order_id}
    assert {type(one) for one in alarms} <= {OrderUpdate}


async def test_paper_order_nobody_waits_for_any_more_is_in_the_next_read() -> None:
    """A placement that is under way when its caller is ended is over before the books are read."""
    bench = await BothBench().opened()
    client = await bench.engine.wiring.connections.client(bench.paper)
    assert client is not None
    transaction, begun, may_go = bench.engine.writer.transaction, asyncio.Event(), asyncio.Event()

    async def slow(body: Any, *, nonce: str) -> Any:
        begun.set()
        await may_go.wait()
        return await transaction(body, nonce=nonce)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(bench.engine.writer, "transaction", slow)
        order = OrderRequest("TAG", SBIN, Side.BUY, 10, OrderType.MARKET, Product.MIS)
        placing = asyncio.create_task(client.place(order))
        await begun.wait()
        placing.cancel()
        with pytest.raises(asyncio.CancelledError):
            await placing
        reading = asyncio.create_task(client.orders())
        may_go.set()
        assert [one.tag for one in await reading] == ["TAG"]


async def test_paper_account_asks_for_no_login() -> None:
    """It is logged in from the start for ever, and stands in no prompt, warning or round."""
    bench = await BothBench().opened()
    wiring = bench.engine.wiring
    await bench.engine.clock.advance(86_400 * 3)
    await wiring.tokens.tick(wiring.connections)
    accounts = {one.broker_id: one for one in await wiring.accounts.all()}
    assert accounts[bench.account.broker_id].needs_login
    assert not accounts[bench.paper.broker_id].needs_login
    assert [one.broker_id for one in await wiring.tokens.needing_login()] == [
        bench.account.broker_id
    ]
    rows = await bench.engine.store.find("broker_accounts", {"broker_type": "paper"})
    assert [(row["api_secret"], row["access_token"]) for row in rows] == [(None, None)]
    with pytest.raises(UserError, match="needs no login"):
        await bench.engine.control.logins.offer(bench.paper.broker_id)


async def test_paper_account_gives_no_prices() -> None:
    """It is never asked for data, and cannot be chosen for it: it would ask itself."""
    bench = await BothBench().opened()
    sources = await bench.engine.wiring.market_data.sources()
    assert [one.broker_id for one in sources] == [bench.account.broker_id]
    with pytest.raises(UserError, match="gives no prices"):
        await bench.engine.control.settings.set(bench.engine.command(), DATA_ACCOUNT, "Try")


async def test_money_of_a_paper_account_is_set_once_a_command() -> None:
    """The amount is what the next orders are held to; a repeated command changes nothing."""
    bench = await BothBench().opened()
    paper, command = bench.engine.control.paper, bench.engine.command()
    await paper.set_funds(command, bench.paper.broker_id, "₹2,00,000")
    client = await bench.engine.wiring.connections.client(bench.paper)
    assert client is not None
    assert (await client.funds()).available == Decimal(200_000)
    with pytest.raises(UserError):
        await paper.set_funds(command, bench.paper.broker_id, "3,00,000")
    for wrong in ("", "lots", "9999", "-1"):
        with pytest.raises(UserError, match="expected rupees from"):
            await paper.set_funds(bench.engine.command(), bench.paper.broker_id, wrong)
    with pytest.raises(UserError, match="no key and no secret"):
        await bench.engine.control.registration.renew_credentials(
            bench.engine.command(), bench.paper.broker_id, "key", "secret"
        )
    with pytest.raises(UserError, match="is no paper account"):
        await paper.set_funds(bench.engine.command(), bench.account.broker_id, "2,00,000")
    assert (await client.funds()).available == Decimal(200_000)


async def test_disconnected_paper_account_leaves_nothing_behind() -> None:
    """Its books go with it; another one begins with its own money."""
    bench = await BothBench().opened()
    bench.strategy.want(Direction.LONG)
    await bench.run()
    await bench.both_turn()
    store, registration = bench.engine.store, bench.engine.control.registration
    assert await store.find("paper_orders", {"broker_id": bench.paper.broker_id})
    await registration.disconnect(bench.engine.command(), bench.paper.broker_id)
    assert await store.find("paper_books", {}) == await store.find("paper_orders", {}) == []
    draft = AccountDraft(PAPER_PROFILE, "Try", "", "", Decimal(300_000))
    added = await registration.add(bench.engine.command(), draft)
    client = await bench.engine.wiring.connections.client(added)
    assert client is not None
    assert (await client.funds()).available == Decimal(300_000)
    await bench.engine.wiring.paper.tick()
