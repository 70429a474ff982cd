"""Which account gives prices: the chosen one, then the others; a plan without data is no failed login."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import datetime
from decimal import Decimal

import pytest

from core.adapters.fyers import FYERS
from core.domain.broker import Quote
from core.domain.instrument import InstrumentId
from core.domain.sessions import IST
from core.engine.runs.market_data import DATA_ACCOUNT, NoData
from core.errors import BrokerReadError, ReadFault
from tests.fakes.brokers import SBIN
from tests.fakes.memory_engine import MemoryEngine, market_clock

pytestmark = pytest.mark.row("D10")
NOON = datetime(2026, 11, 23, 12, 0, tzinfo=IST)


class Sources:
    """Two accounts that are asked for quotes; each answers, or fails as a test says."""

    def __init__(self) -> None:
        self.engine = MemoryEngine(market_clock(NOON))
        self.asked: list[str] = []
        self.fails: dict[str, BrokerReadError] = {}

    async def opened(self, monkeypatch: pytest.MonkeyPatch) -> Sources:
        await self.engine.owned()
        for name, account in (
            ("first", await self.engine.connect("First")),
            ("second", await self.engine.connect("Second", FYERS)),
        ):
            at = self.engine.at_broker(account)
            monkeypatch.setattr(at, "quotes", self._answer(name))
        return self

    def _answer(
        self, name: str
    ) -> Callable[[Sequence[InstrumentId]], Awaitable[Mapping[InstrumentId, Quote]]]:
        async def quotes(found: Sequence[InstrumentId]) -> Mapping[InstrumentId, Quote]:
            self.asked.append(name)
            if name in self.fails:
                raise self.fails[name]
            return {one: Quote(one, Decimal(815)) for one in found}

        return quotes

    async def ask(self) -> list[str]:
        """Ask for one price; return who was asked for it."""
        self.asked.clear()
        await self.engine.wiring.market_data.quotes([SBIN])
        return list(self.asked)


@pytest.fixture
async def sources(monkeypatch: pytest.MonkeyPatch) -> Sources:
    return await Sources().opened(monkeypatch)


async def test_the_chosen_account_is_asked_first_and_the_others_after_it(sources: Sources) -> None:
    """One answer is enough; without a choice the list decides."""
    assert await sources.ask() == ["first"]
    settings, command = sources.engine.control.settings, sources.engine.command()
    await settings.set(command, DATA_ACCOUNT, "Second")
    assert await sources.ask() == ["second"]
    sources.fails["second"] = BrokerReadError(ReadFault.UNREACHABLE, "no route")
    assert await sources.ask() == ["second", "first"]


async def test_a_plan_without_data_is_noticed_for_the_day_and_is_no_failed_login(
    sources: Sources,
) -> None:
    """It is not asked again before tomorrow, and nobody is sent to log in."""
    sources.fails["first"] = BrokerReadError(ReadFault.PERMISSION, "no data in this plan")
    assert await sources.ask() == ["first", "second"]
    assert await sources.ask() == ["second"]
    accounts = await sources.engine.wiring.accounts.all()
    assert [one.needs_login for one in accounts] == [False, False]
    market = sources.engine.wiring.market_data
    assert [market.has_plan(one.broker_id) for one in accounts] == [False, True]
    assert {one.broker_id for one in await market.sources()} == {accounts[1].broker_id}


async def test_where_nobody_answers_each_is_named_with_its_words(sources: Sources) -> None:
    """What the chat says is what the brokers said."""
    for name in ("first", "second"):
        sources.fails[name] = BrokerReadError(ReadFault.UNREACHABLE, f"the {name} is away")
    with pytest.raises(NoData, match=r"First: .*the first is away; .*Second: .*the second is away"):
        await sources.ask()


async def test_who_waits_for_a_login_is_not_asked() -> None:
    """It could give nothing; without anybody else the sentence says so."""
    engine = await MemoryEngine(market_clock(NOON)).owned()
    await engine.connect("First", logged_in=False)
    assert await engine.wiring.market_data.sources() == ()
    with pytest.raises(NoData, match="no account is logged in"):
        await engine.wiring.market_data.quotes([SBIN])
