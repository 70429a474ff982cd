"""What the message of the day's end says: money first, paper apart, what is open, what comes next."""

from __future__ import annotations

from decimal import Decimal

import pytest

from bot.notices.render import render
from bot.views.markup import LIMIT, fit, units
from core.adapters.fyers import FYERS
from core.adapters.paper import PAPER_PROFILE
from core.domain.notices.summary import DaySummary
from tests.fakes.bot_engine import BotEngine
from tests.fakes.rendered import TAGS, lookups
from tests.fakes.views import AT, a_position, an_account

pytestmark = pytest.mark.row("E2")

MAIN = an_account(enabled=True)
OTHER = an_account("fyers_bbbbbbbbbb", FYERS, "Two", is_default=False)
PAPER = an_account("paper_aaaaaaaaaa", PAPER_PROFILE, "Try", is_default=False)


async def text_of(engine: BotEngine, notice: DaySummary) -> str:
    screen = await render(notice, lookups(engine))
    return TAGS.sub("", screen.text)


async def test_the_day_is_told_account_by_account() -> None:
    """Trades, result before charges and after them, what is held; paper has no part in the sum."""
    engine = BotEngine()
    for one in (MAIN, OTHER, PAPER):
        await engine.connect(one)
    await engine.hold(a_position(MAIN))
    notice = DaySummary(
        "2026-11-23",
        (MAIN.broker_id, OTHER.broker_id, PAPER.broker_id),
        (12, 1, 4),
        (Decimal("1240.50"), Decimal(-300), Decimal(9000)),
        (Decimal("134.20"), Decimal(20), Decimal(40)),
        (Decimal("27.50"), Decimal(0), Decimal(0)),
        (OTHER.broker_id,),
        (),
        AT,
    )
    text = await text_of(engine, notice)
    lines = text.splitlines()
    assert lines[:5] == [
        "📒 The day · Mon 23 Nov",
        "Zerodha - Main",
        "   12 trades, booked:",
        "   Before charges +₹1,240.50",
        "   After them about +₹1,106.30",
    ]
    assert "   still held: 1 · open +₹27.50\n   SBIN MIS · +10\n" in text
    assert "Fyers - Two\n   1 trade, booked:\n   Before charges -₹300.00" in text
    assert "   by my own orders: its login ended" in text
    together, paper = text.index("Together about +₹786.30"), text.index("📝 Paper, no money")
    assert together < paper < text.index("📝 Paper - Try")
    assert lines[-1].startswith("Next session: Mon 23 Nov")
    assert lines[-1].endswith("before it, after 06:00: /login.")


async def test_what_has_no_stop_comes_first_and_sixty_accounts_fit() -> None:
    """A line each where there are many; the account that needs a look is never left out."""
    engine = BotEngine()
    ids = [f"zerodha_{number:010d}" for number in range(60)]
    for one in ids:
        await engine.connect(
            an_account(one, display_name=f"Family {one[-2:]}", is_default=one == ids[0])
        )
    bare = an_account(ids[-1], display_name="Family 59", is_default=False)
    await engine.hold(a_position(bare))
    notice = DaySummary(
        "2026-11-23",
        tuple(ids),
        (12,) * 60,
        (Decimal("-123456.78"),) * 60,
        (Decimal("1234.20"),) * 60,
        (Decimal(0),) * 60,
    )
    text = await text_of(engine, notice)
    assert units(fit(text)) <= LIMIT and "cut" not in fit(text)
    assert text.splitlines()[1].startswith("⚠️ Zerodha - Family 59")
    assert "… and 20 accounts more: /pnl" in text
    assert "I do not know when the next session is" in text


async def test_the_sum_of_the_day_has_no_paise_where_its_rows_have_none() -> None:
    """Of a lakh and more they are left out, and the sum is that of the rows as they are read."""
    engine = BotEngine()
    await engine.connect(MAIN, OTHER)
    both = (MAIN.broker_id, OTHER.broker_id)
    figures = ((Decimal("-1234567.89"),) * 2, (Decimal("1234.56"),) * 2, (Decimal(0),) * 2)
    text = await text_of(engine, DaySummary("2026-11-23", both, (3, 3), *figures, opens_at=AT))
    assert text.count("After them about -₹12,35,802\n") == 2
    assert "Together about -₹24,71,604\n" in text
