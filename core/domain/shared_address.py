"""Which accounts leave from one address, and who may (A12, facts/rules-2026.md rows 1 and 2)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import date, datetime, timedelta

from core.domain.account import Account
from core.domain.sessions import IST

__all__ = [
    "MACHINE",
    "address_words",
    "changed_this_week",
    "has_way_out",
    "next_change_from",
    "seen_trouble",
    "unexplained_sharers",
    "way_out",
]

MACHINE = "this machine's own address"
_WEEK = timedelta(days=7)


def has_way_out(account: Account) -> bool:
    """Whether anything of an account leaves this machine: not of a paper account."""
    return account.broker.is_supported and not account.broker.is_paper


def way_out(account: Account) -> str:
    """Return from where an account's requests leave, for users."""
    if account.proxy:
        return f"the proxy {account.proxy}"
    return account.source_address or MACHINE


def unexplained_sharers(account: Account, accounts: Iterable[Account]) -> Sequence[Account]:
    """Return the accounts that share an account's address without a stated reason.

    Brokers let one address be used by one holder and the immediate family. Of two users at one
    broker one needs a reason; the other is the holder that it refers to. Accounts of one broker
    user are one holder's. One that has not logged in yet may be anybody's.
    """
    return [
        other
        for other in accounts
        if has_way_out(other)
        and other.broker_id != account.broker_id
        and other.broker == account.broker
        and (other.user_id is None or other.user_id != account.user_id)
        and account.sharing is None
        and other.sharing is None
        and _is_same_way(account, other)
    ]


def _is_same_way(one: Account, other: Account) -> bool:
    if set(one.registered) & set(other.registered):
        return True
    return way_out(one) == way_out(other) and not (one.registered and other.registered)


def seen_trouble(seen: str, registered: Sequence[str], broker: str) -> str:
    """Return why an account that is seen from an address must not enter, or ''."""
    if not seen or not registered or seen in registered:
        return ""
    known = " and ".join(registered)
    verb = "are" if len(registered) > 1 else "is"
    return f"{broker} sees it at {seen}, but {known} {verb} registered there"


def next_change_from(changed_at: datetime) -> date:
    """Return the first day of the calendar week after a change: a broker takes one a week."""
    day = changed_at.astimezone(IST).date()
    return day - timedelta(days=day.weekday()) + _WEEK


def changed_this_week(changed_at: datetime | None, now: datetime) -> bool:
    """Whether the change of this calendar week was made already."""
    return changed_at is not None and now.astimezone(IST).date() < next_change_from(changed_at)


def address_words(account: Account, accounts: Iterable[Account]) -> tuple[bool, str]:
    """Return whether an account's address lets it trade, and what to say of it, or ''."""
    if account.address_trouble:
        return False, account.address_trouble
    if sharers := unexplained_sharers(account, accounts):
        names = " and ".join(one.display_name for one in sharers)
        return False, f"shares its address with {names}, and it was not said why it may"
    if not account.registered:
        return True, ""
    return True, "address checked" if account.address_seen else "address not checked"
