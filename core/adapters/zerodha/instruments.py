"""Kite's instrument master: one public CSV for all exchanges (facts/kite.md 7)."""

from __future__ import annotations

import asyncio
import csv
import io
import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import date
from decimal import Decimal, InvalidOperation
from sys import intern

import requests

from core.adapters.broker_http import MASTER_LIMIT, BrokerTransport, NoReply
from core.adapters.broker_json import decimal_of
from core.adapters.fields import malformed
from core.adapters.throttle import Bucket
from core.domain.instrument import DERIVATIVES_OF, Instrument, InstrumentId, Segment
from core.errors import BrokerReadError, ReadFault
from core.long_lived import built_to_stay

__all__ = ["ZerodhaInstruments", "parse_master"]

_LOG = logging.getLogger(__name__)
_DEADLINE_S = 60.0
_COLUMNS = {
    "instrument_token",
    "tradingsymbol",
    "name",
    "expiry",
    "tick_size",
    "lot_size",
    "segment",
    "exchange",
}
_SEGMENTS = {
    "NSE": Segment.CASH,
    "BSE": Segment.CASH,
    "NFO": Segment.DERIVATIVES,
    "BFO": Segment.DERIVATIVES,
    "CDS": Segment.CURRENCY,
    "BCD": Segment.CURRENCY,
    "MCX": Segment.COMMODITY,
    "NCO": Segment.COMMODITY,
}


class ZerodhaInstruments:
    """An ``InstrumentSource``."""

    def __init__(self, *, api_root: str, transport: Callable[[], BrokerTransport]) -> None:
        self._address = f"{api_root.rstrip('/')}/instruments"
        self._transport = transport

    async def load(self) -> Sequence[Instrument]:
        """Download and translate today's master."""
        request = requests.Request("GET", self._address, headers={"X-Kite-Version": "3"}).prepare()
        async with self._transport() as transport:
            raw = await transport.send(
                request, Bucket.OTHER, limit=MASTER_LIMIT, deadline_s=_DEADLINE_S
            )
        if isinstance(raw, NoReply):
            raise raw.read_error()
        if not raw.is_ok:
            raise BrokerReadError(ReadFault.UNREACHABLE, f"Kite's master: HTTP {raw.status}")
        # A hundred thousand rows take a second of computing: not on the loop.
        return await asyncio.to_thread(parse_master, raw.body)


def parse_master(body: bytes) -> Sequence[Instrument]:
    """Translate the CSV; rows of exchanges that Saarthi does not trade are left out.

    Raises:
        BrokerReadError: MALFORMED.
    """
    with built_to_stay():
        return _parsed(body)


def _parsed(body: bytes) -> Sequence[Instrument]:
    try:
        reader = csv.DictReader(io.StringIO(body.decode()))
        if not set(reader.fieldnames or ()) >= _COLUMNS:
            raise malformed("the master lacks columns")
        rows = [row for row in reader if row["exchange"] in _SEGMENTS]
        underlyings = _underlyings(rows)
    except (ValueError, TypeError, csv.Error) as error:
        raise malformed(f"the master: {error}") from error
    instruments, count = [], len(rows)
    rows.reverse()
    while rows:  # each is freed at once: all together would take a tenth of a second
        row = rows.pop()
        try:
            instruments.append(_instrument(row, underlyings))
        except (ValueError, TypeError, InvalidOperation):
            continue  # a damaged row leaves its instrument out, and no more
    if len(instruments) < count:
        _LOG.warning("%d of %d rows of the master damaged", count - len(instruments), count)
    if not instruments:
        raise malformed("the master is empty" if not count else "no row of the master can be read")
    return instruments


def _underlyings(rows: Iterable[Mapping[str, str]]) -> set[tuple[str, str]]:
    """Return (exchange of derivatives, name) of everything that derivatives are listed of."""
    exchanges = set(DERIVATIVES_OF.values())
    return {(row["exchange"], row["name"]) for row in rows if row["exchange"] in exchanges}


def _instrument(row: Mapping[str, str], underlyings: set[tuple[str, str]]) -> Instrument:
    exchange, symbol = intern(row["exchange"]), row["tradingsymbol"]
    segment = Segment.INDEX if row["segment"] == "INDICES" else _SEGMENTS[exchange]
    return Instrument(
        id=InstrumentId(exchange, symbol),
        broker_symbol=symbol,
        broker_token=row["instrument_token"],
        lot_size=int(row["lot_size"]) or 1,
        tick_size=_tick(intern(row["tick_size"])),
        segment=segment,
        name=intern(row["name"]),
        expiry=date.fromisoformat(row["expiry"]) if row["expiry"] else None,
        has_derivatives=(
            segment is Segment.CASH and (DERIVATIVES_OF[exchange], symbol) in underlyings
        ),
    )


def _tick(text: str) -> Decimal:
    """Return the tick size; indices are written with 0 and cannot be traded."""
    return decimal_of(text) or Decimal("0.05")
