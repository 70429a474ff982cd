"""Logins (B): the morning round, login by pasting, sharing a link, dismissing the warning."""

from __future__ import annotations

from collections.abc import Iterable

from bot.conversation.visit import Visit
from bot.views.markup import bold, code, join
from bot.views.screen import PRIMARY, Screen, button, is_linkable, link_button
from bot.views.verbs import Verb
from core.domain.account import Account
from core.domain.broker_profile import BrokerProfile
from core.errors import UserError

__all__ = ["answer_login", "dismiss", "login", "looks_like_login", "morning_round"]


def looks_like_login(text: str, brokers: Iterable[BrokerProfile]) -> bool:
    """Return whether a message is the address that a broker's login ended at."""
    codes = [broker.callback.code for broker in brokers if not broker.is_paper]
    return any(f"{code}=" in text for code in codes)


async def morning_round(visit: Visit) -> None:
    """Have the card of /login posted: it is a notice, edited as logins complete (B9)."""
    control = visit.services.control
    accounts = await control.accounts.all()
    if not accounts:
        raise UserError("There is no account yet. Use /add to connect the first one.")
    if all(one.broker.is_paper for one in accounts):
        raise UserError("Paper accounts need no login. Use /add to connect a broker.")
    await control.logins.start_round(visit.command)


async def login(visit: Visit) -> None:
    """Offer one account's login: our page, or a fresh broker address and pasting (B4)."""
    offer = await visit.services.control.logins.offer(visit.tap.argument(0))
    account = offer.account
    if offer.page_url is not None:
        await visit.send(_page_screen(account, offer.page_url))
        return
    if offer.direct_url is None:
        raise UserError(f"{account.label} needs no login.")
    prompt = await visit.services.prompts.open(
        visit.chat_id,
        visit.user_id,
        "login",
        "paste",
        {"broker_id": account.broker_id},
        update_id=visit.update_id,
    )
    sent = await visit.send(_paste_screen(account, offer.direct_url))
    await visit.services.prompts.shown_in(prompt, sent)


def _page_screen(account: Account, url: str) -> Screen:
    if is_linkable(url):
        row = (link_button(f"Log in to {account.label}", url, style=PRIMARY),)
        return Screen(f"Log in to {bold(account.label)}:", (row,))
    return Screen(f"Open this address to log in to {bold(account.label)}:\n{code(url)}")


def _paste_screen(account: Account, url: str) -> Screen:
    text = join(
        bold(f"Log in to {account.label}"),
        "1. Open the broker's page and log in there.",
        "2. Your browser then lands on a page that may not load. That is fine.",
        "3. Copy that page's whole address and paste it here.",
        None if is_linkable(url) else code(url),
        "",
        "The link is fresh and works once.",
    )
    cancel = (button("Cancel", Verb.DROP_QUESTION),)
    if not is_linkable(url):
        return Screen(text, (cancel,))
    label = f"Open {account.broker.label}"
    return Screen(text, ((link_button(label, url, style=PRIMARY),), cancel))


async def answer_login(visit: Visit, broker_id: str | None) -> None:
    """Complete a login from what the user pasted; the code is deleted from the chat."""
    if not await visit.delete_message():
        await visit.send(Screen("I could not delete your message; please delete it yourself."))
    # Its message is a notice, as for every other login: one event, one message.
    # Behind a command, /login above all, it is a paste as well.
    text = " ".join(visit.arguments) or visit.text
    await visit.services.control.logins.paste(visit.command, text, broker_id)


async def dismiss(visit: Visit) -> None:
    """Dismiss the token warning until another login expires (B6)."""
    await visit.services.control.tokens.dismiss_warning(visit.command)
    await visit.show(
        Screen("Warning dismissed. It returns only when a login expires anew. /login any time.")
    )
