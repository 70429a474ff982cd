"""The attempts to log in. Documents the collection ``logins``, which ``Logins`` writes (B1 to B3).

``_id`` is the single-use nonce; ``broker_id``, ``state`` open, spent, done or closed, ``via`` page
or paste, ``shared`` (the link that was given away, at which it began), ``expires_at``,
``told_silent``.
"""

from __future__ import annotations

from urllib.parse import parse_qsl, urlsplit

from core.domain.notices.logins import LoginFailed, LoginReopened
from core.domain.notices.post import Post, login_trouble_card
from core.engine.accounts.accounts import is_live
from core.errors import LoginRefused
from core.ports.store import Change, Document, StoreView

__all__ = ["close_all", "query_of", "refusal_post", "silence"]

_LOGINS = "logins"


async def refusal_post(view: StoreView, row: Document, refused: LoginRefused) -> Post:
    """Tell a failure as one, and a done login that came again (a reload) as nothing to act on."""
    if row["state"] == "done" and await is_live(view, row["broker_id"]):
        return Post(LoginReopened(row["broker_id"]))
    return login_trouble_card(LoginFailed(row["broker_id"], refused.fault, refused.detail))


async def close_all(view: StoreView, broker_id: str) -> None:
    """Close an account's nonces: it is logged in, and none of them may log it in once more."""
    for state in ("open", "spent"):
        where = {"broker_id": broker_id, "state": state}
        await view.update(_LOGINS, where, Change(set={"state": "closed"}), many=True)


async def silence(view: StoreView, broker_id: str) -> None:
    """Ask no more about an account's open logins: the user was asked."""
    where = {"broker_id": broker_id, "state": "open"}
    await view.update(_LOGINS, where, Change(set={"told_silent": True}), many=True)


def query_of(text: str) -> dict[str, str]:
    """Return the query of a pasted address, or of the part after its question mark."""
    try:
        query = urlsplit(text).query
    except ValueError:
        return {}
    return dict(parse_qsl(query or ("" if "://" in text else text)))
