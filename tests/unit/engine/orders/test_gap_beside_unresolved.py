"""A contradiction beside an order of unknown fate is none yet: it is judged once that is settled."""

from __future__ import annotations

import pytest

from core.domain.instrument import Product
from core.domain.order import OrderState
from core.domain.truth import Net
from core.engine.orders.journal import OrderEvent
from tests.fakes.orders import ACCOUNT, SBIN, order_in
from tests.fakes.turns import Turns

pytestmark = [pytest.mark.row("R8"), pytest.mark.row("R4")]
KEY = (SBIN, Product.MIS)
TAG = "SZZZZZZZZZZZZZZZZZZZ"


async def looked(turns: Turns) -> Net:
    """Judge what an exit may close by positions that show 5."""
    nets, now = turns.engine.wiring.nets, turns.engine.clock.now()
    return await nets.held(ACCOUNT, KEY, turns.day, by_positions=5, at=now)


async def test_units_that_went_meanwhile_are_not_sold_once_an_order_is_known() -> None:
    """15 of 20 are converted while a stop is a question; the exit right after closes 5 and no more.

    A net that is disputed leaves an exit to its ledger, which would sell 20.
    """
    turns = await Turns().begin()
    await turns.enter(20)
    stop = order_in(OrderState.UNRESOLVED, client_order_id=TAG, quantity=20, day=turns.day)
    await turns.engine.wiring.journal.add(turns.engine.store, [stop])
    turns.shows(5)
    for _ in range(4):
        await looked(turns)
        await turns.read()
    event = OrderEvent(OrderState.NOT_PLACED, reason="the user says it was not placed")
    await turns.engine.wiring.journal.apply(TAG, event)
    assert (await looked(turns)).quantity == 5
    await turns.read()
    assert (await looked(turns)).quantity is None
