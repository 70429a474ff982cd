"""Freeze quantities and ISINs from Fyers' public JSON masters (facts/fyers.md 11).

They are the exchange's, so they hold at every broker; Kite's master has none. Half of the files
can be missing: what they hold stays unknown.
"""

from __future__ import annotations

import asyncio
import json
import logging
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import requests

from core.adapters.broker_http import MASTER_LIMIT, BrokerTransport, NoReply, Raw
from core.adapters.broker_json import decimal_of
from core.adapters.fields import malformed
from core.adapters.fyers.instruments import our_name
from core.adapters.throttle import Bucket
from core.domain.instrument import ExchangeFacts, InstrumentId
from core.errors import BrokerReadError, ReadFault

__all__ = ["FyersExchangeFacts", "parse_facts"]

_LOG = logging.getLogger(__name__)
_DEADLINE_S = 30.0
_FILES = ("NSE_FO", "BSE_FO", "NSE_CM", "BSE_CM")
_LIMIT = 2 * MASTER_LIMIT
"""The JSON of a hundred thousand contracts is several times its CSV."""
_ISIN = re.compile(r"IN[A-Z0-9]{10}")
_NOTHING = ExchangeFacts()
_ENTRY = re.compile(rb"\{[^{}]*\}")
"""One instrument. Read one by one: the whole file as Python objects would take a gigabyte."""


class FyersExchangeFacts:
    """A ``FactsSource``."""

    def __init__(self, *, masters_root: str, transport: Callable[[], BrokerTransport]) -> None:
        self._root = masters_root.rstrip("/")
        self._transport = transport

    async def load(self) -> Mapping[InstrumentId, ExchangeFacts]:
        """Download today's files and return what they say, by instrument."""
        found: dict[InstrumentId, ExchangeFacts] = {}
        trouble = ""
        async with self._transport() as transport:
            for name in _FILES:
                address = f"{self._root}/sym_details/{name}_sym_master.json"
                request = requests.Request("GET", address).prepare()
                raw = await transport.send(
                    request, Bucket.OTHER, limit=_LIMIT, deadline_s=_DEADLINE_S
                )
                try:
                    # Many thousand entries take a second of computing: not on the loop.
                    found.update(await asyncio.to_thread(parse_facts, _body(raw)))
                except BrokerReadError as error:
                    trouble = f"{name}: {error}"
                    _LOG.warning("freeze quantities of %s", trouble)
        if not found:
            raise BrokerReadError(ReadFault.UNREACHABLE, f"freeze quantities of {trouble}")
        return found


def _body(raw: Raw) -> bytes:
    if isinstance(raw, NoReply):
        raise raw.read_error()
    if not raw.is_ok:
        raise BrokerReadError(ReadFault.UNREACHABLE, f"HTTP {raw.status}")
    return raw.body


def parse_facts(body: bytes) -> Mapping[InstrumentId, ExchangeFacts]:
    """Return what a file says, by instrument.

    Raises:
        BrokerReadError: MALFORMED: this is no such file.
    """
    if not body.lstrip().startswith(b"{"):
        raise malformed("the JSON master is no object")
    return dict(_facts(body))


def _facts(body: bytes) -> Iterator[tuple[InstrumentId, ExchangeFacts]]:
    for match in _ENTRY.finditer(body):
        try:
            entry: dict[str, Any] = json.loads(match.group())
            name = our_name(str(entry["symTicker"]), int(entry["segment"]))
        except (ValueError, KeyError):
            continue
        isin = str(entry.get("isin") or "")
        facts = ExchangeFacts(_freeze(entry), isin if _ISIN.fullmatch(isin) else "")
        if name is not None and facts != _NOTHING:
            yield name, facts


def _freeze(entry: Mapping[str, Any]) -> int | None:
    """Return the largest quantity of one order, None when the entry does not say it."""
    try:
        published = int(decimal_of(str(entry["qtyFreeze"])))
        lot = int(decimal_of(str(entry["minLotSize"]))) or 1
    except (ValueError, KeyError):
        return None  # an index, an empty field
    # The file gives the quantity that trips: 1,756 where 1,755 passes (rules-2026.md, rule 13).
    # Where it gives the last one that passes, one lot less passes too.
    usable = (published - 1) // lot * lot
    return usable if usable > 0 else None
