"""No notice promises what mode or login rule out at the moment at which it is read."""

from __future__ import annotations

import html
from decimal import Decimal

import pytest

from bot.notices.render import render
from core.domain.account import TokenStatus
from core.domain.command import Command
from core.domain.mode import TradingMode
from core.domain.notices.accounts import AddressRight, PositionShrunk, SquareOffAlarm
from core.domain.notices.limits import DailyLossReached, RoundTripPassed
from core.domain.notices.notice import Notice
from core.domain.notices.positions import ClosedByHand
from core.domain.notices.protection import StopHit, Unprotected
from core.domain.notices.runs import StrategyDisabled
from core.domain.order import OrderType, Purpose, Side
from tests.fakes.bot_engine import BotEngine
from tests.fakes.rendered import TAGS, lookups
from tests.fakes.views import AT, a_position, an_account, an_order

MAIN = "zerodha_aaaaaaaaaa"
ENTERS = "Strategies may enter on this account now"
CASES: tuple[tuple[Notice, str], ...] = (
    (AddressRight(MAIN, "203.0.113.7"), "It enters again"),
    (RoundTripPassed(MAIN, "NSE:SBIN", 1, Decimal(812), Decimal(811)), ENTERS),
    (DailyLossReached(MAIN, Decimal(-1240), Decimal(1000), AT, (MAIN,)), "exits go on."),
    (SquareOffAlarm(MAIN, "orb", ("NSE:SBIN +10",)), "Close them now, here or"),
    (StopHit(MAIN, "orb", "NSE:SBIN", 10, Decimal(810), "through it"), "I close it at the market"),
    (ClosedByHand(MAIN, "NSE:SBIN", "MIS", ("orb",), 5, Decimal(970), 0), "stop is cancelled"),
    (ClosedByHand(MAIN, "NSE:SBIN", "MIS", ("orb",), 5, Decimal(970), 5), "the stop follows"),
)


async def words_of(notice: Notice, mode: TradingMode, *, needs_login: bool = False) -> str:
    engine = BotEngine()
    status = TokenStatus.EXPIRED if needs_login else TokenStatus.VALID
    await engine.connect(an_account(MAIN, token_status=status))
    await engine.control.modes.set(Command("mode", 1, 1), mode, None)
    screen = await render(notice, lookups(engine))
    return html.unescape(TAGS.sub("", screen.text))


@pytest.mark.row("C2")
@pytest.mark.parametrize(("notice", "promise"), CASES, ids=lambda one: getattr(one, "kind", ""))
async def test_a_promise_is_made_only_where_it_holds(notice: Notice, promise: str) -> None:
    """In Normal it is made; where nothing is sent, the reason stands in its place."""
    assert promise in await words_of(notice, TradingMode.NORMAL)
    paused = await words_of(notice, TradingMode.PAUSED)
    assert promise not in paused and "paused: nothing is sent" in paused
    expired = await words_of(notice, TradingMode.NORMAL, needs_login=True)
    assert promise not in expired and "needs a login" in expired


@pytest.mark.row("A12")
async def test_an_address_that_nobody_has_seen_is_not_called_right() -> None:
    """The account leaves by another way since the alarm; the service that shows it is away."""
    words = await words_of(AddressRight(MAIN, ""), TradingMode.NORMAL)
    assert "From where it is seen is not known. It enters again." in words
    assert "right" not in words
    seen = await words_of(AddressRight(MAIN, "203.0.113.7"), TradingMode.NORMAL)
    assert "is right again. Its orders leave from 203.0.113.7." in seen


@pytest.mark.row("D7")
async def test_after_the_close_nobody_is_told_to_close_here() -> None:
    """What is open after the market has closed can be closed nowhere but by the broker."""
    alarm = SquareOffAlarm(MAIN, "orb", ("NSE:SBIN +10",), is_closed=True)
    words = await words_of(alarm, TradingMode.NORMAL)
    assert "the market is closed now" in words and "Close them now" not in words


@pytest.mark.row("R6")
async def test_a_position_without_a_stop_asks_for_the_login_that_it_needs() -> None:
    """Closing it here, or putting its stop back, would send nothing before that."""
    bare = Unprotected(MAIN, "orb", "NSE:SBIN", "MIS", 10, "no login", can_put_back=True)
    words = await words_of(bare, TradingMode.NORMAL, needs_login=True)
    assert "Log in" in words and "Put its stop back" not in words
    assert "Put its stop back" in await words_of(bare, TradingMode.NORMAL)


@pytest.mark.row("C2")
async def test_a_disabled_strategy_keeps_no_stops_while_all_is_paused() -> None:
    """Stops, guards and square-off of what it holds go on in Normal alone."""
    notice = StrategyDisabled("orb", 3, "too slow")
    assert "keeps its stops" in await words_of(notice, TradingMode.NORMAL)
    assert "keeps its stops" not in await words_of(notice, TradingMode.PAUSED)


@pytest.mark.row("R8")
@pytest.mark.parametrize("mode", [TradingMode.NORMAL, TradingMode.PAUSED])
async def test_stop_that_cannot_shrink_with_its_position_is_named(mode: TradingMode) -> None:
    """Fewer units are held: in Normal the stop follows, in Paused it stays, and that is said."""
    engine, account = BotEngine(), an_account(MAIN)
    await engine.connect(account)
    await engine.hold(a_position(account, owners={"orb": 10}))
    stop = an_order(
        account,
        side=Side.SELL,
        quantity=15,
        order_type=OrderType.SL_M,
        limit_price=None,
        trigger_price=Decimal(805),
        purpose=Purpose.STOP,
    )
    await engine.order(stop)
    await engine.control.modes.set(Command("mode", 1, 1), mode, None)
    screen = await render(PositionShrunk(MAIN, "NSE:SBIN", "MIS", 10), lookups(engine))
    is_said = "Its stop stays as it rests, because nothing is sent there (paused" in screen.text
    assert is_said is (mode is TradingMode.PAUSED)
