"""The pages that a user sees in a browser, rendered from the templates beside this module.

Every value is escaped here and nowhere else. The pages load nothing: the style is in the page and
the policy in ``SECURITY_POLICY`` admits exactly this style by its hash, and no script at all.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from html import escape
from importlib import resources
from string import Template
from typing import Final

from core.domain.account import Account

__all__ = [
    "SECURITY_POLICY",
    "ConnectedBy",
    "FaultText",
    "connected_page",
    "fault_page",
    "login_page",
]


def _read(name: str) -> str:
    return resources.files(__name__).joinpath(name).read_text(encoding="utf-8").strip()


_STYLE: Final = _read("style.css")
_STYLE_HASH: Final = base64.b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()
_LOGO, _GOOD, _BAD = (_read(f"{name}.svg") for name in ("logo", "good", "bad"))
_LAYOUT, _LOGIN, _CONNECTED, _FAULT = (
    Template(_read(f"{name}.html")) for name in ("layout", "login", "connected", "fault")
)
_FOOTER: Final = "Your trading controller"

# No form-action: browsers apply it to the redirect that follows a form too, and where the broker's
# login lives is a setting.
SECURITY_POLICY: Final = (
    f"default-src 'none'; style-src 'sha256-{_STYLE_HASH}'; img-src data:; "
    "base-uri 'none'; frame-ancestors 'none'"
)


@dataclass(frozen=True, slots=True)
class FaultText:
    """The text of the page of a failed login.

    Attributes:
        steps: What to do, in order.
    """

    title: str
    happened: str
    steps: Sequence[str]


def _page(title: str, body: str) -> str:
    return _LAYOUT.substitute(
        title=escape(title), style=_STYLE, logo=_LOGO, body=body, footer=_FOOTER
    )


def _button(address: str, text: str) -> str:
    return f'<a class="go" href="{escape(address)}">{escape(text)}</a>'


def login_page(account: Account) -> str:
    """Return the page that names an account and leads on to its broker."""
    if account.user_id is not None:
        note = (
            f"Log in as {account.user_id}. Another user would be refused and nothing would change."
        )
    else:
        note = "This is its first login: the account will belong to the user who logs in."
    body = _LOGIN.substitute(
        account=escape(account.label),
        broker=escape(account.broker.label),
        user=escape(account.user_id or "not known yet"),
        note=escape(note),
    )
    return _page(f"Log in to {account.label}", body)


class ConnectedBy(Enum):
    """How a page finds an account connected."""

    NOW = "now"
    """By the login that ends here."""
    REPEATED = "repeated"
    """That login ended before; its page was loaded again."""
    BEFORE = "before"
    """By an earlier login: nothing is to be done."""


def connected_page(account: Account, *, by: ConnectedBy, chat_url: str | None) -> str:
    """Return the page of an account that is connected.

    Args:
        account: The account.
        by: How it was connected.
        chat_url: Address that leads back into the chat, or empty; None for whoever does not use it.
    """
    user = account.user_name or account.user_id or "you"
    if account.user_name and account.user_id:
        user = f"{account.user_name} ({account.user_id})"
    dies_at = account.broker.tokens_die_at
    until = f"the next {dies_at:%H:%M} IST" if dies_at else "the broker ends it"
    sentence = f"Logged in as {user}. The login lasts until {until}."
    if by is ConnectedBy.REPEATED:
        sentence = "This login was already used to connect it; nothing was changed this time."
    elif by is ConnectedBy.BEFORE:
        sentence = f"There is nothing to do. {sentence}"
    body = _CONNECTED.substitute(
        icon=_GOOD,
        account=escape(account.label),
        sentence=escape(sentence),
        following="You can close this page." if chat_url is None else "Go back to Telegram.",
        action=_button(chat_url, "Open Telegram") if chat_url else "",
    )
    return _page(f"{account.label} is connected", body)


def fault_page(text: FaultText, *, try_again: str | None) -> str:
    """Return the page of a login that failed.

    Args:
        text: What happened and what to do.
        try_again: Path of the account's login page while it is valid.
    """
    items = "".join(f"<li>{escape(step)}</li>" for step in text.steps)
    body = _FAULT.substitute(
        icon=_BAD,
        title=escape(text.title),
        happened=escape(text.happened),
        steps=f"<ol>{items}</ol>" if len(text.steps) > 1 else f"<p>{escape(text.steps[0])}</p>",
        action=_button(try_again, "Try again") if try_again else "",
    )
    return _page(text.title, body)
