"""Instrument masters kept as compressed files in the data directory, one for each broker."""

from __future__ import annotations

import asyncio
import gzip
import json
import logging
import os
from collections.abc import Iterable
from datetime import date
from decimal import Decimal, InvalidOperation
from pathlib import Path
from sys import intern
from typing import Any

from core.domain.broker_profile import BrokerProfile
from core.domain.instrument import Instrument, InstrumentId, Segment
from core.long_lived import built_to_stay
from core.ports.masters import KeptMaster

__all__ = ["KeptMasterFiles"]

_LOG = logging.getLogger(__name__)
_VERSION = 2
"""A file of another version is not read: the next download replaces it."""
_FAST = 3


class KeptMasterFiles:
    """A ``MasterArchive``."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    async def recall(self, broker: BrokerProfile) -> KeptMaster | None:
        """Read a broker's file; a missing or damaged one is as good as none."""
        # A hundred thousand rows take a second of computing: not on the loop.
        return await asyncio.to_thread(self._read_all, self._file(broker))

    async def keep(self, broker: BrokerProfile, master: KeptMaster) -> None:
        """Write a broker's file anew; the one before it stays until the new one is whole."""
        try:
            await asyncio.to_thread(self._write, self._file(broker), master)
        except OSError as error:
            _LOG.warning("the instruments of %s could not be kept: %s", broker, error)

    def _file(self, broker: BrokerProfile) -> Path:
        return self._directory / f"{broker.name}.json.gz"

    def _read_all(self, file: Path) -> KeptMaster | None:
        with built_to_stay():
            return self._read(file)

    def _read(self, file: Path) -> KeptMaster | None:
        try:
            with gzip.open(file, "rt", encoding="utf-8") as lines:
                head = json.loads(next(lines))
                if head["version"] != _VERSION:
                    return None
                rows = [_instrument(json.loads(line)) for line in lines]
        except FileNotFoundError:
            return None
        except (OSError, EOFError, ValueError, KeyError, StopIteration, InvalidOperation) as error:
            _LOG.warning("the kept instruments in %s cannot be read: %s", file.name, error)
            return None
        if not rows or len(rows) != head["count"]:
            _LOG.warning("the kept instruments in %s are not all there", file.name)
            return None
        return KeptMaster(head["edition"], rows)

    def _write(self, file: Path, master: KeptMaster) -> None:
        self._directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        part = file.with_suffix(".part")
        with gzip.open(part, "wt", compresslevel=_FAST, encoding="utf-8") as out:
            out.writelines(_lines(master))
        os.replace(part, file)  # noqa: PTH105 - says that it replaces


def _lines(master: KeptMaster) -> Iterable[str]:
    head = {
        "version": _VERSION,
        "edition": master.edition,
        "count": len(master.instruments),
    }
    yield json.dumps(head) + "\n"
    for one in master.instruments:
        yield json.dumps(_row(one), separators=(",", ":")) + "\n"


def _row(one: Instrument) -> list[Any]:
    return [
        one.id.exchange,
        one.id.symbol,
        one.broker_symbol,
        one.broker_token,
        one.lot_size,
        str(one.tick_size),
        one.segment.value,
        one.name,
        one.freeze_quantity,
        one.expiry.isoformat() if one.expiry else None,
        one.has_derivatives,
        one.isin,
        one.is_stale,
    ]


def _instrument(row: list[Any]) -> Instrument:
    exchange, symbol, name, token, lot, tick, segment, details, freeze, expiry, *rest = row
    derivs, isin, old = rest
    return Instrument(
        id=InstrumentId(intern(exchange), symbol),
        broker_symbol=name,
        broker_token=token,
        lot_size=lot,
        tick_size=Decimal(tick),
        segment=Segment(segment),
        name=intern(details),
        freeze_quantity=freeze,
        expiry=date.fromisoformat(expiry) if expiry else None,
        has_derivatives=derivs,
        isin=isin,
        is_stale=old,
    )
