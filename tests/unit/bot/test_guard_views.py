"""What the chat shows of guards: short lines with the numbers, buttons that fit, typed values."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from decimal import Decimal
from typing import cast

import pytest

from bot.notices.lookups import Lookups
from bot.notices.result_guards import guard_notice
from bot.views.callbacks import LIMIT_BYTES
from bot.views.result_guards import (
    guard_answer,
    guard_page,
    guard_question,
    guards_screen,
    lock_question,
    part_page,
    typed_question,
    with_part,
)
from bot.views.screen import Screen
from core.domain.charges import Charges
from core.domain.day_result import DayResult
from core.domain.guard_views import GuardPreview, GuardView, PendingView
from core.domain.notices.result_guards import GuardFired
from core.domain.result_guard import (
    Breach,
    Guard,
    GuardDay,
    GuardScope,
    Reached,
    ScopeKind,
    Trail,
    problem_of,
)
from core.domain.sessions import IST
from core.errors import UserError

pytestmark = [pytest.mark.row("R5")]
AT = datetime(2026, 11, 23, 10, 2, 5, tzinfo=IST)
TRAIL = Trail(Decimal(10000), Decimal(5000), Decimal(1000), Decimal(500))
FULL = Guard(Decimal(5000), Decimal(20000), TRAIL)
NAMED = GuardScope(ScopeKind.STRATEGY, "zerodha_abc123def0", "opening_range_breakout")
VIEW = GuardView(
    NAMED,
    "Opening range breakout · Zerodha - Main",
    FULL,
    3,
    DayResult(Decimal(-1100), Decimal(-100)),
    "",
    2,
    GuardDay("2026-11-23", Decimal(12000), Decimal(6000)),
)


def buttons(screen: Screen) -> list[str]:
    """Return the labels, and see that every button's data fits."""
    found = [one for row in screen.rows for one in row]
    assert all(len(str(one.callback_data).encode()) <= LIMIT_BYTES for one in found)
    return [one.text for one in found]


def test_overview_shows_result_guard_and_floor() -> None:
    """Each scope in a few short lines."""
    text = guards_screen([VIEW]).text
    assert "Now <b>-₹1,200.00</b> after charges\n-₹1,200.00 before them" in text
    assert "Stop -₹5,000 · target +₹20,000\n   from +₹10,000 keep ₹5,000\n" in text
    assert "Floor now <b>+₹6,000.00</b>\n   highest +₹12,000.00" in text
    assert "prices of" not in text
    assert "no account yet" in guards_screen([]).text


def test_overview_says_what_is_unknown_old_fired_locked_or_waiting() -> None:
    """One line each."""
    fired = replace(VIEW.day, fired=Breach(Reached.STOP, Decimal(-5000), Decimal(-5120)))
    text = guards_screen([replace(VIEW, day=fired, price_age_s=14, locked_until="2026-11-25")]).text
    assert "the stop of -₹5,000 was reached at -₹5,120.00. Shut until" in text
    assert "by prices of 14 s ago" in text
    assert "🔒 Locked until Wed 25 Nov" in text
    text = guards_screen([replace(VIEW, result=None, why="it needs a login", guard=Guard())]).text
    assert "Result not known: it needs a login" in text and "No guard" in text
    unknown = DayResult(Decimal(-100), charges=Charges(stt=Decimal(5), unknown=("MCX",)))
    text = guards_screen([replace(VIEW, result=unknown)]).text
    assert "Now <b>-₹105.00</b> after known charges\n-₹100.00 before them" in text


def test_page_offers_what_can_be_done() -> None:
    """A lock only where none holds; the second confirmation only while it waits."""
    assert buttons(guard_page(VIEW)) == [
        "Stop",
        "Target",
        "Lock & trail",
        "🔒 Lock",
        "Remove",
        "🔄 Refresh",
        "« Guards",
    ]
    waiting = PendingView("abcdef123456", Guard(), AT, AT)
    locked = replace(VIEW, locked_until="2026-11-25", pending=waiting)
    page = guard_page(locked, [("Moving average", "strategy|x|y")])
    assert buttons(page)[:2] == ["Confirm it again", "Keep the present one"]
    assert "🔒 Lock" not in buttons(page) and "Moving average" in buttons(page)
    assert "Looser waits: nothing. Confirm it from 10:02:05 to 10:02." in page.text


@pytest.mark.parametrize("part", ["s", "t", "l"])
def test_usual_values_can_be_set(part: str) -> None:
    """Each button holds a guard that is allowed; a typed one is asked for."""
    page = part_page(VIEW, part)
    assert "Type another" in buttons(page)
    for row in page.rows:
        for one in row:
            verb, _, value = str(one.callback_data).partition(f":{part}:")
            if verb.startswith("v1:gd_ask") and value:
                assert problem_of(with_part(Guard(), part, value)) == ""
    assert "rupees" in typed_question(VIEW, part)


def test_label_of_a_trail_fits_a_phone() -> None:
    """From, keep, of each further, keep."""
    assert "10,000 → 5,000, each 2,000 → 1,000" in buttons(part_page(VIEW, "l"))
    assert buttons(part_page(VIEW, "s"))[0] == "-₹1,000"
    assert buttons(part_page(VIEW, "t"))[0] == "+₹1,000"


@pytest.mark.parametrize(
    ("part", "text", "expected"),
    [
        ("s", "₹5,000", replace(FULL, stop=Decimal(5000))),
        ("s", "-7500.50", replace(FULL, stop=Decimal("7500.50"))),
        ("s", "0", replace(FULL, stop=None)),
        ("t", "1,00,000", replace(FULL, target=Decimal(100000))),
        ("l", "from 2,000 keep 1000", replace(FULL, trail=Trail(Decimal(2000), Decimal(1000)))),
        ("l", "10000 5000 1000 500", FULL),
        ("l", "0", replace(FULL, trail=None)),
        ("x", "", Guard()),
    ],
)
def test_typed_values_are_read(part: str, text: str, expected: Guard) -> None:
    """With and without signs, commas and words."""
    assert with_part(FULL, part, text) == expected


@pytest.mark.parametrize(
    ("part", "text"), [("s", "a lot"), ("s", "1000 2000"), ("t", ""), ("l", "1000"), ("l", "1 2 3")]
)
def test_what_is_no_value_is_refused(part: str, text: str) -> None:
    """With what was found and what is expected."""
    with pytest.raises(UserError, match="expected"):
        with_part(FULL, part, text)


def test_question_names_the_effect() -> None:
    """What becomes of it, that it fires at once, that it has to be confirmed twice."""
    breach = Breach(Reached.STOP, Decimal(-1000), Decimal(-1200))
    tight = guard_question(GuardPreview(VIEW, Guard(Decimal(1000)), (), False, breach))
    assert "New: <b>stop -₹1,000</b>" in tight and "It fires at once" in tight
    assert "everything that the strategy holds there" in tight and "second" not in tight
    loose = guard_question(GuardPreview(VIEW, Guard(), ("stop", "trail"), True, None))
    assert "The stop and trail would be looser" in loose and "two minutes" in loose
    account = replace(VIEW, scope=GuardScope(ScopeKind.ALL))
    assert "all accounts hold" in guard_question(GuardPreview(account, FULL, (), False, None))
    assert "nobody can loosen" in lock_question(VIEW)


def test_what_closes_at_once_is_confirmed_in_red() -> None:
    """A guard that only waits is not red; one that fires at once, or is removed, is."""
    breach = Breach(Reached.STOP, Decimal(-1000), Decimal(-1200))
    at_once = GuardPreview(VIEW, Guard(Decimal(1000)), (), False, breach)
    assert guard_answer(at_once) == ("Yes, set it and close now", True)
    assert guard_answer(replace(at_once, at_once=None)) == ("Yes, set it", False)
    assert guard_answer(GuardPreview(VIEW, Guard(), ("stop",), True, None))[1]


def test_a_guard_that_covers_paper_alone_is_not_offered() -> None:
    """Of all accounts together paper does not count; with a live account it is said beside it."""
    everything = replace(
        VIEW, scope=GuardScope(ScopeKind.ALL), name="All accounts", guard=Guard(), day=GuardDay("")
    )
    scope = GuardScope(ScopeKind.ACCOUNT, "paper_abc123def0")
    paper = replace(VIEW, scope=scope, name="Paper")
    beside = replace(everything, leaves_out_paper=True)
    screen = guards_screen([beside, paper])
    assert buttons(screen) == ["Paper", "🔄 Refresh"]
    assert "does not count paper accounts, and there is no other yet." in screen.text
    live = guards_screen([beside, paper, VIEW])
    assert buttons(live)[:2] == ["All accounts", "Paper"]
    assert "Paper accounts do not count." in live.text
    assert "Paper" not in guards_screen([everything, VIEW]).text  # there is none


def test_paper_accounts_are_spoken_of_where_there_is_one() -> None:
    """On the page of all accounts, and in the question before its guard is set."""
    everything = replace(VIEW, scope=GuardScope(ScopeKind.ALL), name="All accounts")
    for is_there in (False, True):
        view = replace(everything, leaves_out_paper=is_there)
        asked = guard_question(GuardPreview(view, Guard(Decimal(1000)), (), False, None))
        for text in (guard_page(view).text, guards_screen([view, VIEW]).text, asked):
            assert ("aper accounts" in text) is is_there


async def test_a_fired_guard_tells_the_days_result_from_what_its_closing_brings() -> None:
    """Its figures are called the day's; over, it counts nothing that the list below does not."""
    fired = GuardFired(
        GuardScope(ScopeKind.ALL).key,
        Reached.STOP,
        Decimal(-500),
        after=Decimal(-520),
        before=Decimal(-510),
        charges=Decimal(10),
        floor_from=None,
        closing=2,
        price_age_s=0,
    )
    nobody = cast("Lookups", None)  # a guard of all accounts has no name to look up
    under_way = (await guard_notice(fired, nobody)).text
    assert "The day's result has reached the stop of -₹500:" in under_way
    assert "Closing 2 positions. Nothing is entered" in under_way
    over = (await guard_notice(fired, nobody, is_over=True)).text
    assert "The closing is over. Nothing is entered there until the next trading day." in over
