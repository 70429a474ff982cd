"""The cards of a disconnected account's orders end too: nobody follows them any more (row H5)."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from bot.views.words import order_state
from core.domain.notices.orders import ExternalOrder
from core.domain.notices.runs import RunCard
from core.domain.order import EXTERNAL, MANUAL, Order, OrderState
from tests.fakes.clock import ManualClock
from tests.fakes.memory_engine import MemoryEngine
from tests.fakes.orders import order_in

S = OrderState


@pytest.mark.row("H5")
async def test_disconnecting_ends_the_cards_of_what_still_worked():
    """Once each, with the account's name; an order that had ended keeps its end."""
    engine = await MemoryEngine(ManualClock()).owned()
    account = await engine.connect()
    working = order_in(S.ACCEPTED, broker_id=account.broker_id, broker_order_id="b1")
    orders = [
        working,
        _named(working, "second"),
        _named(working, "mine", strategy=MANUAL, run_id="manual|1"),
        _named(working, "theirs", strategy=EXTERNAL),
        _named(working, "done", strategy=MANUAL, state=S.FILLED, filled_quantity=1),
    ]
    await engine.wiring.journal.add(engine.store, orders)
    await engine.control.registration.disconnect(engine.command(), account.broker_id)
    theirs = ExternalOrder(account.broker_id, "theirs")
    cards = await engine.notices(RunCard, ExternalOrder)
    expected = [RunCard("orb|run"), RunCard("manual|1"), theirs]
    assert sorted(cards, key=str) == sorted(expected, key=str)
    view = await engine.control.views.order("mine")
    assert view.account_label == account.label and not view.is_cancellable
    assert order_state(view) == "not followed any more: the account was disconnected"
    assert order_state(await engine.control.views.order("done")).startswith("bought 1")


def _named(order: Order, key: str, **changes: Any) -> Order:
    request = replace(order.request, client_order_id=key)
    return replace(order, request=request, broker_order_id=key, **changes)
