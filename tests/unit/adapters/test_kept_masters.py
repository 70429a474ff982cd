"""Instrument masters in the data directory."""

from __future__ import annotations

import gzip
from datetime import date
from decimal import Decimal
from pathlib import Path

import pytest

from core.adapters.fyers import FYERS
from core.adapters.kept_masters import KeptMasterFiles
from core.adapters.zerodha import ZERODHA
from core.domain.instrument import Instrument, InstrumentId, Segment
from core.ports.masters import KeptMaster

FUTURE = Instrument(
    InstrumentId("NFO", "NIFTY26NOVFUT"),
    "NSE:NIFTY26NOVFUT",
    "10112611241",
    65,
    Decimal("0.10"),
    Segment.DERIVATIVES,
    name="NIFTY",
    freeze_quantity=1755,
    expiry=date(2026, 11, 24),
)
SHARE = Instrument(
    InstrumentId("NSE", "M&M"),
    "NSE:M&M-EQ",
    "1",
    1,
    Decimal("0.05"),
    Segment.CASH,
    has_derivatives=True,
    isin="INE101A01026",
    is_stale=True,
)
MASTER = KeptMaster("2026-11-23", [FUTURE, SHARE])


@pytest.mark.row("D10")
async def test_what_is_kept_comes_back_whole(tmp_path: Path) -> None:
    """Every field survives, each broker has its own file, and nobody else can read it."""
    files = KeptMasterFiles(tmp_path / "masters")
    assert await files.recall(FYERS) is None
    await files.keep(FYERS, KeptMaster("2026-11-20", [SHARE]))
    await files.keep(FYERS, MASTER)
    assert await files.recall(FYERS) == MASTER
    assert await files.recall(ZERODHA) is None
    assert (tmp_path / "masters").stat().st_mode & 0o077 == 0


@pytest.mark.row("D10")
@pytest.mark.parametrize("damage", ["cut", "garbage", "version", "row", "short"])
async def test_damaged_file_is_as_good_as_none(tmp_path: Path, damage: str) -> None:
    """Half a file is not taken for a master, and stops nothing."""
    files = KeptMasterFiles(tmp_path)
    await files.keep(FYERS, MASTER)
    file = tmp_path / "fyers.json.gz"
    lines = gzip.decompress(file.read_bytes()).decode().splitlines(keepends=True)
    match damage:
        case "cut":
            file.write_bytes(file.read_bytes()[:-20])
        case "garbage":
            file.write_bytes(b"not compressed")
        case "version":
            file.write_bytes(
                gzip.compress(lines[0].replace('"version": 2', '"version": 9').encode())
            )
        case "row":
            file.write_bytes(gzip.compress(f"{lines[0]}[1]\n[2]\n".encode()))
        case _:
            file.write_bytes(gzip.compress("".join(lines[:-1]).encode()))
    assert await files.recall(FYERS) is None


async def test_disk_that_takes_nothing_stops_nothing(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """A master that cannot be kept is used all the same; the log names it, and none is read."""
    (tmp_path / "masters").write_text("in the way")
    files = KeptMasterFiles(tmp_path / "masters")
    await files.keep(FYERS, MASTER)
    assert f"the instruments of {FYERS} could not be kept" in caplog.text
    assert await files.recall(FYERS) is None
