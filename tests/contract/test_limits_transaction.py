"""Limits inside the store's transactions, on every store: what makes entries and changes meet (R1)."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from core.domain.limits import LimitKind
from core.domain.mode import TradingMode
from core.domain.order import Order, OrderState, Purpose
from core.engine.orders.documents import order_row
from core.engine.orders.gate import add_gate, new_gate, pass_gate
from core.engine.orders.limit_use import bounds_of, entering
from core.engine.orders.limits import ALL, count_entry, limits_at, set_limit
from core.engine.orders.risk import Facts, require
from core.errors import Denied
from core.ports.store import ServedStore, StoreView
from tests.fakes.orders import ACCOUNT, DAY, SENT_AT, order_in

OTHER = "fyers_bbbbbbbbbb"
NOW = SENT_AT + timedelta(seconds=1)


@pytest.fixture
async def gated(store: ServedStore) -> ServedStore:
    """A store with the gates of two accounts."""
    for account in (ACCOUNT, OTHER):
        gate = new_gate(account, TradingMode.NORMAL, fence=1, at=NOW, by="test")
        await add_gate(store, {**gate, "enabled": True})
    return store


def entry(broker_id: str, key: str) -> Order:
    row = order_in(OrderState.SUBMITTED, client_order_id=key, quantity=10, broker_id=broker_id)
    return replace(row, run_id=key)


async def limit(view: StoreView, scope: str, kind: LimitKind, value: int) -> None:
    await set_limit(view, scope, kind, value, at=NOW, by="test")


async def submit(view: StoreView, order: Order, *, writes_shared: bool = True) -> None:
    """Commit an entry as the gateway does."""
    gate = await pass_gate(view, order.broker_id, fence=1)
    bounds = await bounds_of(view, entering(order), day=DAY, now=NOW, address=None)
    request = order.request
    facts = Facts(
        Purpose.ENTRY,
        order.strategy,
        request.instrument,
        request.product,
        request.side,
        request.quantity,
        gate,
        loads=bounds.loads,
    )
    require(facts)
    if writes_shared:
        await count_entry(view)
    await view.insert("orders", order_row(order))


async def both(first: ServedStore, second: ServedStore, *, writes_shared: bool) -> None:
    """Submit an entry of each account; the second commits while the first is on its way."""
    is_first_run = True

    async def body(view: StoreView) -> None:
        nonlocal is_first_run
        await limits_at(view, ALL)
        if is_first_run:
            is_first_run = False
            await second.transaction(
                lambda inner: submit(inner, entry(OTHER, "B"), writes_shared=writes_shared),
                nonce="B",
            )
        await submit(view, entry(ACCOUNT, "A"), writes_shared=writes_shared)

    await first.transaction(body, nonce="A")


@pytest.mark.invariant("I6")
@pytest.mark.row("R1")
async def test_two_accounts_meet_at_the_document_of_all(
    gated: ServedStore, other_store: ServedStore
) -> None:
    """One position for all together: the one that commits later is denied."""
    await gated.transaction(
        lambda view: limit(view, ALL, LimitKind.OPEN_POSITIONS, 1), nonce="limit"
    )
    with pytest.raises(Denied, match="OPEN_POSITIONS"):
        await both(gated, other_store, writes_shared=True)
    assert [row["_id"] for row in await gated.find("orders", {})] == ["B"]


async def test_without_writing_it_both_would_pass(
    gated: ServedStore, other_store: ServedStore
) -> None:
    """Write skew: they share no gate, and reading alone protects nothing. This is why it is written."""
    await gated.transaction(
        lambda view: limit(view, ALL, LimitKind.OPEN_POSITIONS, 1), nonce="limit"
    )
    await both(gated, other_store, writes_shared=False)
    assert len(await gated.find("orders", {})) == 2


@pytest.mark.invariant("I6")
@pytest.mark.row("R1")
@pytest.mark.parametrize("scope", [ACCOUNT, ALL])
async def test_a_change_meets_a_submission_that_read_the_old_number(
    gated: ServedStore, other_store: ServedStore, scope: str
) -> None:
    """The limit comes while the entry is on its way: its gate was written, so it is asked anew."""
    is_first_run = True

    async def body(view: StoreView) -> None:
        nonlocal is_first_run
        assert (await limits_at(view, scope)).limits.orders_day == (None if is_first_run else 1)
        if is_first_run:
            is_first_run = False
            await other_store.transaction(
                lambda inner: limit(inner, scope, LimitKind.ORDERS_DAY, 1), nonce="limit"
            )
        await submit(view, entry(ACCOUNT, "A"))

    await gated.insert("orders", order_row(entry(ACCOUNT, "before")))
    with pytest.raises(Denied, match="ORDERS_DAY"):
        await gated.transaction(body, nonce="A")
    assert not is_first_run
