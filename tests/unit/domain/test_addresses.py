"""What users type about addresses, who shares one, and when a broker takes the next change (A12)."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime

import pytest

from core.adapters.fyers import FYERS
from core.adapters.paper import PAPER_PROFILE
from core.domain.account import Sharing
from core.domain.broker_profile import unknown_broker
from core.domain.route import (
    Proxy,
    ProxyKind,
    checked_address,
    checked_addresses,
    checked_proxy,
)
from core.domain.shared_address import (
    address_words,
    changed_this_week,
    has_way_out,
    next_change_from,
    seen_trouble,
    unexplained_sharers,
)
from core.errors import UserError
from tests.fakes.views import an_account

pytestmark = pytest.mark.row("A12")


@pytest.mark.parametrize(
    ("text", "proxy"),
    [
        (
            " socks5://asha:p%40ss@proxy.example:1080 ",
            Proxy(ProxyKind.SOCKS5, "proxy.example", 1080, "asha", "p@ss"),
        ),
        ("HTTP://10.0.0.7:3128/", Proxy(ProxyKind.HTTP, "10.0.0.7", 3128)),
        ("socks5h://[2001:db8::7]:1080", Proxy(ProxyKind.SOCKS5, "2001:db8::7", 1080)),
    ],
)
def test_proxy_as_it_is_typed(text: str, proxy: Proxy) -> None:
    """Scheme, host, port and a login that may have quoted characters; shown without the login."""
    found = checked_proxy(text)
    assert found == proxy
    assert checked_proxy(found.shown) == replace(proxy, user="", password="")
    assert "p@ss" not in repr(found)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "canary",
        "10.0.0.7:3128",
        "ftp://u:canary@h:1",
        "http://u:canary@h",
        "http://u:canary@h:0",
        "http://u:canary@h:99999",
        "http://u:canary@-h-:80",
        "http://u:canary@h:80/path",
        "http://u:canary@h h:80",
        "http://u:canary%0d%0aX: y@h:80",
        "socks5://u:" + "canary" * 50 + "@h:1080",
        "http://[canary:80",
    ],
)
def test_what_is_no_proxy_is_refused_without_repeating_it(text: str) -> None:
    """It may hold a password, and a line break in it would be a header of its own."""
    with pytest.raises(UserError) as caught:
        checked_proxy(text)
    assert "canary" not in str(caught.value)


def test_addresses_as_they_are_typed() -> None:
    """One, or two with comma or space; each in its usual form, each once."""
    assert checked_addresses("203.0.113.5") == ("203.0.113.5",)
    assert checked_addresses("203.0.113.5, 2001:DB8:0::5") == ("203.0.113.5", "2001:db8::5")
    assert checked_addresses("203.0.113.5 203.0.113.5") == ("203.0.113.5",)
    for wrong in (
        "",
        "203.0.113.5 203.0.113.6 203.0.113.7",
        "203.0.113",
        "0.0.0.0",
        "224.0.0.1",
        "fe80::1%<b>",
    ):
        with pytest.raises(UserError):
            checked_addresses(wrong)
    with pytest.raises(UserError, match="expected an IP address"):
        checked_address("home.example")


def test_two_users_at_one_address_need_a_reason() -> None:
    """One of two must say why; one user's accounts, another broker and another address need none."""
    mine = an_account("zerodha_aaaaaaaaaa", user_id="AB1234")
    theirs = an_account("zerodha_bbbbbbbbbb", user_id="CD5678")
    assert unexplained_sharers(mine, [mine, theirs]) == [theirs]
    assert address_words(mine, [mine, theirs])[0] is False
    for fine in (
        replace(theirs, sharing=Sharing.SPOUSE),
        replace(theirs, user_id="AB1234"),
        replace(theirs, broker=FYERS),
        replace(theirs, source_address="203.0.113.6"),
        replace(theirs, proxy="socks5://h:1080"),
    ):
        assert unexplained_sharers(mine, [mine, fine]) == []
    unknown = replace(theirs, user_id=None)
    assert unexplained_sharers(mine, [mine, unknown]) == [unknown]
    apart = replace(mine, source_address="203.0.113.5", registered=("203.0.113.9",))
    behind = replace(theirs, proxy="http://h:1", registered=("203.0.113.9",))
    assert unexplained_sharers(apart, [apart, behind]) == [behind], "one address at the broker"


@pytest.mark.row("F6")
def test_paper_accounts_share_no_address() -> None:
    """Nothing of them leaves this machine; nor of an account whose broker is not known here."""
    first = an_account("paper_aaaaaaaaaa", PAPER_PROFILE, user_id="paper_aaaaaaaaaa")
    second = an_account("paper_bbbbbbbbbb", PAPER_PROFILE, user_id="paper_bbbbbbbbbb")
    assert unexplained_sharers(first, [first, second]) == []
    assert address_words(first, [first, second]) == (True, "")
    unknown = replace(first, broker=unknown_broker("upstox"))
    assert not (has_way_out(first) or has_way_out(unknown))


def test_wrong_address_is_one_sentence() -> None:
    """What is seen and what is registered; nothing where either is not known."""
    trouble = seen_trouble("198.51.100.7", ("203.0.113.5", "203.0.113.6"), "Zerodha")
    assert trouble == (
        "Zerodha sees it at 198.51.100.7, but 203.0.113.5 and 203.0.113.6 are registered there"
    )
    assert seen_trouble("203.0.113.6", ("203.0.113.5", "203.0.113.6"), "Zerodha") == ""
    assert seen_trouble("", ("203.0.113.5",), "Zerodha") == ""
    assert seen_trouble("203.0.113.5", (), "Zerodha") == ""


def test_next_change_is_in_the_next_calendar_week() -> None:
    """From Monday on, by the calendar of India: late on a Sunday elsewhere it is Monday there."""
    tuesday = datetime(2026, 11, 24, 6, 0, tzinfo=UTC)
    assert next_change_from(tuesday) == date(2026, 11, 30)
    assert changed_this_week(tuesday, datetime(2026, 11, 29, 18, 0, tzinfo=UTC))
    assert not changed_this_week(tuesday, datetime(2026, 11, 29, 19, 0, tzinfo=UTC))
    assert not changed_this_week(None, tuesday)


def test_two_who_never_logged_in_may_be_two_holders() -> None:
    """Nobody knows yet whose they are; addresses that differ at the broker are not shared."""
    mine = an_account("zerodha_aaaaaaaaaa", user_id=None)
    theirs = an_account("zerodha_bbbbbbbbbb", user_id=None)
    assert unexplained_sharers(mine, [mine, theirs]) == [theirs]
    one = replace(mine, registered=("203.0.113.5",))
    other = replace(theirs, registered=("203.0.113.6",))
    assert unexplained_sharers(one, [one, other]) == []
    assert unexplained_sharers(one, [one, theirs]) == [theirs]


def test_a_change_on_a_monday_of_india_counts_for_its_week() -> None:
    """It is Sunday still by the clock of the store."""
    assert next_change_from(datetime(2026, 11, 29, 19, 0, tzinfo=UTC)) == date(2026, 12, 7)
    assert next_change_from(datetime(2026, 11, 29, 18, 0, tzinfo=UTC)) == date(2026, 11, 30)


@pytest.mark.parametrize("login", ["{}:x", "x:{}"])
def test_a_login_of_a_proxy_has_at_most_255_bytes(login: str) -> None:
    """No proxy of this kind can be told more (RFC 1929)."""
    found = checked_proxy(f"socks5://{login.format('a' * 255)}@h:1080")
    assert len(found.user) + len(found.password) == 256
    with pytest.raises(UserError, match="more than 255 bytes"):
        checked_proxy(f"socks5://{login.format('a' * 256)}@h:1080")
