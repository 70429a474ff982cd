"""A contract that a strategy carries: its last day is said, and its ledger ends with it (R3, R8)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import date, datetime
from decimal import Decimal

import pytest

from core.adapters.zerodha import ZERODHA
from core.domain.broker import Position
from core.domain.instrument import Instrument, InstrumentId, Product, Segment
from core.domain.ledger import Ledger
from core.domain.notices.accounts import PositionShrunk
from core.domain.notices.positions import ContractEnds
from core.domain.sessions import IST
from tests.fakes.brokers import MASTER, SBIN
from tests.fakes.clock import ManualClock
from tests.fakes.desk import STRATEGY, Desk, a_desk

pytestmark = pytest.mark.row("R3", "R8")
FUTURE = InstrumentId("NFO", "SBIN26NOVFUT")
LAST_DAY = datetime(2026, 11, 23, 8, 50, tzinfo=IST)


class Listed:
    """An ``InstrumentSource`` with the contract, until it has ended."""

    has_contract = True

    async def load(self) -> Sequence[Instrument]:
        share = MASTER[ZERODHA][SBIN]
        contract = replace(
            share, id=FUTURE, segment=Segment.DERIVATIVES, lot_size=750, expiry=LAST_DAY.date()
        )
        later = replace(contract, id=InstrumentId("NFO", "SBIN26DECFUT"), expiry=date(2026, 12, 29))
        return [share, later, contract] if self.has_contract else [share, later]


async def carrying(product: Product = Product.NRML) -> tuple[Desk, Listed]:
    desk = await a_desk(ManualClock(LAST_DAY))
    desk.engine.brokers[ZERODHA].instruments = listed = Listed()
    await desk.engine.wiring.masters.instruments(ZERODHA)
    await desk.engine.hold(
        Ledger(STRATEGY, desk.broker_id, FUTURE, product, 750, Decimal(810), day="2026-11-23")
    )
    place = (FUTURE, product)
    desk.at.position_list[place] = Position(*place, 750, Decimal(810), Decimal(815))
    return desk, listed


async def watch(desk: Desk, times: int) -> None:
    for _ in range(times):
        await desk.engine.wiring.contract_watch.tick()
        await desk.turns(1, apart_s=5)


async def test_last_day_is_said_once_with_the_time_of_its_end() -> None:
    """Of what is carried: an intraday position is squared off anyway."""
    desk, _ = await carrying()
    await watch(desk, 3)
    (notice,) = await desk.engine.notices(ContractEnds)
    assert isinstance(notice, ContractEnds)
    assert (notice.instrument, notice.quantity) == (str(FUTURE), 750)
    assert notice.closes_at == LAST_DAY.replace(hour=15, minute=40)
    desk, _ = await carrying(Product.MIS)
    await watch(desk, 3)
    assert await desk.engine.notices(ContractEnds) == []


@pytest.mark.parametrize("shows", [0, 750])
async def test_ledger_ends_when_no_list_has_the_contract_and_the_broker_shows_none(
    shows: int,
) -> None:
    """One witness alone is not enough: what the broker still shows stays in the records."""
    desk, listed = await carrying()
    await watch(desk, 2)
    listed.has_contract = False
    await desk.clock.advance_to(datetime(2026, 11, 25, 9, 15, tzinfo=IST))
    await desk.engine.wiring.masters.instruments(ZERODHA)
    await desk.engine.log_in(await desk.engine.wiring.accounts.get(desk.broker_id))
    place = (FUTURE, Product.NRML)
    desk.at.position_list[place] = Position(*place, shows, Decimal(810), Decimal(815))
    await watch(desk, 12)
    assert await desk.units() == shows
    assert len(await desk.engine.notices(PositionShrunk)) == (0 if shows else 1)
    assert desk.at.placed == []
