"""Fyers' symbol masters (public CSV files without a header) and names by them (facts/fyers.md 11).

Saarthi's names are Kite's: ``NSE:SBIN`` for ``NSE:SBIN-EQ``, ``NFO:NIFTY26NOVFUT`` for
``NSE:NIFTY26NOVFUT``. A symbol is translated by the row that carries it, never by a rule alone.
"""

from __future__ import annotations

import asyncio
import csv
import io
import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal, InvalidOperation
from typing import NamedTuple

import requests

from core.adapters.broker_http import MASTER_LIMIT, BrokerTransport, NoReply
from core.adapters.broker_json import decimal_of
from core.adapters.clock import MARKET_ZONE
from core.adapters.fields import malformed
from core.adapters.share_names import ShareNames
from core.adapters.throttle import Bucket
from core.domain.instrument import DERIVATIVES_OF, Instrument, InstrumentId, Segment
from core.domain.master import Master
from core.errors import BrokerReadError, ReadFault
from core.long_lived import built_to_stay, let_go
from core.ports.clock import Clock

__all__ = ["FyersInstruments", "SymbolBook", "our_name", "parse_masters"]

_LOG = logging.getLogger(__name__)
_DEADLINE_S = 60.0
_FILES = ("NSE_CM", "NSE_FO", "BSE_CM", "BSE_FO", "NSE_CD", "MCX_COM")
"""What a missing file holds cannot be resolved; the others do not wait for it."""
_DERIVATIVES_FILES = {"NSE_FO": "NFO", "BSE_FO": "BFO"}
_STALE = timedelta(days=7)
"""Longer than any row of holidays."""
_INDEX_TYPE = 10
_SEGMENTS = {
    # Fyers' segment and exchange: our exchange and segment
    (10, "NSE"): ("NSE", Segment.CASH),
    (10, "BSE"): ("BSE", Segment.CASH),
    (11, "NSE"): ("NFO", Segment.DERIVATIVES),
    (11, "BSE"): ("BFO", Segment.DERIVATIVES),
    (12, "NSE"): ("CDS", Segment.CURRENCY),
    (12, "BSE"): ("BCD", Segment.CURRENCY),
    (20, "MCX"): ("MCX", Segment.COMMODITY),
}
_INDEX_NAMES = {
    "NIFTY50": "NIFTY 50",
    "NIFTYBANK": "NIFTY BANK",
    "FINNIFTY": "NIFTY FIN SERVICE",
    "MIDCPNIFTY": "NIFTY MID SELECT",
    "NIFTYNXT50": "NIFTY NEXT 50",
    "INDIAVIX": "INDIA VIX",
}
"""Kite's names of the indices that Fyers names otherwise; the rest lose only their suffix."""


class _MasterRow(NamedTuple):
    token: str
    details: str
    kind: int
    lot: int
    tick: Decimal
    isin: str
    updated: str
    expiry: date | None
    ticker: str
    segment: int
    underlying: str


class SymbolBook:
    """Names of one master in both directions; it follows a master that is loaded anew."""

    def __init__(self, master: Mapping[InstrumentId, Instrument]) -> None:
        self._master = master
        self.shares = ShareNames(master)
        self._first: Instrument | None = None
        self._size = 0
        self._by_symbol: dict[str, InstrumentId] = {}

    @property
    def _names(self) -> Mapping[str, InstrumentId]:
        if isinstance(self._master, Master):
            return self._master.by_symbol
        first = next(iter(self._master.values()), None)
        if first is not self._first or len(self._master) != self._size:
            self._first, self._size = first, len(self._master)
            self._by_symbol = {row.broker_symbol: name for name, row in self._master.items()}
        return self._by_symbol

    @property
    def master(self) -> Mapping[InstrumentId, Instrument]:
        """The master that it was made of."""
        return self._master

    def symbol(self, instrument: InstrumentId) -> str | None:
        """Return what Fyers calls an instrument, None when the master does not have it."""
        found = self._master.get(instrument)
        return found.broker_symbol if found else None

    def named(self, symbol: str) -> InstrumentId:
        """Return our name of a symbol.

        One that the master lacks keeps Fyers' own name, so that a row of the account is neither
        lost nor taken for something else; nothing can be ordered under it.
        """
        if (found := self._names.get(symbol)) is not None:
            return found
        exchange, _, rest = symbol.partition(":")
        return InstrumentId(exchange, rest) if rest else InstrumentId("", symbol)


class FyersInstruments:
    """An ``InstrumentSource``."""

    def __init__(
        self, clock: Clock, *, masters_root: str, transport: Callable[[], BrokerTransport]
    ) -> None:
        self._clock = clock
        self._root = masters_root.rstrip("/")
        self._transport = transport

    async def load(self) -> Sequence[Instrument]:
        """Download and translate today's files; one that fails leaves its exchange out.

        Raises:
            BrokerReadError: No file of shares or derivatives could be read.
        """
        files: dict[str, bytes] = {}
        trouble: BrokerReadError | None = None
        async with self._transport() as transport:
            for name in _FILES:
                try:
                    files[name] = await self._file(transport, name)
                except BrokerReadError as error:
                    trouble = trouble or error
                    _LOG.warning("Fyers' symbol master %s: %s", name, error)
        today = self._clock.market_now().date()
        try:
            # Some hundred thousand rows take seconds of computing: not on the loop.
            return await asyncio.to_thread(parse_masters, files, today)
        except BrokerReadError as error:
            raise trouble or error from error

    async def _file(self, transport: BrokerTransport, name: str) -> bytes:
        request = requests.Request("GET", f"{self._root}/sym_details/{name}.csv").prepare()
        raw = await transport.send(
            request, Bucket.OTHER, limit=MASTER_LIMIT, deadline_s=_DEADLINE_S
        )
        if isinstance(raw, NoReply):
            raise raw.read_error()
        if raw.is_ok:
            return raw.body
        raise BrokerReadError(
            ReadFault.UNREACHABLE, f"Fyers' symbol master {name}: HTTP {raw.status}"
        )


def parse_masters(files: Mapping[str, bytes], today: date) -> Sequence[Instrument]:
    """Translate the files (``_parsed_files``) without a look of the garbage collector."""
    with built_to_stay():
        return _parsed_files(files, today)


def _parsed_files(files: Mapping[str, bytes], today: date) -> Sequence[Instrument]:
    """Translate the files by name; rows of exchanges that Saarthi does not trade are left out.

    A file that cannot be read, or was not renewed for a week, leaves its exchange out; so does a
    damaged row its instrument.

    Raises:
        BrokerReadError: MALFORMED: there are no shares in them.
    """
    rows: list[_MasterRow] = []
    trouble, unknown = "the symbol masters hold no shares", set(_DERIVATIVES_FILES.values())
    for name, body in files.items():
        try:
            rows += _parsed(body, today)
        except (BrokerReadError, ValueError, InvalidOperation, OverflowError, csv.Error) as error:
            trouble = f"the symbol master {name}: {error}"
            _LOG.warning("%s", trouble)
        else:
            unknown.discard(_DERIVATIVES_FILES.get(name, ""))
    underlyings = {(_exchange(row), row.underlying) for row in rows}
    instruments = [_instrument(row, underlyings, unknown) for row in rows]
    let_go(rows)
    if not any(instrument.segment is Segment.CASH for instrument in instruments):
        raise malformed(trouble)
    return instruments


def _parsed(body: bytes, today: date) -> list[_MasterRow]:
    rows = list(_rows(body))
    if not rows:  # a segment without instruments
        return []
    newest = max(filter(None, (_day(row.updated) for row in rows)), default=None)
    if newest is None:
        raise malformed("no row of it has a date")
    if today - newest > _STALE:
        raise malformed(f"it is of {newest}, {(today - newest).days} days old")
    # Generations of the files differ in the unit of the tick (facts/fyers.md 11): prices in rupees
    # have some tick below one, in paise none.
    if all(row.tick >= 1 for row in rows if row.kind != _INDEX_TYPE):
        rows = [row._replace(tick=row.tick / 100) for row in rows]
    return rows


def _rows(body: bytes) -> Iterator[_MasterRow]:
    read = damaged = 0
    for cells in csv.reader(io.StringIO(body.decode())):
        if not cells:
            continue
        read += 1
        try:
            row = _row(cells)
        except (ValueError, IndexError, InvalidOperation, OverflowError):
            damaged += 1
            continue
        if _exchange(row):
            yield row
    if damaged:
        _LOG.warning("%d of %d rows of a symbol master cannot be read", damaged, read)
    if damaged and damaged == read:
        raise malformed("no row of it can be read")


def _row(cells: Sequence[str]) -> _MasterRow:
    return _MasterRow(
        token=cells[0],
        details=cells[1],
        kind=int(cells[2] or -1),
        lot=int(decimal_of(cells[3] or 0)),
        tick=decimal_of(cells[4] or 0),
        isin=cells[5],
        updated=cells[7],
        expiry=_expiry(cells[8]),
        ticker=cells[9],
        segment=int(cells[11]),
        underlying=cells[13],
    )


def _exchange(row: _MasterRow) -> str | None:
    prefix = row.ticker.partition(":")[0]
    found = _SEGMENTS.get((row.segment, prefix))
    return found[0] if found else None


def our_name(ticker: str, segment_number: int) -> InstrumentId | None:
    """Return Saarthi's name of a master's row, None when Saarthi does not trade its exchange."""
    found = _named(ticker, segment_number)
    return found[0] if found else None


def _named(ticker: str, segment_number: int) -> tuple[InstrumentId, Segment] | None:
    prefix, _, rest = ticker.partition(":")
    known = _SEGMENTS.get((segment_number, prefix))
    if known is None:
        return None
    exchange, segment = known
    if segment is Segment.CASH and rest.endswith("-INDEX"):
        segment = Segment.INDEX
    return InstrumentId(exchange, _symbol(exchange, rest, segment)), segment


def _instrument(
    row: _MasterRow, underlyings: set[tuple[str | None, str]], unknown: set[str]
) -> Instrument:
    named = _named(row.ticker, row.segment)
    if named is None:
        raise malformed(f"a row of the symbol master is of segment {row.segment}")
    name, segment = named
    exchange, symbol = name.exchange, name.symbol
    derivatives = DERIVATIVES_OF.get(exchange, "")
    # With their file missing nobody knows: the earlier end of the session is the safe one.
    is_underlying = (derivatives, symbol) in underlyings or derivatives in unknown
    return Instrument(
        id=name,
        broker_symbol=row.ticker,
        broker_token=row.token,
        lot_size=row.lot or 1,
        tick_size=row.tick or Decimal("0.05"),
        segment=segment,
        name=row.details,
        isin=row.isin if segment is Segment.CASH else "",
        expiry=row.expiry if segment not in {Segment.CASH, Segment.INDEX} else None,
        has_derivatives=segment is Segment.CASH and is_underlying,
    )


def _symbol(exchange: str, rest: str, segment: Segment) -> str:
    if segment is Segment.INDEX:
        bare = rest.removesuffix("-INDEX")
        return _INDEX_NAMES.get(bare, bare)
    if segment is not Segment.CASH:
        return rest
    if exchange == "BSE":  # the suffix is the group, which Kite leaves out
        return rest.rpartition("-")[0] or rest
    return rest.removesuffix("-EQ")


def _day(text: str) -> date | None:
    try:
        return date.fromisoformat(text[:10])
    except ValueError:
        return None


def _expiry(epoch: str) -> date | None:
    if not epoch:
        return None
    return datetime.fromtimestamp(int(decimal_of(epoch)), UTC).astimezone(MARKET_ZONE).date()
