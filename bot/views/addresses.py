"""From where an account's orders leave (A12): its page, and the questions about it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime

from bot.views.accounts import spaced
from bot.views.markup import bold, clock_time, code, day_time, esc, join
from bot.views.screen import PRIMARY, Keyboard, Screen, button, grid
from bot.views.verbs import Verb
from bot.views.width import labelled
from bot.views.words import plural
from core.domain.account import Account, Sharing
from core.domain.sessions import IST
from core.domain.shared_address import MACHINE, changed_this_week, next_change_from, way_out

__all__ = [
    "OTHER",
    "OWN",
    "PROXY",
    "SHARING",
    "address_page",
    "registered_choice",
    "registered_question",
    "route_question",
    "sharers_line",
    "sharing_question",
    "typed_route_question",
]

OWN, OTHER, PROXY = "own", "other", "proxy"
SHARING: Mapping[Sharing, str] = {
    Sharing.HOLDER: "Same holder",
    Sharing.SPOUSE: "Spouse",
    Sharing.CHILD: "Dependent child",
    Sharing.PARENT: "Dependent parent",
}
_SHOWN = 6


def _day(moment: datetime) -> str:
    return f"{moment.astimezone(IST):%a %-d %b}"


def _registered(account: Account) -> str:
    if not account.registered:
        return "not noted"
    known = " and ".join(code(one) for one in account.registered)
    if account.registered_at is None:
        return known
    return f"{known}, changed {_day(account.registered_at)}"


def _seen(account: Account) -> str:
    if account.address_checked_at is None:
        return "not known yet"
    at = clock_time(account.address_checked_at)
    return (
        f"{code(account.address_seen)}, checked {at}" if account.address_seen else f"none at {at}"
    )


def _names(labels: Sequence[str]) -> str:
    more = len(labels) - _SHOWN
    rest = [plural(more, "more account")] if more > 0 else []
    return " and ".join([*labels[:_SHOWN], *rest])


def sharers_line(account: Account, sharers: Sequence[Account]) -> str | None:
    """Return the warning that an account shares its address without a stated reason, or None."""
    if not sharers:
        return None
    names = _names([bold(one.label) for one in sharers])
    return (
        f"⚠️ It shares its address with {names}. {esc(account.broker.label)} allows that for the "
        "same holder, a spouse, dependent children and dependent parents only: say which it is."
    )


def address_page(account: Account, sharers: Sequence[Account]) -> Screen:
    """Return where an account's orders leave, where they may, and what to do."""
    key = account.broker_id
    trouble = f"⚠️ {esc(_sentence(account.address_trouble))}" if account.address_trouble else None
    stopped = "Nothing is entered until that is right; exits are still tried." if trouble else None
    text = join(
        bold(f"Address of {account.label}"),
        spaced(trouble, stopped, sharers_line(account, sharers)),
        labelled("Leaves from", esc(way_out(account))),
        f"Seen at: {_seen(account)}",
        f"Registered at {esc(account.broker.label)}: {_registered(account)}",
        f"May share it as: {SHARING[account.sharing]}" if account.sharing else None,
        _next_change(account),
    )
    rows: Keyboard = (
        (
            button("Leave from …", Verb.ASK_ROUTE, key),
            button("Registered …", Verb.ASK_REGISTERED, key),
        ),
        (
            button("Why shared …", Verb.ASK_SHARING, key),
            button("Check now", Verb.ADDRESS_CHECK, key, style=PRIMARY),
        ),
        (button("« Account", Verb.ACCOUNT, key),),
    )
    return Screen(text, rows)


def _next_change(account: Account) -> str | None:
    if account.registered_at is None:
        return None
    first = next_change_from(account.registered_at)
    return f"The broker takes the next change from {first:%a %-d %b} on."


def _sentence(text: str) -> str:
    return text[:1].upper() + text[1:] + "."


def route_question(account: Account, local: Sequence[str]) -> Screen:
    """Return the choice of where an account's requests leave."""
    key = account.broker_id
    own = button(MACHINE.capitalize(), Verb.SET_ROUTE, key, OWN)
    each = [button(one, Verb.SET_ROUTE, key, one) for one in local[:_SHOWN] if ":" not in one]
    text = join(
        bold(f"From where shall {account.label} leave?"),
        f"Now: {esc(way_out(account))}",
        "",
        "Every request of this account goes that way: orders, reads, logins and streams. The "
        "address that comes out must be registered at the broker.",
    )
    typed = (
        button("Another address …", Verb.TYPE_ROUTE, key, OTHER),
        button("A proxy …", Verb.TYPE_ROUTE, key, PROXY),
    )
    return Screen(text, ((own,), *grid(each, 2), typed, (button("« Back", Verb.ADDRESS, key),)))


def typed_route_question(account: Account, what: str) -> Screen:
    """Return the question for a local address or a proxy that has to be typed."""
    cancel = (button("Cancel", Verb.DROP_QUESTION),)
    if what == PROXY:
        text = join(
            f"Send the proxy of {bold(account.label)}, in one of these forms:",
            code("socks5://user:password@host:1080"),
            code("http://user:password@host:3128"),
            "User and password may be left out. I encrypt them and delete your message at once.",
        )
    else:
        text = (
            f"Send the address of this machine that {bold(account.label)} shall leave from, for "
            f"example {code('203.0.113.5')}."
        )
    return Screen(text, (cancel,))


def registered_question(account: Account) -> Screen:
    """Return the question for what the broker's console holds."""
    text = join(
        f"Which address is registered at {bold(account.broker.label)} for {bold(account.label)}?",
        f"You find it at {esc(account.broker.console)}. Send it, or the primary and the secondary "
        f"one, for example {code('203.0.113.5')}.",
    )
    if account.address_seen:
        text = join(text, f"I am seen at {code(account.address_seen)} now.")
    return Screen(text, ((button("Cancel", Verb.DROP_QUESTION),),))


def registered_choice(
    account: Account, addresses: Sequence[str], nonce: str, now: datetime
) -> Screen:
    """Return the question whether addresses are new at the broker (one change a week)."""
    shown = " and ".join(code(one) for one in addresses)
    late = None
    if changed_this_week(account.registered_at, now) and account.registered_at is not None:
        first = next_change_from(account.registered_at)
        late = (
            f"⚠️ It was changed {day_time(account.registered_at)} already, and the broker takes "
            f"one change a calendar week: another from {first:%a %-d %b} on."
        )
    text = join(f"{shown}: when was that registered at {bold(account.broker.label)}?", late)
    return Screen(
        text,
        (
            (button("Changed there just now", Verb.SET_REGISTERED, nonce, "new"),),
            (button("It stood there before", Verb.SET_REGISTERED, nonce, "old"),),
            (button("Cancel", Verb.ADDRESS, account.broker_id),),
        ),
    )


def sharing_question(account: Account, sharers: Sequence[Account]) -> Screen:
    """Return the choice of why an account may share its address."""
    key = account.broker_id
    names = _names([esc(one.label) for one in sharers])
    text = join(
        bold(f"Whose account is {account.label}?"),
        f"Seen from the holder of {names}." if names else None,
        "Brokers let one address be used by one holder and the immediate family, and suspend "
        "others. Accounts of other people need an address of their own.",
    )
    each = [button(label, Verb.SET_SHARING, key, one.value) for one, label in SHARING.items()]
    rows = grid(each, 2)
    if account.sharing is not None:
        rows = (*rows, (button("None of these", Verb.SET_SHARING, key, "none"),))
    return Screen(text, (*rows, (button("« Back", Verb.ADDRESS, key),)))
