"""What counts against limits is read out of sums: the answer of a walk over the day, at no such cost."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest

from core.domain.instrument import InstrumentId, Product
from core.domain.ledger import Ledger
from core.domain.limit_use import WAITING, Books, Entering, adds, load_of
from core.domain.limits import LimitKind, Load
from core.domain.order import EXTERNAL, OPEN_STATES, Order, OrderState, OrderType, Purpose, Side
from core.engine.orders import limit_use
from core.engine.orders.documents import order_of, order_row
from core.engine.orders.ledgers import put_ledger
from core.engine.orders.limit_use import bounds_of, entering
from core.engine.orders.limits import ALL, limits_at, set_limit
from core.ports.store import Document, StoreView, Tally
from tests.fakes.held_writer import Held
from tests.fakes.orders import ACCOUNT, DAY, SBIN, SENT_AT, TAG, order_in

pytestmark = pytest.mark.row("R1")
OTHER, PAPER = "fyers_bbbbbbbbbb", "paper_cccccccccc"
INFY = InstrumentId("NSE", "INFY")
NOW = SENT_AT + timedelta(minutes=3, seconds=17)
LEDGERS = (
    Ledger("orb", ACCOUNT, SBIN, Product.MIS, 3, day=DAY),
    Ledger("orb", OTHER, INFY, Product.MIS, -2, day=DAY),
    Ledger("orb", PAPER, INFY, Product.MIS, 9, day=DAY),
)


def some_order(number: int, choices: random.Random) -> Order:
    """An order of any account, state, origin and moment."""
    state = choices.choice(list(OrderState))
    at = SENT_AT + timedelta(seconds=choices.choice([0, 60, 137, 137.5, 138, 190, 400]))
    quantity = choices.randrange(1, 6)
    return order_in(
        state,
        client_order_id=choices.choice([f"SA{number:018}", f"o{number}"]),
        broker_id=choices.choice([ACCOUNT, OTHER, PAPER]),
        instrument=choices.choice([SBIN, INFY]),
        product=choices.choice([Product.MIS, Product.CNC]),
        side=choices.choice(list(Side)),
        quantity=quantity,
        filled_quantity=choices.randrange(quantity + 1),
        strategy=choices.choice(["orb", "ema", EXTERNAL]),
        run_id=choices.choice(["orb|run", "orb|before"]),
        purpose=choices.choice(list(Purpose)),
        day=choices.choice([DAY, DAY, DAY, "2021-05-11"]),
        created_at=at,
        submitted_at=choices.choice([at, None]),
        broker_order_id=choices.choice([f"b{number}", None]),
    )


async def a_day(orders: Sequence[Order]) -> Held:
    held = Held()
    await held.opened()
    for ledger in LEDGERS:
        await put_ledger(held.writer, ledger)
    for scope in (ACCOUNT, OTHER, PAPER, ALL):
        await set_limit(held.writer, scope, LimitKind.ORDERS_DAY, 100, at=NOW, by="test")
    await held.writer.insert("orders", *map(order_row, orders))
    return held


async def walked(
    view: StoreView, entry: Entering, planned: Sequence[Order] | None
) -> tuple[Load, ...]:
    """Work the loads out from every order of the day, one by one."""
    rows = [order_of(row) for row in await view.find("orders", {"day": DAY})]
    every = [*rows, *(planned or ())]
    counted = OPEN_STATES | WAITING if planned is not None else OPEN_STATES
    found = []
    for whose in (entry.broker_id, ALL):
        if whose == ALL and entry.broker_id == PAPER:
            continue
        names = {ACCOUNT, OTHER} if whose == ALL else {whose}
        books = Books(
            [one for one in every if one.broker_id in names],
            [one for one in LEDGERS if one.broker_id in names],
            {},
            lambda _broker_id, key: key[1] is Product.MIS,
        )
        limits = (await limits_at(view, whose)).limits
        is_all = whose == ALL
        found.append(load_of(limits, books, entry, NOW, is_all=is_all, counted=counted))
    return tuple(found)


@pytest.mark.parametrize("seed", range(20))
async def test_sums_say_what_every_order_of_the_day_says(seed: int) -> None:
    """For each account and for all together, in the gate and when a run is planned."""
    choices = random.Random(seed)
    orders = [some_order(number, choices) for number in range(60)]
    held = await a_day(orders)
    asked = [entering(one) for one in choices.sample(orders, 6)]
    asked += [replace(one, client_order_id="") for one in asked[:3]]
    planned = [replace(one, day=DAY) for one in (some_order(99, choices), some_order(98, choices))]
    for ahead in (None, [], planned):
        for entry in asked:
            found = await bounds_of(
                held.writer, entry, day=DAY, now=NOW, address=None, planned=ahead
            )
            assert found.loads == await walked(held.writer, entry, ahead)


@dataclass
class Looking:
    """A view that counts the documents which it hands out."""

    view: StoreView
    rows: int = 0

    async def get(self, collection: str, key: str) -> Document | None:
        self.rows += 1
        return await self.view.get(collection, key)

    async def find(
        self, collection: str, where: Mapping[str, Any], **options: Any
    ) -> list[Document]:
        found = await self.view.find(collection, where, **options)
        self.rows += len(found)
        return found

    async def total(self, *asked: Any) -> dict[Any, int]:
        return await self.view.total(*asked)


async def looked_at(orders: int, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Return how many documents two gates look at one after another, on a day of so many orders."""
    counted = 0

    def of(row: Document) -> Any:
        nonlocal counted
        counted += 1
        return adds(order_of(row))

    monkeypatch.setattr(limit_use, "_USE", Tally(of))
    held = await a_day([done(number) for number in range(orders)])
    found = []
    for number in range(4):
        before, looking = counted, Looking(held.writer)
        ours = replace(done(orders + number), state=OrderState.INITIALIZED, submitted_at=None)
        await held.writer.insert("orders", order_row(ours))
        await bounds_of(looking, entering(ours), day=DAY, now=NOW, address=None)  # type: ignore[arg-type]
        found.append(counted - before + looking.rows)
    return found[2:]  # each account was added up once by then


def done(number: int) -> Order:
    """A filled order of one of two accounts."""
    return order_in(
        OrderState.FILLED,
        client_order_id=f"SA{number:018}",
        broker_order_id=f"b{number}",
        broker_id=(ACCOUNT, OTHER)[number % 2],
        filled_quantity=1,
        average_price=Decimal(800),
        order_type=OrderType.MARKET,
    )


async def test_gate_of_a_busy_day_looks_at_no_more_than_that_of_a_quiet_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """With a limit over all accounts, forty thousand orders were walked over for each entry."""
    quiet, busy = [await looked_at(orders, monkeypatch) for orders in (10, 1_000)]
    assert quiet == busy


@pytest.mark.invariant("I6")
async def test_gate_that_relied_on_the_sums_runs_again_when_an_order_went_out() -> None:
    """Between the look and the commit another account's entry is sent: it is counted."""
    held = await a_day([done(0), done(1)])
    entry, seen = entering(replace(done(2), state=OrderState.INITIALIZED)), list[int]()

    async def body(view: StoreView) -> None:
        bounds = await bounds_of(view, entry, day=DAY, now=NOW, address=None)
        seen.append(bounds.loads[1].in_day)
        if len(seen) == 1:
            await held.writer.insert("orders", order_row(done(3)))
        await view.insert("chats", {"_id": TAG})

    await held.writer.transaction(body, nonce="gate")
    assert seen == [2, 3]
