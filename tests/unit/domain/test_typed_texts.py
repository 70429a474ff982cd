"""What people type: numbers are bounded everywhere, names hold nothing that cannot be seen."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.handlers.strategies import _number as size_of
from bot.views.result_guards import with_part
from core.domain.account import checked_display_name
from core.domain.limits import LimitKind, parse_limit
from core.domain.plain_text import plain_line, shape_of
from core.domain.result_guard import Guard, problem_of
from core.domain.target import Parameter
from core.domain.typed_number import read_amount, read_number
from core.engine.control.paper_accounts import PaperAccounts
from core.engine.control.system_settings import _rupees_in
from core.errors import UserError

HUGE = [
    "1e6000",
    "1E6",
    "9" * 400,
    "9" * 16,
    "0x10",
    "1_000",
    "١٢٣",
    "１２",
    "NaN",
    "Infinity",
    "-Infinity",
    "sNaN1",
    "",
    " ",
    "₹",
    "--5",
    "+-5",
    "5 5",
    "1,2,3,4",
    "0." + "1" * 40,
    "$where",
    '{"$gt": 0}',
]


def guard_of(text: str) -> str:
    """Read a typed guard; raise for what is refused, by form or by bounds."""
    if problem := problem_of(with_part(Guard(), "s", text)):
        raise UserError(problem)
    return ""


READERS: dict[str, Callable[[str], object]] = {
    "capital": _rupees_in,
    "paper funds": PaperAccounts.checked_funds,
    "size": size_of,
    "limit": lambda text: parse_limit(LimitKind.DAILY_LOSS, text),
    "whole parameter": Parameter("n", "N", 5, 1, 10**9).check,
    "parameter": Parameter("n", "N", Decimal(5), Decimal(1), Decimal(10**9)).check,
}


@pytest.mark.row("A10")
@pytest.mark.parametrize("text", HUGE)
@pytest.mark.parametrize("reader", READERS)
def test_every_number_that_is_typed_is_bounded(reader: str, text: str) -> None:
    """Capital, funds, sizes, limits, parameters: what is no plain number is refused in one line."""
    with pytest.raises(UserError) as refused:
        READERS[reader](text)
    assert len(str(refused.value)) < 200


@pytest.mark.row("R5")
@pytest.mark.parametrize("text", ["1e6000", "9" * 400, "9" * 16, "١٢٣", "", "NaN"])
def test_the_amount_of_a_guard_is_bounded(text: str) -> None:
    """The same for a guard, whose amounts are picked out of a text."""
    with pytest.raises(UserError) as refused:
        guard_of(text)
    assert len(str(refused.value)) < 200


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("2,50,000", "250000"),
        ("₹ 500.50", "500.50"),
        (" 10 %", "10"),
        ("-5", "-5"),
        ("+7", "7"),
        (".5", "0.5"),
        ("1,234,567.25", "1234567.25"),
        ("५०,०००", "50000"),
        ("१२.५%", "12.5"),
        ("10 shares", "10"),
        ("1.5 percent", "1.5"),
        ("15 min", "15"),
        ("2x", "2"),
    ],
)
def test_plain_numbers_are_read(text: str, number: str) -> None:
    """As people write them in India and elsewhere."""
    assert read_number(text) == Decimal(number)


AMOUNTS: dict[str, Callable[[str], object]] = {
    "capital": _rupees_in,
    "paper funds": PaperAccounts.checked_funds,
    "daily loss": lambda text: parse_limit(LimitKind.DAILY_LOSS, text),
    "order value": lambda text: parse_limit(LimitKind.ORDER_VALUE, text),
    "stop of a guard": lambda text: with_part(Guard(), "s", text).stop,
    "target of a guard": lambda text: with_part(Guard(), "t", text).target,
}


@pytest.mark.parametrize("reader", AMOUNTS)
@pytest.mark.parametrize(
    ("text", "rupees"),
    [
        ("2.5L", 250_000),
        ("₹2,50,000/-", 250_000),
        ("250000/- only", 250_000),
        ("Rs 2.5 lakh only", 250_000),
        ("₹२.५L", 250_000),
        ("२,५०,०००", 250_000),
        ("2.5 lakh", 250_000),
        ("₹2.5 Lakhs", 250_000),
        ("3 lac", 300_000),
        ("50k", 50_000),
        ("50 K", 50_000),
        ("₹ 50 thousand", 50_000),
        ("1 cr", 10_000_000),
        ("1Cr", 10_000_000),
        ("0.5 crore", 5_000_000),
        ("Rs. 50000", 50_000),
        ("Rs 2,50,000", 250_000),
        ("INR 75k", 75_000),
        ("₹2,50,000", 250_000),
    ],
)
def test_amounts_are_read_as_people_write_them(reader: str, text: str, rupees: int) -> None:
    """Lakh and crore, long and short, wherever rupees are asked for."""
    assert AMOUNTS[reader](text) == rupees


@pytest.mark.parametrize("reader", AMOUNTS)
@pytest.mark.parametrize(
    "text", ["L", "k", "lakh", "2.5 lots", "2.5 M", "two lakh", "1e5", "5 5 L"]
)
def test_what_is_no_amount_is_no_amount(reader: str, text: str) -> None:
    """An unknown unit is not left out in silence: half of what was typed would be another sum."""
    with pytest.raises(UserError, match="expected"):
        AMOUNTS[reader](text)


def test_trail_takes_amounts_with_their_units() -> None:
    """Each of them by itself."""
    trail = with_part(Guard(), "l", "from 1L keep 50k, each 20 k keep 10k").trail
    assert trail is not None
    with pytest.raises(UserError, match="expected"):
        with_part(Guard(), "l", "from 2.5M keep 1e5")
    assert [trail.start, trail.keep, trail.each, trail.more] == [
        Decimal(one) for one in (100_000, 50_000, 20_000, 10_000)
    ]


@given(st.text(max_size=60))
def test_no_text_breaks_the_reading_of_a_number(text: str) -> None:
    """A number, below a bound, or nothing."""
    for found in (read_number(text), read_amount(text)):
        assert found is None or abs(found) < 10**15


@pytest.mark.row("A10")
@pytest.mark.parametrize(
    ("typed", "kept"),
    [
        ("Ma\u202ein", "Main"),
        ("M\u200ba\u200ci\u200dn\ufeff", "Main"),
        ("\u2066Main\u2069", "Main"),
        ("Main\u00ad\u061c\u180e", "Main"),
        ("Ｍａｉｎ", "Main"),
        ("M\u0430in", "M\u0430in"),
        ("Ma\x00i\x1b[2Jn", "Mai[2Jn"),
        ("Ma\u2028in\u0085x", "Ma in x"),
        ("Main\ud800", "Main"),
        ("\u3164Ma\u2800in\u115f", "Main"),
        ("Zalgo" + "\u0301" * 40, "Zalg\u00f3" + "\u0301" * 3),
        ("👨\u200d👩\u200d👧", "👨\u200d👩\u200d👧"),
        ("❤️\u200d🔥 fund", "❤️\u200d🔥 fund"),
        ("क्\u200dष", "क्\u200dष"),
        ("  a \t b\n", "a b"),
    ],
)
def test_names_hold_nothing_that_is_not_seen(typed: str, kept: str) -> None:
    """No mark turns the direction, none is invisible; pictures and Indic letters stay whole."""
    assert checked_display_name(typed) == kept


@pytest.mark.row("A10")
@pytest.mark.parametrize("typed", ["\u200b\u200b", "\u3164", "\u202e\u202c", "\x00", "\ufeff", " "])
def test_a_name_that_shows_nothing_is_empty(typed: str) -> None:
    """It would stand in lists as a gap."""
    with pytest.raises(UserError, match="empty"):
        checked_display_name(typed)


@given(st.text(max_size=80))
def test_a_plain_line_stays_as_it_is(text: str) -> None:
    """What was made plain once is not changed again, and holds one line without control signs."""
    line = plain_line(text)
    assert "\n" not in line
    assert not any(
        unicodedata.category(sign) in {"Cc", "Cs", "Co"} or sign in "\u202a\u202e\u2066\u200b"
        for sign in line
    )
    line.encode()


TIMES = Parameter("t", "T", "09:30", choices=("09:15", "09:20", "14:30", "15:00"))
SIDES = Parameter("s", "Side", "both", choices=("both", "long", "short"))


@pytest.mark.row("D6")
@pytest.mark.parametrize(
    ("text", "time"),
    [
        ("09:20", "09:20"),
        ("9:20", "09:20"),
        ("9.20", "09:20"),
        ("920", "09:20"),
        ("0920 hrs", "09:20"),
        ("9:20 am", "09:20"),
        ("2:30 PM", "14:30"),
        ("3pm", "15:00"),
        ("15", "15:00"),
        ("९:२०", "09:20"),
    ],
)
def test_times_are_read_as_people_write_them(text: str, time: str) -> None:
    """With a dot, without anything, with am and pm, on a Hindi keyboard."""
    assert TIMES.check(text) == time


@pytest.mark.row("D6")
@pytest.mark.parametrize(
    "text", ["25:00", "9:75", "13 pm", "0 am", "9", "half past two", "9:20:30"]
)
def test_what_is_no_time_of_the_choices_is_refused(text: str) -> None:
    """With the choices, so that nobody guesses again."""
    with pytest.raises(UserError, match="expected one of 09:15"):
        TIMES.check(text)


@pytest.mark.row("R1")
@pytest.mark.parametrize(
    "text", ["20", "२०", "20 orders", "20 Orders a day", " 20 orders per day "]
)
def test_a_count_may_name_what_is_counted(text: str) -> None:
    """As the question says it."""
    assert parse_limit(LimitKind.ORDERS_DAY, text) == 20


@pytest.mark.parametrize("text", ["2 lots", "20 orders and more", "orders", "1,2 orders"])
def test_other_words_beside_a_number_are_refused(text: str) -> None:
    """A lot is not a unit: what is counted in something else is no number of these."""
    with pytest.raises(UserError):
        parse_limit(LimitKind.ORDERS_DAY, text)
    assert read_number(text) is None


@pytest.mark.row("A10")
@pytest.mark.parametrize(
    "other", ["\u041c\u0430in", "M\u03b1in", "MAIN", "Ma\u200bin", "\uff2dain"]
)
def test_names_that_look_the_same_have_one_shape(other: str) -> None:
    """Letters of another script, of another width or case, and what shows nothing."""
    assert shape_of(other) == shape_of("Main")


def test_names_that_look_different_have_different_shapes() -> None:
    """In any script; a digit is told from a letter."""
    names = ["Main", "Main 2", "Mains", "\u092e\u0947\u0928", "Ma1n", "\u0413\u043b\u0430\u0432"]
    assert len({shape_of(one) for one in names}) == len(names)


def test_a_choice_is_found_in_any_case() -> None:
    """A phone's keyboard begins with a capital."""
    assert SIDES.check("Long") == SIDES.check("long only") == "long"
    with pytest.raises(UserError):
        SIDES.check("920")
