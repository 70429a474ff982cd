"""Before a mode, a limit or a guard is changed, or a run asked for: whose, and what follows (G3)."""

from __future__ import annotations

import html
from decimal import Decimal

import pytest

from bot.views.limits import removal_question
from bot.views.modes import mode_question
from bot.views.result_guards import guard_question, lock_question
from bot.views.strategies import run_question
from core.domain.guard_views import GuardPreview
from core.domain.instrument import Product
from core.domain.limits import LimitKind
from core.domain.mode import TradingMode
from core.domain.result_guard import Guard
from core.domain.views import AssignmentView, SizeKind
from tests.fakes.rendered import TAGS
from tests.fakes.views import a_strategy, an_account
from tests.unit.bot.test_guard_views import VIEW
from tests.unit.bot.test_limit_views import ALL, SOME

pytestmark = pytest.mark.row("G3")

MAIN = an_account()
NORMAL = TradingMode.NORMAL
STOPPED = Guard(Decimal(1000))


def on(label: str, kept_out: str = "") -> AssignmentView:
    """Return the strategy as it runs on an account of this name."""
    size = SizeKind.QUANTITY, Decimal(1), Decimal(1)
    return AssignmentView("orb", label, label, True, Product.MIS, *size, kept_out=kept_out)


def run_on(*assignments: AssignmentView) -> str:
    return run_question(a_strategy(*assignments))


QUESTIONS: dict[str, tuple[str, tuple[str, ...]]] = {
    "pause": (
        mode_question(MAIN, NORMAL, TradingMode.PAUSED),
        ("Set Paused for Zerodha - Main?", "not even stops", "You can still cancel orders"),
    ),
    "exit only for all": (
        mode_question(None, NORMAL, TradingMode.EXIT_ONLY),
        ("Set Exit only for all accounts?", "Only orders that shrink what is held go out."),
    ),
    "guard": (
        guard_question(GuardPreview(VIEW, STOPPED, (), False, None)),
        (f"Set the guard of {VIEW.name}?", "I close everything that the strategy holds there"),
    ),
    "no guard": (
        guard_question(GuardPreview(VIEW, Guard(), (), False, None)),
        (f"Set the guard of {VIEW.name}?", "Nothing stops it by its result any more."),
    ),
    "lock": (
        lock_question(VIEW),
        (f"Lock the guard of {VIEW.name}?", "nobody can loosen, remove or unlock it"),
    ),
    "no limit": (
        removal_question(SOME, LimitKind.DAILY_LOSS)[0],
        ("for Zerodha - Main?", "no longer turns this account to exit only"),
    ),
    "no limit of all": (
        removal_question(ALL, LimitKind.ORDERS_DAY)[0],
        ("for All accounts together?", "Entries go out whatever the number"),
    ),
    "run": (
        run_on(on("Zerodha - Main"), on("Fyers - Two", "it is paused")),
        ("Run Opening range breakout now?", "may enter on: Zerodha - Main.", "Fyers - Two"),
    ),
}


@pytest.mark.parametrize("name", QUESTIONS)
def test_a_question_names_whose_it_is_and_what_follows(name: str) -> None:
    """In the words that are shown."""
    text, said = QUESTIONS[name]
    plain = html.unescape(TAGS.sub("", text))
    assert [one for one in said if one not in plain] == []
