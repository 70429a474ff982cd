"""Market data: one chosen account with ordered fallbacks, once an instrument (product.md D10).

The setting ``data_account`` names the first source; the other connected accounts follow in the
order of the account list. A source whose plan has no data (PERMISSION) is skipped for the day and
is no login problem; one whose login is dead is skipped as well.

Who says nothing for longer than is usual has another asked beside it, and is left after a few
seconds. Where there is no other, it is asked again beside the first question, so that one lost
request costs a slot these seconds and not the slot. The whole deadline stays, for a broker that is
merely slow.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from typing import Any, Generic, TypeVar

from core.domain.account import Account
from core.domain.broker import Candle, Quote
from core.domain.instrument import InstrumentId
from core.domain.order import Side
from core.domain.price_check import lacks_limit
from core.domain.sessions import trading_day
from core.engine.accounts.accounts import Accounts
from core.engine.accounts.connections import Connections
from core.engine.orders.circuit import with_limits
from core.engine.orders.practice import note_practice
from core.engine.runs.source_times import SourceTimes
from core.engine.stored_settings import read_setting
from core.errors import BrokerReadError, NotFound, ReadFault, SaarthiError, VaultError
from core.ports.broker import BrokerClient, NamesBands
from core.ports.clock import Clock
from core.ports.store import Store

__all__ = ["DATA_ACCOUNT", "MarketData", "NoData"]

T = TypeVar("T")
_log = logging.getLogger(__name__)
DATA_ACCOUNT = "data_account"
_SOURCE_DEADLINE_S = 12.0
_NEXT_AFTER_S = 4.0
_LOOK_S = 0.5
_FIRST = asyncio.FIRST_COMPLETED


class NoData(SaarthiError):
    """No source could give market data; the message says what each one answered."""


class MarketData:
    """Asks the sources in order until one answers.

    Attributes:
        times: How quickly they answer.
    """

    def __init__(
        self, store: Store, clock: Clock, accounts: Accounts, connections: Connections
    ) -> None:
        self._store = store
        self._clock = clock
        self._accounts = accounts
        self._connections = connections
        self._without_plan: dict[str, str] = {}
        self._left: set[asyncio.Task[Any]] = set()
        self.times = SourceTimes(clock)
        self._practice_day = ""

    async def sources(self) -> tuple[Account, ...]:
        """Return the accounts that can be asked, the chosen one first."""
        row = await read_setting(self._store, DATA_ACCOUNT)
        chosen = row["value"] if row else None
        everybody = await self._accounts.all()
        # A paper account asks here itself, and has made-up prices while nobody else is connected.
        practices = await self.is_practice()
        if practices:
            await self._note_practice()
        accounts = [
            one for one in everybody if not one.needs_login and one.broker.is_paper is practices
        ]
        today = trading_day(self._clock.market_now())
        able = [a for a in accounts if self._without_plan.get(a.broker_id) != today]
        return tuple(sorted(able, key=lambda account: account.broker_id != chosen))

    async def is_practice(self) -> bool:
        """Whether prices are made up: no broker was ever connected, only paper (row F6)."""
        return await self._accounts.are_all_paper()

    async def _note_practice(self) -> None:
        today = trading_day(self._clock.market_now())
        if self._practice_day != today:
            await note_practice(self._store, today)
            self._practice_day = today

    def has_plan(self, broker_id: str) -> bool:
        """Whether an account has not refused market data today."""
        return self._without_plan.get(broker_id) != trading_day(self._clock.market_now())

    async def candles(
        self,
        instruments: Sequence[InstrumentId],
        *,
        start: datetime,
        end: datetime,
        minutes: int,
    ) -> Mapping[InstrumentId, Sequence[Candle]]:
        """Return closed bars of each instrument with start <= bar start and bar end <= end.

        Raises:
            NoData: No source answered.
        """
        knows_none = False

        async def ask(client: BrokerClient) -> Mapping[InstrumentId, Sequence[Candle]]:
            nonlocal knows_none
            found: dict[InstrumentId, Sequence[Candle]] = {}
            refused: BrokerReadError | None = None
            for instrument in instruments:
                try:
                    found[instrument] = await client.candles(
                        instrument, start=start, end=end, minutes=minutes
                    )
                except BrokerReadError as error:
                    # One instrument that a broker does not know must not cost the others' exits.
                    if error.fault is not ReadFault.REFUSED:
                        raise
                    _log.warning("no bars of %s: %s", instrument, error)
                    refused = error
            if refused is not None and not found:
                # Perhaps its list of instruments could not be loaded: another source may know them.
                knows_none = True
                raise refused
            return found

        try:
            return await self._first("bars", ask, _SOURCE_DEADLINE_S)
        except NoData:
            if knows_none:
                return {}
            raise

    async def quotes(
        self, instruments: Sequence[InstrumentId], *, deadline_s: float = _SOURCE_DEADLINE_S
    ) -> Mapping[InstrumentId, Quote]:
        """Return last prices; raises ``NoData``.

        Args:
            instruments: Of what.
            deadline_s: How long each source may take; one that took longer is asked last for a
                while.
        """
        return await self._first("quotes", lambda client: client.quotes(instruments), deadline_s)

    async def with_limits(
        self, sides: Mapping[InstrumentId, Side], quotes: Mapping[InstrumentId, Quote]
    ) -> Mapping[InstrumentId, Quote]:
        """Return quotes with the circuit limits of those whose broker names them apart.

        Never raises: a limit that nobody names bars nothing. Only who has a client is asked: a
        broker whose list of instruments hangs would hold up the entries of all.
        """
        if not any(lacks_limit(sides[name], quote) for name, quote in quotes.items()):
            return quotes
        for account in [one for one in await self.sources() if not self.times.is_slow(one)]:
            client = self._connections.at_hand(account)
            if client is not None and isinstance(client, NamesBands):
                return await with_limits(client, sides, quotes)
        return quotes

    async def _first(
        self,
        what: str,
        ask: Callable[[BrokerClient], Awaitable[T]],
        deadline_s: float,
    ) -> T:
        round_ = _Round(what, ask, deadline_s)
        beside, after = await self._in_order(deadline_s)
        if found := await self._soonest_of(round_, beside):
            return found[0]
        for account, patience_s in after:
            if found := await self._try(round_, account, patience_s):
                return found[0]
        words = "; ".join(round_.words)
        raise NoData(words or "no account is logged in that could give market data")

    async def _soonest_of(
        self, round_: _Round[T], sources: Sequence[tuple[Account, float]]
    ) -> list[T]:
        """Ask sources, each beside those before it that are silent for longer than is usual.

        What is asked still when an answer is there goes on by itself: whether it answers at all is
        to be known. Two questions ask no account twice, so none is asked faster than its rate.
        """
        asked: set[asyncio.Task[list[T]]] = set()
        try:
            for account, patience_s in sources:
                newest = asyncio.get_running_loop().create_task(
                    self._try(round_, account, patience_s), name=f"{round_.what} {account.label}"
                )
                asked.add(newest)
                is_last = account is sources[-1][0]
                if found := await self._heard(round_, asked, None if is_last else newest, account):
                    return found
        except BaseException:
            for one in asked:
                one.cancel()
            await asyncio.gather(*asked, return_exceptions=True)
            raise
        finally:
            self._leave(asked)
        return []

    async def _heard(
        self,
        round_: _Round[T],
        asked: set[asyncio.Task[list[T]]],
        newest: asyncio.Task[list[T]] | None,
        account: Account,
    ) -> list[T]:
        """Wait for an answer; without one until the newest has ended or is overdue.

        Args:
            round_: What is asked.
            asked: Who is asked; those that have ended are taken out.
            newest: Who was asked last; None where there is nobody left to ask.
            account: Its account.
        """
        after_s = min(_NEXT_AFTER_S, self.times.next_after_s(account, round_.what))
        wait_s = after_s
        while asked and (newest is None or newest in asked):
            timeout = None if newest is None else wait_s
            done, _ = await asyncio.wait(asked, timeout=timeout, return_when=_FIRST)
            asked -= done
            for one in done:
                if found := one.result():
                    return found
            if not done and self.times.is_quiet(account, round_.what, after_s):
                self.times.is_overdue(account, round_.what)
                return []
            wait_s = min(_LOOK_S, after_s)
        return []

    def _leave(self, asked: Iterable[asyncio.Task[list[T]]]) -> None:
        """Let questions go on whose answers nobody waits for."""
        for one in asked:
            self._left.add(one)
            one.add_done_callback(self._ended)

    def _ended(self, one: asyncio.Task[Any]) -> None:
        self._left.discard(one)
        if not one.cancelled() and (error := one.exception()) is not None:
            _log.info("%s: %s", one.get_name(), error)

    async def _try(self, round_: _Round[T], account: Account, patience_s: float) -> list[T]:
        """Return a source's answer, or nothing and note why."""
        if account.broker_id in round_.failed:
            return []
        what = round_.what
        try:
            client = await self._connections.client(account)
            if client is None:
                return []
            return [await self._answer(account, what, partial(round_.ask, client), patience_s)]
        except BrokerReadError as error:
            # The plan is bought for a month: asking again today would cost every slot a request.
            if error.fault is ReadFault.PERMISSION:
                self._without_plan[account.broker_id] = trading_day(self._clock.market_now())
            round_.fail(account, error)
        except TimeoutError:
            if patience_s >= _NEXT_AFTER_S:
                self.times.is_late(account, what)
            self.times.given_up(account, patience_s)
            if patience_s == round_.deadline_s:
                round_.words.append(f"{account.label}: no answer in time")
        except (VaultError, NotFound) as error:
            round_.fail(account, error)
        finally:
            self.times.ended(account, what)
        return []

    async def _answer(
        self, account: Account, what: str, ask: Callable[[], Awaitable[T]], patience_s: float
    ) -> T:
        """Return one source's answer; ask it a second time where it says nothing for long.

        Not while it answers others: then a question waits for the broker's rate, which a second
        one would only use up.
        """
        began = self._clock.monotonic()
        async with asyncio.timeout(patience_s), asyncio.TaskGroup() as group:
            asked = [group.create_task(_outcome(ask))]
            if patience_s > _NEXT_AFTER_S:
                done, _ = await asyncio.wait(asked, timeout=_NEXT_AFTER_S)
                while not done:
                    self.times.is_late(account, what)
                    if self.times.is_quiet(account, what):
                        asked.append(group.create_task(_outcome(ask)))
                        break
                    done, _ = await asyncio.wait(asked, timeout=_LOOK_S)
            answers, failures = await _soonest(asked)
            for one in asked:
                one.cancel()
        if not answers:
            raise failures[0]
        in_time = self._clock.monotonic() - began < _NEXT_AFTER_S
        self.times.answered(account, what, began, in_time=in_time)
        return answers[0]

    async def _in_order(
        self, deadline_s: float
    ) -> tuple[list[tuple[Account, float]], list[tuple[Account, float]]]:
        """Return whom to ask beside one another and then one by one, and how long each may take.

        One that hangs must not cost each look its whole deadline: those that were slow lately are
        asked at last, and again who was left when none has answered.
        """
        sources = await self.sources()
        slow = [one for one in sources if self.times.is_slow(one)]
        quick = [one for one in sources if one not in slow]
        patience_s = deadline_s if len(sources) == 1 else min(deadline_s, _NEXT_AFTER_S)
        beside = [(one, patience_s) for one in quick]
        if patience_s == deadline_s:
            return beside, [(one, deadline_s) for one in slow]
        # Who hangs was first, so who only needs longer comes before it now.
        return beside, [(one, deadline_s) for one in (*slow, *reversed(quick))]


@dataclass(slots=True)
class _Round(Generic[T]):
    """One question to the sources.

    Attributes:
        failed: Who need not be asked again.
        words: Why there is no answer, a clause for each source.
    """

    what: str
    ask: Callable[[BrokerClient], Awaitable[T]]
    deadline_s: float
    failed: set[str] = field(default_factory=set)
    words: list[str] = field(default_factory=list)

    def fail(self, account: Account, error: Exception) -> None:
        """Note what a source has said in place of an answer."""
        self.failed.add(account.broker_id)
        self.words.append(f"{account.label}: {error}")


async def _outcome(ask: Callable[[], Awaitable[T]]) -> tuple[list[T], list[Exception]]:
    """Return an answer, or what was raised instead: raised here, it would end the others."""
    try:
        return [await ask()], []
    except Exception as error:  # noqa: BLE001 - raised again by who asked
        return [], [error]


async def _soonest(
    asked: Iterable[asyncio.Task[tuple[list[T], list[Exception]]]],
) -> tuple[list[T], list[Exception]]:
    """Return the first answer, or all that was raised where none came."""
    failures: list[Exception] = []
    for one in asyncio.as_completed(list(asked)):
        answers, failed = await one
        if answers:
            return answers, []
        failures += failed
    return [], failures
