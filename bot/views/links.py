"""Login links for the holder of an account: those that are open, and a new one (row B11)."""

from __future__ import annotations

from collections.abc import Sequence

from bot.views.callbacks import handle
from bot.views.markup import bold, code, day_time, esc, join
from bot.views.screen import Keyboard, Screen, button, copy_button
from bot.views.verbs import Verb
from bot.views.words import plural
from core.domain.account import Account
from core.engine.accounts.login_links import SharedLink
from core.engine.accounts.shared_links import DAYS

__all__ = ["links_page", "made_page", "paste_page"]


def links_page(account: Account, links: Sequence[SharedLink]) -> Screen:
    """Return the open links of an account, each with a button that revokes it."""
    text = join(
        bold(f"Login links for {account.label}"),
        "Whoever has such a link can log this account in, each day until the link ends, without "
        f"this chat. {esc(account.broker.label)} asks for password and second factor; a login by "
        "another user changes nothing. You are told here of each login.",
        "",
        [f"• made {day_time(one.created_at)}, ends {day_time(one.ends_at)}" for one in links]
        or "No link is open.",
        "",
        "A new link, for:",
    )
    key = account.broker_id
    rows: Keyboard = (
        tuple(button(plural(days, "day"), Verb.MAKE_LINK, key, days) for days in DAYS),
        *(
            (
                button(
                    f"Revoke the one of {day_time(one.created_at)}",
                    Verb.REVOKE_LINK,
                    key,
                    handle(one.link),
                ),
            )
            for one in links
        ),
        (button("« Account", Verb.ACCOUNT, key),),
    )
    return Screen(text, rows)


def made_page(account: Account, address: str, days: int) -> Screen:
    """Return a new link, which is shown this once."""
    copy = copy_button("Copy the link", address)
    text = join(
        bold(f"A login link for {account.label}, for {plural(days, 'day')}"),
        "Send it to the account's holder. I show it only now; it can be revoked here at any time.",
        "",
        code(address),
    )
    back = (button("« Login links", Verb.SHARE_LOGIN, account.broker_id),)
    return Screen(text, ((copy,), back) if copy is not None else (back,))


def paste_page(account: Account, address: str) -> Screen:
    """Return the broker's own address, where there is no public one of ours (B4)."""
    copy = copy_button("Copy the link", address)
    text = join(
        bold(f"Login for {account.label}"),
        "Send this link to the account's holder; it works once, for ten minutes. Ask for the "
        "address of the page on which their browser ends, and paste it here. With a public address "
        "(SAARTHI_PUBLIC_URL) they need neither you nor this chat.",
        "",
        code(address),
    )
    back = (button("« Account", Verb.ACCOUNT, account.broker_id),)
    return Screen(text, ((copy,), back) if copy is not None else (back,))
