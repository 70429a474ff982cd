"""Prices come from the first source that answers; one that says nothing is left, asked again, and named."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from datetime import datetime, timedelta
from decimal import Decimal

import pytest

from core.adapters.fyers import FYERS
from core.adapters.zerodha import ZERODHA
from core.domain.broker import Candle
from core.domain.instrument import InstrumentId
from core.domain.notices.notice import Notice
from core.domain.notices.prices import SourceSilent
from core.domain.notices.protection import AlarmOver
from core.domain.sessions import IST
from core.engine.runs import market_data, source_times
from core.engine.runs.market_data import NoData
from core.engine.runs.source_times import SourceTimes
from core.engine.runs.source_watch import SourceWatch
from core.errors import BrokerReadError, ReadFault
from tests.fakes.brokers import SBIN
from tests.fakes.memory_engine import MemoryEngine, market_clock

pytestmark = pytest.mark.row("D10")
NOON = datetime(2026, 11, 23, 12, 0, tzinfo=IST)
BAR = Candle(NOON - timedelta(minutes=5), Decimal(1), Decimal(1), Decimal(1), Decimal(1), 1)
HANGS, ANSWERS, NO_PLAN, KNOWS_NONE = "hangs", "answers", "no plan", "knows none"
FAULTS = {NO_PLAN: ReadFault.PERMISSION, KNOWS_NONE: ReadFault.REFUSED}


class Sources:
    """Accounts that are asked for bars, each of which does at each question what a test says.

    Attributes:
        asked: Who was asked, in order.
        may_answer: Holds back the questions that hang, until it is set.
    """

    def __init__(self) -> None:
        self.engine = MemoryEngine(market_clock(NOON))
        self.asked: list[str] = []
        self.may_answer = asyncio.Event()
        self.does: dict[str, list[str]] = {}

    async def opened(self, monkeypatch: pytest.MonkeyPatch, **does: Sequence[str]) -> Sources:
        """Connect an account for each name; the last thing it does it goes on doing."""
        monkeypatch.setattr(market_data, "_NEXT_AFTER_S", 0.01)
        monkeypatch.setattr(market_data, "_LOOK_S", 0.01)
        await self.engine.owned()
        self.restart()
        for (name, script), broker in zip(does.items(), (ZERODHA, FYERS), strict=False):
            account = await self.engine.connect(name.capitalize(), broker)
            self.does[name] = list(script)
            monkeypatch.setattr(self.engine.at_broker(account), "candles", self._bars_of(name))
        return self

    def _bars_of(self, name: str) -> Callable[..., Awaitable[list[Candle]]]:
        async def candles(instrument: InstrumentId, **_: object) -> list[Candle]:
            self.asked.append(name)
            script = self.does[name]
            what = script.pop(0) if len(script) > 1 else script[0]
            if what == HANGS:
                await self.may_answer.wait()
            elif what != ANSWERS:
                raise BrokerReadError(FAULTS[what], f"{instrument}: {what}")
            return [BAR]

        return candles

    async def ask(self) -> Mapping[InstrumentId, Sequence[Candle]]:
        start = NOON - timedelta(hours=1)
        data = self.engine.wiring.market_data
        return await data.candles([SBIN], start=start, end=NOON, minutes=5)

    async def ended(self) -> None:
        """Wait until nobody is asked any more."""
        while self.engine.wiring.market_data._left:
            await asyncio.sleep(0)

    def restart(self) -> None:
        """Let who tells know no more than the store does."""
        engine = self.engine
        self.watch = SourceWatch(
            engine.writer, engine.clock, engine.wiring.outbox, engine.wiring.market_data
        )

    async def told(self) -> list[Notice]:
        """Return what a look leaves in the chat's outbox, all of it."""
        await self.watch.tick()
        return await self.engine.notices(SourceSilent, AlarmOver)


async def test_source_that_knows_none_of_them_is_passed_over(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """An account whose instruments could not be loaded does not hide the next one's prices."""
    sources = await Sources().opened(monkeypatch, first=[KNOWS_NONE], second=[ANSWERS, KNOWS_NONE])
    assert await sources.ask() == {SBIN: [BAR]}
    assert await sources.ask() == {}


@pytest.mark.parametrize(
    ("first", "second", "asked"),
    [
        ([HANGS, ANSWERS], [ANSWERS], ["first", "second"]),
        ([HANGS, ANSWERS], [NO_PLAN], ["first", "second", "first"]),
        # The first one's whole deadline would leave a slot no time for the other's answer.
        ([HANGS], [HANGS, ANSWERS], ["first", "second", "second"]),
    ],
    ids=["another answers", "no other does", "the other only needs longer"],
)
async def test_a_source_that_hangs_is_left_for_another_and_asked_again_at_last(
    monkeypatch: pytest.MonkeyPatch, first: list[str], second: list[str], asked: list[str]
) -> None:
    """A slot does not wait for a whole deadline where others have prices; a slow one is not lost."""
    sources = await Sources().opened(monkeypatch, first=first, second=second)
    assert await sources.ask() == {SBIN: [BAR]}
    assert sources.asked == asked


async def hedged(monkeypatch: pytest.MonkeyPatch, **does: Sequence[str]) -> Sources:
    """Sources that are given up after a minute, and of which another is asked far sooner."""
    sources = await Sources().opened(monkeypatch, **does)
    monkeypatch.setattr(market_data, "_NEXT_AFTER_S", 60.0)
    monkeypatch.setattr(market_data, "_SOURCE_DEADLINE_S", 120.0)
    monkeypatch.setattr(source_times, "_LEAST_S", 0.01)
    monkeypatch.setattr(source_times, "_FIRST_S", 0.0)
    return sources


async def test_another_is_asked_beside_a_source_that_is_silent_for_longer_than_usual(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A slot waits no four seconds; the first is asked on, asked last meanwhile, and nothing is said."""
    sources = await hedged(monkeypatch, first=[HANGS], second=[ANSWERS])
    assert await sources.ask() == {SBIN: [BAR]}
    assert await sources.ask() == {SBIN: [BAR]}
    assert sources.asked == ["first", "second", "second"]
    sources.may_answer.set()
    await sources.ended()
    assert await sources.ask() == {SBIN: [BAR]}
    assert sources.asked == ["first", "second", "second", "first"]
    assert await sources.told() == []


async def test_an_answer_of_the_first_counts_beside_the_question_to_the_second(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """It was merely slow; and it is asked once."""
    sources = await hedged(monkeypatch, first=[HANGS], second=[HANGS])
    sources.does["second"] = [NO_PLAN]
    question = asyncio.create_task(sources.ask())
    while len(sources.asked) < 2:
        await asyncio.sleep(0)
    sources.may_answer.set()
    assert await question == {SBIN: [BAR]}
    assert sources.asked == ["first", "second"]


async def test_nobody_else_is_asked_while_a_question_waits_for_the_rate(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A source that answers others is not silent: two accounts would be asked for each bar."""
    sources = await hedged(monkeypatch, first=[ANSWERS, HANGS], second=[ANSWERS])
    monkeypatch.setattr(source_times, "_LEAST_S", 60.0)  # however slow this machine is
    await sources.ask()
    monkeypatch.setattr(source_times, "_LEAST_S", 0.01)
    question = asyncio.create_task(sources.ask())
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.1):
            await asyncio.shield(question)
    assert sources.asked == ["first", "first"]
    await sources.engine.clock.advance(1)
    assert await question == {SBIN: [BAR]}
    assert sources.asked == ["first", "first", "second"]


async def test_who_asks_no_more_leaves_no_question_behind(monkeypatch: pytest.MonkeyPatch) -> None:
    """A slot that was given up uses no connection and no rate of the next one."""
    sources = await hedged(monkeypatch, first=[HANGS], second=[HANGS])
    question = asyncio.create_task(sources.ask())
    while len(sources.asked) < 2:
        await asyncio.sleep(0)
    question.cancel()
    with suppress(asyncio.CancelledError):
        await question
    await sources.ended()
    assert not sources.may_answer._waiters


async def test_how_long_a_source_is_silent_for_is_learnt_from_its_answers() -> None:
    """Three times what is usual; of questions that wait behind one another each answer ends a silence."""
    engine = await MemoryEngine(market_clock(NOON)).owned()
    account, times, clock = await engine.connect(), SourceTimes(engine.clock), engine.clock
    least = times.next_after_s(account, "quotes")
    for _ in range(40):
        asked_at = clock.monotonic()
        await clock.advance(1)
        times.answered(account, "bars", asked_at, in_time=True)
    assert times.next_after_s(account, "bars") == pytest.approx(3)
    for _ in range(40):
        await clock.advance(0.5)
        times.answered(account, "bars", asked_at, in_time=True)
    assert times.next_after_s(account, "bars") == pytest.approx(1.5, abs=0.1)
    for _ in range(40):
        times.answered(account, "bars", clock.monotonic(), in_time=True)
    assert (
        1 / 3 < times.next_after_s(account, "bars") < least == times.next_after_s(account, "quotes")
    )


async def test_a_lone_source_that_says_nothing_is_asked_a_second_time(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A request that was lost costs a slot some seconds, and not its data."""
    sources = await Sources().opened(monkeypatch, first=[HANGS, ANSWERS])
    assert await sources.ask() == {SBIN: [BAR]}
    assert sources.asked == ["first", "first"]


async def test_a_lone_source_that_is_merely_slow_is_heard(monkeypatch: pytest.MonkeyPatch) -> None:
    """The first question goes on beside the second: its answer counts as well."""
    sources = await Sources().opened(monkeypatch, first=[HANGS])
    question = asyncio.create_task(sources.ask())
    while len(sources.asked) < 2:
        await asyncio.sleep(0)
    sources.may_answer.set()
    assert await question == {SBIN: [BAR]}


async def test_a_question_that_waits_for_the_rate_is_asked_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """While a source answers others it is not silent: a second question would use up its rate."""
    sources = await Sources().opened(monkeypatch, first=[ANSWERS, HANGS])
    await sources.ask()
    question = asyncio.create_task(sources.ask())
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.1):
            await asyncio.shield(question)
    assert sources.asked == ["first", "first"]
    assert await sources.told() == []
    await sources.engine.clock.advance(3)
    while len(sources.asked) < 3:
        await asyncio.sleep(0)
    sources.may_answer.set()
    assert await question == {SBIN: [BAR]}


@pytest.mark.parametrize("others", [{}, {"second": [ANSWERS]}], ids=["alone", "one of two"])
async def test_a_silent_source_is_told_of_once_until_it_answers_in_time(
    monkeypatch: pytest.MonkeyPatch, others: dict[str, list[str]]
) -> None:
    """Its account is named, and whether another can be asked; it ends with the silence."""
    sources = await Sources().opened(monkeypatch, first=[HANGS], **others)
    monkeypatch.setattr(market_data, "_SOURCE_DEADLINE_S", 0.05)
    silent = SourceSilent("Zerodha - First", has_others=bool(others))
    over = AlarmOver("", SourceSilent.kind, silent.account, "it answers in time again")
    assert await sources.told() == []
    for _ in range(2):
        with suppress(NoData):
            await sources.ask()
        await sources.ended()
        assert await sources.told() == [silent]
        await sources.engine.clock.advance(61)  # it is asked first again
    sources.restart()
    assert await sources.told() == [silent]
    sources.does["first"] = [ANSWERS]
    await sources.ask()
    assert await sources.told() == [silent, over]


async def test_a_source_that_is_silent_by_turns_is_told_of_each_ten_minutes_at_most(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The chat is no log of a broker's bad day."""
    sources = await Sources().opened(monkeypatch, first=[HANGS])
    monkeypatch.setattr(market_data, "_SOURCE_DEADLINE_S", 0.05)
    kinds = []
    for passed, does in ((0, HANGS), (60, ANSWERS), (60, HANGS), (481, HANGS), (1, ANSWERS)):
        await sources.engine.clock.advance(passed)
        sources.does["first"] = [does]
        with suppress(NoData):
            await sources.ask()
        kinds.append([one.kind for one in await sources.told()])
    told, over = SourceSilent.kind, AlarmOver.kind
    once = [told, over]
    assert kinds == [[told], once, once, [*once, told], [*once, *once]]


async def test_a_silent_source_that_is_not_asked_any_more_is_no_trouble(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """It was disconnected, or waits for its login, which has a message of its own."""
    sources = await Sources().opened(monkeypatch, first=[HANGS])
    monkeypatch.setattr(market_data, "_SOURCE_DEADLINE_S", 0.05)
    with pytest.raises(NoData, match="Zerodha - First: no answer in time"):
        await sources.ask()
    silent, *_ = await sources.told()
    (account,) = await sources.engine.wiring.accounts.all()
    await sources.engine.control.registration.disconnect(
        sources.engine.command(), account.broker_id
    )
    over = AlarmOver(
        "", SourceSilent.kind, "Zerodha - First", "it is not asked for prices any more"
    )
    assert await sources.told() == [silent, over]


async def test_a_silence_is_not_told_again_of_a_source_that_was_not_asked_since(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Its login ended over night; in the morning it has kept nobody waiting yet."""
    sources = await Sources().opened(monkeypatch, first=[HANGS])
    monkeypatch.setattr(market_data, "_SOURCE_DEADLINE_S", 0.05)
    with suppress(NoData):
        await sources.ask()
    engine = sources.engine
    assert [one.kind for one in await sources.told()] == [SourceSilent.kind]
    (account,) = await engine.wiring.accounts.all()
    await engine.wiring.tokens.mark_expired(
        account.broker_id, "it is six", generated_at=account.token_generated_at
    )
    told = await sources.told()
    assert [one.kind for one in told] == [SourceSilent.kind, AlarmOver.kind]
    await engine.clock.advance(3600)
    await engine.log_in(account)
    assert await sources.told() == told
