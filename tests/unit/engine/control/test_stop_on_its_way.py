"""A card does not call a position unprotected in the moment that its stop takes after a fill (R6)."""

from __future__ import annotations

from decimal import Decimal

import pytest

from core.domain.broker import BrokerStatus
from core.domain.mode import TradingMode
from core.domain.notices.protection import Unprotected
from core.domain.order import OrderRequest, OrderType
from core.domain.outcome import Ambiguous, Refusal, Refused, WriteOutcome
from tests.fakes.brokers import SBIN
from tests.fakes.desk import Desk, a_desk
from tests.fakes.held import hold, want

pytestmark = pytest.mark.row("R6", "H5")
STOP = Decimal("800.00")
ON_ITS_WAY = "its stop is on its way to the broker"
BARE = "unprotected: its stop is not at the broker"


async def filled(desk: Desk) -> None:
    """Let an entry of ten have filled this moment, before the worker's next turn."""
    account = await desk.engine.wiring.accounts.get(desk.broker_id)
    ledger = await hold(desk.engine, account, 10, instrument=SBIN, strategy="orb")
    await want(desk.engine, ledger, 10, stop_price=STOP, run_id="orb|run")


def throttled(order: OrderRequest) -> WriteOutcome | None:
    """Take no stop for now."""
    if order.order_type is OrderType.SL_M:
        return Refused(Refusal.THROTTLED, "slow down", retry_after_s=1)
    return None


async def warnings(desk: Desk) -> tuple[str, ...]:
    (position,) = await desk.engine.control.views.positions(desk.broker_id)
    return position.warnings


async def test_stop_is_on_its_way_until_it_rests() -> None:
    """From the fill to the stop, which the next turn places: no word of "unprotected"."""
    desk = await a_desk()
    await desk.turns(2)
    await filled(desk)
    await desk.worker.refresh()
    assert await warnings(desk) == (ON_ITS_WAY,)
    await desk.turns(2)
    assert await warnings(desk) == ()


async def test_stop_that_does_not_come_is_named_with_the_notice() -> None:
    """The broker does not take it: after five seconds views and the notice say the same."""
    desk = await a_desk()
    desk.at.answer = throttled
    await filled(desk)
    await desk.turns(2, apart_s=1)
    assert await warnings(desk) == (ON_ITS_WAY,)
    assert await desk.engine.notices(Unprotected) == []
    await desk.turns(4, apart_s=1.5)
    assert await warnings(desk) == (BARE,)
    assert len(await desk.engine.notices(Unprotected)) == 1
    await desk.turns(4, apart_s=1.5)
    assert await warnings(desk) == (BARE,)


async def test_gap_that_is_not_told_again_is_shown_all_the_same() -> None:
    """The same gap within ten minutes: no second notice, but the card is brought up to date."""
    desk = await a_desk()
    desk.at.answer = throttled
    await filled(desk)
    await desk.turns(6, apart_s=1.5)
    desk.at.answer = lambda _order: None
    await desk.clock.advance(30)
    await desk.turns(8, apart_s=3)
    assert await warnings(desk) == ()
    (stop,) = desk.at.resting()
    desk.at.answer = throttled
    desk.at.put(stop.broker_order_id, status=BrokerStatus.CANCELED, message="by the system")
    await desk.turns(2, apart_s=0.1)
    assert await warnings(desk) == (ON_ITS_WAY,)
    cards = len(await desk.engine.store.find("outbox", {"kind": "run_card"}))
    await desk.turns(8, apart_s=1.5)
    assert await warnings(desk) == (BARE,)
    assert len(await desk.engine.notices(Unprotected)) == 1
    assert len(await desk.engine.store.find("outbox", {"kind": "run_card"})) > cards


async def test_stop_of_unknown_fate_is_not_on_its_way() -> None:
    """An answer that was lost is no promise."""
    desk = await a_desk()
    desk.at.answer = lambda order: (
        Ambiguous("no answer") if order.order_type is OrderType.SL_M else None
    )
    await filled(desk)
    await desk.turns(1)
    assert await warnings(desk) == ("unprotected: nobody knows whether its stop is at the broker",)


async def test_paused_account_is_named_at_once() -> None:
    """Nothing may be sent: no stop is on its way."""
    desk = await a_desk()
    await filled(desk)
    await desk.worker.refresh()
    await desk.engine.control.modes.set(desk.engine.command(), TradingMode.PAUSED, desk.broker_id)
    assert await warnings(desk) == (f"{BARE}: it is paused",)
