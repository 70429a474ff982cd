"""Parameters and sizes in the chat: choices are buttons, instruments are looked up, rupees are told."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import pytest

from bot.views.parameters import meant_question, parameter_question
from bot.views.screen import Screen
from bot.views.sizes import enable_question, size_lines
from bot.views.strategies import enabled_screen
from core.domain.account import Account
from core.domain.instrument import InstrumentId, Product
from core.domain.size_views import InstrumentView, SizeLine, SizeView
from core.domain.target import Parameter
from core.domain.typed_instruments import changed_instruments, read_instruments
from core.domain.views import AssignmentView, SizeKind
from core.errors import UserError
from tests.fakes.rendered import TAGS
from tests.fakes.views import a_strategy, an_account

SBIN, RELIANCE = InstrumentId("NSE", "SBIN"), InstrumentId("NSE", "RELIANCE")
MAIN = an_account()


def plain(text: str) -> str:
    return TAGS.sub("", text)


def an_assignment(account: Account) -> AssignmentView:
    return AssignmentView(
        "opening_range_breakout",
        account.broker_id,
        account.label,
        is_on=True,
        product=Product.MIS,
        size_kind=SizeKind.QUANTITY,
        size_value=Decimal(1),
        multiplier=Decimal(1),
    )


def labels(screen: Screen) -> list[list[str]]:
    return [[one.text for one in row] for row in screen.rows]


@pytest.mark.parametrize(
    ("typed", "read"),
    [
        ("sbin", ("NSE:SBIN",)),
        ("SBIN, reliance  bse:tcs", ("NSE:SBIN", "NSE:RELIANCE", "BSE:TCS")),
        ("NSE: SBIN;NSE:SBIN", ("NSE:SBIN",)),
        ("M&M\nBAJAJ-AUTO", ("NSE:M&M", "NSE:BAJAJ-AUTO")),
        ("nifty  50, SBIN , tcs", ("NSE:NIFTY 50", "NSE:SBIN", "NSE:TCS")),
        ("  ", ()),
        ("sbin.", ("NSE:SBIN",)),
        ("#SBIN and $infy 🚀!", ("NSE:SBIN", "NSE:INFY")),
        ("sbin aur m&m / tcs", ("NSE:SBIN", "NSE:M&M", "NSE:TCS")),
        ("🚀", ()),
    ],
)
def test_instruments_are_read_as_people_type_them(typed: str, read: tuple[str, ...]) -> None:
    """Small letters, commas or spaces, without an exchange, and twice the same."""
    assert read_instruments(typed) == read


@pytest.mark.parametrize(
    ("typed", "becomes"),
    [
        ("add tcs", "NSE:SBIN,NSE:INFY,NSE:TCS"),
        ("+ tcs, sbin", "NSE:SBIN,NSE:INFY,NSE:TCS"),
        ("please remove infy", "NSE:SBIN"),
        ("-INFY.", "NSE:SBIN"),
        ("tcs", "tcs"),
        ("additive", "additive"),
    ],
)
def test_a_list_of_instruments_is_changed_in_words(typed: str, becomes: str) -> None:
    """Who writes what to add or to leave out need not send the whole list again."""
    assert changed_instruments(typed, "NSE:SBIN,NSE:INFY") == becomes


@pytest.mark.parametrize("typed", ["remove tcs", "remove sbin and infy"])
def test_a_list_of_instruments_keeps_one_and_names_what_it_has(typed: str) -> None:
    """What is not in it is said, and nothing else is removed."""
    with pytest.raises(UserError, match=r"not in the list: NSE:SBIN|has to stay"):
        changed_instruments(typed, "NSE:SBIN,NSE:INFY")


@pytest.mark.row("D6")
def test_choices_are_buttons_and_the_present_one_is_marked() -> None:
    """Sides, averages, bar lengths and times are tapped; a number is typed, or set to its default."""
    side = Parameter("side", "Side", "both", choices=("both", "long", "short"))
    strategy = a_strategy(parameters=((side, "long"),))
    assert labels(parameter_question(strategy, side, "long")) == [
        ["both", "• long", "short"],
        ["« Leave it"],
    ]
    fast = Parameter("fast", "Fast", 9, 2, 100)
    assert labels(parameter_question(strategy, fast, 5)) == [["Default: 9"], ["« Leave it"]]
    assert labels(parameter_question(strategy, fast, 9)) == [["« Leave it"]]


@pytest.mark.row("D6")
def test_instruments_show_their_names_and_last_prices() -> None:
    """In the question for them, and in what may be meant by a wrong name."""
    chosen = Parameter("instruments", "Instruments", "NSE:SBIN")
    known = InstrumentView(SBIN, "State Bank of India", Decimal("958.05"))
    screen = parameter_question(a_strategy(), chosen, "NSE:SBIN", (known,))
    assert "   SBIN State Bank of India · ₹958.05\n" in plain(screen.text)
    asked = meant_question({InstrumentId("NSE", "SBINN"): (SBIN,)}, (known,))
    assert plain(asked).startswith("I find no NSE:SBINN in the brokers' lists.\nDid you mean:")


def a_size(units: int = 100, funds: int = 500_000, **fields: object) -> SizeView:
    lines = (SizeLine(SBIN, units, Decimal(958)), SizeLine(RELIANCE, 10, Decimal(1464)))
    view = SizeView(MAIN.broker_id, MAIN.label, Product.MIS, lines, Decimal(funds))
    return replace(view, **fields)  # type: ignore[arg-type]


@pytest.mark.row("D4")
def test_enabling_says_what_would_be_traded_in_rupees() -> None:
    """Units and rupees of each instrument on each account, together, beside what is free."""
    screen = enable_question(a_strategy(), (a_size(),))
    assert (
        "Zerodha - Main\n   100 SBIN · ₹95,800\n   10 RELIANCE · ₹14,640\n"
        "   together ₹1,10,440 · ₹5,00,000 free\n"
    ) in plain(screen.text)
    assert labels(screen) == [["Yes, enable it"], ["« Leave it"]]
    nowhere = enable_question(a_strategy(), ())
    assert "off on every account" in nowhere.text
    kept_out = "\n".join(size_lines([a_size(kept_out="exit only: nothing is entered")]))
    assert "⏸ exit only: nothing is entered" in kept_out


@pytest.mark.row("D4")
@pytest.mark.parametrize(
    ("product", "units", "is_warned"),
    [
        (Product.MIS, 2000, False),
        (Product.MIS, 3000, True),
        (Product.CNC, 500, False),
        (Product.CNC, 520, True),
    ],
)
def test_a_size_far_beyond_the_funds_is_warned_about(
    product: Product, units: int, is_warned: bool
) -> None:
    """Beyond five times the funds intraday, beyond the funds in delivery."""
    lines = "\n".join(size_lines([a_size(units, product=product)]))
    assert ("far beyond its funds" in lines) is is_warned


def test_a_price_that_is_not_known_is_no_zero() -> None:
    """Without prices the units are told, and no total."""
    lines = (SizeLine(SBIN, 100, None), SizeLine(RELIANCE, 0, Decimal(1464)))
    text = "\n".join(size_lines([a_size(lines=lines)]))
    assert "100 SBIN · price not known" in text and "0 RELIANCE · not one lot" in text
    assert "together" not in text


@pytest.mark.row("D4")
def test_what_follows_an_enabling_fits_beside_its_buttons() -> None:
    """When it decides first and how often is read at once; the page of parameters is a tap away."""
    on = an_assignment(MAIN)
    screen = enabled_screen(a_strategy(on, is_enabled=True, every_minutes=5))
    assert plain(screen.text) == (
        "Opening range breakout · 🟢 enabled\n"
        "Next run: 23 Nov 10:15, then every 5 minutes\n\n"
        "I report that run here in any case, later ones only when they bring a signal. What the "
        "newest one found is under Its last run."
    )
    assert labels(screen) == [["Disable", "Parameters"], ["Its last run", "« Strategies"]]
    assert "then every minute" in plain(enabled_screen(a_strategy(on, is_enabled=True)).text)
    nowhere = enabled_screen(a_strategy(is_enabled=True))
    assert "⚠️ It enters nothing: no account is on and ready." in nowhere.text
    ended = enabled_screen(a_strategy(on, is_enabled=True, next_slot=None))
    assert "not known: the calendar ends" in ended.text
