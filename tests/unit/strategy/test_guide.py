"""The guide to one's own strategy: its code runs, is clean, and earns what the guide reckons."""

from __future__ import annotations

import importlib.util
import re
import subprocess
import sys
from datetime import timedelta
from decimal import Decimal
from pathlib import Path

import pytest

from core.domain.instrument import InstrumentId
from core.domain.target import Direction, Strategy
from tests.unit.strategy.days import (
    DAY,
    RELIANCE,
    SBIN,
    Fill,
    at,
    bars,
    decide,
    read_candles,
    replay,
)

ROOT = Path(__file__).parents[3]
GUIDE = (ROOT / "docs" / "writing-a-strategy.md").read_text(encoding="utf-8")
TICK = Decimal("0.05")
RECORDED = ROOT / "tests" / "data" / "replay" / DAY.isoformat()


def code() -> str:
    """Return the guide's module: the first block of code."""
    found = re.search(r"^```python\n(.*?)^```", GUIDE, re.MULTILINE | re.DOTALL)
    assert found
    return found[1]


@pytest.fixture
def strategy(tmp_path: Path) -> Strategy:
    """The guide's strategy, from its text alone."""
    path = tmp_path / "ten_o_clock.py"
    path.write_text(code(), encoding="utf-8")
    spec = importlib.util.spec_from_file_location("guide_ten_o_clock", path)
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    made: Strategy = module.TenOClock()
    return made


def row(symbol: str) -> list[str]:
    """Return the cells of the guide's reckoning for one instrument."""
    found = re.search(rf"^\| NSE:{symbol} \|(.*)\|$", GUIDE, re.MULTILINE)
    assert found
    return [cell.strip() for cell in found[1].split("|")]


def test_code_of_the_guide_is_clean() -> None:
    """Whoever copies the code passes the checks with it."""
    ruff = str(Path(sys.executable).with_name("ruff"))
    for command in (["check", "--quiet"], ["format", "--check", "--quiet"]):
        result = subprocess.run(
            [ruff, *command, "--stdin-filename", str(ROOT / "strategy" / "ten_o_clock.py"), "-"],
            input=code(),
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=False,
        )
        assert result.returncode == 0, result.stdout + result.stderr


@pytest.mark.row("D1")
def test_file_and_name_are_those_of_the_guide(strategy: Strategy) -> None:
    """The file's name, the registry's line and the class agree."""
    assert f"`strategy/{strategy.name}.py`" in GUIDE
    assert f"from strategy.{strategy.name} import {type(strategy).__name__}\n" in GUIDE
    assert f"    {type(strategy).__name__}(),\n" in GUIDE


@pytest.mark.row("D1")
@pytest.mark.parametrize("instrument", [SBIN, RELIANCE], ids=str)
def test_made_up_day_comes_out_as_reckoned(strategy: Strategy, instrument: InstrumentId) -> None:
    """Entry, stop and end of the made-up day are the guide's figures."""
    candles = read_candles(RECORDED / f"{instrument.symbol}.csv", DAY)
    opened, ten, move, entry, stop, _, earned = row(instrument.symbol)
    assert Decimal(opened) == candles[0].open
    first, last = replay(strategy, instrument, candles, {})
    direction = Direction.LONG if entry.startswith("long") else Direction.SHORT
    assert first == Fill("10:00", Decimal(entry.rpartition(" ")[2]), direction)
    seen = [candle for candle in candles if candle.start < at("10:00")]
    target = decide(strategy, "10:00", seen)
    assert (seen[-1].close, target.stop_price) == (Decimal(ten), Decimal(stop))
    assert target.reason == f"{move} since the open."
    assert direction * (price_out(row(instrument.symbol), last) - first.price) == Decimal(earned)


def price_out(cells: list[str], last: Fill) -> Decimal:
    """Return what the position left at: its stop, resting at the broker, or the last fill."""
    stop, out = Decimal(cells[4]), cells[5]
    if rests := re.search(r"stop at (\S+)$", out):
        assert at(last.at) == at(out[:5]) + timedelta(minutes=1)  # the bar's close shows it
        assert abs(Decimal(rests[1]) - stop) < TICK
        return Decimal(rests[1])
    assert out == f"{last.at}, opens at {last.price}: square-off"
    return last.price


@pytest.mark.row("D1")
def test_signal_keeps_its_time(strategy: Strategy) -> None:
    """The rule that the guide explains holds for its own strategy."""
    morning = bars("09:15", [100.0] * 44 + [101.0] * 30)
    for slot in ("10:00", "10:01", "10:20"):
        target = decide(strategy, slot, morning)
        assert (target.direction, target.signal_at) == (Direction.LONG, at("10:00"))
