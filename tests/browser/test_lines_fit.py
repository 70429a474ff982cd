"""No line of an order, a position, a run card or a result breaks on a narrow phone (E1, E2, E6)."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from playwright.async_api import Browser, Page, expect

from bot.notices.render import render
from bot.notices.results import result_notice
from bot.views.dashboard import dashboard, listing, order_items, pnl_screen, position_items
from bot.views.markup import fit
from bot.views.panic import panic_over
from bot.views.runs import run_card
from bot.views.screen import Screen
from bot.views.verbs import Verb
from core.adapters.fyers import FYERS
from core.domain.broker import Funds
from core.domain.instrument import InstrumentId, Product
from core.domain.mode import TradingMode
from core.domain.notices.exits import ExitStuck
from core.domain.notices.results import ClosedBy, PositionClosed
from core.domain.notices.summary import DaySummary
from core.domain.order import OrderState, OrderType, Purpose, Side
from core.domain.panic import Line, Panic, PanicEnd
from core.domain.target import Direction, Target
from core.domain.views import (
    DashboardView,
    OrderView,
    PanicPart,
    PanicView,
    PnlView,
    RunLine,
)
from tests.fakes.bot_api import BotClient, Telegram, serve_telegram
from tests.fakes.bot_engine import BotEngine
from tests.fakes.chat_page import FAINT, picture_all
from tests.fakes.rendered import lookups
from tests.fakes.usual_views import NAMES, usual_screens
from tests.fakes.views import AT, a_position, a_run, a_trade, an_account, an_order

MAIN, FAMILY = an_account(), an_account("fyers_bbbbbb", FYERS, "Family", is_default=False)
SBIN, RELIANCE = InstrumentId("NSE", "SBIN"), InstrumentId("NSE", "RELIANCE")
BROKEN = """() => [...document.querySelectorAll('.theirs .text')].flatMap((text) => {
  const walk = document.createTreeWalker(text, NodeFilter.SHOW_TEXT), lines = [[]];
  for (let node = walk.nextNode(); node; node = walk.nextNode()) {
    if (node.parentElement.closest('.meta')) continue;
    node.data.split('').forEach((sign, at) => {
      if (sign === '\\n') lines.push([]);
      else lines.at(-1).push([node, at, sign]);
    });
  }
  return lines.filter((line) => {
    if (!line.length) return false;
    const range = document.createRange();
    range.setStart(line[0][0], line[0][1]);
    range.setEnd(line.at(-1)[0], line.at(-1)[1] + 1);
    const middles = [...range.getClientRects()].filter((box) => box.width > 1)
      .map((box) => box.top + box.height / 2).sort((a, b) => a - b);
    return middles.at(-1) - middles[0] > 10;
  }).map((line) => line.map((one) => one[2]).join(''));
})"""
"""The lines that take more than one line of the screen."""
SENTENCE = re.compile(r"[.:?!]$|^⚠️ ")
"""What ends a line that wraps as the phone likes."""


def order(account: Any = MAIN, **fields: Any) -> OrderView:
    """Return a filled exit of a hundred RELIANCE."""
    given: dict[str, Any] = {
        "instrument": RELIANCE,
        "side": Side.SELL,
        "quantity": 100,
        "filled_quantity": 100,
        "average_price": Decimal("1464.05"),
        "order_type": OrderType.MARKET,
        "limit_price": None,
        "state": OrderState.FILLED,
        "purpose": Purpose.EXIT,
        "strategy": "moving_average_crossover",
        "realised": Decimal("-12345.65"),
    }
    return an_order(account, **{**given, **fields})


def orders(account: Any) -> list[OrderView]:
    """Return one order of each kind and state."""
    stop = {
        "purpose": Purpose.STOP,
        "order_type": OrderType.SL_M,
        "trigger_price": Decimal("1449.40"),
        "filled_quantity": 0,
        "realised": None,
    }
    unfilled = {"purpose": Purpose.ENTRY, "filled_quantity": 0, "realised": None, "side": Side.BUY}
    limit = {"order_type": OrderType.LIMIT, "limit_price": Decimal("1464.05")}
    filled = {OrderState.FILLED: 100, OrderState.PARTIALLY_FILLED: 40}
    return [
        order(account),
        order(account, key="a", purpose=Purpose.ENTRY, side=Side.BUY, realised=None),
        order(account, key="b", state=OrderState.ACCEPTED, **stop),
        order(account, key="c", state=OrderState.CANCELED, reason="makes way for an exit", **stop),
        order(account, key="d", state=OrderState.CANCELED, filled_quantity=40),
        *(
            order(
                account,
                key=f"{prefix}{state}",
                state=state,
                **{**unfilled, **terms, "filled_quantity": filled.get(state, 0)},
            )
            for prefix, terms in (("", {}), ("l", limit))
            for state in OrderState
        ),
    ]


def a_card() -> Screen:
    """Return the card of a run on two accounts, with exits, stops and results."""
    shown = [one for one in orders(MAIN) if not one.reason or one.purpose is Purpose.STOP]
    run = a_run(*shown, *[replace(one, broker_id=FAMILY.broker_id) for one in orders(FAMILY)[:4]])
    lines = [
        replace(line, result=Decimal("12345.65"), charges=Decimal("182.72"), gone=(SBIN, RELIANCE))
        for line in run.lines
    ]
    late = Target(SBIN, Direction.LONG, AT.replace(hour=9, minute=47))
    lines.append(RunLine("x", "Zerodha - Second", (), "", late=(late,)))
    lines.append(RunLine("y", "Fyers - Two", (), "exit only: no entry is sent", is_quiet=True))
    targets = (
        Target(RELIANCE, Direction.SHORT, AT, Decimal("1494.50"), "Crossed below at ₹1,479.70."),
        Target(SBIN, Direction.LONG, AT, Decimal("948.91"), "Close ₹958.50 above ₹957.45."),
    )
    return run_card(replace(run, lines=tuple(lines), targets=targets), "Moving average crossover")


def positions() -> Screen:
    """Return positions of usual sizes, one with profit booked before."""
    held = {"owners": {"moving_average_crossover": 100}, "quantity": 100, "stop": Decimal("948.9")}
    found = [
        a_position(MAIN, charges=Decimal(12), **held),
        a_position(
            MAIN,
            instrument=RELIANCE,
            average_price=Decimal("1464.05"),
            last_price=Decimal("1479.60"),
            realised=Decimal("-1234.56"),
            unrealised=Decimal("12345.65"),
            charges=Decimal(120),
            **held,
        ),
        a_position(
            MAIN, product=Product.NRML, quantity=-50, owners={}, previous_close=Decimal(812)
        ),
        a_position(MAIN, quantity=0, owners={}, realised=Decimal("-1234.56")),
    ]
    return listing(
        "Positions", Verb.POSITIONS, position_items(found, named=True), (MAIN, FAMILY), "all"
    )


def a_board() -> Screen:
    """Return a dashboard with everything on it."""
    profit = PnlView(MAIN.broker_id, MAIN.label, Decimal("1234.5"), Decimal("-250.5"), Decimal(59))
    view = DashboardView(
        account=MAIN,
        effective_mode=TradingMode.NORMAL,
        as_of=AT,
        funds=Funds(Decimal("1234567.89"), Decimal(20000), Decimal("1254567.89")),
        pnl=profit,
        positions=(),
        working=tuple(orders(MAIN)[2:3]),
        trades=(a_trade(MAIN, instrument=RELIANCE, quantity=100, price=Decimal("1464.05")),),
        holdings=(),
        incomplete=(),
    )
    return dashboard(view, (MAIN, FAMILY), None)


async def results() -> list[Screen]:
    """Return the message of each way in which a position ends."""
    engine = BotEngine()
    await engine.connect(MAIN)
    return [
        await result_notice(
            PositionClosed(
                MAIN.broker_id,
                closed_by,
                "moving_average_crossover",
                str(RELIANCE),
                "MIS",
                Side.SELL,
                100,
                Decimal("1464.05"),
                Decimal("-12345.65"),
                Decimal("182.72"),
            ),
            lookups(engine),
        )
        for closed_by in ClosedBy
    ]


async def ends() -> list[Screen]:
    """Return the rows of the ends of a panic and of a day, and of a long title."""
    engine = BotEngine()
    await engine.connect(MAIN, FAMILY)
    ids = (MAIN.broker_id, FAMILY.broker_id)
    part = PanicPart(3, Decimal("-12345.65"), Decimal("182.72"))
    lines = tuple(Line(one, is_flat=True) for one in ids)
    panic = Panic("000001", AT, "2026-11-23", "1", (), True, lines, PanicEnd.FLAT)
    accounts = {one.broker_id: one for one in (MAIN, FAMILY)}
    parts = dict.fromkeys(ids, part)
    view = PanicView(panic, accounts, {}, (), TradingMode.EXIT_ONLY, parts)
    figures = ((Decimal("-12345.65"),) * 2, (Decimal("182.72"),) * 2, (Decimal("-12345.65"),) * 2)
    day = DaySummary("2026-11-23", ids, (12, 112), *figures, opens_at=AT)
    found = [panic_over(view), await render(day, lookups(engine))]
    stuck = ExitStuck(MAIN.broker_id, "Sell 10 NSE:SBIN MIS", "it rests", "orb")
    title = (await render(stuck, lookups(engine))).text.split(". ")[0].rpartition("\n")[0]
    # What follows the blank line is sentences, which wrap as the phone likes.
    return [*(Screen(one.text.partition("\n\n")[0]) for one in found), Screen(title)]


@pytest.fixture
async def telegram() -> AsyncIterator[Telegram]:
    async with serve_telegram() as server:
        yield server


async def shown(page: Page, telegram: Telegram, bot: BotClient) -> None:
    """Send every screen and wait until the page shows them."""
    await bot.ok("getMe")
    await page.goto(f"{telegram.root}/")
    await page.get_by_role("button", name="START").click()
    (update,) = await bot.ok("getUpdates", timeout=40)
    chat = update["message"]["chat"]["id"]
    profit = [
        PnlView(one.broker_id, one.label, Decimal(-200), Decimal(50), Decimal(17))
        for one in (MAIN, FAMILY)
    ]
    listed = listing(
        "Orders today", Verb.ORDERS, order_items(orders(MAIN)[:10]), (MAIN,), MAIN.broker_id
    )
    screens = [
        a_card(),
        positions(),
        listed,
        pnl_screen(profit, (MAIN, FAMILY), "all", None),
        a_board(),
        *await results(),
        *await ends(),
        *usual_screens("M&M", NAMES[-1]),
    ]
    for screen in screens:
        await bot.ok("sendMessage", chat_id=chat, text=fit(screen.text), parse_mode="HTML")
    await expect(page.locator(".theirs")).to_have_count(len(screens))


@pytest.mark.row("E1", "E2", "E6")
@pytest.mark.usefixtures("phone_font")
async def test_no_line_breaks_at_360_points(
    browser: Browser, telegram: Telegram, shots: Path
) -> None:
    """Each line of a card is one line of the screen, in light and dark, and on wider screens too."""
    bot = telegram.bot()
    page = await (await browser.new_context(viewport={"width": 360, "height": 780})).new_page()
    await shown(page, telegram, bot)
    for width, height, scheme in (
        (360, 780, "light"),
        (360, 780, "dark"),
        (390, 844, "light"),
        (390, 844, "dark"),
        (1440, 900, "light"),
        (1440, 900, "dark"),
    ):
        await page.set_viewport_size({"width": width, "height": height})
        await page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
        pictured = await picture_all(page, shots / f"lines-{width}-{scheme}.png")
        assert len(pictured) == await page.locator(".theirs").count()
        assert await page.evaluate(FAINT) == []
        assert [one for one in await page.evaluate(BROKEN) if not SENTENCE.search(one)] == []
