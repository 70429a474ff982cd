"""Whole days, slot by slot, against figures reckoned by hand.

The made-up day is in ``tests/data/replay`` with its reckoning; the recorded day's reckoning is
``docs/replay-2021-05-10.md``.
"""

from __future__ import annotations

import os
from datetime import date
from decimal import Decimal
from pathlib import Path

import pytest

from core.domain.instrument import InstrumentId
from core.domain.target import Direction
from strategy.opening_range_breakout import OpeningRangeBreakout
from tests.unit.strategy.days import DAY, RELIANCE, SBIN, Fill, read_candles, replay

pytestmark = pytest.mark.row("D7")

ROOT = Path(__file__).parents[3]
MADE_UP = ROOT / "tests" / "data" / "replay" / DAY.isoformat()
RECORDED_DAY = date(2021, 5, 10)
DAY_WITHOUT_OPENING = date(2021, 5, 19)


def fills(*rows: tuple[str, str, Direction]) -> list[Fill]:
    return [Fill(at, Decimal(price), position) for at, price, position in rows]


def result(found: list[Fill]) -> Decimal:
    """What one share earned; every position is closed."""
    earned, position = Decimal(0), Direction.FLAT
    for fill in found:
        earned -= (fill.position - position) * fill.price
        position = fill.position
    assert position is Direction.FLAT
    return earned


LONG, SHORT, FLAT = Direction.LONG, Direction.SHORT, Direction.FLAT


@pytest.mark.parametrize(
    ("instrument", "given", "expected", "earned"),
    [
        (SBIN, {}, [("09:46", "402.60", LONG), ("11:21", "397.80", FLAT)], "-4.80"),
        (
            SBIN,
            {"max_entries": "2"},
            [
                ("09:46", "402.60", LONG),
                ("11:21", "397.80", FLAT),
                ("13:00", "402.15", LONG),
                ("15:00", "400.50", FLAT),
            ],
            "-6.45",
        ),
        (
            SBIN,
            {"side": "short"},
            [("11:21", "397.80", SHORT), ("13:00", "402.15", FLAT)],
            "-4.35",
        ),
        (RELIANCE, {}, [("10:06", "1997.50", SHORT), ("15:00", "1981.00", FLAT)], "16.50"),
        (RELIANCE, {"side": "long"}, [], "0"),
    ],
)
def test_the_made_up_day_trades_as_reckoned(
    instrument: InstrumentId,
    given: dict[str, str],
    expected: list[tuple[str, str, Direction]],
    earned: str,
):
    """Entries, stop and square-off of the made-up day, to the paisa."""
    candles = read_candles(MADE_UP / f"{instrument.symbol}.csv", DAY)
    assert len(candles) == 375
    found = replay(OpeningRangeBreakout(), instrument, candles, given)
    assert found == fills(*expected)
    assert result(found) == Decimal(earned)


def recorded(instrument: InstrumentId) -> Path:
    """Return the file of recorded candles, or skip."""
    beside = ROOT.parent / "shared" / "data" / "nse_minute"
    directory = Path(os.environ.get("SAARTHI_REPLAY_DIR") or beside)
    path = directory / f"{instrument.symbol}.csv"
    if not path.is_file():
        pytest.skip(f"no recorded candles of {instrument}: set SAARTHI_REPLAY_DIR")
    return path


@pytest.mark.parametrize(
    ("instrument", "day", "expected", "earned"),
    [
        (SBIN, RECORDED_DAY, [("10:08", "361.95", LONG), ("15:00", "361.15", FLAT)], "-0.80"),
        (
            RELIANCE,
            RECORDED_DAY,
            [("10:03", "1922.95", SHORT), ("12:58", "1944.7", FLAT)],
            "-21.75",
        ),
        (SBIN, DAY_WITHOUT_OPENING, [], "0"),
        (RELIANCE, DAY_WITHOUT_OPENING, [], "0"),
    ],
)
def test_the_recorded_day_trades_as_reckoned(
    instrument: InstrumentId, day: date, expected: list[tuple[str, str, Direction]], earned: str
):
    """Entries and exits of 10 May 2021, gaps included, and none on a day that starts at 09:57."""
    candles = read_candles(recorded(instrument), day)
    found = replay(OpeningRangeBreakout(), instrument, candles, {})
    assert found == fills(*expected)
    assert result(found) == Decimal(earned)
