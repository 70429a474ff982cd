"""The doctor of an installation with paper accounts alone: nothing is asked of a broker that is none."""

from __future__ import annotations

from typing import cast

import pytest

from console.doctor.inside import console_questions, masters
from core.adapters.fyers import FYERS
from core.adapters.paper import PAPER_PROFILE
from core.adapters.zerodha import ZERODHA
from core.bootstrap import System
from core.domain.account import AccountDraft
from tests.fakes.memory_engine import MemoryEngine, market_clock
from tests.fakes.run_bench import TEN

pytestmark = pytest.mark.row("F6")


async def test_paper_has_no_console_and_no_list_of_its_own() -> None:
    """The consoles of the real brokers are asked about, and their lists of instruments loaded."""
    engine = await MemoryEngine(market_clock(TEN)).owned()
    draft = AccountDraft(PAPER_PROFILE, "Try", "", "")
    await engine.control.registration.add(engine.command(), draft)
    system = cast("System", engine.wiring)  # what is asked of both is the same
    asked = await console_questions(system, engine.settings)
    assert {one.console for one in asked} == {ZERODHA.console, FYERS.console}
    assert [one.text.partition(":")[0] for one in await masters(system)] == ["Zerodha", "Fyers"]
