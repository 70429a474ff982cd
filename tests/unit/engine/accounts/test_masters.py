"""Instrument masters over restarts and failures: exits go on with what is known, entries wait."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal

import pytest

from core.adapters.fyers import FYERS
from core.adapters.zerodha import ZERODHA
from core.domain.broker_profile import BrokerProfile
from core.domain.instrument import Instrument, InstrumentId, Segment
from core.domain.notices.protection import AlarmOver
from core.domain.notices.system import InstrumentsOld
from core.domain.sessions import IST
from core.engine.accounts.masters import Masters
from core.errors import BrokerReadError
from tests.fakes.brokers import MASTER, SBIN
from tests.fakes.memory_engine import MemoryEngine, MemoryMasters, market_clock
from tests.fakes.scripted_broker import ScriptedBroker

NOON = datetime(2026, 11, 23, 12, 0, tzinfo=IST)
FUTURE = InstrumentId("NFO", "SBIN26NOVFUT")


class _Rows:
    """An ``InstrumentSource`` of these rows."""

    def __init__(self, *rows: Instrument) -> None:
        self.rows = rows

    async def load(self) -> Sequence[Instrument]:
        return self.rows


def at(moment: datetime, **parts: object) -> MemoryEngine:
    """Return an engine whose market stands at a time."""
    return MemoryEngine(market_clock(moment), **parts)  # type: ignore[arg-type]


@pytest.mark.row("D10")
@pytest.mark.parametrize("profile", [ZERODHA, FYERS], ids=str)
async def test_restart_with_a_failing_master_knows_yesterdays(profile: BrokerProfile) -> None:
    """Yesterday's master is there at once, marked as old, until today's can be had."""
    archive = MemoryMasters()
    first = at(NOON - timedelta(days=3), masters=archive)
    assert not (await first.wiring.masters.instruments(profile))[SBIN].is_stale
    engine = at(NOON, masters=archive)
    engine.brokers[profile].master.trouble = "HTTP 502"
    masters = engine.wiring.masters
    assert (await masters.at_hand(profile))[SBIN].is_stale
    table = await masters.instruments(profile)
    assert table[SBIN].is_stale
    engine.brokers[profile].master.trouble = ""
    await engine.clock.advance(20)
    await masters.tick()
    assert not table[SBIN].is_stale


@pytest.mark.row("D10")
async def test_restart_on_the_same_day_is_not_old() -> None:
    """What was loaded this morning is today's, whatever the broker answers now."""
    archive = MemoryMasters()
    await at(NOON, masters=archive).wiring.masters.instruments(ZERODHA)
    engine = await at(NOON + timedelta(hours=3), masters=archive).owned()
    engine.brokers[ZERODHA].master.trouble = "HTTP 502"
    assert not (await engine.wiring.masters.instruments(ZERODHA))[SBIN].is_stale
    for _ in range(3):
        await engine.clock.advance(20)
        await engine.wiring.masters.tick()
    assert not await engine.notices(InstrumentsOld)


@pytest.mark.row("D10")
async def test_missing_master_is_told_once_a_day() -> None:
    """One failure may be a hiccup; after the second the user is told, and not again that day."""
    engine = await at(NOON).owned()
    engine.brokers[FYERS].master.trouble = "HTTP 502"
    with pytest.raises(BrokerReadError, match="HTTP 502"):
        await engine.wiring.masters.instruments(FYERS)
    assert not await engine.notices(InstrumentsOld)
    for _ in range(3):
        await engine.clock.advance(20)
        await engine.wiring.masters.tick()
    (notice,) = await engine.notices(InstrumentsOld)
    assert isinstance(notice, InstrumentsOld)
    assert (notice.broker, notice.reason) == ("Fyers", "HTTP 502")


@pytest.mark.row("D10")
async def test_master_of_the_day_is_loaded_when_it_is_out() -> None:
    """The file of the night is yesterday's: the day's is loaded after it is issued."""
    engine = at(NOON.replace(hour=7))
    masters = engine.wiring.masters
    table = await masters.instruments(ZERODHA)
    newer = replace(table[SBIN], lot_size=5)
    engine.brokers[ZERODHA].instruments = _Rows(newer)
    await masters.tick()
    assert table[SBIN].lot_size == 1
    await engine.clock.advance(7200)
    await masters.tick()
    assert table[SBIN].lot_size == 5


@pytest.mark.row("D10")
async def test_exchange_that_is_missing_today_keeps_its_last_rows() -> None:
    """A file of derivatives that fails leaves yesterday's contracts, marked old, and the sessions."""
    share = replace(MASTER[FYERS][SBIN], has_derivatives=False)
    future = Instrument(FUTURE, "NSE:X", "2", 750, Decimal("0.05"), Segment.DERIVATIVES)
    broker = ScriptedBroker(FYERS)
    clock = market_clock(NOON)
    masters = Masters({FYERS: broker}, clock)
    broker.instruments = _Rows(share, future)
    table = await masters.instruments(FYERS)
    await clock.advance(86400)
    broker.instruments = _Rows(replace(share, has_derivatives=True, lot_size=2))
    await masters.instruments(FYERS)
    assert table[FUTURE].is_stale
    assert (table[SBIN].lot_size, table[SBIN].is_stale) == (2, False)
    assert not table[SBIN].has_derivatives


@pytest.mark.row("D10")
async def test_kite_account_exits_without_any_master() -> None:
    """Kite takes our names as they are: a position is closed although no master was ever loaded."""
    engine = await at(NOON).owned()
    engine.brokers[ZERODHA].master.trouble = "HTTP 502"
    account = await engine.connect()
    assert await engine.wiring.connections.client(account) is not None


@pytest.mark.row("D10")
async def test_fyers_account_needs_some_master() -> None:
    """Fyers' rows cannot be named without one, and a wrong name would hide a position."""
    engine = await at(NOON).owned()
    engine.brokers[FYERS].master.trouble = "HTTP 502"
    account = await engine.connect(broker=FYERS)
    with pytest.raises(BrokerReadError):
        await engine.wiring.connections.client(account)


@pytest.mark.row("R6")
@pytest.mark.parametrize("is_restarted", [False, True], ids=["", "over a restart"])
async def test_missing_master_is_over_when_it_is_loaded(*, is_restarted: bool) -> None:
    """Whoever restarts because of it is told too that the list is there, and once."""
    engine = await at(NOON).owned()
    engine.brokers[FYERS].master.trouble = "HTTP 502"
    with pytest.raises(BrokerReadError, match="HTTP 502"):
        await engine.wiring.masters.instruments(FYERS)
    for _ in range(3):
        await engine.clock.advance(20)
        await engine.wiring.masters.tick()
    assert len(await engine.notices(InstrumentsOld)) == 1
    if is_restarted:
        engine = MemoryEngine(engine.clock, store=engine.store)
    engine.brokers[FYERS].master.trouble = ""
    for _ in range(3):
        await engine.clock.advance(20)
        await engine.wiring.masters.instruments(FYERS)
    (over,) = await engine.notices(AlarmOver)
    assert isinstance(over, AlarmOver)
    assert (over.alarm, over.subject) == (InstrumentsOld.kind, "Fyers")
