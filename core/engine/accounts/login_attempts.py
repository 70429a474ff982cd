"""What is told and read of attempts to log in (B1 to B4)."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import parse_qsl, urlsplit

from core.domain.account import Account
from core.domain.notices.logins import LoginFailed, LoginReopened
from core.domain.notices.post import Post, login_trouble_card
from core.engine.accounts.accounts import is_live
from core.errors import LoginRefused
from core.ports.store import Document, StoreView

__all__ = ["LoginOrigin", "query_of", "refusal_post"]


@dataclass(frozen=True, slots=True)
class LoginOrigin:
    """Who asked for the login that a callback belongs to.

    Attributes:
        link: Secret part of the account's login page while it is valid, to try again; else None.
        is_done: This very login was completed before.
        is_shared: It began at a link that the account's holder was given (row B11).
    """

    account: Account
    link: str | None
    is_done: bool
    is_shared: bool = False


async def refusal_post(view: StoreView, row: Document, refused: LoginRefused) -> Post:
    """Tell a failure as one, and a done login that came again (a reload) as nothing to act on."""
    if row["state"] == "done" and await is_live(view, row["broker_id"]):
        return Post(LoginReopened(row["broker_id"]))
    return login_trouble_card(LoginFailed(row["broker_id"], refused.fault, refused.detail))


def query_of(text: str) -> dict[str, str]:
    """Return the query of a pasted address, or of the part after its question mark."""
    try:
        query = urlsplit(text).query
    except ValueError:
        return {}
    return dict(parse_qsl(query or ("" if "://" in text else text)))
