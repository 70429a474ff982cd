"""Instrument masters: what each broker calls the instruments, loaded without a login (D10).

What was loaded is kept on disk. The kept one serves exits at once after a start, whatever becomes
of the download; entries wait for today's. Nothing here keeps a caller waiting for a broker that has
something to work with already.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, time

from core.domain.broker_profile import BrokerProfile
from core.domain.instrument import DERIVATIVES_OF, ExchangeFacts, Instrument, InstrumentId
from core.domain.master import Master
from core.domain.notices.system import InstrumentsOld
from core.domain.sessions import IST, trading_day
from core.engine.orders.alarms import end_trouble, raise_trouble
from core.engine.outbox import Outbox
from core.errors import AlreadyDone, BrokerReadError, ReadFault, StoreError
from core.long_lived import built_to_stay, let_go, set_aside
from core.ports.broker import Broker
from core.ports.clock import Clock
from core.ports.masters import KeptMaster, MasterArchive
from core.ports.store import Store, StoreView

__all__ = ["MasterWatch", "Masters"]

_log = logging.getLogger(__name__)
_RETRY_S = 15.0
_PATIENCE_S = 5.0
"""How long a caller waits for today's when there are older ones."""
_ISSUED = time(8, 40)
"""The brokers' files of the day are out (about 08:30, facts/kite.md 7)."""
_TOLD_AFTER = 2
"""Failures in a row: one alone may be a hiccup."""

_Table = dict[InstrumentId, Instrument]
_Index = Mapping[InstrumentId, Instrument]
_Facts = dict[InstrumentId, ExchangeFacts]
_NOTHING = ExchangeFacts()


class MasterWatch:
    """Notifies, once a day for each broker, that today's instruments cannot be had."""

    def __init__(self, store: Store, outbox: Outbox) -> None:
        self._store = store
        self._outbox = outbox

    async def missing(self, broker: BrokerProfile, day: str, reason: str, known: str) -> None:
        """Post the notice, unless it was posted today; without the store it comes another time."""

        async def body(view: StoreView) -> None:
            notice = InstrumentsOld(broker.label, reason, known)
            await raise_trouble(view, self._outbox, notice, _trouble_of(broker), broker.label)

        try:
            await self._store.transaction(body, nonce=f"{InstrumentsOld.kind}|{broker.name}|{day}")
        except AlreadyDone:
            return
        except StoreError as error:
            _log.warning("instruments of %s: %s", broker, error)

    async def loaded(self, broker: BrokerProfile) -> None:
        """Let that message say that they are there now."""
        how = "today's list is loaded, so entries go on"
        try:
            await end_trouble(self._store, self._outbox, _trouble_of(broker), how)
        except StoreError as error:
            _log.warning("instruments of %s: %s", broker, error)


def _trouble_of(broker: BrokerProfile) -> str:
    return f"instruments:{broker.name}"


@dataclass
class _Known:
    """What is known of one broker, or of what the exchanges say.

    Attributes:
        table: The instruments; changed in place, because every client holds a reference to it.
            What is made of a hundred thousand of them is made in a thread.
        edition: Which edition was loaded last, '' for none since the start.
        of_edition: Which edition the table is, also one that was kept over a restart.
        failures: How many downloads failed in a row.
        is_wanted: Somebody has asked for it.
    """

    table: Master = field(default_factory=Master)
    edition: str = ""
    of_edition: str = ""
    failed_at: float | None = None
    failures: int = 0
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    is_recalled: bool = False
    is_wanted: bool = False


class Masters:
    """The instruments of every broker.

    Args:
        brokers: The brokers by profile.
        clock: Its market time says what is today's.
        archive: Where they are kept over a restart.
        watch: Told when today's cannot be had.
        lender: Returns the broker whose list paper accounts use, that of the data account; None
            while nobody gives data.
    """

    def __init__(
        self,
        brokers: Mapping[BrokerProfile, Broker],
        clock: Clock,
        *,
        archive: MasterArchive | None = None,
        watch: MasterWatch | None = None,
        lender: Callable[[], Awaitable[BrokerProfile | None]] | None = None,
    ) -> None:
        self._brokers = brokers
        self._lender = lender
        self._clock = clock
        self._archive = archive
        self._watch = watch
        self._known = {broker: _Known() for broker in brokers if not broker.is_paper}
        self._lent = next(iter(self._known), None)
        self._facts: _Facts = {}
        self._facts_work = _Known()
        self.trouble: dict[BrokerProfile, str] = {}

    async def instruments(self, broker: BrokerProfile) -> Mapping[InstrumentId, Instrument]:
        """Return a broker's instruments: today's if they can be loaded, else the last ones.

        Waits for a download; where older ones are known, for a few seconds only. Those are marked
        ``is_stale`` when today's could not be had.

        Raises:
            BrokerReadError: None were ever loaded.
        """
        broker = await self._home(broker)
        known = await self._recalled(broker)
        await self._load(broker, None if not known.table else _PATIENCE_S)
        if not known.table:
            raise BrokerReadError(
                ReadFault.UNREACHABLE, self.trouble.get(broker, "no instruments loaded yet")
            )
        return known.table

    async def at_hand(self, broker: BrokerProfile) -> Mapping[InstrumentId, Instrument]:
        """Return what is known now, perhaps nothing; the rest is loaded by ``tick``.

        The mapping is the one that ``instruments`` returns, and fills when a download is done. Only
        where nothing at all is known is one download tried, for a few seconds.

        Raises:
            BrokerReadError: This program does not know the broker.
        """
        broker = await self._home(broker)
        known = await self._recalled(broker)
        if not known.table and not known.failures:
            await self._load(broker, _PATIENCE_S)
        return known.table

    def known(self, broker: BrokerProfile) -> Mapping[InstrumentId, Instrument]:
        """Return what is known of a broker's instruments, without waiting for anything."""
        known = self._known.get(self._lister(broker))
        return known.table if known is not None else {}

    def listed(self, name: InstrumentId) -> Instrument | None:
        """Return what any broker's list says of an instrument; None where none has it."""
        for known in self._known.values():
            if (found := known.table.get(name)) is not None:
                return found
        return None

    def is_of_today(self, broker: BrokerProfile) -> bool:
        """Whether the whole of a broker's list is of this morning: what it lacks is gone."""
        known = self._known.get(self._lister(broker))
        return (
            known is not None
            and known.edition == _edition_of(self._clock.market_now())
            and not known.table.is_stale
        )

    async def tick(self) -> None:
        """Load what is due of the brokers that were asked for, all at the same time."""
        wanted = [broker for broker, known in self._known.items() if known.is_wanted]
        if wanted:
            await asyncio.gather(*(self._load(broker, None) for broker in wanted))

    def _lister(self, broker: BrokerProfile) -> BrokerProfile:
        """Return the broker whose list an account of this one trades by."""
        return self._lent if broker.is_paper and self._lent is not None else broker

    async def _home(self, broker: BrokerProfile) -> BrokerProfile:
        """Return the same, after a look at who gives data now."""
        if broker.is_paper and self._lender is not None:
            self._lent = await self._lender() or self._lent
        return self._lister(broker)

    async def _recalled(self, broker: BrokerProfile) -> _Known:
        if broker not in self._known:
            raise BrokerReadError(ReadFault.REFUSED, f"there are no instruments of {broker.label}")
        known = self._known[broker]
        known.is_wanted = True
        if not known.is_recalled:
            async with known.lock:
                if not known.is_recalled:
                    await self._recall(broker, known)
                    known.is_recalled = True
        return known

    async def _load(self, broker: BrokerProfile, patience: float | None) -> None:
        """Download what is due, and return when it is there or ``patience`` is over."""
        known = self._known[broker]
        if not self._is_due(known) and not self._is_due(self._facts_work):
            return
        try:
            async with asyncio.timeout(patience):
                async with known.lock:
                    if self._is_due(known):
                        await self._download(broker, known)
                async with self._facts_work.lock:
                    if self._is_due(self._facts_work):
                        await self._download_facts()
        except TimeoutError:
            _log.warning("%s instruments are not there after %s s", broker, patience)
            if not known.table:
                known.failures += 1

    def _is_due(self, known: _Known) -> bool:
        edition = _edition_of(self._clock.market_now())
        # In the night the files may be half written, and yesterday's serve as well.
        if known.edition == edition or (known.edition and not _is_issued(edition)):
            return False
        failed_at = known.failed_at
        return failed_at is None or self._clock.monotonic() - failed_at > _RETRY_S

    async def _recall(self, broker: BrokerProfile, known: _Known) -> None:
        kept = await self._archive.recall(broker) if self._archive else None
        if kept is None:
            return
        is_old = kept.edition != _edition_of(self._clock.market_now())
        known.table.become(await asyncio.to_thread(_marked, kept.instruments, is_stale=is_old))
        known.of_edition = kept.edition

    async def _download(self, broker: BrokerProfile, known: _Known) -> None:
        edition = _edition_of(self._clock.market_now())
        try:
            rows = await self._brokers[broker].instruments.load()
        except BrokerReadError as error:
            await self._failed(broker, known, edition, str(error))
            return
        old = known.table.copied()
        fresh, present = await asyncio.to_thread(_merged, rows, old, self._facts)
        known.table.become(fresh)
        known.edition = known.of_edition = edition
        known.failed_at, known.failures = None, 0
        self.trouble.pop(broker, None)
        lost = old.exchanges - present
        await asyncio.to_thread(let_go, old, rows, old.by_symbol, old.by_isin)
        if lost:
            reason = f"the file of {', '.join(sorted(lost))} could not be read"
            _log.warning("%s instruments: %s", broker, reason)
            if self._watch is not None:
                await self._watch.missing(broker, edition[:10], reason, "an earlier day")
        elif self._watch is not None:
            await self._watch.loaded(broker)
        await self._keep(broker, known)

    async def _failed(
        self, broker: BrokerProfile, known: _Known, edition: str, reason: str
    ) -> None:
        known.failed_at = self._clock.monotonic()
        known.failures += 1
        self.trouble[broker] = f"{broker.label} instruments: {reason}"
        _log.warning("%s instrument master: %s", broker, reason)
        if known.edition and _is_issued(edition):
            old = list(known.table.values())
            known.table.become(await asyncio.to_thread(_marked, old, is_stale=True))
            await asyncio.to_thread(let_go, old)
        # Kept this morning, it is today's: a restart in the afternoon misses nothing.
        is_needed = known.of_edition != edition and (_is_issued(edition) or not known.table)
        if known.failures >= _TOLD_AFTER and is_needed and self._watch is not None:
            await self._watch.missing(broker, edition[:10], reason, known.of_edition[:10])

    async def _download_facts(self) -> None:
        edition = _edition_of(self._clock.market_now())
        work = self._facts_work
        sources = [
            one.exchange_facts for one in self._brokers.values() if one.exchange_facts is not None
        ]
        try:
            for source in sources:
                self._facts.update(await source.load())
        except BrokerReadError as error:
            work.failed_at = self._clock.monotonic()
            work.failures += 1
            _log.warning("freeze quantities and ISINs: %s", error)
            return
        work.edition, work.failed_at, work.failures = edition, None, 0
        for broker, known in self._known.items():
            async with known.lock:
                if known.table and self._facts:
                    old = list(known.table.values())
                    known.table.become(await asyncio.to_thread(_with_facts, old, self._facts))
                    await asyncio.to_thread(let_go, old)
                    if known.edition:
                        await self._keep(broker, known)

    async def _keep(self, broker: BrokerProfile, known: _Known) -> None:
        if self._archive is not None:
            kept = KeptMaster(known.edition, list(known.table.values()))
            await self._archive.keep(broker, kept)


def _edition_of(market_now: datetime) -> str:
    issued = market_now.astimezone(IST).time() >= _ISSUED
    return f"{trading_day(market_now)}{'' if issued else ' early'}"


def _is_issued(edition: str) -> bool:
    return not edition.endswith("early")


def _table(rows: Iterable[Instrument], facts: _Facts, *, is_stale: bool) -> _Table:
    """Return instruments by name, with what their broker does not publish of them."""
    found = {}
    for row in rows:
        known = facts.get(row.id, _NOTHING)
        freeze = known.freeze_quantity or row.freeze_quantity
        isin, marked = row.isin or known.isin, row.is_stale or is_stale
        is_same = (freeze, isin, marked) == (row.freeze_quantity, row.isin, row.is_stale)
        found[row.id] = (
            row if is_same else replace(row, freeze_quantity=freeze, isin=isin, is_stale=marked)
        )
    return found


def _mastered(rows: Iterable[Instrument]) -> Master:
    """Return instruments that stay for the day."""
    with built_to_stay():
        master = Master(rows)
    set_aside(len(master))
    return master


def _marked(rows: Iterable[Instrument], *, is_stale: bool) -> Master:
    with built_to_stay():
        return _mastered(_table(rows, {}, is_stale=is_stale).values())


def _merged(
    rows: Iterable[Instrument], known: _Index, facts: _Facts
) -> tuple[Master, frozenset[str]]:
    """Return today's instruments, and their exchanges.

    Of an exchange that is missing today there are the ones known before.
    """
    with built_to_stay():
        return _merged_now(rows, known, facts)


def _merged_now(
    rows: Iterable[Instrument], known: _Index, facts: _Facts
) -> tuple[Master, frozenset[str]]:
    before = {name: ExchangeFacts(row.freeze_quantity, row.isin) for name, row in known.items()}
    # Today's facts may not be there yet: until then those of the last master hold.
    fresh = _table(rows, before | facts, is_stale=False)
    let_go(before)
    present = frozenset(one.exchange for one in fresh)
    unknown = {cash for cash, other in DERIVATIVES_OF.items() if other not in present}
    for name, row in fresh.items():
        # What has derivatives is read from a file that is missing: it is as it was.
        if name.exchange in unknown and name in known:
            derivatives = known[name].has_derivatives
            fresh[name] = replace(row, has_derivatives=derivatives)
    old = [row for name, row in known.items() if name.exchange not in present]
    return _mastered((_table(old, facts, is_stale=True) | fresh).values()), present


def _with_facts(rows: Iterable[Instrument], facts: _Facts) -> Master:
    with built_to_stay():
        return _mastered(_table(rows, facts, is_stale=False).values())
