"""A paper account over midnight, and one account's failure beside the others (row F6)."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from decimal import Decimal
from typing import TypeVar

import pytest

from core.adapters.paper.desk import Desk
from core.adapters.paper.documents import book_fields, book_of
from core.adapters.paper.state import State
from core.domain.broker import BrokerStatus
from core.domain.instrument import InstrumentId, Product
from core.domain.order import OrderType, Side
from core.domain.sessions import IST
from core.ports.broker import Credentials
from tests.fakes.memory_store import MemoryStore
from tests.fakes.paper import FUTURE, MASTER, OPTION, PAPER_ACCOUNT, SBIN, PaperDesk

pytestmark = pytest.mark.row("F6")
T = TypeVar("T")
AFTER_MIDNIGHT = datetime(2026, 11, 24, 0, 1, tzinfo=IST)
NEXT_DAY = datetime(2026, 11, 25, 10, 0, tzinfo=IST)
OTHER = "paper_bbbbbbbbbb"
MORNING = {SBIN: MASTER[SBIN]}
"""What a broker lists on the morning after: no expired contract."""


def morning_list(desk: PaperDesk) -> None:
    """Let the account learn the master of the next morning."""
    desk.client = desk.broker.connect(Credentials(PAPER_ACCOUNT, "", ""), MORNING)


async def holding(name: InstrumentId, store: MemoryStore | None = None) -> PaperDesk:
    desk = PaperDesk(store or MemoryStore())
    desk.prices.put("80.00", name, volume=10_000_000)
    order = await desk.order(Side.BUY, 750, product=Product.NRML, name=name)
    assert order.status is BrokerStatus.COMPLETE
    return desk


@pytest.mark.parametrize("name", [OPTION, FUTURE])
async def test_expired_contract_stays_closed_without_it_in_the_list(name: InstrumentId) -> None:
    """Flat after midnight, flat when the morning's list arrives, and the money is settled once."""
    desk = await holding(name)
    await desk.clock.advance_to(AFTER_MIDNIGHT)
    await desk.broker.tick()
    assert await desk.held(name, Product.NRML) == 0
    settled = await desk.client.funds()
    morning_list(desk)
    await desk.broker.tick()
    assert await desk.held(name, Product.NRML) == 0
    assert await desk.client.funds() == settled and settled.used == 0


async def test_a_new_day_is_written_though_nothing_is_held_any_more() -> None:
    """What a day closed is closed in the store at the next look, without another order."""
    desk = await holding(OPTION)
    await desk.clock.advance_to(AFTER_MIDNIGHT)
    await desk.broker.tick()
    row = await desk.store.get("paper_books", PAPER_ACCOUNT)
    assert row is not None and (row["day"], row["places"]) == ("2026-11-24", [])


async def test_process_that_slept_over_expiry_settles_by_the_book() -> None:
    """Only the book knows the last day by then: the list that the process loads does not."""
    store = MemoryStore()
    await holding(OPTION, store)
    desk = PaperDesk(store)
    morning_list(desk)
    await desk.clock.advance_to(NEXT_DAY)
    assert await desk.held(OPTION, Product.NRML) == 0
    await desk.broker.tick()
    assert await desk.held(OPTION, Product.NRML) == 0


async def test_a_book_from_before_learns_its_expiries() -> None:
    """A stored position without a last day is read, and has one after the next look."""
    desk = await holding(OPTION)
    row = await desk.store.get("paper_books", PAPER_ACCOUNT)
    assert row is not None
    old = {key: value for key, value in row["places"][0].items() if key != "expiry"}
    book = book_of({**row, "places": [old]})
    [place] = book.places.values()
    assert place.expiry is None
    learnt = State(PAPER_ACCOUNT, book, [])
    learnt.learn_expiries(MASTER.get)
    [kept] = book_of(book_fields(learnt.book)).places.values()
    assert kept.expiry == MASTER[OPTION].expiry


async def test_account_connected_during_a_look_does_not_end_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """An account that is added, or whose money is set, while prices are looked at waits its turn."""
    desk = await holding(OPTION)
    names = Desk.names

    async def meanwhile(self: Desk) -> tuple[set[InstrumentId], bool]:
        desk.broker.connect(Credentials(OTHER, "", ""), MASTER)
        return await names(self)

    monkeypatch.setattr(Desk, "names", meanwhile)
    await desk.broker.tick()
    assert OTHER in desk.broker._desks, "it was connected during the look"
    await desk.broker.set_funds(OTHER, Decimal(50_000), nonce="other")
    other = desk.broker.connect(Credentials(OTHER, "", ""), MASTER)
    assert (await other.funds()).available == 50_000


async def test_one_accounts_failure_ends_no_other_accounts_look(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """The order of the second account fills; what is wrong with the first is logged once."""
    desk = PaperDesk()
    desk.prices.put("800.00", volume=1_000_000)
    await desk.order(Side.BUY, 5, OrderType.LIMIT, limit="790.00")
    desk.client = desk.broker.connect(Credentials(OTHER, "", ""), MASTER)
    order = await desk.order(Side.BUY, 5, OrderType.LIMIT, limit="790.00")
    change = Desk.change

    async def fails(self: Desk, what: Callable[[State], T], *, nonce: str = "") -> T:
        if self.broker_id == PAPER_ACCOUNT:
            raise ZeroDivisionError("its books")
        return await change(self, what, nonce=nonce)

    monkeypatch.setattr(Desk, "change", fails)
    await desk.ticks("789.00", volume=20_000_000)
    await desk.ticks("789.00", volume=30_000_000)
    assert (await desk.listed(order.broker_order_id)).status is BrokerStatus.COMPLETE
    assert caplog.text.count("could not be looked at") == 1
